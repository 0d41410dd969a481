/** The decision between the grammars and what comes out of it: every example line of the product's description. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ClusterIntent,
  type CommandLineContext,
  type Intent,
  parseCommandLine,
  type SshIntent,
} from '../../cli/grammar.ts';

const yaml = `
defaults:
  user: admin
  port: 22
  ssh_key: ~/.ssh/id_rsa
  parallel: 10
  timeout: 300 # Command timeout in seconds (0 for unlimited)
interactive:
  default_mode: multiplex
  prompt_format: "[{node}] $ "
  history_file: ~/.bssh_history
  show_timestamps: false
  work_dir: /home/admin
  broadcast_prefix: "!all "
  node_switch_prefix: "!"
  colors:
    node1: red
    node2: blue
    node3: green
  keybindings:
    switch_node: "Ctrl+N"
    broadcast_toggle: "Ctrl+B"
    quit: "Ctrl+Q"
clusters:
  production:
    nodes:
      - web1.example.com
      - web2.example.com
      - admin@db1.example.com:2222
    ssh_key: ~/.ssh/prod_key
    timeout: 600
    interactive:
      default_mode: single_node
      prompt_format: "prod> "
      work_dir: /var/www
  staging:
    nodes:
      - host: staging1.example.com
        port: 2200
        user: deploy
      - staging2.example.com
    user: staging_user
  webservers: { nodes: ["web[01-03]"] }
  monitoring: { nodes: [mon] }
  all-servers: { nodes: ["n[1-3]"] }
  other-cluster: { nodes: [o1, o2], parallel: 2 }
`;

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'bssh-grammar-'));
  mkdirSync(join(home, '.config/bssh'), { recursive: true });
  mkdirSync(join(home, 'cwd'));
  writeFileSync(join(home, '.config/bssh/config.yaml'), yaml);
});
afterAll(() => rmSync(home, { recursive: true }));

const context = (more: Partial<CommandLineContext> = {}): CommandLineContext => ({
  program: '/usr/bin/bssh',
  env: {},
  cwd: join(home, 'cwd'),
  home,
  user: 'me',
  keyExists: () => true,
  ...more,
});

/** Splits as a shell does; enough for the lines below. */
const words = (line: string): string[] =>
  [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'));

const parse = (line: string, more: Partial<CommandLineContext> = {}): Promise<Intent> =>
  parseCommandLine(words(line).slice(1), context(more));

const session = {
  BACKENDAI_CLUSTER_HOSTS: 'main1,sub1,sub2',
  BACKENDAI_CLUSTER_HOST: 'main1',
  BACKENDAI_CLUSTER_ROLE: 'main',
};

const show = (intent: Intent): string => {
  if (intent.kind === 'ssh' || intent.kind === 'dump') {
    const { settings } = intent.invocation;
    const pairs = settings.map(({ keyword, value }) => `${keyword}=${value}`);
    return [`${intent.kind} ${intent.host}`, ...pairs, ...intent.command.map((word) => `"${word}"`)].join(' ');
  }
  if (intent.kind === 'cluster') {
    const { subcommand, selection, invocation, words: rest } = intent;
    const pairs = invocation.settings.map(({ keyword, value }) => `${keyword}=${value}`);
    const hosts = selection === undefined ? 'all' : selection.hosts.map(({ name }) => name).join(',');
    return [subcommand, hosts, ...pairs, ...rest.map((word) => `"${word}"`)].join(' ');
  }
  return 'what' in intent ? `${intent.kind} ${intent.what}` : intent.kind;
};

const production = 'web1.example.com,web2.example.com,db1.example.com';

describe('example lines', () => {
  it.each<[string, string]>([
    ['bssh user@hostname', 'ssh hostname User=user'],
    ['bssh user@hostname "uptime"', 'ssh hostname User=user "uptime"'],
    [
      'bssh -p 2222 -i ~/.ssh/key.pem admin@example.com',
      'ssh example.com Port=2222 IdentityFile=~/.ssh/key.pem User=admin',
    ],
    ['bssh -o StrictHostKeyChecking=no user@host', 'ssh host StrictHostKeyChecking=no User=user'],
    ['bssh -Q cipher', 'query cipher'],
    ['bssh -L 8080:example.com:80 user@host', 'ssh host LocalForward=8080:example.com:80 User=user'],
    ['bssh -R 8080:localhost:80 user@host', 'ssh host RemoteForward=8080:localhost:80 User=user'],
    ['bssh -D 1080 user@host', 'ssh host DynamicForward=1080 User=user'],
    [
      'bssh -L 3306:db:3306 -R 80:web:80 -D 1080 user@host',
      'ssh host LocalForward=3306:db:3306 RemoteForward=80:web:80 DynamicForward=1080 User=user',
    ],
    ['bssh -L 127.0.0.1:8080:web:80 user@host', 'ssh host LocalForward=127.0.0.1:8080:web:80 User=user'],
    ['bssh -L *:8080:web:80 user@host', 'ssh host LocalForward=*:8080:web:80 User=user'],
    ['bssh -D 1080/4 user@host', 'ssh host DynamicForward=1080/4 User=user'],
    ['bssh -D *:1080/5 user@host', 'ssh host DynamicForward=*:1080/5 User=user'],
    [
      'bssh -L 5432:postgres:5432 user@host "psql -h localhost"',
      'ssh host LocalForward=5432:postgres:5432 User=user "psql -h localhost"',
    ],
    [
      'bssh -C production -L 8080:internal:80 "curl http://localhost:8080"',
      `exec ${production} LocalForward=8080:internal:80 "curl http://localhost:8080"`,
    ],
    [
      'bssh -J jump@bastion.example.com user@internal-server',
      'ssh internal-server ProxyJump=jump@bastion.example.com User=user',
    ],
    [
      'bssh -J "jump1@proxy1,jump2@proxy2" user@final-destination',
      'ssh final-destination ProxyJump=jump1@proxy1,jump2@proxy2 User=user',
    ],
    ['bssh -J admin@bastion:2222 user@internal-host', 'ssh internal-host ProxyJump=admin@bastion:2222 User=user'],
    ['bssh -J "[2001:db8::1]:22" user@destination', 'ssh destination ProxyJump=[2001:db8::1]:22 User=user'],
    ['bssh -J bastion.example.com -C production "uptime"', `exec ${production} ProxyJump=bastion.example.com "uptime"`],
    ['bssh -H "user1@host1.com,user2@host2.com:2222" "uptime"', 'exec host1.com,host2.com "uptime"'],
    ['bssh -C production "df -h"', `exec ${production} "df -h"`],
    ['bssh -H "web1,web2,db1,db2" -f "web*" "systemctl status nginx"', 'exec web1,web2 "systemctl status nginx"'],
    ['bssh -C production -f "db*" "pg_dump --version"', 'exec db1.example.com "pg_dump --version"'],
    [
      'bssh -C staging -i ~/.ssh/custom_key "systemctl status nginx"',
      'exec staging1.example.com,staging2.example.com IdentityFile=~/.ssh/custom_key "systemctl status nginx"',
    ],
    ['bssh -A -C production "systemctl status nginx"', `exec ${production} "systemctl status nginx"`],
    ['bssh --password -H "user@host.com" "uptime"', 'exec host.com "uptime"'],
    [
      'bssh -i ~/.ssh/encrypted_key -C production "df -h"',
      `exec ${production} IdentityFile=~/.ssh/encrypted_key "df -h"`,
    ],
    ['bssh -C production --parallel 5 "apt update"', `exec ${production} "apt update"`],
    ['bssh -C production --timeout 10 "quick-check"', `exec ${production} "quick-check"`],
    [
      'bssh -C staging --timeout 0 "long-running-backup"',
      'exec staging1.example.com,staging2.example.com "long-running-backup"',
    ],
    ['bssh -C production ping', `ping ${production}`],
    ['bssh -H "host1,host2" ping', 'ping host1,host2'],
    ['bssh list', 'list all'],
    ['bssh -C production interactive', `interactive ${production}`],
    ['bssh -H "host1,host2" interactive', 'interactive host1,host2'],
    ['bssh -C production upload local.txt /tmp/', `upload ${production} "local.txt" "/tmp/"`],
    ['bssh -H "host1,host2" download /etc/hosts ./backups/', 'download host1,host2 "/etc/hosts" "./backups/"'],
    ['bssh -H "user@host" "uptime"', 'exec host "uptime"'],
    ['bssh -i ~/.ssh/custom_key -c production "df -h"', `exec ${production} IdentityFile=~/.ssh/custom_key "df -h"`],
    ['bssh -A -c production "systemctl status"', `exec ${production} "systemctl status"`],
    ['bssh -P -H "user@host" "ls -la"', 'exec host "ls -la"'],
    ['bssh -C other-cluster "command"', 'exec o1,o2 "command"'],
    ['bssh -H specific-host "command"', 'exec specific-host "command"'],
    [
      'bssh -C production "sudo apt update && sudo apt upgrade -y"',
      `exec ${production} "sudo apt update && sudo apt upgrade -y"`,
    ],
    [
      'bssh -H "server1,server2,server3" "df -h | grep -E ^/dev/"',
      'exec server1,server2,server3 "df -h | grep -E ^/dev/"',
    ],
    ['bssh -C webservers "sudo systemctl restart nginx"', 'exec web01,web02,web03 "sudo systemctl restart nginx"'],
    [
      'bssh -C production --output-dir ./logs "tail -n 100 /var/log/syslog"',
      `exec ${production} "tail -n 100 /var/log/syslog"`,
    ],
    ['bssh -C production --timeout 1800 "backup-database.sh"', `exec ${production} "backup-database.sh"`],
    ['bssh -C production --timeout 0 "migrate-data.sh"', `exec ${production} "migrate-data.sh"`],
    ['bssh -C monitoring --timeout 5 "health-check.sh"', 'exec mon "health-check.sh"'],
    ['bssh -C production interactive --single-node', `interactive ${production}`],
    ['bssh -H server1,server2 interactive --prompt-format "{user}@{host}> "', 'interactive server1,server2'],
    ['bssh -C staging interactive --work-dir /var/www', 'interactive staging1.example.com,staging2.example.com'],
    [
      'bssh -C production --output-dir ./results/20250101 "ps aux | head -10"',
      `exec ${production} "ps aux | head -10"`,
    ],
    [
      'bssh -C all-servers --output-dir ./system-info "uname -a; df -h; free -m"',
      'exec n1,n2,n3 "uname -a; df -h; free -m"',
    ],
    [
      'bssh -C webservers --output-dir ./debug "systemctl status nginx"',
      'exec web01,web02,web03 "systemctl status nginx"',
    ],
    ['bssh -H localhost "echo hello"', 'exec localhost "echo hello"'],
    // the same long names with one host
    ['bssh --port 2222 --identity k --user u host', 'ssh host Port=2222 IdentityFile=k User=u'],
    ['bssh -u u host', 'ssh host User=u'],
    // what stands between the grammars
    ['bssh -C host uptime', 'ssh host Compression=yes "uptime"'],
    ['bssh -c aes128-ctr host', 'ssh host Ciphers=aes128-ctr'],
    ['bssh -H a -c aes128-ctr ls', 'exec a Ciphers=aes128-ctr "ls"'],
    ['bssh --ssh list', 'ssh list'],
    ['bssh user@list', 'ssh list User=user'],
    ['bssh -C production -- ping -c1 gw', `exec ${production} "ping" "-c1" "gw"`],
    ['bssh host ls -H x list', 'ssh host "ls" "-H" "x" "list"'],
    [
      'bssh -fN -L 1:h:1 host',
      'ssh host ForkAfterAuthentication=yes StdinNull=yes SessionType=none RequestTTY=no LocalForward=1:h:1',
    ],
    ['bssh -G host', 'dump host'],
    ['bssh -V', 'version'],
    ['bssh --version', 'version'],
    ['bssh --help', 'help'],
    ['bssh -h', 'help'],
    ['bssh -C production --help', 'help'],
    ['bssh --generate man', 'generate man'],
    ['bssh -C production -N -D 1080', `exec ${production} SessionType=none RequestTTY=no DynamicForward=1080`],
    ['bssh -C production', `interactive ${production}`],
    ["bssh -H 'node[1,3],db[01-04]' ls", 'exec node1,node3,db01,db02,db03,db04 "ls"'],
    ['bssh -H @webservers,x ls', 'exec web01,web02,web03,x "ls"'],
    ['bssh -C production --exclude db1.example.com ls', 'exec web1.example.com,web2.example.com "ls"'],
    // IPv6 and URIs
    ['bssh ssh://u@h:2200/', 'ssh h User=u Port=2200'],
    ['bssh ssh://u@[::1]:22', 'ssh ::1 User=u Port=22'],
    ['bssh [::1]:2222 ls', 'ssh ::1 Port=2222 "ls"'],
    ['bssh u@::1', 'ssh ::1 User=u'],
    ['bssh -H [::1]:22,fe80::1%eth0,[2001:db8::1] ls', 'exec ::1,fe80::1%eth0,2001:db8::1 "ls"'],
  ])('%s', async (line, expected) => {
    expect(show(await parse(line))).toBe(expected);
  });

  it.each<[string, string]>([
    ['bssh "uptime"', 'exec main1,sub1,sub2 "uptime"'],
    ['bssh "nvidia-smi"', 'exec main1,sub1,sub2 "nvidia-smi"'],
    [
      'bssh "nvidia-smi --query-gpu=name,memory.total --format=csv"',
      'exec main1,sub1,sub2 "nvidia-smi --query-gpu=name,memory.total --format=csv"',
    ],
    ['bssh "python train.py --distributed"', 'exec main1,sub1,sub2 "python train.py --distributed"'],
    ['bssh interactive', 'interactive main1,sub1,sub2'],
    ['bssh ping', 'ping main1,sub1,sub2'],
    ['bssh -v -- ping -c1 gw', 'exec main1,sub1,sub2 LogLevel=DEBUG "ping" "-c1" "gw"'],
    ['bssh list', 'list all'],
    ['bssh -C other-cluster "command"', 'exec o1,o2 "command"'],
    ['bssh -H specific-host "command"', 'exec specific-host "command"'],
    ['bssh user@host', 'ssh host User=user'],
    ['bssh h.example.com ls', 'ssh h.example.com "ls"'],
    ['bssh localhost', 'ssh localhost'],
    ['bssh ::1 ls', 'ssh ::1 "ls"'],
    ['bssh [::1] ls', 'ssh ::1 "ls"'],
    ['bssh sub1', 'ssh sub1'],
    ['bssh alias ls', 'ssh alias "ls"'],
    ['bssh -C host ls', 'ssh host Compression=yes "ls"'],
  ])('in a Backend.AI session: %s', async (line, expected) => {
    expect(show(await parse(line, { env: session, isSshHost: (name) => name === 'alias' }))).toBe(expected);
  });

  it.each(['ssh', '/usr/local/bin/ssh'])('started as %s it is ssh(1) only', async (program) => {
    expect(show(await parse('ssh list', { program }))).toBe('ssh list');
    expect(show(await parse('ssh -C production ls', { program }))).toBe('ssh production Compression=yes "ls"');
    expect(show(await parse('ssh "uptime"', { program, env: session }))).toBe('ssh uptime');
    await expect(parse('ssh -H a b', { program })).rejects.toMatchObject({ message: 'unknown option -- H' });
    expect(show(await parse('bssh list', { env: { BSSH_MODE: 'ssh' } }))).toBe('ssh list');
  });
});

const cluster = async (line: string, more: Partial<CommandLineContext> = {}): Promise<ClusterIntent> => {
  const intent = await parse(line, more);
  if (intent.kind !== 'cluster') throw new Error(`not a cluster run: ${show(intent)}`);
  return intent;
};

describe('precedence', () => {
  const layers = async (line: string, i = 0): Promise<string[]> =>
    ((await cluster(line)).selection?.hosts[i]?.layers ?? []).map(
      ({ source, settings }) => `${source}: ${settings.map(({ keyword, value }) => `${keyword}=${value}`).join(' ')}`,
    );

  it('is flag, node, cluster, defaults', async () => {
    expect(await layers('bssh -C production -u me ls', 2)).toEqual([
      'flags: User=me',
      'node: User=admin Port=2222',
      `cluster: IdentityFile=${home}/.ssh/prod_key`,
      `defaults: User=admin Port=22 IdentityFile=${home}/.ssh/id_rsa`,
    ]);
    const { selection } = await cluster('bssh -C staging ls');
    expect(selection?.hosts.map(({ user, port }) => [user, port])).toEqual([
      ['deploy', 2200],
      ['staging_user', 22],
    ]);
  });

  it('puts what is typed with a host before the flags', async () => {
    const { selection } = await cluster('bssh -H bob@a:23,b -l ann -p 24 ls');
    expect(selection?.hosts.map(({ user, port }) => [user, port])).toEqual([
      ['bob', 23],
      ['ann', 24],
    ]);
  });

  it('knows timeouts and limits', async () => {
    const of = async (line: string): Promise<unknown[]> => {
      const { selection, run } = await cluster(line);
      return [selection?.hosts[0]?.timeout, selection?.parallel, run.timeout];
    };
    expect(await of('bssh -C production ls')).toEqual([600, 10, undefined]);
    expect(await of('bssh -C production --timeout 0 ls')).toEqual([0, 10, 0]);
    expect(await of('bssh -C other-cluster --timeout 1m30s ls')).toEqual([90, 2, 90]);
    expect(await of('bssh -C other-cluster --parallel 0 ls')).toEqual([300, 0, undefined]);
  });

  it('knows ten hosts at a time and five minutes when nobody says otherwise', async () => {
    const { selection } = await cluster('bssh -H a ls', { home: join(home, 'cwd') });
    expect([selection?.parallel, selection?.hosts[0]?.timeout]).toEqual([10, 300]);
    expect(selection?.hosts[0]?.layers).toEqual([]);
  });

  it('merges interactive settings, the cluster over the global ones', async () => {
    const { selection, run } = await cluster('bssh -C production interactive --multiplex --prompt-format "x> "');
    expect(selection?.interactive).toMatchObject({
      default_mode: 'single_node',
      prompt_format: 'prod> ',
      work_dir: '/var/www',
    });
    expect(selection?.interactive).toMatchObject({ history_file: `${home}/.bssh_history`, broadcast_prefix: '!all ' });
    expect(run.interactive).toMatchObject({ mode: 'multiplex', promptFormat: 'x> ' });
  });

  it('takes port, user and key of Backend.AI, and its main node', async () => {
    const { selection } = await cluster('bssh hostname', { env: session });
    expect(selection?.hosts[1]).toMatchObject({ name: 'sub1', user: 'me', port: 2200, cluster: 'backendai' });
    expect(selection?.hosts[1]?.layers[0]?.settings).toContainEqual({
      keyword: 'IdentityFile',
      value: '/home/config/ssh/id_cluster',
    });
    expect(selection?.main).toBe('main1');
  });
});

describe('options of a run', () => {
  it('come out typed', async () => {
    const { run, invocation } = await cluster(
      'bssh -H a -APb --fail-fast --max-failures 10% --retries 2 --stdin --exit max --color=never --no-prefix --handshakes 8 --output-dir d --crypto noble ls',
    );
    expect(run).toMatchObject({
      failFast: true,
      maxFailures: { percent: 10 },
      retries: 2,
      stdin: true,
      exit: 'max',
      color: 'never',
      prefix: false,
      handshakes: 8,
      outputDir: 'd',
      output: 'gather',
      dryRun: false,
    });
    expect(invocation).toMatchObject({ useAgent: true, password: true, crypto: 'noble' });
  });

  it.each([
    ['--json', 'json'],
    ['--json=result', 'json-result'],
    ['--group', 'group'],
    ['--group --group', 'group'],
    ['--gather', 'gather'],
    ['--quiet', 'quiet'],
    ['-q', 'stream'],
  ])('%s is %s', async (option, mode) => {
    expect((await cluster(`bssh -H a ${option} ls`)).run.output).toBe(mode);
  });

  it.each(['upload -r', 'download -r', 'upload', 'download'])(
    '%s is about directories only with -r, wherever that stands',
    async (words) => {
      const recursive = words.endsWith('-r');
      for (const line of [
        `bssh -H a ${words} d e`,
        `bssh -H a ${words.replace(' -r', '')} d e${recursive ? ' -r' : ''}`,
      ]) {
        const intent = await cluster(line);
        expect([intent.words, intent.run.files.recursive]).toEqual([['d', 'e'], recursive]);
      }
    },
  );

  it('reads hosts from a file or standard input', async () => {
    const readHostfile = (path: string): string => (path === '-' ? 'a,b\n# c\nd # e\n' : 'x1 x2');
    expect(show(await cluster('bssh --hostfile - ls', { readHostfile }))).toBe('exec a,b,d "ls"');
    expect(show(await cluster('bssh --hostfile f -H b ls', { readHostfile }))).toBe('exec b,x1,x2 "ls"');
    expect(show(await cluster('bssh -H ^f,y ls', { readHostfile }))).toBe('exec x1,x2,y "ls"');
  });
});

describe('errors of the cluster grammar leave with 2 and help', () => {
  it.each<[string, RegExp]>([
    [
      'bssh --cluster prodution ls',
      /unknown cluster 'prodution' \(did you mean production\?\): .*monitoring, other-cluster/,
    ],
    ['bssh -C prodution ping', /unknown cluster 'prodution'/],
    ['bssh -H @nope ls', /unknown cluster 'nope'/],
    ['bssh -H a --paralel 5 ls', /unknown option --paralel \(did you mean --parallel\?\)/],
    ['bssh -H a --timeout x ls', /--timeout is a number of seconds/],
    ['bssh -H a --parallel -1 ls', /--parallel is a whole number, not '-1'/],
    ['bssh -H a --max-failures 200% ls', /--max-failures is a number or a percentage/],
    ['bssh -H a --exit frist ls', /--exit is one of .*'frist' \(did you mean first\?\)/],
    ['bssh -H a --json=x ls', /--json is one of events, result/],
    ['bssh -H a --group --gather ls', /mutually exclusive/],
    ['bssh -H a upload x', /too few words: bssh \[options\] upload SOURCE\.\.\. DESTINATION/],
    ['bssh -H a ping x', /too many words/],
    ['bssh -H a -r ls', /--recursive belongs to upload and download/],
    ['bssh -H a --single-node ls', /--single-node belongs to interactive/],
    ['bssh ping', /ping needs hosts/],
    ['bssh --parallel 3 user@host ls', /--parallel works on a list of hosts/],
    ['bssh -H', /option requires an argument -- H/],
    ['bssh -H a -W b:1', /-W works with one host/],
    ['bssh -H a -f nope ls', /--filter nope matches none of 1 hosts/],
    ['bssh -H a -f /[/ ls', /Invalid regular expression/],
    ['bssh -H node[1-999999999] ls', /more than the limit/],
    ['bssh -H a --hostfile - --stdin ls', /both want standard input/],
    ['bssh -H a --hostfile /nonexistent ls', /ENOENT/],
    ['bssh --generate nonsense', /--generate is one of/],
  ])('%s', async (line, message) => {
    const error = await parse(line).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(message), detail: { exit: 2 } });
  });

  it.each<[string, string, boolean]>([
    ['bssh', '', true],
    ['bssh -Z host', 'unknown option -- Z', true],
    ['bssh @host', "'@host': the user is empty", true],
    ['bssh ssh://h/path', "'ssh://h/path': a path means nothing here", true],
    ['bssh --verbos host', 'unknown option --verbos (did you mean --verbose?)', false],
    ['bssh -p 0 host', "Bad port '0'", false],
  ])('%s is an error of the ssh grammar', async (line, message, usage) => {
    const error = await parse(line).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'usage', message, detail: { exit: 255, usage } });
  });

  it('keeps the names of the clusters for a -C that turns out to be a host', async () => {
    const intent = (await parse('bssh -C prodution ls')) as SshIntent;
    expect(intent.clusterHint).toMatchObject({ name: 'prodution', known: expect.arrayContaining(['production']) });
    expect((await parse('bssh prodution ls')) as SshIntent).not.toHaveProperty('clusterHint');
  });
});
