import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findProgram, freshDir } from '../../interop/process.ts';
import { bundleProgram, ended, run, shell } from './programs.ts';

let program: string;
let node: string;
beforeAll(async () => {
  program = await bundleProgram(new URL('./stdio-program.ts', import.meta.url));
  node = `${process.execPath} ${program}`;
});

const last = (stderr: string): Record<string, unknown> => JSON.parse(stderr.trim().split('\n').at(-1)!);

describe('standard streams', () => {
  const data = randomBytes(3_000_001);

  it('copies from pipe to pipe, byte for byte', async () => {
    const child = spawn(process.execPath, [program, 'copy']);
    child.stdin.end(data);
    const { code, stdout } = await ended(child);
    expect(code).toBe(0);
    expect(stdout.equals(data)).toBe(true);
  });

  it('copies between real pipes, files and /dev/null', async () => {
    const dir = freshDir('stdio');
    const source = join(dir, 'source');
    writeFileSync(source, data);
    const want = createHash('md5').update(data).digest('hex');
    const line = [
      `cat ${source} | ${node} copy | md5sum`,
      `${node} copy <${source} | md5sum`,
      `${node} copy <${source} >${dir}/a; md5sum <${dir}/a`,
      `cat ${source} | ${node} copy >>${dir}/b; md5sum <${dir}/b`,
      `${node} copy </dev/null | md5sum`,
      `${node} copy <${source} >/dev/null; echo $?`,
    ].join('; ');
    const { stdout } = await shell(line);
    const empty = createHash('md5').digest('hex');
    expect(stdout.toString().split('\n')).toEqual([
      ...Array.from({ length: 4 }, () => `${want}  -`),
      `${empty}  -`,
      '0',
      '',
    ]);
  });

  it('takes what another process left of a shared file, and appends to one', async () => {
    const dir = freshDir('stdio');
    writeFileSync(join(dir, 'in'), 'first\nsecond\n');
    await shell(`{ echo start; { read line; ${node} copy; } <in; echo end; } >out`, { cwd: dir });
    expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('start\nsecond\nend\n');
  });

  it('copies from and to sockets', async () => {
    if (findProgram('python3') === undefined) return void process.stderr.write('skipped: no python3\n');
    const script = `
import socket, subprocess, sys, threading
a, b = socket.socketpair(); c, d = socket.socketpair()
p = subprocess.Popen(sys.argv[1:], stdin=b, stdout=d); b.close(); d.close()
def feed():
    a.sendall(b'x' * 2000000); a.shutdown(socket.SHUT_WR)
threading.Thread(target=feed).start()
n = 0
while True:
    data = c.recv(65536)
    if not data: break
    n += len(data)
print(n, p.wait())`;
    const child = spawn('python3', ['-c', script, process.execPath, program, 'copy'], { stdio: ['ignore', 'pipe', 2] });
    expect((await ended(child)).stdout.toString()).toBe('2000000 0\n');
  });

  it('loses nothing at the end, however slow the reader', async () => {
    const { stdout } = await shell(`${node} send 1000003 2>/dev/null | { sleep 0.5; wc -c; }`);
    expect(stdout.toString().trim()).toBe('1000003');
  });

  it('ends quietly when the reader goes', async () => {
    const { stdout, stderr } = await shell(`yes | ${node} copy | head -n 1; echo \${PIPESTATUS[1]}`);
    expect(stdout.toString()).toBe('y\n7\n');
    expect(last(stderr)).toEqual({ closed: true });
  });

  it('tells of an error that is not the reader leaving', async () => {
    if (!existsSync('/dev/full')) return void process.stderr.write('skipped: no /dev/full\n');
    const { stderr } = await shell(`${node} send 10 >/dev/full`);
    expect(last(stderr)).toMatchObject({ closed: true, error: 'ENOSPC' });
  });

  it('leaves O_NONBLOCK off descriptions of others', async () => {
    if (!existsSync('/proc/self/fdinfo/0')) return void process.stderr.write('skipped: no /proc\n');
    // The pipes are shared with the shell, which looks at their flags while the program runs.
    const script = `exec 3</dev/null; { ${node} copy & sleep 0.5; cat /proc/self/fdinfo/0 /proc/self/fdinfo/1 >&2; kill $!; } | cat`;
    const { stderr } = await shell(`sleep 1 | { ${script}; }`);
    const flags = [...stderr.matchAll(/flags:\s*0?(\d+)/g)].map((match) => Number.parseInt(match[1]!, 8));
    expect(flags).toHaveLength(2);
    for (const each of flags) expect(each & 0o4000).toBe(0);
  });

  it.each([
    ['</dev/zero', 'file', 1],
    ['< <(yes)', 'stream', 1],
    ['< <(sleep 5 2>/dev/null)', 'stream', 0],
    ['</dev/null', 'file', 0],
  ])('holds what nobody takes: %s', async (input, kind, chunks) => {
    const started = Date.now();
    const { code, stderr } = await shell(`${node} hold ${input}`);
    expect(code).toBe(0);
    const seen = last(stderr);
    expect(seen).toMatchObject({ kind, chunks });
    expect(seen.rss).toBeLessThan(150e6);
    expect(Date.now() - started).toBeLessThan(4000);
  });

  it('does not keep the process when it is stopped', async () => {
    const started = Date.now();
    const { code, stderr } = await shell(`${node} leave < <(sleep 5 2>/dev/null)`);
    expect([code, last(stderr)]).toEqual([0, { stopped: true }]);
    expect(Date.now() - started).toBeLessThan(4000);
  });

  it('takes nothing before it is started', async () => {
    const { stdout } = await shell(`printf 'a\\nb\\n' | { ${node} idle 2>/dev/null; cat; }`);
    expect(stdout.toString()).toBe('a\nb\n');
  });

  it('has a closed input end at once', async () => {
    const { code } = await run(program, ['drain'], { stdio: ['ignore', 'ignore', 'ignore'] });
    expect(code).toBe(0);
    expect((await shell(`${node} copy <&-`)).code).toBe(0);
  });

  it('costs little', async () => {
    const out = last((await shell(`${node} send 268435456 | cat >/dev/null`)).stderr);
    const into = last((await shell(`head -c 268435456 /dev/zero | ${node} drain`)).stderr);
    expect(into.bytes).toBe(268435456);
    process.stderr.write(`256 MiB: out ${out.cpu} CPU-s, in ${into.cpu} CPU-s\n`);
    // About a quarter of this on a quiet machine, nearly all of it the copying in the kernel.
    expect(out.cpu).toBeLessThan(0.6);
    expect(into.cpu).toBeLessThan(0.6);
  });
});
