import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Interrupts } from '../../cli/signals.ts';

function install(stages: 1 | 2) {
  const source = new EventEmitter();
  const said: (string | number)[] = [];
  const interrupts = new Interrupts({
    stages,
    source,
    onStage: (stage) => said.push(stage),
    exit: (code) => said.push(code),
  });
  return { source, said, interrupts };
}

describe('interrupts', () => {
  it('with two stages: stop, abort, leave', () => {
    const { source, said, interrupts } = install(2);
    expect(interrupts.code).toBeUndefined();
    source.emit('SIGINT');
    expect([interrupts.stop.aborted, interrupts.abort.aborted]).toEqual([true, false]);
    source.emit('SIGINT');
    expect([interrupts.stop.aborted, interrupts.abort.aborted]).toEqual([true, true]);
    source.emit('SIGINT');
    expect(said).toEqual(['stop', 'abort', 130]);
    expect(interrupts.code).toBe(130);
  });

  it('with one stage the first Ctrl-C ends what runs', () => {
    const { source, said, interrupts } = install(1);
    source.emit('SIGINT');
    expect([interrupts.stop.aborted, interrupts.abort.aborted, said]).toEqual([true, true, ['abort']]);
  });

  it('TERM and HUP do not wait for a second, and keep their own code', () => {
    for (const [name, code] of [
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const { source, interrupts } = install(2);
      source.emit(name);
      source.emit('SIGINT');
      expect([interrupts.abort.aborted, interrupts.code]).toEqual([true, code]);
    }
  });

  it('gives the signals back', () => {
    const { source, interrupts } = install(2);
    expect(source.listenerCount('SIGINT')).toBe(1);
    interrupts.dispose();
    expect(source.eventNames()).toEqual([]);
  });
});
