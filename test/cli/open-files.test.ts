import { describe, expect, it } from 'vitest';
import { checkOpenFiles, openFileLimit, openFilesLeft, openFilesWanted } from '../../cli/open-files.ts';
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
    expect(() => checkOpenFiles(plans(500), 0, { limit: () => 1024 })).not.toThrow();
    expect(() => checkOpenFiles(plans(500), 0, { limit: () => undefined })).not.toThrow();
    expect(() => checkOpenFiles(plans(500), 50, { limit: () => 100 })).not.toThrow();
    let message = '';
    try {
      checkOpenFiles(plans(500), 0, { limit: () => 256 });
    } catch (error) {
      message = (error as Error).message;
    }
    const [, enough = '', fits = ''] = /\(ulimit -n (\d+)\).*\(--parallel (\d+)\)/.exec(message) ?? [];
    expect(() => checkOpenFiles(plans(500), 0, { limit: () => Number(enough) })).not.toThrow();
    expect(() => checkOpenFiles(plans(500), Number(fits), { limit: () => 256 })).not.toThrow();
    expect(Number(fits)).toBeGreaterThan(150);
  });

  it('of copies count, too, and of trees fewer are open where few may be', () => {
    expect(() => checkOpenFiles(plans(500), 0, { own: 1, limit: () => 1024 })).toThrow(/1103 open files/);
    expect(() => checkOpenFiles(plans(500), 0, { own: 1, limit: () => 1200 })).not.toThrow();
    expect(openFilesLeft(plans(1), 0, () => 1024)).toBe(982);
    expect(openFilesLeft(plans(100), 50, () => 256)).toBe(3);
    expect(openFilesLeft(plans(200), 0, () => 256)).toBe(1);
    expect(openFilesLeft(plans(200), 0, () => undefined)).toBe(Number.POSITIVE_INFINITY);
  });

  it('are looked up in the system', () => {
    expect(openFileLimit()).toBeGreaterThan(100);
  });
});
