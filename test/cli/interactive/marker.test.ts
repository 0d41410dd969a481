// The marker between commands: taken apart in every way it can arrive, and made by every shell that is there.
import { type ChildProcess, spawn } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MarkerStream, type Piece } from '../../../cli/interactive/marker.ts';
import {
  bootstrap,
  changeDirectory,
  commandText,
  interruptText,
  preparation,
} from '../../../cli/interactive/shell-text.ts';
import { findProgram } from '../../interop/servers.ts';

const token = { first: 'aaaa1111', second: 'bbbb2222' };
const whole = token.first + token.second;
const mark = (sequence: number, status: number, pwd: string, zsh = ''): string =>
  `${whole};${sequence};${status};77;${zsh};${pwd};${whole}\n`;
const shown = (pieces: readonly Piece[]): unknown[] =>
  pieces.map((piece) => ('line' in piece ? Buffer.from(piece.line).toString() : piece.mark));

describe('the marker', () => {
  it('is taken out of lines, after text without a newline too', () => {
    const stream = new MarkerStream(token);
    expect(shown(stream.push(Buffer.from(`one\ntwo${mark(3, 7, '/a;b\nc')}late\nrest`)))).toEqual([
      'one',
      'two',
      { sequence: 3, status: 7, pid: 77, zsh: false, pwd: '/a;b\nc' },
      'late',
    ]);
    expect(shown(stream.end())).toEqual(['rest']);
    expect(shown(stream.end())).toEqual([]);
  });

  it('comes in any pieces', () => {
    const text = `a\n\nb${mark(1, 0, '/')}${mark(2, 1, '/x', 'z')}c\n`;
    const all = shown(new MarkerStream(token).push(Buffer.from(text)));
    expect(all).toHaveLength(6);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: text.length }), { maxLength: 8 }), (cuts) => {
        const stream = new MarkerStream(token);
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        const pieces = places.slice(1).flatMap((end, i) => stream.push(Buffer.from(text.slice(places[i], end))));
        expect(shown(pieces)).toEqual(all);
      }),
    );
  });

  it('keeps no endless line, and no endless marker', () => {
    const stream = new MarkerStream(token);
    let bytes = 0;
    for (let i = 0; i < 64; i++)
      for (const piece of stream.push(Buffer.alloc(8192, 0x61))) if ('line' in piece) bytes += piece.line.length;
    expect(bytes).toBeGreaterThan(64 * 8192 - 70_000);
    const broken = new MarkerStream(token);
    const pieces = [broken.push(Buffer.from(whole)), broken.push(Buffer.alloc(100_000, 0x61)), broken.end()].flat();
    expect(pieces.every((piece) => 'line' in piece)).toBe(true);
  });

  it('is not what set -x shows of our own lines', () => {
    const stream = new MarkerStream(token);
    expect(shown(stream.push(Buffer.from(`+ printf ${token.first} ${token.second}\n+ ls\n`)))).toEqual(['+ ls']);
  });
});

/** A shell as the nodes have it, on our own pipes. */
class LocalShell {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  #marks: { sequence: number; status: number; pid: number; zsh: boolean; pwd: string }[] = [];
  #wake: () => void = () => {};
  #sequence = 0;
  zsh = false;
  pid = 0;

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(argv[0]!, argv.slice(1), { detached: true, env });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      const markers = new MarkerStream(token);
      stream.on('data', (chunk: Buffer) => {
        for (const piece of markers.push(chunk)) {
          if ('mark' in piece) this.#marks.push(piece.mark);
          else this.lines.push(Buffer.from(piece.line).toString());
        }
        this.#wake();
      });
    }
    this.child.stdin!.on('error', () => {});
    this.child.stdin!.write(preparation(token));
  }

  async start(): Promise<this> {
    const { zsh, pid } = (await this.#both(0))!;
    this.zsh = zsh;
    this.pid = pid;
    this.lines.length = 0;
    return this;
  }

  async #both(sequence: number) {
    for (;;) {
      const found = this.#marks.filter((each) => each.sequence === sequence);
      if (found.length === 2) return found.find(({ status }) => status !== 0) ?? found[0];
      await new Promise<void>((resolve) => void (this.#wake = resolve));
    }
  }

  async run(text: string): Promise<{ status: number; pwd: string; lines: string[] }> {
    const sequence = ++this.#sequence;
    this.lines.length = 0;
    this.child.stdin!.write(commandText(text, sequence, token, this.zsh));
    const { status, pwd } = (await this.#both(sequence))!;
    return { status, pwd, lines: [...this.lines] };
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL');
  }
}

const shells = [['sh'], ['bash'], ['dash'], ['zsh'], ['mksh'], ['busybox', 'sh']].filter(([name]) =>
  findProgram(name!),
);

describe.each(shells)('%s', (...argv) => {
  const shell = () => new LocalShell(argv.filter((word) => word !== undefined)).start();

  it('keeps its directory and its variables, and says how a command ended', async () => {
    using sh = await shell();
    expect(await sh.run('cd /usr; x="a  b"')).toEqual({ status: 0, pwd: '/usr', lines: [] });
    expect(await sh.run(`echo "$x" 'it'"'"'s' \\\\; printf end`)).toEqual({
      status: 0,
      pwd: '/usr',
      lines: ["a  b it's \\", 'end'],
    });
    expect((await sh.run('false')).status).toBe(1);
    expect((await sh.run('sh -c "exit 42"')).status).toBe(42);
  });

  it('survives a syntax error, and gives commands no input', async () => {
    using sh = await shell();
    for (const bad of ["echo 'unfinished", 'if', '( ;;', 'x ))']) expect((await sh.run(bad)).status).not.toBe(0);
    expect((await sh.run('cat; echo after')).lines).toEqual(['after']);
  });

  it('ends the whole command on an interrupt, not itself', async () => {
    using sh = await shell();
    for (const text of ['sleep 20; echo NOT', 'while true; do sleep 0.1; done', 'while :; do :; done']) {
      const end = sh.run(text);
      await new Promise((resolve) => setTimeout(resolve, 400));
      spawn('sh', ['-c', interruptText(sh.pid)]);
      const { lines } = await end;
      expect(lines).not.toContain('NOT');
    }
    expect((await sh.run('echo alive')).lines).toEqual(['alive']);
  });

  it('is asked for by every account', async () => {
    const path = findProgram(argv[0]!)!;
    using sh = new LocalShell(['/bin/sh', '-c', bootstrap], { ...process.env, SHELL: path, HOME: '/tmp' });
    await sh.start();
    expect((await sh.run(changeDirectory('~/.'))).status).toBe(0);
    expect((await sh.run(changeDirectory("/no'where"))).status).not.toBe(0);
  });
});
