/** The man page, in roff, from the option table: `bssh --generate man > bssh.1`. */

import { optionText } from './help.ts';
import { type OptionRow, optionGroups, options, subcommands } from './options.ts';

/** Hyphens that are to be typed, backslashes, and dots and quotes at the start of a line, which roff would obey. */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&');

const bold = (text: string): string => `\\fB${roff(text)}\\fR`;

const argument = ({ argument: name, optional }: OptionRow): string => {
  if (name === undefined) return '';
  return optional === undefined ? ` \\fI${roff(name)}\\fR` : `[=\\fI${roff(name)}\\fR]`;
};

const entry = (row: OptionRow): string => {
  const forms = [...[...(row.cluster ?? '')].map((letter) => `-${letter}`), `--${row.id}`].map(bold).join(', ');
  const choices = row.choices === undefined ? '' : ` One of ${row.choices.join(', ')}.`;
  const key = row.yaml === undefined ? '' : ` Key of the configuration file: ${row.yaml}.`;
  const keywords =
    row.sets === undefined ? '' : ` Sets ${row.sets.map(({ keyword }) => keyword).join(', ')} of ssh_config(5).`;
  return `.TP\n${forms}${argument(row)}\n${roff(`${optionText(row)}.${choices}${key}${keywords}`)}\n`;
};

const paragraphs = (...texts: string[]): string => texts.map((text) => `.PP\n${roff(text)}\n`).join('');

const head = (version: string): string => `.TH BSSH 1 "" "bssh ${roff(version)}" "User Commands"
.SH NAME
bssh \\- an ssh client for one host and for many
.SH SYNOPSIS
.B bssh
[\\fIoptions\\fR] [\\fIuser\\fR@]\\fIhost\\fR [\\fIcommand\\fR]
.br
.B bssh
[\\fIoptions\\fR] \\fB\\-H\\fR \\fIhosts\\fR | \\fB\\-C\\fR \\fIcluster\\fR | \\fB\\-\\-hostfile\\fR \\fIfile\\fR \\fIcommand\\fR
.br
.B bssh
[\\fIoptions\\fR] ${subcommands.map(({ name }) => `\\fB${name}\\fR`).join(' | ')}
.br
.B bssh
\\fB\\-\\-pdsh\\fR [\\fIpdsh options\\fR] [\\fIcommand\\fR]
.SH DESCRIPTION
`;

const description = paragraphs(
  'With one host, bssh is used like ssh(1), and every option means what it means there.',
  'With a list of hosts (-H, -C, --hostfile) or a subcommand it works on all of them at once. A few letters then mean something else: -C is a cluster, -c a cluster if one is called so, -f a filter, -A the agent as the only source of keys, -P a password, -b gathers output. Long names always mean the same.',
  'Behind --pdsh, or under the name pdsh, the command line is that of pdsh(1).',
  '--ssh, BSSH_MODE=ssh in the environment, or being started under the name ssh leaves only what ssh(1) does. After -- the words are always the command.',
);

const hosts = paragraphs(
  'A host is [user@]host[:port]; addresses of IPv6 with a port stand in brackets. node[01-16] is sixteen hosts, node[1,3-9/2] five, and there may be several brackets. @name is a cluster of the configuration file, ^file the hosts in a file.',
  '@ssh are the hosts that ssh_config has names for, @slurm and @pbs those of the batch job we run in, @ansible those of an Ansible inventory; @ansible:web is a group of it. The nodes of a cluster may come from a command or an inventory; @cluster:group is a part of them.',
  'A comma or a blank joins, ! takes away, & keeps what both have, ^ keeps what only one has; all from left to right.',
);

const status = paragraphs(
  'With one host: the status of the remote command, 255 after an error.',
  'With many: 0 if all is well; 1 if a command failed; 2 after a usage error; 3 if one ran into its timeout or was killed; 4 if a host could not be reached or logged in to; 5 if not all were started; 130 after an interruption.',
);

/** Variables that change what bssh does; those of pdsh's are in its manual. */
const variables: readonly (readonly [names: string, meaning: string])[] = [
  ['BSSH_MODE', 'ssh: speak ssh(1) alone, as --ssh.'],
  ['BSSH_PASSWORD', 'The password, for all hosts.'],
  ['BSSH_SUDO_PASSWORD', 'The password for sudo, for all hosts.'],
  ['BSSH_CRYPTO', 'node or noble, as --crypto.'],
  ['BSSH_JOURNAL', 'Where runs are recorded.'],
  ['BSSH_DEBUG', 'Anything: show where an error came from.'],
  ['BACKENDAI_CLUSTER_HOSTS, BACKENDAI_CLUSTER_HOST, BACKENDAI_CLUSTER_ROLE', 'The session of Backend.AI we run in.'],
  ['SLURM_JOB_NODELIST, PBS_NODEFILE', 'The batch job we run in: @slurm, @pbs.'],
  ['ANSIBLE_INVENTORY', 'The file of @ansible.'],
  ['SSH_AUTH_SOCK', 'The agent.'],
  ['SSH_ASKPASS, SSH_ASKPASS_REQUIRE', 'A program that asks for passwords, as in ssh(1).'],
  [
    'XDG_CONFIG_HOME, XDG_CACHE_HOME',
    'Where the configuration is, and where answers of commands and compiled code are kept.',
  ],
  [
    'NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE',
    'The folder for compiled code instead of ~/.cache/bssh; anything: keep none.',
  ],
  ['NO_COLOR', 'Anything: no colours.'],
];

const environment = variables.map(([names, meaning]) => `.TP\n${bold(names)}\n${roff(meaning)}\n`).join('');

const files = paragraphs(
  './config.yaml, $XDG_CONFIG_HOME/bssh/config.yaml (or ~/.config/bssh/config.yaml), ~/.bssh/config.yaml: the first of them that exists holds the clusters. ~/.ssh/config and /etc/ssh/ssh_config as in ssh(1).',
);

export const manPage = (version: string): string => {
  const groups = optionGroups.map((group) => {
    const rows = options.filter((row) => row.group === group && !row.hidden);
    return `.SS ${roff(group)}\n${rows.map(entry).join('')}`;
  });
  const commands = subcommands.map(
    ({ name, positionals, help }) =>
      `.TP\n${bold(name)}${positionals && ` \\fI${roff(positionals)}\\fR`}\n${roff(help)}.\n`,
  );
  return [
    head(version),
    description,
    '.SH OPTIONS\n',
    ...groups,
    '.SH SUBCOMMANDS\n',
    ...commands,
    '.SH HOSTS\n',
    hosts,
    '.SH FILES\n',
    files,
    '.SH ENVIRONMENT\n',
    environment,
    '.SH EXIT STATUS\n',
    status,
    '.SH SEE ALSO\n.BR ssh (1),\n.BR ssh_config (5),\n.BR pdsh (1)\n',
  ].join('');
};
