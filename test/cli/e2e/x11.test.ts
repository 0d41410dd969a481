// Programs of the other side on our display: -X and -Y, alone and over a shared connection, with Xvfb.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COOKIE, type Display, startDisplay } from '../../interop/display.ts';
import { findProgram, freshDir, requireServer, type Server, startSshd } from '../../interop/servers.ts';
import { Bssh, type Outcome } from './bssh.ts';

describe.skipIf(!requireServer('sshd', 'ssh', 'Xvfb', 'xauth', 'xdpyinfo'))('a display', () => {
  let server: Server;
  let bssh: Bssh;
  let x: Display;
  let env: Record<string, string>;
  beforeAll(async () => {
    server = await startSshd({ config: ['X11Forwarding yes', 'X11UseLocalhost yes'] });
    bssh = new Bssh(server);
    x = await startDisplay();
    env = { DISPLAY: x.name, XAUTHORITY: x.authority };
    await bssh.on('127.0.0.1', 'true');
  });
  afterAll(async () => {
    await x?.stop();
    await server?.stop();
  });

  const run = (...args: string[]): Promise<Outcome> =>
    bssh.run(['--ssh', ...bssh.common, ...args], { limit: 30_000, env });
  const reached = (result: Outcome): void => {
    expect(result.out, result.err).toMatch(/dimensions: +640x480 pixels/);
    expect(result.code).toBe(0);
    expect(result.out).not.toContain(COOKIE);
  };
  const DRAW = 'xauth list "$DISPLAY"; exec xdpyinfo';

  it('is reached with -Y and with -X, and not without', async () => {
    reached(await run('-Y', '127.0.0.1', DRAW));
    reached(await run('-X', '127.0.0.1', DRAW));
    expect((await run('127.0.0.1', 'echo "[$DISPLAY]"')).out).toBe('[]\n');
  });

  it.skipIf(!findProgram('xeyes') || !findProgram('xwininfo'))('shows a window while its program runs', async () => {
    const script = 'xeyes & for i in $(seq 100); do xwininfo -root -tree | grep -q xeyes && break; sleep .1; done';
    const { out, err } = await run('-Y', '127.0.0.1', `${script}; xwininfo -root -tree; kill $!`);
    expect(out, err).toContain('"xeyes"');
  });

  describe('over a shared connection', () => {
    const share = async (...args: string[]): Promise<[path: string, end: () => Promise<Outcome>]> => {
      const path = join(freshDir('x11'), 's');
      const held = await run(...args, '-M', '-S', path, '-o', 'ControlPersist=yes', '-f', '-N', '127.0.0.1');
      expect(held.code, held.err).toBe(0);
      return [path, () => run('-S', path, '-O', 'exit', 'h')];
    };

    it('is that of the holder, for several sessions at once and for stock ssh in proxy mode', async () => {
      const [path, end] = await share('-X');
      const sessions = await Promise.all([1, 2].map(() => run('-X', '-S', path, 'h', DRAW)));
      sessions.forEach(reached);
      expect((await run('-S', path, 'h', 'echo "[$DISPLAY]"')).out).toBe('[]\n');
      const stock = spawn('ssh', ['-F', 'none', '-X', '-S', path, '-O', 'proxy', 'h', 'xdpyinfo'], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let out = '';
      stock.stdout.on('data', (chunk) => {
        out += chunk;
      });
      await new Promise((resolve) => stock.once('close', resolve));
      expect(out).toMatch(/dimensions: +640x480 pixels/);
      await end();
    });

    it('is refused by a holder that has none, and that is said', async () => {
      const [path, end] = await share();
      const { code, out, err } = await run('-X', '-S', path, 'h', 'echo "[$DISPLAY]"');
      expect([code, out]).toEqual([0, '[]\n']);
      expect(err).toContain('No X11 forwarding: the holder of the shared connection does none for others.');
      await end();
    });

    it('is not to be had from a stock holder, and that is said', async () => {
      const path = join(freshDir('x11'), 's');
      const known = ['-o', `UserKnownHostsFile=${server.knownHosts}`, '-o', 'BatchMode=yes'];
      const login = ['-i', server.identity, '-p', String(server.port), '-l', server.user];
      const holder = spawn('ssh', ['-F', 'none', ...known, ...login, '-M', '-S', path, '-N', '127.0.0.1'], {
        stdio: 'ignore',
      });
      const gone = new Promise((resolve) => holder.once('exit', resolve));
      await expect.poll(() => existsSync(path), { timeout: 8000 }).toBe(true);
      const { code, err } = await run('-X', '-S', path, 'h', 'exit 3');
      expect(code).toBe(3);
      expect(err).toContain('No X11 forwarding');
      holder.kill();
      await gone;
    });
  });
});
