/**
 * Command lines over the command table: quotes, `$NAME`, `;`, `&&`, `||` and `>&2`. And a shell that reads such lines,
 * with a prompt when it has a terminal. Nothing here is a real shell: no pipes, no files, no jobs.
 */

import type { Command, CommandContext, CommandResult, Output } from './options.ts';

type Token = { readonly word: string } | { readonly operator: string };

/** Words and operators; quotes as sh has them. */
export function tokenize(line: string, env: ReadonlyMap<string, string>): Token[] {
  const tokens: Token[] = [];
  let word: string | undefined;
  const flush = (): void => {
    if (word !== undefined) tokens.push({ word });
    word = undefined;
  };
  const pattern = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|\$\{?(\w+|\?)\}?|(;|&&|\|\||>&2|1>&2|\n)|(\s+)|([\s\S])/gu;
  for (const [, single, double, escaped, name, operator, blank, plain] of line.matchAll(pattern)) {
    if (blank !== undefined) flush();
    else if (operator !== undefined) {
      flush();
      tokens.push({ operator: operator === '\n' ? ';' : operator.replace('1>', '>') });
    } else {
      const inQuotes = double?.replace(/\\(.)|\$\{?(\w+|\?)\}?/g, (_, c, n) => c ?? env.get(n) ?? '');
      word = (word ?? '') + (single ?? inQuotes ?? escaped ?? (name === undefined ? plain : (env.get(name) ?? '')));
    }
  }
  flush();
  return tokens;
}

/** Runs one line; the result is that of the command which ran last. */
export async function runLine(
  line: string,
  table: ReadonlyMap<string, Command>,
  context: Omit<CommandContext, 'args'>,
): Promise<{ readonly result: CommandResult; readonly exit: boolean }> {
  const { env } = context;
  let result: CommandResult = 0;
  let words: string[] = [];
  let toStderr = false;
  let skip = false;
  for (const token of [...tokenize(line, env), { operator: ';' }]) {
    if ('word' in token) words.push(token.word);
    else if (token.operator === '>&2') toStderr = true;
    else {
      if (words.length > 0 && !skip) {
        const stdout: Output = toStderr ? context.stderr : context.stdout;
        result = await runWords(words, table, { ...context, stdout });
        if (!context.signal.aborted) env.set('?', typeof result === 'number' ? String(result) : '255');
        if (words[0] === 'exit' || typeof result !== 'number' || context.signal.aborted) return { result, exit: true };
      }
      if (token.operator === '&&') skip = result !== 0;
      else skip = token.operator === '||' && result === 0;
      words = [];
      toStderr = false;
    }
  }
  return { result, exit: false };
}

async function runWords(
  words: readonly string[],
  table: ReadonlyMap<string, Command>,
  context: Omit<CommandContext, 'args'>,
): Promise<CommandResult> {
  const assignment = /^(\w+)=([\s\S]*)$/.exec(words[0]!);
  if (words.length === 1 && assignment !== null) {
    context.env.set(assignment[1]!, assignment[2]!);
    return 0;
  }
  const command = table.get(words[0]!);
  if (command === undefined) {
    await context.stderr(`sh: 1: ${words[0]}: not found\n`);
    return 127;
  }
  return command({ ...context, args: words.slice(1) });
}

/** Runs `step` under the terminal's ^C: settles with 130 when that comes first. */
export type Interruptible = <T>(step: (signal: AbortSignal) => Promise<T>) => Promise<T | 'interrupted'>;

/** Reads lines until `exit` or the end of the input. */
export async function runShell(
  table: ReadonlyMap<string, Command>,
  context: Omit<CommandContext, 'args'>,
  interruptible: Interruptible,
): Promise<CommandResult> {
  const { stdin, stdout, pty, user, host, env } = context;
  let status: CommandResult = 0;
  for (;;) {
    if (pty !== undefined) await stdout(`${user}@${host.hostname}:~$ `);
    const line = await interruptible(() => stdin.readLine());
    if (line === undefined) {
      if (pty !== undefined) await stdout('logout\n');
      return status;
    }
    if (line === 'interrupted') {
      env.set('?', '130');
      await stdout('\n');
      continue;
    }
    const done = await interruptible((signal) => runLine(line, table, { ...context, signal }));
    if (done === 'interrupted') {
      status = 130;
      env.set('?', '130');
      await stdout('\n');
      continue;
    }
    status = done.result;
    if (done.exit) return status;
  }
}
