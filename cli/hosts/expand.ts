/**
 * Host expressions: names, ranges, `@cluster` and `^file`, joined by `,` (and), `!` (without), `&` (in both) and `^` (in
 * one of the two), read from left to right as ClusterShell does. The result keeps the order of appearance, each host once.
 *
 * A bare name on the right of `!` or `&` means that host whatever its user and port.
 */

import { SshError } from '../../client/index.ts';
import { hostLimits } from './limits.ts';
import { type BadRange, expandRanges } from './range.ts';
import { type HostSpec, parseHostSpec } from './spec.ts';

export interface ExpressionSources<T extends HostSpec> {
  /** A host named in the expression itself. */
  readonly host: (spec: HostSpec) => T;
  /** `@name`; throws for an unknown one. */
  readonly cluster: (name: string) => readonly T[];
  /** `^path`; the words of the file. */
  readonly file: (path: string) => string;
}

type Operator = ',' | '!' | '&' | '^';

interface Term {
  readonly operator: Operator;
  readonly text: string;
}

const fail = (message: string, limit?: string): never => {
  throw new SshError('usage', message, { detail: { grammar: 'cluster', exit: 2, ...(limit && { limit }) } });
};

const isOperator = (char: string): char is Operator => char === ',' || char === '!' || char === '&' || char === '^';

const termEnd = (expression: string, start: number): number => {
  let depth = 0;
  for (let at = start; at < expression.length; at++) {
    const char = expression[at] as string;
    if (char === '[') depth++;
    else if (char === ']') depth--;
    else if (depth <= 0 && at > start && (isOperator(char) || /\s/.test(char))) return at;
  }
  return expression.length;
};

/**
 * Cuts at operators and blanks outside brackets. A `^` right behind a term is the operator; where a term should begin it
 * starts the name of a file.
 */
const splitTerms = (expression: string): Term[] => {
  const terms: Term[] = [];
  const shown = (): string => `'${expression.slice(0, 64)}'`;
  let operator: Operator = ',';
  let afterTerm = false;
  for (let at = 0; at < expression.length; ) {
    const char = expression[at] as string;
    if (char === ',' || /\s/.test(char)) {
      if (char === ',' && operator !== ',') fail(`${shown()}: nothing stands behind '${operator}'`);
      afterTerm = false;
      at++;
    } else if (char === '!' || char === '&' || (char === '^' && afterTerm)) {
      if (terms.length === 0) fail(`${shown()}: nothing stands before '${char}'`);
      if (operator !== ',') fail(`${shown()}: nothing stands between '${operator}' and '${char}'`);
      operator = char;
      afterTerm = false;
      at++;
    } else {
      const end = termEnd(expression, at);
      terms.push({ operator, text: expression.slice(at, end) });
      operator = ',';
      afterTerm = true;
      at = end;
    }
  }
  if (operator !== ',') fail(`${shown()}: nothing stands behind '${operator}'`);
  return terms;
};

export const specKey = ({ user, host, port }: HostSpec): string => `${user ?? ''}@${host}:${port ?? ''}`;

/** `right` names `left`: what it does not say does not matter. */
const names = (right: HostSpec, left: HostSpec): boolean =>
  (right.user === undefined || right.user === left.user) && (right.port === undefined || right.port === left.port);

const byHost = <T extends HostSpec>(specs: Iterable<T>): Map<string, T[]> => {
  const map = new Map<string, T[]>();
  for (const spec of specs) {
    const list = map.get(spec.host);
    if (list === undefined) map.set(spec.host, [spec]);
    else list.push(spec);
  }
  return map;
};

const meets = <T extends HostSpec>(spec: T, others: Map<string, T[]>): boolean =>
  others.get(spec.host)?.some((other) => names(other, spec) || names(spec, other)) ?? false;

const combine = <T extends HostSpec>(left: Map<string, T>, operator: Operator, right: readonly T[]): Map<string, T> => {
  if (operator === ',') {
    for (const spec of right) {
      const key = specKey(spec);
      if (!left.has(key)) left.set(key, spec);
    }
    if (left.size > hostLimits.expandedHosts) {
      fail(`more than ${hostLimits.expandedHosts} hosts`, 'expandedHosts');
    }
    return left;
  }
  const others = byHost(right);
  const kept = [...left].filter(([, spec]) => meets(spec, others) === (operator === '&'));
  if (operator !== '^') return new Map(kept);
  const ours = byHost(left.values());
  return combine(
    new Map(kept),
    ',',
    right.filter((spec) => !meets(spec, ours)),
  );
};

const expandWord = (word: string): HostSpec[] => {
  const words: string[] | BadRange = expandRanges(word);
  if ('bad' in words) return fail(words.bad, words.limit);
  return words.map((text) => {
    const spec = parseHostSpec(text);
    return 'bad' in spec ? fail(spec.bad) : spec;
  });
};

export const expandHosts = <T extends HostSpec>(expression: string, sources: ExpressionSources<T>, depth = 0): T[] => {
  if (expression.length > hostLimits.expressionLength) fail('the host list is too long', 'expressionLength');
  if (depth > hostLimits.fileDepth) fail('host files name each other too deeply', 'fileDepth');
  let set = new Map<string, T>();
  for (const { operator, text } of splitTerms(expression)) {
    let right: readonly T[];
    if (text.startsWith('@')) right = sources.cluster(text.slice(1));
    else if (text.startsWith('^'))
      right = expandHosts(hostfileExpression(sources.file(text.slice(1))), sources, depth + 1);
    else right = expandWord(text).map(sources.host);
    set = combine(set, operator, right);
  }
  return [...set.values()];
};

/** The names behind `@` in expressions and in the files they name, each once. */
export const groupNames = (expressions: readonly string[], file: (path: string) => string): string[] => {
  const names = new Set<string>();
  const seen = new Set<string>();
  const look = (expression: string): void => {
    for (const { text } of splitTerms(expression)) {
      if (text.startsWith('@')) names.add(text.slice(1));
      else if (text.startsWith('^') && !seen.has(text)) {
        seen.add(text);
        look(hostfileExpression(file(text.slice(1))));
      }
    }
  };
  for (const expression of expressions) if (/[@^]/.test(expression)) look(expression);
  return [...names];
};

/** A host file: expressions on one or more lines, `#` starts a comment at the line's start or after a blank. */
export const hostfileExpression = (text: string): string =>
  text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
    .join(',');
