/** Rows about files and information, and the switches that are not about any host. */

import type { OptionRow } from '../options.ts';

const both = (letter: string): { ssh: string; cluster: string } => ({ ssh: letter, cluster: letter });

export const generalRows: readonly OptionRow[] = [
  {
    id: 'config',
    argument: 'FILE',
    kind: 'path',
    group: 'Files and information',
    help: 'Cluster configuration file [~/.config/bssh/config.yaml]',
    ready: true,
  },
  {
    id: 'log-file',
    ...both('E'),
    argument: 'FILE',
    kind: 'path',
    group: 'Files and information',
    help: 'Append messages to this file instead of standard error',
    ready: true,
  },
  {
    id: 'syslog',
    ...both('y'),
    group: 'Files and information',
    help: 'Messages to the system log, by way of logger(1)',
    ready: true,
  },
  {
    id: 'verbose',
    ...both('v'),
    repeatable: true,
    group: 'Files and information',
    help: 'Say more (-v, -vv, -vvv)',
    ready: true,
  },
  {
    id: 'silent',
    ...both('q'),
    sets: [{ keyword: 'LogLevel', value: 'QUIET', mode: 'replace' }],
    group: 'Files and information',
    help: 'No warnings and diagnostics',
    ready: true,
  },
  {
    id: 'crypto',
    argument: 'NAME',
    choices: ['node', 'noble'],
    group: 'Files and information',
    help: 'Cryptography from Node.js or in TypeScript alone [node]',
    ready: true,
  },
  {
    id: 'ssh',
    group: 'Files and information',
    help: 'Only what ssh(1) does: no clusters, no subcommands',
    ready: true,
  },
  {
    id: 'pdsh',
    group: 'Files and information',
    help: 'As the first word: the others are read as pdsh(1) reads them',
    ready: true,
  },
  {
    id: 'dump',
    ...both('G'),
    group: 'Files and information',
    help: 'Print the settings for the host and stop',
    ready: true,
  },
  {
    id: 'query',
    ...both('Q'),
    argument: 'WHAT',
    group: 'Files and information',
    help: 'List supported algorithms: cipher, mac, kex, key, sig ... or help',
    ready: true,
  },
  {
    id: 'generate',
    argument: 'WHAT',
    choices: ['man', 'completion-bash', 'completion-zsh', 'completion-fish'],
    group: 'Files and information',
    help: 'Print the man page or a completion script',
    hidden: true,
    ready: true,
  },
  {
    id: 'help',
    ...both('h'),
    own: 'h',
    group: 'Files and information',
    help: 'Print this help',
    ready: true,
  },
  {
    id: 'version',
    ...both('V'),
    group: 'Files and information',
    help: 'Print the version',
    ready: true,
  },
];
