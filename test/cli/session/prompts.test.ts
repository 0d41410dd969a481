import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { askpassUse } from '../../../cli/prompts.ts';
import { freshDir } from '../../interop/process.ts';
import { bundleProgram, type Ended, run } from './programs.ts';
import { hasPty, Pty } from './pty.ts';

describe('askpassUse', () => {
  it.each([
    [{}, 'never'],
    [{ SSH_ASKPASS: '/x' }, 'never'],
    [{ DISPLAY: ':0' }, 'without-terminal'],
    [{ DISPLAY: '' }, 'never'],
    [{ WAYLAND_DISPLAY: 'wayland-0' }, 'without-terminal'],
    [{ SSH_ASKPASS_REQUIRE: 'force' }, 'always'],
    [{ SSH_ASKPASS_REQUIRE: 'FORCE' }, 'always'],
    [{ SSH_ASKPASS_REQUIRE: 'prefer' }, 'never'],
    [{ SSH_ASKPASS_REQUIRE: 'prefer', DISPLAY: ':0' }, 'always'],
    [{ SSH_ASKPASS_REQUIRE: 'never', DISPLAY: ':0' }, 'never'],
  ] as const)('%j: %s', (env, use) => {
    expect(askpassUse(env)).toBe(use);
  });
});

describe('TerminalPrompter', () => {
  let program: string;
  beforeAll(async () => {
    program = await bundleProgram(new URL('./prompt-program.ts', import.meta.url));
  });
  const { SSH_ASKPASS: _, SSH_ASKPASS_REQUIRE: _r, DISPLAY: _d, WAYLAND_DISPLAY: _w, ...env } = process.env;

  describe.skipIf(!hasPty)('on a terminal', () => {
    const open = (asks: object[], mode = ''): Pty =>
      // Standard input is not the terminal: the questions find it by themselves.
      new Pty(['/bin/sh', '-c', 'true | "$@"', '-', process.execPath, program, JSON.stringify(asks), mode], { env });

    it('shows no secret, and restores the terminal', async () => {
      using pty = open([{ text: 'Password: ', tell: 'Hello \x1b[31mthere\x07' }]);
      await pty.expect(/Hello there\^G\r\n\rPassword: $/);
      expect(await pty.modes()).not.toEqual(pty.begin);
      pty.type('wrong\x15séx\x7fc\x7fcret\r');
      await pty.expect(/"answers":\["sécret"\],"secrets":\["sécret"\]/);
      expect(await pty.exit).toBe(0);
      expect(pty.output).toMatch(/Password: \r\n\{/);
      expect(pty.end).toEqual(pty.begin);
    });

    it('shows what may be seen', async () => {
      using pty = open([{ text: 'Sure (yes/no)? ', echo: true }]);
      await pty.expect(/Sure \(yes\/no\)\? $/);
      pty.type('yex\x7fs\r');
      await pty.expect(/yex\x08 \x08s\r\n\{"answers":\["yes"\],"secrets":\[\]\}/);
    });

    it('asks one thing at a time, and nothing twice at a time', async () => {
      using pty = open([{ text: 'One: ' }, { text: 'Two: ', tell: 'about two' }, { text: 'One: ' }]);
      await pty.expect(/One: $/);
      pty.type('1\r2 typed too early');
      await pty.expect(/about two\r\n\rTwo: $/);
      pty.type('2\r');
      await pty.expect(/"answers":\["1","2","1"\]/);
    });

    it('lets an asker go, and the question with the last one', async () => {
      using pty = open([{ text: 'Slow: ', patience: 300 }, { text: 'Queued: ', patience: 200 }, { text: 'Next: ' }]);
      await pty.expect(/Slow: $/);
      await pty.expect(/^\r\n\rNext: $/);
      pty.type('n\r');
      await pty.expect(/"answers":\[null,null,"n"\]/);
      expect(pty.output).not.toContain('Queued');
    });

    it('takes the end of the input for no answer, and an empty line for one', async () => {
      using pty = open([{ text: 'A: ' }, { text: 'B: ' }]);
      await pty.expect(/A: $/);
      pty.type('\x04');
      await pty.expect(/B: $/);
      pty.type('\r');
      await pty.expect(/"answers":\[null,""\]/);
    });

    it('ends the process on Ctrl-C, the terminal restored', async () => {
      using pty = open([{ text: 'Password: ' }]);
      await pty.expect(/Password: $/);
      pty.type('half\x03');
      expect(await pty.exit).toBe(130);
      expect(pty.end).toEqual(pty.begin);
    });

    it('leaves Ctrl-C to whoever handles the signal', async () => {
      using pty = open([{ text: 'Password: ' }], 'catch');
      await pty.expect(/Password: $/);
      pty.type('\x03');
      await pty.expect(/"answers":\[null\]/);
      expect(await pty.exit).toBe(0);
      expect(pty.output).toContain('caught SIGINT');
    });

    it.each(['SIGTERM', 'SIGINT'] as const)('restores the terminal on %s', async (name) => {
      using pty = new Pty([process.execPath, program, JSON.stringify([{ text: 'Password: ' }])], { env });
      await pty.expect(/Password: $/);
      pty.signal(name);
      expect(await pty.exit).toBe(name === 'SIGTERM' ? -15 : -2);
      expect(pty.end).toEqual(pty.begin);
    });

    it('prefers a program when told so', async () => {
      using pty = new Pty([process.execPath, program, JSON.stringify([{ text: 'Password: ' }])], {
        env: { ...env, SSH_ASKPASS: script('echo "for [$1]"; echo more'), SSH_ASKPASS_REQUIRE: 'force' },
      });
      await pty.expect(/"answers":\["for \[Password: \]"\],"secrets":\["for \[Password: \]"\]/);
    });
  });

  const script = (body: string): string => {
    const path = join(freshDir('askpass'), 'askpass');
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
    return path;
  };

  describe('without a terminal', () => {
    const start = (more: NodeJS.ProcessEnv, asks: object[] = [{ text: 'Q: ' }]): Promise<Ended> =>
      run(program, [JSON.stringify(asks)], { env: { ...env, ...more }, detached: true });

    it('has nobody to ask', async () => {
      expect((await start({})).stdout.toString()).toBe('{"answers":[null],"secrets":[]}\n');
    });

    it('asks a program when there is a display', async () => {
      const SSH_ASKPASS = script('echo "$1" | tr Q A');
      const { stdout } = await start({ DISPLAY: ':99', SSH_ASKPASS }, [{ text: 'Q: ' }, { text: 'QQ', echo: true }]);
      expect(stdout.toString()).toBe('{"answers":["A: ","AA"],"secrets":["A: "]}\n');
    });

    it('takes a program that fails for no answer', async () => {
      const { stdout } = await start({ DISPLAY: ':99', SSH_ASKPASS: script('echo no; exit 1') });
      expect(stdout.toString()).toContain('[null]');
      const missing = await start({ SSH_ASKPASS_REQUIRE: 'force', SSH_ASKPASS: '/nonexistent/askpass' });
      expect(missing.stdout.toString()).toContain('[null]');
      expect(missing.stderr).toMatch(/^ssh_askpass: exec\(\/nonexistent\/askpass\): .*ENOENT/);
    });
  });
});
