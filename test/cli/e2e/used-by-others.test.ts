// bssh where ssh(1) is expected: under git, rsync, scp and sftp, and in the scripts that people write around ssh.
import { describe, expect, it } from 'vitest';
import { requireServer, startSshd } from '../../interop/servers.ts';
import { Box, served } from './box.ts';

describe.skipIf(!requireServer('sshd'))('in the place of ssh', () => {
  const box = served(new Box(), startSshd);

  /** What a script printed; it must have succeeded, and said nothing of its own. */
  const works = async (script: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const { code, out, err } = await box.sh(`set -eu -o pipefail\n${script}`, env);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out;
  };

  /** A tree with what copies get wrong: empty and hidden files, blanks and other alphabets, modes, links, binary. */
  const tree = (name: string) => `mkdir -p ${name}/a/b ${name}/empty ${name}/.hidden
    printf '' >${name}/nothing; head -c 300000 /dev/urandom >${name}/a/binary
    echo text >"${name}/a/b/two words"; echo umlaut >${name}/.hidden/größe
    echo '#!/bin/sh' >${name}/run; chmod 755 ${name}/run; ln -s a/binary ${name}/link\n`;
  const sameTree = (one: string, other: string) =>
    `diff -r --no-dereference ${one} ${other}
     cmp <(cd ${one} && find . ! -type l -printf '%P %y %m\\n' | sort) <(cd ${other} && find . ! -type l -printf '%P %y %m\\n' | sort)\n`;

  describe.skipIf(!requireServer('git'))('git', () => {
    const git = { GIT_SSH_COMMAND: '', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
    const identity = {
      GIT_AUTHOR_NAME: 'a',
      GIT_AUTHOR_EMAIL: 'a@b',
      GIT_COMMITTER_NAME: 'a',
      GIT_COMMITTER_EMAIL: 'a@b',
    };

    it('pushes, clones and fetches', { timeout: 60_000 }, async () => {
      const env = { ...git, ...identity, GIT_SSH_COMMAND: `bssh -F ${box.config}` };
      const out = await works(
        `bssh -F "$F" box "git init -q --bare -b main $SHARED/repo.git"
         mkdir work; cd work; git init -q -b main; ${tree('.')}
         git add .; git commit -q -m first
         git remote add origin box:$SHARED/repo.git; git push -q -u origin main
         cd ..; git clone -q box:$SHARED/repo.git clone
         git -C clone rev-parse HEAD; git -C work rev-parse HEAD
         cd work; git commit -q --allow-empty -m second; git push -q
         cd ../clone; git fetch -q; git log --oneline origin/main | wc -l
         git clone -q ssh://box$SHARED/repo.git ../again; git -C ../again ls-remote -q --heads | cut -f2`,
        env,
      );
      const [one, two, count, ref] = out.trim().split('\n');
      expect(one).toBe(two);
      expect([count, ref]).toEqual(['2', 'refs/heads/main']);
    });

    it('finds it by the variant it detects, and by that of the name ssh', async () => {
      const env = { ...git, ...identity, GIT_SSH_COMMAND: `ssh -F ${box.config} -v`, GIT_PROTOCOL: 'version=2' };
      const { code, err } = await box.sh(`git -c protocol.version=2 ls-remote box:$SHARED/repo.git`, env);
      expect(code).toBe(0);
      expect(err).toContain(`debug1: Sending command: git-upload-pack '${box.shared}/repo.git'`);
    });
  });

  describe.skipIf(!requireServer('rsync'))('rsync', () => {
    it('copies a tree both ways, and what has changed', async () => {
      const out = await works(`${tree('src')}
        rsync -a -e "bssh -F $F" src/ box:$SHARED/there/
        ${sameTree('src', '$SHARED/there')}
        rsync -az -e "bssh -F $F" box:$SHARED/there/ back/
        ${sameTree('src', 'back')}
        echo more >>src/a/b/new; rm src/nothing
        rsync -a --delete -i -e "bssh -F $F" src/ box:$SHARED/there/ | grep -v '^\\.d'
        ${sameTree('src', '$SHARED/there')}`);
      expect(out).toMatch(/^\*deleting +nothing$/m);
      expect(out).toMatch(/^<f\++ a\/b\/new$/m);
    });
  });

  describe.skipIf(!requireServer('scp', 'sftp'))('scp and sftp', () => {
    it.each([
      ['', 'sftp'],
      ['-O', 'scp'],
    ])('scp %s copies a tree both ways (%s)', async (flag, kind) => {
      await works(`${tree(`scp-${kind}`)}
        rm scp-${kind}/link
        scp ${flag} -q -r -p -S bssh -F $F scp-${kind} box:$SHARED/scp-${kind}
        ${sameTree(`scp-${kind}`, `$SHARED/scp-${kind}`)}
        scp ${flag} -q -r -p -S "$(command -v bssh)" -F $F box:$SHARED/scp-${kind} back-${kind}
        ${sameTree(`scp-${kind}`, `back-${kind}`)}`);
    });

    it('copies between two remote hosts through here', async () => {
      await works(`head -c 100000 /dev/urandom >$SHARED/from; chmod 644 $SHARED/from
        scp -3 -q -S bssh -F $F box:$SHARED/from box:$SHARED/to; cmp $SHARED/from $SHARED/to`);
    });

    it('serves a batch of sftp', async () => {
      const out = await works(`head -c 200000 /dev/urandom >local
        sftp -q -b - -S bssh -F $F box <<END
cd $SHARED
mkdir made
put local made/remote
ls -1 made
get made/remote copy
END
        cmp local copy`);
      expect(out).toContain('made/remote');
      const { code } = await box.sh(`echo 'get /nosuch/file' | sftp -q -b - -S bssh -F $F box`);
      expect(code).toBe(1);
    });
  });

  describe.skipIf(!requireServer('ansible'))('ansible', () => {
    it('runs its modules, with files and a shared connection', { timeout: 90_000 }, async () => {
      box.write(
        'inventory',
        `box ansible_python_interpreter=/usr/bin/python3 ansible_ssh_common_args='-F ${box.config}'\n`,
      );
      const env = {
        ANSIBLE_CONFIG: box.write('ansible.cfg', ''),
        ANSIBLE_NOCOLOR: '1',
        ANSIBLE_SSH_EXECUTABLE: `${box.bin}/bssh`,
        ANSIBLE_SSH_ARGS: '-C -o ControlMaster=auto -o ControlPersist=5s',
      };
      const { code, out } = await box.sh(
        `ansible -i inventory box -m copy -a "content=hello dest=$SHARED/copied" && cat $SHARED/copied
         ANSIBLE_PIPELINING=1 ansible -i inventory box -m command -a 'cat /nosuch'`,
        env,
        80_000,
      );
      expect(out).toMatch(/box \| CHANGED => [\s\S]*hello/);
      expect(out).toMatch(/box \| FAILED \| rc=1 >>/);
      expect(code).toBe(2);
    });
  });

  describe('in scripts', () => {
    it('is one end of a tar pipe, both ways', async () => {
      await works(`${tree('tarred')}
        tar cf - tarred | bssh -F $F box "tar xf - -C $SHARED"
        ${sameTree('tarred', '$SHARED/tarred')}
        bssh -F $F box "tar cf - -C $SHARED tarred" | (mkdir out && tar xf - -C out)
        ${sameTree('tarred', 'out/tarred')}`);
    });

    it('appends what it is given, as ssh-copy-id does', async () => {
      const out = await works(`ssh-keygen -q -t ed25519 -N '' -f new -C somebody
        for i in 1 2; do cat new.pub | bssh -F $F box "umask 077; mkdir -p $SHARED/dot && cat >> $SHARED/dot/keys"; done
        bssh -F $F box "wc -l <$SHARED/dot/keys; stat -c %a $SHARED/dot/keys; sort -u $SHARED/dot/keys" | tee got
        cmp <(sed 1,2d got) new.pub`);
      expect(out).toMatch(/^2\n600\nssh-ed25519 /);
    });

    it('eats the input of a loop as ssh does, and not with -n or </dev/null', async () => {
      const loop = (options: string, after = '') =>
        works(
          `printf '%s\\n' one two | while read -r name; do bssh -F $F ${options} box "sleep 0.3; echo $name"${after}; done`,
        );
      expect(await loop('')).toBe('one\n');
      expect(await loop('-n')).toBe('one\ntwo\n');
      expect(await loop('', ' </dev/null')).toBe('one\ntwo\n');
    });

    it('leaves a file on standard input where the command left it to be', async () => {
      const { out } = await box.sh(`printf 'remote\\n' >in; { bssh -F $F box cat; echo "then: $(cat)"; } <in`);
      expect(out).toBe('remote\nthen: \n');
    });

    it('ends a pipeline that is closed early, quietly and soon', async () => {
      const { code, out, err } = await box.sh(
        `bssh -F $F box 'yes; echo never >&2' | head -n 3; echo "\${PIPESTATUS[*]}"`,
        {},
        20_000,
      );
      expect(code).toBe(0);
      expect(out).toMatch(/^y\ny\ny\n\d+ 0\n$/);
      expect(err.replace(/^never\n/, '')).toBe('');
    });

    it('ends when the command ends, though the input goes on', async () => {
      const { out } = await box.sh(
        `sleep 60 | (bssh -F $F box 'exit 7'; echo "status $?"; pkill -P $$ sleep)`,
        {},
        20_000,
      );
      expect(out).toBe('status 7\n');
    });

    it('stops a script under set -e, and tells it the status otherwise', async () => {
      const { code, out } = await box.sh(
        `set -e; bssh -F $F box true; echo before; bssh -F $F box 'exit 42'; echo after`,
      );
      expect([code, out]).toEqual([42, 'before\n']);
    });

    it('tells a script the status', async () => {
      const { out } = await box.sh(`bssh -F $F box 'kill -TERM $$'; echo $?
        bssh -F $F -p 1 box true 2>/dev/null; echo $?
        bssh -F $F box nosuchcommand 2>/dev/null; echo $?
        if bssh -F $F box test -d /nosuch; then echo there; else echo absent; fi
        x=$(bssh -F $F box 'printf "a b\\n\\n"'); echo "[$x]"`);
      expect(out.split('\n')).toEqual(['255', '255', '127', 'absent', '[a b]', '']);
    });

    it('takes a here-document as a script, and keeps the quoting of arguments to the remote shell', async () => {
      const out = await works(`bssh -F $F box sh -s -- first 'second third' <<'END'
echo "$#:$1:$2"
END
        bssh -F $F box echo '"a  b"' 'c;' echo d`);
      expect(out).toBe('3:first:second\na  b c\nd\n');
    });

    it('runs many at once under xargs', { timeout: 60_000 }, async () => {
      const out = await works(`seq 8 | xargs -P 4 -I{} bssh -F $F box 'echo number {}' | sort -k2n`);
      expect(out).toBe(Array.from({ length: 8 }, (_, i) => `number ${i + 1}\n`).join(''));
    });

    it('does not touch a closed standard input, output or error', async () => {
      const { out } = await box.sh(`bssh -F $F box 'echo fine' <&-; echo $?
        bssh -F $F box 'echo lost' >&-; echo $?; bssh -F $F box 'echo lost >&2; echo kept' 2>&-; echo $?`);
      expect(out).toBe('fine\n0\n0\nkept\n0\n');
    });

    it('leaves the pipes it shares with others in blocking mode', async () => {
      const out = await works(
        `{ bssh -F $F box 'head -c 1000000 /dev/zero'; head -c 3000000 /dev/zero; } | (sleep 1; wc -c)`,
      );
      expect(out.trim()).toBe('4000000');
    });

    it('runs in the background of a script and is waited for', async () => {
      const out = await works(`bssh -F $F box 'sleep 0.3; exit 5' & first=$!
        bssh -F $F box 'exit 6' & second=$!
        s=0; wait $first || s=$?; t=0; wait $second || t=$?; echo $s $t`);
      expect(out).toBe('5 6\n');
    });

    it('dies of a signal with a status that says so, and takes the remote input away', async () => {
      const { out } = await box.sh(
        `bssh -F $F box 'cat >/dev/null; echo gone >$SHARED/ended' < <(exec sleep 30 2>/dev/null) & pid=$!
        sleep 2; kill $pid; wait $pid; echo $?`.replaceAll('$SHARED/ended', `${box.shared}/ended`),
      );
      expect(Number(out)).toBeGreaterThan(0);
      expect(
        await works(`for i in $(seq 50); do [ -s $SHARED/ended ] && break; sleep 0.1; done; cat $SHARED/ended`),
      ).toBe('gone\n');
    });
  });

  describe('under the name ssh', () => {
    it('knows ssh(1) only: no clusters, no subcommands, no options of its own', async () => {
      const { code, err } = await box.sh('ssh -F $F -H box true');
      expect(code).toBe(255);
      expect(err).toMatch(/unknown option -- H\nusage: ssh /);
      const list = await box.sh('ssh -F $F list true');
      expect(list.code).toBe(255);
      expect(list.err).toMatch(/^ssh: (Could not resolve hostname|connect to host) list/);
    });

    it('asks about unknown hosts, and so fails where nobody answers', async () => {
      const { code, err } = await box.sh('ssh -F $F -o UserKnownHostsFile=$HOME/none -o BatchMode=yes box true');
      expect(code).toBe(255);
      expect(err).toContain('Host key verification failed.');
      expect(await works('ssh -F $F box echo fine; BSSH_MODE=ssh bssh -F $F box echo fine')).toBe('fine\nfine\n');
    });
  });
});
