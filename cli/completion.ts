/**
 * Completion scripts for bash, zsh and fish from the option table. Options, their choices and the subcommands are in the
 * script; hosts come from ~/.ssh/config, clusters from `bssh list`, when the user asks for them.
 */

import { type OptionRow, options, subcommandNames, subcommands } from './options.ts';

const visible = options.filter((row) => !row.hidden);
const letters = (row: OptionRow): string[] => [...new Set([...(row.cluster ?? ''), ...(row.ssh ?? '')])];
const takes = (row: OptionRow): boolean => row.argument !== undefined && row.optional === undefined;

const clusterNames = 'bssh list --json 2>/dev/null | grep -o \'"cluster":"[^"]*"\' | cut -d\'"\' -f4 | sort -u';
const sshHosts =
  'awk \'tolower($1) == "host" { for (i = 2; i <= NF; i++) if ($i !~ /[*?!]/) print $i }\' ~/.ssh/config 2>/dev/null';

/** What an argument is completed with. */
type Source = 'files' | 'clusters' | 'hosts' | 'none' | readonly string[];

const sourceOf = (row: OptionRow): Source => {
  if (row.choices !== undefined) return row.choices;
  if (row.kind === 'path') return 'files';
  if (row.id === 'cluster') return 'clusters';
  return row.id === 'hosts' || row.id === 'jump-host' ? 'hosts' : 'none';
};

const forms = (row: OptionRow): string[] => [...letters(row).map((letter) => `-${letter}`), `--${row.id}`];

const bashCase = (row: OptionRow): string | undefined => {
  const source = sourceOf(row);
  const reply = {
    files: 'COMPREPLY=($(compgen -f -- "$cur"))',
    clusters: `COMPREPLY=($(compgen -W "$(${clusterNames})" -- "$cur"))`,
    hosts: `COMPREPLY=($(compgen -W "$(${sshHosts})" -- "$cur"))`,
    none: 'COMPREPLY=()',
  };
  if (!takes(row)) return undefined;
  const words =
    typeof source === 'string' ? reply[source] : `COMPREPLY=($(compgen -W "${source.join(' ')}" -- "$cur"))`;
  // a letter of both grammars belongs to the row of the cluster's
  const own = forms(row).filter(
    (form) => form.startsWith('--') || options.find((other) => letters(other).includes(form.slice(1))) === row,
  );
  return `    ${own.join('|')}) ${words}; return ;;`;
};

export const bashCompletion = (): string => `# bash completion for bssh
_bssh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  case $prev in
${visible.map(bashCase).filter(Boolean).join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "${visible.map(({ id }) => `--${id}`).join(' ')}" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "${subcommandNames.join(' ')} $(${sshHosts})" -- "$cur") $(compgen -f -- "$cur"))
  fi
}
complete -F _bssh bssh
`;

/** Inside single quotes of a shell. */
const quoted = (text: string): string => text.replaceAll("'", "'\\''");
/** In the brackets and behind the colons of zsh's _arguments. */
const zshText = (text: string): string => quoted(text).replace(/[[\]:\\]/g, '\\$&');

const zshAction = (source: Source): string => {
  if (typeof source !== 'string') return `(${source.join(' ')})`;
  return { files: '_files', clusters: '_bssh_clusters', hosts: '_bssh_hosts', none: '' }[source];
};

const zshOption = (row: OptionRow): string => {
  const own = forms(row).filter((form) => form.startsWith('--') || (row.cluster ?? '').includes(form.slice(1)));
  const repeat = row.repeatable ? '*' : '';
  const argument = row.argument === undefined ? '' : `:${zshText(row.argument)}:${zshAction(sourceOf(row))}`;
  return own
    .map((form) => {
      const attached =
        form.startsWith('--') && row.argument !== undefined ? (row.optional === undefined ? '=' : '=-') : '';
      return `    '${repeat}${form}${attached}[${zshText(row.help)}]${argument && (row.optional === undefined ? argument : `:${argument}`)}'`;
    })
    .join(' \\\n');
};

export const zshCompletion = (): string => `#compdef bssh
_bssh_clusters() { compadd -- \${(f)"$(${clusterNames})"} }
_bssh_hosts() { compadd -- \${(f)"$(${sshHosts})"} }
_bssh_first() {
  local -a commands=(
${subcommands.map(({ name, help }) => `    '${name}:${zshText(help)}'`).join('\n')}
  )
  _describe command commands
  _bssh_hosts
}
_bssh() {
  _arguments -S \\
${visible.map(zshOption).join(' \\\n')} \\
    '1: :_bssh_first' '*::argument:_files'
}
_bssh "$@"
`;

const fishSource = (source: Source): string => {
  if (typeof source !== 'string') return ` -x -a '${source.join(' ')}'`;
  if (source === 'files') return ' -r -F';
  if (source === 'clusters') return ` -x -a '(${quoted(clusterNames)})'`;
  return source === 'hosts' ? ` -x -a '(${quoted(sshHosts)})'` : ' -x';
};

const fishOption = (row: OptionRow): string => {
  const short = [...(row.cluster ?? '')].map((letter) => ` -s ${letter}`).join('');
  // an optional argument is only ever attached: fish completes the name alone
  const argument = takes(row) ? fishSource(sourceOf(row)) : '';
  return `complete -c bssh${short} -l ${row.id}${argument} -d '${quoted(row.help)}'`;
};

export const fishCompletion = (): string => `# fish completion for bssh
${visible.map(fishOption).join('\n')}
${subcommands.map(({ name, help }) => `complete -c bssh -n __fish_use_subcommand -a ${name} -d '${quoted(help)}'`).join('\n')}
complete -c bssh -n __fish_use_subcommand -a '(${quoted(sshHosts)})'
`;

/** By the name that --generate takes. */
export const completionScripts: Readonly<Record<string, () => string>> = {
  'completion-bash': bashCompletion,
  'completion-zsh': zshCompletion,
  'completion-fish': fishCompletion,
};
