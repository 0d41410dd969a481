import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonicalTokens, readCluster } from '../../../cli/argv.ts';
import { HOST_CLASSES } from '../../../cli/exit.ts';
import { type HostRecord, Journal, recordedArgv, rerunOf } from '../../../cli/journal/index.ts';

const host = (name: string, end: HostRecord['class']): HostRecord => ({
  name,
  target: `u@${name}:22`,
  class: end,
  bytes: { stdout: 0, stderr: 0 },
  digest: {},
});

const hosts = [host('a', 'ok'), host('b', 'exit'), host('c', 'refused'), host('d', 'not-started')];

const journalOf = (...argv: readonly string[]): Journal => {
  const journal = new Journal({ XDG_STATE_HOME: mkdtempSync(join(tmpdir(), 'bssh-rerun-')) });
  journal.write({ time: '2026-01-02T03:04:05Z', ms: 1, argv, cwd: '/deploy', command: 'x', exit: 1, hosts });
  return journal;
};

const rerun = (journal: Journal, args: readonly string[], cwd = '/deploy') =>
  rerunOf(readCluster(args), journal, { classes: HOST_CLASSES, cwd })!;

describe('the recorded command line', () => {
  const recorded = (args: readonly string[], config?: string): string[] => {
    const { tokens, subcommand, words } = readCluster(args);
    return recordedArgv({ tokens, subcommand, words, cwd: '/deploy', config, targets: ['u@a:22', 'u@b:22'] });
  };

  it('says the same elsewhere', () => {
    expect(recorded(['-C', 'web', '-i', 'key', '--script', '/s', '-F', 'none', '-v', '-v', 'a', '-b'])).toEqual([
      '--cluster=web',
      '--identity=/deploy/key',
      '--script=/s',
      '--ssh-config=none',
      '--verbose',
      '--verbose',
      '--',
      'a',
      '-b',
    ]);
    expect(recorded(['-H', 'a', 'ping'], '/deploy/config.yaml')).toEqual([
      '--config=/deploy/config.yaml',
      '--hosts=a',
      'ping',
      '--',
    ]);
    expect(recorded(['--config', 'x.yaml', '-H', 'a', 'ls'], '/deploy/config.yaml')).toEqual([
      '--config=/deploy/x.yaml',
      '--hosts=a',
      '--',
      'ls',
    ]);
  });

  it('names the hosts that were piped in, and leaves out what chose them', () => {
    expect(recorded(['--hostfile', '-', '--pick', '2', 'ls'])).toEqual(['--hosts=u@a:22,u@b:22', '--', 'ls']);
    expect(recorded(['--rerun', 'failed', '--run', '3'])).toEqual(['--']);
  });
});

describe('a rerun', () => {
  it('is about the hosts that ended so, by name or by address', () => {
    const journal = journalOf('--hosts=a,b,c,d', '--', 'ls');
    const wanted = (which: string): string[] => {
      const { has } = rerun(journal, ['--rerun', which]);
      return hosts.filter(({ name }) => has({ name, target: 'other' })).map(({ name }) => name);
    };
    expect(wanted('failed')).toEqual(['b', 'c', 'd']);
    expect(wanted('all')).toEqual(['a', 'b', 'c', 'd']);
    expect(wanted('exit, refused')).toEqual(['b', 'c']);
    const { has } = rerun(journal, ['--rerun', 'exit']);
    expect(has({ name: 'renamed', target: 'u@b:22' })).toBe(true);
    expect(() => wanted('signal')).toThrow(/run 1 has no host that ended so: 1 ok, 1 exit, 1 refused, 1 not-started/);
    expect(() => wanted('fialed')).toThrow(/did you mean failed/);
  });

  it('has the options of then, unless they are given now', () => {
    const journal = journalOf('--hosts=a,b', '--parallel=3', '--option=A=b', '--group', '--', 'ls', '-l');
    const of = (...args: readonly string[]) => {
      const { reading } = rerun(journal, ['--rerun', 'failed', ...args]);
      return [...canonicalTokens(reading.tokens), reading.subcommand ?? '--', ...reading.words];
    };
    expect(of()).toEqual(['--hosts=a,b', '--parallel=3', '--option=A=b', '--group', '--', 'ls', '-l']);
    expect(of('--parallel', '5', '-o', 'C=d')).toEqual([
      '--parallel=5',
      '--option=C=d',
      '--hosts=a,b',
      '--option=A=b',
      '--group',
      '--',
      'ls',
      '-l',
    ]);
    expect(of('--json', 'ping')).toEqual(['--json=events', '--hosts=a,b', '--parallel=3', '--option=A=b', 'ping']);
    expect(of('--', 'df')).toEqual(['--hosts=a,b', '--parallel=3', '--option=A=b', '--group', '--', 'df']);
    expect(() => of('--hostfile', 'x')).toThrow(/--hostfile does not go with --rerun/);
  });

  it('is another command when words are given, not the script of then with these', () => {
    const journal = journalOf('--hosts=a', '--script=/s', '--', 'x');
    const scripts = (...args: readonly string[]) => {
      const { tokens, words } = rerun(journal, ['--rerun', 'all', ...args]).reading;
      return [tokens.find(({ row }) => row.id === 'script')?.value, ...words];
    };
    expect(scripts()).toEqual(['/s', 'x']);
    expect(scripts('--', 'df')).toEqual([undefined, 'df']);
    expect(scripts('--script', '/t', '--', 'y')).toEqual(['/t', 'y']);
  });

  it('needs the folder of then only for files that stand as they were typed', () => {
    expect(() => rerun(journalOf('--hosts=a', '--', 'ls'), ['--rerun', 'all'], '/else')).not.toThrow();
    for (const argv of [
      ['--hosts=^nodes', '--', 'ls'],
      ['--hosts=a', 'upload', '--', 'x', '/y'],
    ]) {
      expect(() => rerun(journalOf(...argv), ['--rerun', 'all'], '/else')).toThrow(/go there first \(cd \/deploy\)/);
      expect(() => rerun(journalOf(...argv), ['--rerun', 'all'])).not.toThrow();
    }
  });
});
