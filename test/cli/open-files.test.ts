import { describe, expect, it } from 'vitest';
import { checkOpenFiles, openFileLimit, openFilesWanted } from '../../cli/open-files.ts';
import type { HostPlan } from '../../client/index.ts';

const plans = (count: number, way: Partial<HostPlan> = {}): HostPlan[] =>
  Array.from({ length: count }, () => ({ proxyJump: [], proxyCommand: undefined, ...way }) as unknown as HostPlan);

describe('open files', () => {
  it('are counted by what each way to a host takes, for those at work at one time', () => {
    const base = openFilesWanted([], 0);
    expect(openFilesWanted(plans(80), 0)).toBe(base + 80 + 10);
    expect(openFilesWanted(plans(800), 80)).toBe(base + 80 + 10);
    expect(openFilesWanted(plans(80, { proxyCommand: 'nc' }), 0)).toBe(base + 240 + 10);
    expect(openFilesWanted(plans(80, { proxyJump: [{ host: 'gate' }] }), 0)).toBe(base + 10);
  });

  it('are refused only beyond the limit, with what to do', () => {
    expect(() => checkOpenFiles(plans(500), 0, () => 1024)).not.toThrow();
    expect(() => checkOpenFiles(plans(500), 0, () => undefined)).not.toThrow();
    expect(() => checkOpenFiles(plans(500), 50, () => 100)).not.toThrow();
    let message = '';
    try {
      checkOpenFiles(plans(500), 0, () => 256);
    } catch (error) {
      message = (error as Error).message;
    }
    const [, enough = '', fits = ''] = /\(ulimit -n (\d+)\).*\(--parallel (\d+)\)/.exec(message) ?? [];
    expect(() => checkOpenFiles(plans(500), 0, () => Number(enough))).not.toThrow();
    expect(() => checkOpenFiles(plans(500), Number(fits), () => 256)).not.toThrow();
    expect(Number(fits)).toBeGreaterThan(150);
  });

  it('are looked up in the system', () => {
    expect(openFileLimit()).toBeGreaterThan(100);
  });
});
