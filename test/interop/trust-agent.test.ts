// OpenSSH's ssh-agent and sshd together: restricted keys, certificates, keys added after a log-in, agents that fail.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bindForwardedAgent } from '../../client/agent-binding.ts';
import { connectAgent } from '../../transport/index.ts';
import { failure, type Opening, open, Script, type Way, within } from './client.ts';
import {
  certify,
  findProgram,
  freshDir,
  type KeyFile,
  makeKey,
  requireServer,
  type Server,
  startAgent,
  startSshd,
} from './servers.ts';

const key = (line: string): string => line.split(' ').slice(0, 2).join(' ');

describe.skipIf(!requireServer('sshd', 'ssh-agent', 'ssh-add'))('with an agent of OpenSSH', () => {
  let server: Server;
  let mine: KeyFile;
  let ca: KeyFile;
  let dir: string;
  beforeAll(async () => {
    dir = freshDir('agent-trust');
    mine = makeKey('ed25519', { purpose: 'in-agent' });
    ca = makeKey('ed25519', { purpose: 'user-ca' });
    server = await startSshd({
      authorizedKeys: [mine.publicLine],
      config: ['MaxAuthTries 6', `TrustedUserCAKeys ${ca.path}.pub`],
    });
  });
  afterAll(() => server.stop());

  const noFiles = { identities: [] as string[] };
  const login = async (way: Way): Promise<Opening> => {
    const opening = await open(server, way);
    await opening.connection.close();
    return opening;
  };

  it('logs in by a key that only the agent has, and says which', async () => {
    await using agent = await startAgent([mine.path]);
    const { log } = await login({ ...noFiles, agent: agent.socket });
    const print = execFileSync('ssh-keygen', ['-lf', `${mine.path}.pub`], { encoding: 'utf8' }).split(' ')[1];
    expect(log).toContain(`Offering public key: in-agent ED25519 ${print} agent`);
    expect(log).toContain(`Server accepts key: in-agent ED25519 ${print} agent`);
    expect(log).toContain('get_agent_identities: bound agent to hostkey');
    expect(log.join('\n')).toMatch(/^Authenticated to 127\.0\.0\.1 \(\[127\.0\.0\.1\]:\d+\) using "publickey"\.$/m);
  });

  // The token that OpenSSH's regression suite brings: a library that keeps its secrets in the key handle.
  const token = '/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so';
  describe.skipIf(!existsSync(token) || findProgram('ssh-sk-helper') === undefined)('keys of a token', () => {
    it.each(['ed25519-sk', 'ecdsa-sk'])('%s', async (type) => {
      const folder = freshDir('token');
      const path = join(folder, type);
      execFileSync('ssh-keygen', ['-q', '-t', type, '-w', token, '-N', '', '-f', path]);
      await using at = await startSshd({ authorizedKeys: [readFileSync(`${path}.pub`, 'utf8').trim()] });
      await using agent = await startAgent([], ['-P', token]);
      const seen: { warnings: string[]; log: string[] } = { warnings: [], log: [] };
      const alone = failure(open(at, { identities: [path], options: ['BatchMode=yes'] }, seen), 10_000);
      expect(await alone).toMatchObject({ code: 'auth', detail: { tried: [] } });
      const label = type.toUpperCase();
      expect(seen.warnings).toEqual([
        `The ${label} key "${path}" is kept in a token, which signs through an agent only: add it to one (ssh-add).`,
      ]);
      agent.add(path, '-S', token);
      await using opening = await open(at, { identities: [path], agent: agent.socket });
      await at.waitForLog(new RegExp(`Accepted publickey for .*: ${label} `));
      expect(opening.warnings).toEqual([]);
    });

    it.each(['ed25519-sk', 'ecdsa-sk'])('a certificate for %s', async (type) => {
      const path = join(freshDir('token'), type);
      execFileSync('ssh-keygen', ['-q', '-t', type, '-w', token, '-N', '', '-f', path]);
      const publicLine = readFileSync(`${path}.pub`, 'utf8').trim();
      const certified = certify({ path, publicLine }, { ca, principals: [server.user] });
      await using agent = await startAgent([], ['-P', token]);
      agent.add(certified.path, '-S', token);
      await using _ = await open(server, { ...noFiles, agent: agent.socket });
      await server.waitForLog(new RegExp(`Accepted publickey for .*: ${type.toUpperCase()}-CERT `));
    });
  });

  describe('keys restricted to a destination (ssh-add -h)', () => {
    let knownHosts: string;
    beforeAll(() => {
      knownHosts = join(dir, 'known');
      const other = makeKey('ed25519', { purpose: 'other-host' });
      writeFileSync(knownHosts, `boxa ${key(server.hostKeys[0]!)}\nboxb ${key(other.publicLine)}\n`);
    });

    it('sign for the host they are for, since the agent is told which it is', async () => {
      await using agent = await startAgent();
      agent.add(mine.path, '-H', knownHosts, '-h', 'boxa');
      await login({ ...noFiles, agent: agent.socket, knownHosts, options: ['HostKeyAlias=boxa'] });
    });

    it('are hidden from another host', async () => {
      await using agent = await startAgent();
      agent.add(mine.path, '-H', knownHosts, '-h', 'boxb');
      const record = { warnings: [], log: [] as string[] };
      const way = { ...noFiles, agent: agent.socket, knownHosts, options: ['HostKeyAlias=boxa', 'BatchMode=yes'] };
      expect((await failure(open(server, way, record))).code).toBe('auth');
      expect(record.log).toContain('get_agent_identities: agent contains no identities');
    });

    it('are hidden from a server that the agent is forwarded to, once the connection is bound', async () => {
      await using agent = await startAgent();
      agent.add(mine.path, '-H', knownHosts, '-h', 'boxa');
      const { connection } = await open(server, {
        ...noFiles,
        agent: agent.socket,
        knownHosts,
        options: ['HostKeyAlias=boxa'],
      });
      const identities = Buffer.from([0, 0, 0, 1, 11]);
      const listed = async (isBound: boolean): Promise<number> => {
        const socket = dial(agent.socket);
        if (isBound) expect(await bindForwardedAgent(socket, connection.session.binding)).toBe(true);
        socket.write(identities);
        const answer = await within(5000, new Promise<Buffer>((resolve) => socket.once('data', resolve)));
        socket.destroy();
        return answer.readUInt32BE(5);
      };
      expect([await listed(false), await listed(true)]).toEqual([1, 0]);
      await connection.close();
    });

    it('let a forwarding go on when the agent knows nothing of bindings', async () => {
      const refusing = createServer((socket) => socket.on('data', () => socket.write(Buffer.from([0, 0, 0, 1, 5]))));
      const silent = createServer(() => {});
      const { connection } = await open(server, {});
      const { binding } = connection.session;
      for (const [listener, name] of [
        [refusing, 'refusing'],
        [silent, 'silent'],
      ] as const) {
        await new Promise<void>((resolve) => void listener.listen(join(dir, name), resolve));
      }
      expect(await bindForwardedAgent(dial(join(dir, 'refusing')), binding)).toBe(false);
      const hanging = dial(join(dir, 'silent'));
      expect((await failure(bindForwardedAgent(hanging, binding, 100))).code).toBe('agent');
      hanging.destroy();
      await connection.close();
      for (const listener of [refusing, silent]) listener.close();
    });
  });

  it('finds the private half of `-i KEY.pub` in the agent, and nothing else with IdentitiesOnly', async () => {
    await using agent = await startAgent([makeKey('ecdsa256', { purpose: 'noise' }).path, mine.path]);
    const alone = join(dir, 'alone.pub');
    copyFileSync(`${mine.path}.pub`, alone);
    const { log } = await login({ agent: agent.socket, identities: [alone], options: ['IdentitiesOnly=yes'] });
    expect(log.filter((line) => line.startsWith('Offering'))).toEqual([
      expect.stringMatching(/^Offering public key: \S*alone\.pub ED25519 SHA256:\S+ explicit agent$/),
    ]);
    const way = { agent: agent.socket, options: ['IdentitiesOnly=yes', 'BatchMode=yes'], identities: [] };
    expect((await failure(open(server, way))).code).toBe('auth');
  });

  it('signs for certificates, in the agent or named by CertificateFile', async () => {
    const user = makeKey('ecdsa384', { purpose: 'certified-user' });
    const certified = certify(user, { ca, principals: [server.user] });
    await using both = await startAgent([certified.path]);
    const inAgent = await login({ ...noFiles, agent: both.socket });
    expect(inAgent.log.join('\n')).toMatch(/Server accepts key: \S+ ECDSA-CERT SHA256:\S+ agent$/m);
    await using plain = await startAgent([user.path]);
    const certificate = `CertificateFile=${certified.path}-cert.pub`;
    const named = await login({ ...noFiles, agent: plain.socket, options: [certificate, 'IdentitiesOnly=yes'] });
    expect(named.log.join('\n')).toMatch(/Server accepts key: \S+-cert\.pub ECDSA-CERT SHA256:\S+ explicit agent$/m);
  });

  describe('AddKeysToAgent', () => {
    const add = async (value: string, prompter?: Script): Promise<{ lines: string[]; log: readonly string[] }> => {
      await using agent = await startAgent();
      const way = { agent: agent.socket, options: [`AddKeysToAgent=${value}`], ...(prompter && { prompter }) };
      const { log } = await login(way);
      const connection = await connectAgent(agent.socket);
      const held = await connection.list();
      connection.close();
      return { lines: held.map(({ blob }) => Buffer.from(blob).toString('base64')), log };
    };
    const expected = (): string => readFileSync(`${server.identity}.pub`, 'utf8').split(' ')[1]!;

    it.each(['yes', 'confirm', '10m', 'confirm 5m'])('%s adds the key file that served', async (value) => {
      const { lines, log } = await add(value);
      expect(lines).toEqual([expected()]);
      expect(log).toContain(`identity added to agent: ${server.identity}`);
    });

    it('forgets a key after its time', async () => {
      await using agent = await startAgent();
      const { log } = await login({ agent: agent.socket, options: ['AddKeysToAgent=1'] });
      expect(log).toContain(`identity added to agent: ${server.identity}`);
      const connection = await connectAgent(agent.socket);
      await expect.poll(() => connection.list(), { timeout: 5000 }).toEqual([]);
      connection.close();
    });

    it('asks a person', async () => {
      const yes = new Script('yes');
      expect((await add('ask', yes)).lines).toEqual([expected()]);
      expect(yes.asked[0]!.text).toBe(`Add key ${server.identity} (user) to agent? (yes/no) `);
      expect((await add('ask', new Script('no'))).lines).toEqual([]);
      expect((await add('no')).lines).toEqual([]);
    });

    it('does no harm without an agent', async () => {
      const { log } = await login({ options: ['AddKeysToAgent=yes', 'IdentityAgent=none'] });
      expect(log).toContain('no authentication agent, not adding key');
      await login({ options: ['AddKeysToAgent=yes'], agent: join(dir, 'nobody') });
    });
  });

  describe('an agent with more keys than the server has patience', () => {
    const many = async () => {
      const agent = await startAgent();
      for (let i = 0; i < 12; i++) {
        const path = join(dir, `many-${i}`);
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', `many-${i}`, '-f', path]);
        agent.add(path);
      }
      return agent;
    };

    it('does not keep the key that was named from its turn, and names what was tried', async () => {
      await using agent = await many();
      await login({ agent: agent.socket });
      const error = await failure(open(server, { ...noFiles, agent: agent.socket }));
      expect([error.code, error.detail.reason]).toEqual(['auth', 'too-many-failures']);
      expect((error.detail.tried as string[]).slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((i) => `many-${i}`));
    });
  });

  it('goes on without an agent that is gone', async () => {
    const record = { warnings: [], log: [] as string[] };
    const { connection } = await open(server, { agent: join(dir, 'gone') }, record);
    expect(record.log.join('\n')).toMatch(/ssh_get_authentication_socket/);
    await connection.close();
  });
});
