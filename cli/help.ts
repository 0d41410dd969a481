/**
 * The usage text of the ssh grammar and the help of both, from the option table. yargs lays the help out (lazily loaded);
 * ssh(1)'s usage is short enough to be made here.
 */

import { type OptionRow, optionGroups, options, subcommands } from './options.ts';

const columns = 80;

/** `-H, --hosts LIST`, with the letters of the cluster grammar. */
export const optionHead = (row: OptionRow): string => {
  const forms = [...[...(row.cluster ?? '')].map((letter) => `-${letter}`), `--${row.id}`].join(', ');
  return forms + argumentOf(row);
};

const argumentOf = ({ argument, optional }: OptionRow): string => {
  if (argument === undefined) return '';
  return optional === undefined ? ` ${argument}` : `[=${argument}]`;
};

/** A letter that means something else in the cluster grammar, or nothing there, needs a word about it. */
const grammarNote = (row: OptionRow): string => {
  const letters = [...(row.ssh ?? '')].filter((letter) => !(row.cluster ?? '').includes(letter));
  return letters.length === 0 ? '' : ` (-${letters.join(', -')} with one host)`;
};

/** What the option does, with all there is to know about its state. */
export const optionText = (row: OptionRow): string =>
  row.help + grammarNote(row) + (row.ready === true ? '' : ' (not available)');

const wrap = (words: readonly string[], indent: string): string => {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = indent + word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
};

/** What ssh(1) prints after a usage error, of our options. */
export const sshUsage = (program = 'bssh'): string => {
  const letters = options.filter((row) => row.ssh !== undefined && !row.hidden && row.own !== row.ssh);
  const flags = letters.filter((row) => row.argument === undefined).map((row) => row.ssh as string);
  const collate = (a: string, b: string): number => a.localeCompare(b, 'en');
  const taking = letters
    .filter((row) => row.argument !== undefined)
    .map((row) => `[-${row.ssh?.replaceAll(row.own ?? '', '')} ${row.argument?.toLowerCase()}]`)
    .sort(collate);
  const head = `usage: ${program}`;
  const words = [head, `[-${flags.sort(collate).join('')}]`, ...taking, 'destination', '[command [argument ...]]'];
  return `${wrap(words, ' '.repeat(head.length + 1))}\n`;
};

export const clusterUsage = `usage: bssh [options] [user@]host [command]
       bssh [options] -H hosts | -C cluster | --hostfile file  command
       bssh [options] ${subcommands.map(({ name }) => name).join(' | ')}
Try bssh --help for the options.
`;

const examples: readonly (readonly [string, string])[] = [
  ['bssh user@host', 'a shell on one host, as ssh(1)'],
  ["bssh -H 'web[1-3],db1' uptime", 'a command on four hosts'],
  ['bssh -C production -f "web*" uptime', 'on some hosts of a cluster'],
  ['bssh -C production upload a.txt /tmp/', 'a file to every host'],
  ['bssh -C production interactive', 'a shell on all of them'],
];

/** The full help, grouped, no wider than 80 columns. */
export const helpText = async (): Promise<string> => {
  const { default: yargs } = await import('yargs');
  const parser = yargs([])
    .scriptName('bssh')
    .help(false)
    .version(false)
    .wrap(columns)
    .locale('en')
    .parserConfiguration({ 'camel-case-expansion': false, 'boolean-negation': false, 'dot-notation': false });
  for (const group of optionGroups) {
    for (const row of options) {
      if (row.group !== group || row.hidden) continue;
      // to yargs the placeholder is a part of the name: it has no other place for one
      const name = row.id + argumentOf(row);
      parser.option(name, {
        group: `${group}:`,
        description: optionText(row),
        alias: [...(row.cluster ?? '')],
      });
    }
  }
  for (const { name, positionals, help } of subcommands) parser.command(`${name} ${positionals}`.trim(), help);
  for (const [command, meaning] of examples) parser.example(command, meaning);
  const help = (await parser.getHelp())
    .trim()
    .replace(/^bssh \[command\]\n+/, '')
    // a digit is a long name to yargs
    .replace(/^ {6}(--\S+), --(\d)/gm, '  -$2, $1     ');
  return `${clusterUsage.split('\n').slice(0, 3).join('\n')}\n\n${help}\n`;
};
