/** The commands a demo server knows by itself: enough for a believable small machine, and for tests to pull at. */

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command, CommandContext } from './options.ts';

const BULK = 256 * 1024;

/** `uptime`'s line, for a machine that has been up since some seconds. */
function uptime({ host }: CommandContext): string {
  const now = new Date().toTimeString().slice(0, 8);
  const days = Math.floor(host.uptime / 86_400);
  const hours = Math.floor((host.uptime % 86_400) / 3600);
  const minutes = String(Math.floor((host.uptime % 3600) / 60)).padStart(2, '0');
  const up = `${days > 0 ? `${days} day${days > 1 ? 's' : ''}, ` : ''}${String(hours).padStart(2)}:${minutes}`;
  const load = host.load.map((value) => value.toFixed(2)).join(', ');
  return ` ${now} up ${up},  1 user,  load average: ${load}\n`;
}

async function repeat(context: CommandContext, block: Uint8Array, bytes: number): Promise<void> {
  for (let left = bytes; left > 0 && !context.signal.aborted; left -= block.length) {
    await context.stdout(left < block.length ? block.subarray(0, left) : block);
  }
}

async function* input({ stdin }: CommandContext): AsyncGenerator<Uint8Array> {
  for (let chunk = await stdin.read(); chunk !== undefined; chunk = await stdin.read()) yield chunk;
}

const print =
  (text: (context: CommandContext) => string): Command =>
  async (context) => {
    await context.stdout(text(context));
    return 0;
  };

export const commands: Readonly<Record<string, Command>> = {
  true: () => 0,
  false: () => 1,
  ':': () => 0,
  uptime: print(uptime),
  hostname: print(({ host }) => `${host.hostname}\n`),
  uname: print(({ args, host }) => (args.includes('-n') ? `${host.hostname}\n` : 'Linux\n')),
  whoami: print(({ user }) => `${user}\n`),
  date: print(() => `${new Date().toUTCString()}\n`),
  echo: print(({ args }) => (args[0] === '-n' ? args.slice(1).join(' ') : `${args.join(' ')}\n`)),
  env: print(({ env }) => [...env].map(([name, value]) => `${name}=${value}\n`).join('')),
  tty: async ({ pty, stdout }) => {
    await stdout(pty === undefined ? 'not a tty\n' : '/dev/pts/0\n');
    return pty === undefined ? 1 : 0;
  },
  /** `stty size`: rows and columns of the window as it is now. */
  stty: async ({ pty, stdout, stderr }) => {
    if (pty === undefined) await stderr('stty: standard input is not a terminal\n');
    else await stdout(`${pty.rows} ${pty.columns}\n`);
    return pty === undefined ? 1 : 0;
  },
  /** `exit` by itself says how the command line ends; the shell ends with it too. */
  exit: ({ args }) => Number(args[0] ?? 0) & 255,
  /** `fail STATUS [TEXT]`: an error as programs make it. */
  fail: async ({ args, stderr }) => {
    await stderr(`${args.slice(1).join(' ') || 'something went wrong'}\n`);
    return Number(args[0] ?? 1) & 255;
  },
  /** `die SIGNAL`: ends by a signal of its own. */
  die: ({ args }) => ({ signal: args[0] ?? 'KILL', coreDumped: args[1] === 'core', message: args.slice(2).join(' ') }),
  /** Ends without saying how. */
  vanish: () => undefined,
  sleep: async ({ args, signal }) => {
    await sleep(Number(args[0] ?? 0) * 1000, undefined, { signal }).catch(() => {});
    return 0;
  },
  cat: async (context) => {
    for await (const chunk of input(context)) await context.stdout(chunk);
    return 0;
  },
  /** stdin to stderr. */
  'cat-err': async (context) => {
    for await (const chunk of input(context)) await context.stderr(chunk);
    return 0;
  },
  wc: async (context) => {
    let bytes = 0;
    for await (const chunk of input(context)) bytes += chunk.length;
    await context.stdout(`${bytes}\n`);
    return 0;
  },
  sha256sum: async (context) => {
    const hash = createHash('sha256');
    for await (const chunk of input(context)) hash.update(chunk);
    await context.stdout(`${hash.digest('hex')}  -\n`);
    return 0;
  },
  seq: async ({ args, stdout }) => {
    const [from, to] = args.length > 1 ? [Number(args[0]), Number(args[1])] : [1, Number(args[0] ?? 1)];
    let text = '';
    for (let i = from; i <= to; i++) {
      text += `${i}\n`;
      if (text.length > BULK) {
        await stdout(text);
        text = '';
      }
    }
    await stdout(text);
    return 0;
  },
  /** Without end, until somebody stops it. */
  yes: async (context) => {
    await repeat(context, Buffer.from(`${context.args.join(' ') || 'y'}\n`.repeat(4096)), Number.POSITIVE_INFINITY);
    return 0;
  },
  /** `zeros BYTES`: bulk. */
  zeros: async (context) => {
    await repeat(context, new Uint8Array(BULK), Number(context.args[0] ?? 0));
    return 0;
  },
  /** Waits for a signal and says which one came. */
  trap: async ({ stdout, onSignal, signal }) => {
    const name = new Promise<string>((resolve) => {
      onSignal(resolve);
      signal.addEventListener('abort', () => resolve('KILL'));
    });
    await stdout('ready\n');
    await stdout(`caught ${await name}\n`);
    return 0;
  },
};
