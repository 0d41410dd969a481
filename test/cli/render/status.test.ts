import { describe, expect, it } from 'vitest';
import { createRenderer } from '../../../cli/render/index.ts';
import { StatusLine } from '../../../cli/render/status.ts';
import type { HostEvent } from '../../../client/index.ts';
import { FakeClock, settle } from '../../client/fleet/fake-clock.ts';
import { ends, Kept, output, play, result } from './harness.ts';

const begins = (host: number): HostEvent => ({ type: 'state', host, phase: 'connect', attempt: 1 });

function statusOf(count: number, columns = 80) {
  const clock = new FakeClock();
  const written: string[] = [];
  const hosts = Array.from({ length: count }, (_, i) => ({ name: `node${i + 1}` }));
  const status = new StatusLine({ hosts, write: (text) => written.push(text), columns: () => columns, clock });
  return { clock, written, status };
}

describe('the status line', () => {
  it('counts, and names those that take longest', async () => {
    const { clock, status } = statusOf(10);
    status.event(begins(0));
    await clock.advance(5_000);
    for (const host of [1, 2, 3, 4]) status.event(begins(host));
    await clock.advance(2_500);
    status.event(ends(3, { class: 'ok' }));
    status.event(ends(4, { class: 'exit', exitStatus: 1 }));
    expect(status.text()).toBe('1 done, 3 running, 5 pending, 1 failed | node1 7s, node2 2s, node3 2s');
    status.event({ type: 'retry', host: 2, attempt: 1, delay: 1, class: 'lost', error: undefined as never });
    expect(status.text()).toBe('1 done, 2 running, 6 pending, 1 failed | node1 7s, node2 2s');
    status.end({ results: [], ms: 0 });
    expect(clock.pending).toBe(0);
  });

  it('is not drawn in a short run, at most ten times a second in a long one, and each second in a quiet one', async () => {
    const { clock, written, status } = statusOf(1000);
    await clock.advance(299);
    expect(written).toEqual([]);
    for (let i = 0; i < 1000; i++) {
      status.event(begins(i));
      await clock.advance(1);
    }
    expect(written.length).toBeGreaterThan(8);
    expect(written.length).toBeLessThan(12);
    const busy = written.length;
    await clock.advance(5_000);
    expect(written.length - busy).toBeGreaterThanOrEqual(5);
    expect(written.length - busy).toBeLessThanOrEqual(6);
    status.end({ results: [], ms: 0 });
  });

  it('fits the terminal and steps aside', async () => {
    const { clock, written, status } = statusOf(3, 20);
    await clock.advance(300);
    expect(written).toEqual(['\r\x1b[K0 done, 0 running,…']);
    status.hide();
    status.hide();
    expect(written.slice(1)).toEqual(['\r\x1b[K']);
    status.end({ results: [], ms: 0 });
    expect(written).toHaveLength(2);
  });

  it('is gone before each burst of output and comes back after it', async () => {
    const clock = new FakeClock();
    const terminal = new Kept(true);
    const renderer = createRenderer({
      hosts: [{ name: 'h' }],
      command: '',
      stdout: terminal,
      stderr: terminal,
      env: {},
      color: 'never',
      clock,
      now: () => 0,
    });
    await renderer.event(begins(0));
    await clock.advance(300);
    await renderer.event(output(0, 'line\n'));
    await settle();
    await clock.advance(100);
    renderer.message('ours \x1b[2J\n');
    await settle();
    await renderer.event(ends(0, { class: 'ok' }));
    await renderer.end({ results: [result({ class: 'ok' })], ms: 1 });
    const line = '0 done, 1 running, 0 pending, 0 failed | h 0s';
    expect(terminal.text).toBe(`\r\x1b[K${line}\r\x1b[Kh: line\n\r\x1b[K${line}\r\x1b[Kours ^[[2J\n1 ok  h\n`);
    expect(clock.pending).toBe(0);
  });

  it('is never seen in a pipe, under --quiet or with --json', async () => {
    for (const options of [{}, { tty: true, quiet: true }, { tty: true, mode: 'json' as const }]) {
      const { stdout, stderr } = await play(['h'], [begins(0), ends(0, { class: 'ok' })], options);
      expect(stdout.text + stderr.text).not.toContain('running');
    }
  });
});
