// The command line of pdsh: letters, host lists, groups, and Ctrl-C. Running it is in e2e/pdsh.test.ts.
import { EventEmitter } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../../cli/config/model.ts';
import { PdshInterrupts } from '../../../cli/pdsh/interrupts.ts';
import { pdshWords, readPdsh } from '../../../cli/pdsh/options.ts';
import { pdshTargets } from '../../../cli/pdsh/targets.ts';
import { freshDir } from '../../interop/servers.ts';

describe('the grammar', () => {
  it('holds under the name pdsh, or behind --pdsh', () => {
    expect(pdshWords('pdsh', ['-w', 'a'])).toEqual(['-w', 'a']);
    expect(pdshWords('/usr/bin/pdsh', [])).toEqual([]);
    expect(pdshWords('bssh', ['--pdsh', '-w', 'a'])).toEqual(['-w', 'a']);
    expect(pdshWords('bssh', ['-w', 'a', '--pdsh'])).toBeUndefined();
    expect(pdshWords('pdsh2', [])).toBeUndefined();
  });

  it.each<[string, string, string]>([
    ['-w a -SN uptime -S', 'w=a S N', 'uptime -S'],
    ['-wa,b -f5 cmd', 'w=a,b f=5', 'cmd'],
    ['-Nwa -- -x', 'N w=a', '-x'],
    ['-w -b x', 'w=-b', 'x'],
    ['- x', '', '- x'],
  ])('%s', (line, options, words) => {
    const read = readPdsh(line.split(' '));
    expect(read.options.map(({ letter, value }) => (value ? `${letter}=${value}` : letter)).join(' ')).toBe(options);
    expect(read.words.join(' ')).toBe(words);
  });

  it.each<[string, RegExp]>([
    ['-Z', /^invalid option -- 'Z'\nUsage: pdsh/],
    ['-w', /^option requires an argument -- 'w'\nUsage: pdsh/],
    ['-F genders', /^-F: genders files are not read/],
    ['-j 17', /^-j: jobs are not looked up/],
    ['-M a', /^-M: there are no modules/],
  ])('%s is an error that leaves with 1', (line, message) => {
    let error: unknown;
    try {
      readPdsh(line.split(' '));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(message), detail: { exit: 1 } });
  });
});

describe('the targets', () => {
  const home = freshDir('dsh');
  mkdirSync(join(home, '.dsh/group'), { recursive: true });
  mkdirSync(join(home, 'groups'));
  writeFileSync(join(home, '.dsh/group/web'), 'w[1-2] # two\n#include db\n\nw9,w10\n');
  writeFileSync(join(home, 'groups/db'), 'db1\n');
  writeFileSync(join(home, 'groups/loop'), `#include ${home}/groups/loop2\n`);
  writeFileSync(join(home, 'groups/loop2'), '#include loop\n');
  writeFileSync(join(home, 'groups/lost'), '#include nowhere\n');
  const cluster = (name: string) => [name, { name, nodes: [], settings: [], interactive: {} }] as const;
  const config: Config = {
    file: undefined,
    settings: [],
    clusters: new Map([cluster('prod'), cluster('lab')]),
    interactive: {},
    notes: [],
  };
  const targets = (line: string, env: Record<string, string> = {}) =>
    pdshTargets(readPdsh(line.split(' ')).options, { env: { DSHGROUP_PATH: `${home}/groups`, ...env }, home, config });

  it.each<[string, string]>([
    ['-w a,b[1,3],u@c', 'a,b[1,3],u@c'],
    ['-w a -w b -x c,d[1-2]', 'a,b!c!d[1-2]'],
    ['-w a,-b,^f,-^g', 'a,^f!b!^g'],
    ['-w ssh:u@a', 'u@a'],
    ['-w -', '^-'],
    ['-g prod -X lab', '@prod!@lab'],
    ['-a -x b', '@prod,@lab!b'],
    ['-g web', 'w[1-2],db1,w9,w10'],
    ['-g db,prod', 'db1,@prod'],
  ])('%s', (line, expression) => {
    expect(targets(line)).toEqual({ expression, filter: undefined });
  });

  it('have conditions, all of which hold', () => {
    const { filter } = targets('-w a,/web/,/1$,-/x/ -x /db/');
    const regex = new RegExp(filter!.slice(1, -1));
    expect(['web1', 'web2', 'webx1', 'dbweb1', 'rack-web-1'].filter((name) => regex.test(name))).toEqual([
      'web1',
      'rack-web-1',
    ]);
  });

  it.each<[string, Record<string, string>, string]>([
    ['-N', { WCOLL: '/f' }, '^/f'],
    ['-w a', { WCOLL: '/f' }, 'a'],
    ['-N', { SLURM_JOB_NODELIST: 'n1' }, '@slurm'],
    ['-x b', { PBS_NODEFILE: '/p' }, '@pbs!b'],
  ])('%s with %j come from the environment', (line, env, expression) => {
    expect(targets(line, env).expression).toBe(expression);
  });

  it.each<[string, RegExp]>([
    ['-N', /^no remote hosts specified$/],
    ['-x a', /^no remote hosts specified$/],
    ['-w rsh:a', /reached with ssh here, not with rsh/],
    ['-g nope', /^-g nope: there is no such cluster \(lab, prod\) and no dsh group file/],
    ['-g loop', /includes itself/],
    ['-g lost', /there is no dsh group nowhere/],
  ])('%s is an error', (line, message) => {
    expect(() => targets(line)).toThrow(message);
  });
});

describe('Ctrl-C', () => {
  const setUp = (batch = false) => {
    const source = new EventEmitter();
    const said: string[] = [];
    let time = 0;
    const interrupts = new PdshInterrupts({
      batch,
      status: () => ['a: connecting'],
      say: (text) => said.push(text),
      source,
      now: () => time,
    });
    return { source, said, interrupts, wait: (ms: number) => void (time += ms) };
  };

  it('once is a question, twice in a second an end', () => {
    const { source, said, interrupts, wait } = setUp();
    source.emit('SIGINT');
    expect(said).toEqual([
      'interrupt (one more within 1 sec to abort)',
      ' (^Z within 1 sec to cancel pending threads)',
      'a: connecting',
    ]);
    wait(1500);
    source.emit('SIGINT');
    expect(interrupts.abort.aborted).toBe(false);
    wait(500);
    source.emit('SIGINT');
    expect(said.at(-1)).toBe('interrupt, aborting.');
    expect([interrupts.abort.aborted, interrupts.code]).toEqual([true, 1]);
    interrupts.dispose();
    expect(source.eventNames()).toEqual([]);
  });

  it('and Ctrl-Z gives up who waits', () => {
    const { source, interrupts } = setUp();
    source.emit('SIGINT');
    source.emit('SIGTSTP');
    expect([interrupts.stop.aborted, interrupts.abort.aborted, interrupts.code]).toEqual([true, false, undefined]);
  });

  it('in batch mode ends at once, and so do other signals', () => {
    const batch = setUp(true);
    batch.source.emit('SIGINT');
    expect([batch.interrupts.abort.aborted, batch.interrupts.code]).toEqual([true, 1]);
    const term = setUp();
    term.source.emit('SIGTERM');
    expect([term.interrupts.abort.aborted, term.interrupts.code]).toEqual([true, 143]);
  });
});
