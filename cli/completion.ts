/**
 * Completion scripts for bash, zsh and fish from the option table. Options, their choices and the subcommands are in the
 * script; the names of hosts and clusters come from bssh when the user asks for them.
 */

import { type OptionRow, options, subcommandNames, subcommands } from './options.ts';

const visible = options.filter((row) => !row.hidden);
const letters = (row: OptionRow): string[] => [...new Set([...(row.cluster ?? ''), ...(row.ssh ?? '')])];
const takes = (row: OptionRow): boolean => row.argument !== undefined && row.optional === undefined;

const clusterNames = 'bssh --generate names-clusters 2>/dev/null';
const hostNames = 'bssh --generate names-hosts 2>/dev/null';
const targetNames = 'bssh --generate names-targets 2>/dev/null';

/** What an argument is completed with; `targets` are lists of hosts and `@names`. */
type Source = 'files' | 'clusters' | 'hosts' | 'targets' | 'none' | readonly string[];

const sourceOf = (row: OptionRow): Source => {
  if (row.choices !== undefined) return row.choices;
  if (row.kind === 'path') return 'files';
  if (row.id === 'cluster') return 'clusters';
  if (row.id === 'hosts') return 'targets';
  return row.id === 'jump-host' ? 'hosts' : 'none';
};

const forms = (row: OptionRow): string[] => [...letters(row).map((letter) => `-${letter}`), `--${row.id}`];

const bashCase = (row: OptionRow): string | undefined => {
  const source = sourceOf(row);
  const reply = {
    files: '_bssh_files',
    clusters: `_bssh_words "$(${clusterNames})"`,
    hosts: `_bssh_list "$(${hostNames})"`,
    targets: `_bssh_list "$(${targetNames})"`,
    none: ':',
  };
  if (row.argument === undefined) return undefined;
  const words = typeof source === 'string' ? reply[source] : `_bssh_words "${source.join(' ')}"`;
  // a letter of both grammars belongs to the row of the cluster's
  const own = forms(row).filter(
    (form) => form.startsWith('--') || options.find((other) => letters(other).includes(form.slice(1))) === row,
  );
  // an optional argument is only ever attached
  const patterns = takes(row) ? own : [`--${row.id}=`];
  return `    ${patterns.join('|')}) ${words}; return ;;`;
};

/**
 * Bash cuts words behind `=` and `:` and in front of `@` as well; the word is taken from the line instead, and what bash
 * takes for finished is taken off the replies.
 */
export const bashCompletion = (): string => `# bash completion for bssh
_bssh_reply() {
  local IFS=$'\\n' kept=
  [[ -n $quote ]] || [[ $typed != *[@=:]* ]] || kept=\${typed%"\${typed##*[@=:]}"} kept=\${kept%@}
  COMPREPLY=($(compgen "$@" -P "$front" -- "$word"))
  [[ -z $kept ]] || COMPREPLY=("\${COMPREPLY[@]#"$kept"}")
}
_bssh_words() { _bssh_reply -W "\${1// /$'\\n'}"; }
_bssh_files() { compopt -o filenames 2>/dev/null; _bssh_reply -f; }
_bssh_list() {
  local last=\${word##*[,!\\&]}
  front+=\${word%"$last"} word=$last
  compopt -o nospace 2>/dev/null
  _bssh_words "$1"
}
_bssh() {
  local line=\${COMP_LINE:0:COMP_POINT} quote= front=
  local typed=\${line##*[[:space:]]} before=\${line%"\${line##*[[:space:]]}"}
  case $typed in
    [\\'\\"]*) quote=\${typed:0:1} typed=\${typed:1} ;;
  esac
  local word=$typed prev
  prev=\${before%"\${before##*[![:space:]]}"} prev=\${prev##*[[:space:]]}
  if [[ $word == --*=* ]]; then
    prev=\${word%%=*} front=$prev= word=\${word#*=}
    case $prev in
${visible
  .filter((row) => row.optional !== undefined)
  .map((row) => `      --${row.id}) prev=--${row.id}= ;;`)
  .join('\n')}
    esac
  fi
  case $prev in
${visible.map(bashCase).filter(Boolean).join('\n')}
  esac
  if [[ -n $front ]]; then
    :
  elif [[ $word == -* ]]; then
    _bssh_words "${visible.map(({ id }) => `--${id}`).join(' ')}"
  else
    local replies
    _bssh_files; replies=("\${COMPREPLY[@]}")
    if [[ $word == ?*@* ]]; then front=\${word%@*}@ word=\${word##*@}; fi
    _bssh_words "${subcommandNames.join(' ')} $(${hostNames})"
    COMPREPLY+=("\${replies[@]}")
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
  return { files: '_files', clusters: '_bssh_clusters', hosts: '_bssh_hosts', targets: '_bssh_targets', none: ' ' }[
    source
  ];
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
_bssh_hosts() { compadd -- \${(f)"$(${hostNames})"} }
_bssh_targets() {
  compset -P '*[,!&]'
  compadd -S '' -- \${(f)"$(${targetNames})"}
}
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
if [[ \${funcstack[1]} == _bssh ]]; then _bssh "$@"; else compdef _bssh bssh; fi
`;

const fishSource = (source: Source): string => {
  if (typeof source !== 'string') return ` -x -a '${source.join(' ')}'`;
  if (source === 'files') return ' -r -F';
  if (source === 'clusters') return ` -x -a '(${clusterNames})'`;
  if (source === 'targets') return ` -x -a '(__fish_complete_list , "${targetNames}")'`;
  return source === 'hosts' ? ` -x -a '(${hostNames})'` : ' -x';
};

const fishOption = (row: OptionRow): string => {
  const short = [...(row.cluster ?? '')].map((letter) => ` -s ${letter}`).join('');
  // an optional argument is only ever attached: fish completes the name alone
  const argument = takes(row) ? fishSource(sourceOf(row)) : '';
  return `complete -c bssh${short} -l ${row.id}${argument} -d '${quoted(row.help)}'`;
};

const noSubcommand = `not __fish_seen_subcommand_from ${subcommandNames.join(' ')}`;

export const fishCompletion = (): string => `# fish completion for bssh
${visible.map(fishOption).join('\n')}
${subcommands.map(({ name, help }) => `complete -c bssh -n '${noSubcommand}' -a ${name} -d '${quoted(help)}'`).join('\n')}
complete -c bssh -n '${noSubcommand}' -a '(${hostNames})'
`;

/** By the name that --generate takes. */
export const completionScripts: Readonly<Record<string, () => string>> = {
  'completion-bash': bashCompletion,
  'completion-zsh': zshCompletion,
  'completion-fish': fishCompletion,
};
