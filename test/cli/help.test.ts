import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completionScripts } from '../../cli/completion.ts';
import { clusterUsage, helpText, sshUsage } from '../../cli/help.ts';
import { manPage } from '../../cli/man.ts';
import { optionById, optionGroups, options, subcommandNames } from '../../cli/options.ts';
import { freshDir } from '../interop/servers.ts';

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const visible = options.filter((row) => !row.hidden);

describe('--help', () => {
  it('has every option and group, within 80 columns', async () => {
    const text = await helpText();
    for (const group of optionGroups) expect(text).toContain(`\n${group}:\n`);
    for (const { id, cluster } of visible) {
      expect(text).toMatch(new RegExp(`^ *(-\\S, )*--${id}\\b`, 'm'));
      for (const letter of cluster ?? '') expect(text).toMatch(new RegExp(`^  (-., )*-${letter}, `, 'm'));
    }
    for (const name of subcommandNames) expect(text).toMatch(new RegExp(`^  bssh ${name}\\b`, 'm'));
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(text).not.toMatch(/--\d|undefined|\[boolean\]|[^\n]$/);
  });

  it('says what is not built yet, and which letters are for one host', async () => {
    const text = (await helpText()).replace(/\s+/g, ' ');
    expect(text).toContain('Compress the connection (-C with one host)');
    for (const row of visible.filter(({ ready }) => !ready)) expect(text).toContain(row.help);
    expect([...text.matchAll(/\(not yet\)/g)]).toHaveLength(visible.filter(({ ready }) => !ready).length);
  });

  it('hides what is hidden', async () => {
    expect(optionById('generate').hidden).toBe(true);
    expect(await helpText()).not.toContain('--generate');
  });
});

describe('usage', () => {
  it('is as short as that of ssh(1), and has its letters', () => {
    const text = sshUsage('ssh');
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(text).toMatch(/^usage: ssh \[-46aACfgGkKMnNqsTtVvxXyY\]/i);
    for (const letter of 'BbcDEeFIiJLlmOopQRSWwP') expect(text).toContain(`[-${letter} `);
    expect(text).toMatch(/destination \[command \[argument \.\.\.\]\]\n$/);
    expect(text).not.toMatch(/-[uh]\b/);
  });

  it('names the subcommands', () => {
    for (const name of subcommandNames) expect(clusterUsage).toContain(name);
  });
});

describe('the man page', () => {
  it('has every option', () => {
    const text = manPage('1.2.3');
    for (const { id } of visible) expect(text).toContain(`\\fB\\-\\-${id.replaceAll('-', '\\-')}\\fR`);
  });

  it('has every subcommand, and the variables that the command looks at', () => {
    const text = manPage('1.2.3').replaceAll('\\-', '-');
    for (const name of subcommandNames) expect(text).toContain(`\\fB${name}\\fR`);
    const cli = new URL('../../cli/', import.meta.url).pathname;
    const sources = (readdirSync(cli, { recursive: true }) as string[]).filter((file) => /^(?!pdsh).*\.ts$/.test(file));
    const read = sources.flatMap((file) =>
      [...readFileSync(cli + file, 'utf8').matchAll(/env\.((?:BSSH|BACKENDAI|SLURM|PBS|ANSIBLE|XDG)_\w+)/g)].map(
        ([, name]) => name!,
      ),
    );
    expect(read.length).toBeGreaterThan(5);
    const old = ['SLURM_NODELIST'];
    expect([...new Set(read)].filter((name) => !text.includes(name) && !old.includes(name))).toEqual([]);
  });

  it.skipIf(!has('groff'))('is roff that groff has nothing to say about', () => {
    const { stdout, stderr, status } = spawnSync('groff', ['-man', '-Tascii', '-ww', '-P-c'], {
      input: manPage('1.2.3'),
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    // a terminal's bold is each letter twice
    expect(stdout.replace(/.\x08/g, '')).toContain('EXIT STATUS');
  });
});

describe('completions', () => {
  it.each(Object.keys(completionScripts))('%s has every option and subcommand', (name) => {
    const text = completionScripts[name]?.() ?? '';
    for (const { id } of visible) expect(text).toContain(name === 'completion-fish' ? `-l ${id} ` : `--${id}`);
    for (const subcommand of subcommandNames) expect(text).toContain(subcommand);
    expect(optionById('generate').choices).toContain(name);
  });

  it.each(['bash', 'zsh', 'fish'].filter(has))('%s takes its script', (shell) => {
    const script = completionScripts[`completion-${shell}`]?.() ?? '';
    const file = join(freshDir('completion'), 'script');
    writeFileSync(file, script);
    expect(spawnSync(shell, ['-n', file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  const complete = (...words: string[]): string[] => {
    const script = `${completionScripts['completion-bash']?.()}
bssh() { case $2 in names-clusters) echo web; echo db;; names-hosts) echo web1; echo web2; echo db1;; names-targets) echo web1; echo db1; echo @web; echo @ssh; esac; }
COMP_LINE="bssh ${words.join(' ').replaceAll('"', '\\"')}"; COMP_POINT=\${#COMP_LINE}; _bssh; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['-c', script], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: '/nonexistent' },
    });
    return stdout.trim().split('\n');
  };

  it.skipIf(!has('bash'))('of bash complete options, choices and subcommands', () => {
    expect(complete('--para')).toEqual(['--parallel']);
    expect(complete('--strict-host-key-checking', 'a')).toEqual(['accept-new', 'ask']);
    expect(complete('--exit', 'm')).toEqual(['main', 'max']);
    expect(complete('inter')).toEqual(['interactive']);
    expect(complete('--color=a')).toEqual(['auto', 'always']);
    expect(complete('--json', 'li')).toEqual(['list']);
  });

  it.skipIf(!has('bash'))('of bash complete clusters, hosts and lists of them', () => {
    expect(complete('-C', 'w')).toEqual(['web']);
    expect(complete('--cluster=d')).toEqual(['db']);
    expect(complete('-H', 'we')).toEqual(['web1']);
    // what stands in front of a character that bash cuts words at is not part of a reply
    expect(complete('-H', '@')).toEqual(['@web', '@ssh']);
    expect(complete('-H', 'db1,@w')).toEqual(['@web']);
    expect(complete('-H', "'db1!@w")).toEqual(['db1!@web']);
    expect(complete('-H', 'web1,d')).toEqual(['web1,db1']);
    expect(complete('-J', 'web1,web')).toEqual(['web1,web1', 'web1,web2']);
    expect(complete('web')).toEqual(['web1', 'web2']);
    expect(complete('root@db')).toEqual(['@db1']);
  });
});
