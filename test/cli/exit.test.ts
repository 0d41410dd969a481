import { describe, expect, it } from 'vitest';
import { type ExitPolicy, fleetExitCode, sshExitCode } from '../../cli/exit.ts';
import type { HostClass, HostResult } from '../../client/index.ts';
import { result } from './render/harness.ts';

const host = (end: HostClass | number): HostResult =>
  typeof end === 'number'
    ? result(end === 0 ? { class: 'ok', exitStatus: 0 } : { class: 'exit', exitStatus: end })
    : result({ class: end });

const code = (ends: (HostClass | number)[], policy?: ExitPolicy, more = {}): number =>
  fleetExitCode({ results: ends.map(host), policy, ...more });

describe('the exit code of many hosts', () => {
  it('is 0 only when every host ended ok, else the worst', () => {
    expect(code([0, 0])).toBe(0);
    expect(code([0, 7])).toBe(1);
    expect(code([7, 'channel'])).toBe(1);
    for (const killed of ['signal', 'command-timeout'] as const) expect(code([7, killed, 0])).toBe(3);
    for (const away of ['dns', 'refused', 'connect-timeout', 'host-key', 'auth', 'lost'] as const) {
      expect(code(['signal', away, 0])).toBe(4);
    }
    for (const end of ['not-started', 'cancelled'] as const) expect(code(['auth', end])).toBe(5);
  });

  it('is no success for nobody', () => {
    expect(code([])).toBe(2);
  });

  it('is the code of the interrupt when that cut the run short', () => {
    for (const policy of ['worst', 'main', 'any'] as const) {
      expect(code([0, 'not-started'], policy, { interrupted: 130 })).toBe(130);
    }
    expect(code([0, 'cancelled'], 'worst', { interrupted: 143 })).toBe(143);
    expect(code([0, 0], 'worst', { interrupted: 130 })).toBe(0);
    expect(code([0, 1], 'worst', { interrupted: 130 })).toBe(1);
    expect(code([0, 'cancelled'], 'worst', { brokenPipe: true })).toBe(141);
    expect(code([0, 0], 'worst', { brokenPipe: true })).toBe(0);
  });

  it('follows other habits', () => {
    const ends = [3, 0, 'auth', 9] as const;
    expect(code([...ends], 'main')).toBe(3);
    expect(code([...ends], 'main', { main: 1 })).toBe(0);
    expect(code([...ends], 'main', { main: 2 })).toBe(255);
    expect(code([0, 9, 3], 'first')).toBe(9);
    expect(code([0, 0], 'first')).toBe(0);
    expect(code([0, 9, 30], 'max')).toBe(30);
    expect(code([...ends], 'max')).toBe(255);
    expect(code([...ends], 'any')).toBe(0);
    expect(code([3, 'auth'], 'any')).toBe(4);
    expect(code([0, 0], 'all')).toBe(0);
    expect(code([...ends], 'all')).toBe(1);
  });

  it('is that of ssh(1) for one host', () => {
    expect(([0, 3, 'signal', 'lost', 'channel'] as const).map((end) => sshExitCode(host(end)))).toEqual([
      0, 3, 255, 255, 255,
    ]);
  });
});
