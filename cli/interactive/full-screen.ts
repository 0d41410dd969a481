/** Programs that need a terminal of their own, which several nodes at once cannot give. Pure. */

const ALWAYS = /^/;

/** By name, the arguments with which they need one. */
const PROGRAMS: Readonly<Record<string, RegExp>> = {
  vi: ALWAYS,
  vim: /^(?!.*(?:^|\s)-\w*[eE]s)/,
  nvim: /^(?!.*--headless)/,
  view: ALWAYS,
  vimdiff: ALWAYS,
  nano: ALWAYS,
  pico: ALWAYS,
  emacs: /^(?!.*--(?:batch|script|daemon))/,
  top: /^(?!.*(?:^|\s)-\w*b)/,
  htop: ALWAYS,
  btop: ALWAYS,
  atop: /^(?!.*(?:^|\s)-[wr])/,
  iotop: /^(?!.*(?:^|\s)(?:-\w*b|--batch))/,
  nmon: /^(?!.*(?:^|\s)-[fF])/,
  watch: ALWAYS,
  mc: ALWAYS,
  tmux: /^\s*$|^\s*(?:a|at|att|attach|attach-session|new|new-session)\b(?!.*(?:^|\s)-\w*d)/,
  screen: /^(?!.*(?:^|\s)(?:-ls|-list|-dm\w*|-X))/,
  visudo: /^(?!.*(?:^|\s)-\w*c)/,
};

/** What stands in front of a program's name without being it. */
const LEADING = /^(?:\s*(?:[A-Za-z_]\w*=\S*|command|exec|nohup|time|env|sudo(?:\s+-[ugh]\s+\S+|\s+-\w+)*)\s+)*/;

const QUOTED = /'[^']*'|"(?:\\.|[^"\\])*"/gs;

/** The name of the program on the line that wants the whole screen; undefined when there is none. */
export function fullScreenProgram(line: string): string | undefined {
  for (const part of line.replace(QUOTED, "''").split(/&&|\|\||[;|&]/)) {
    const [, word = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(part.replace(LEADING, '')) ?? [];
    const name = word.slice(word.lastIndexOf('/') + 1);
    const wanting = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined;
    if (wanting?.test(rest)) return name;
  }
  return undefined;
}
