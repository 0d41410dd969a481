/**
 * A YAML text as a checked tree: every error has its file, line and column. The package `yaml` parses; aliases are followed
 * here, within a bound, so that a few lines of anchors cannot stand for millions of values.
 */

import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { SshError } from '../../client/index.ts';
import { nearest } from '../options/usage.ts';

export type { Node } from 'yaml';

export const configLimits = {
  /** Values looked at, aliases counted each time: the same list of hosts, four times. */
  values: 500_000,
  /** Mappings within mappings; ours has four levels. */
  depth: 32,
} as const;

export interface Field {
  readonly key: string;
  readonly at: Node;
  readonly value: Node;
}

export class ConfigDocument {
  readonly #file: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  #visited = 0;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: true,
      stringKeys: true,
      version: '1.2',
    });
  }

  /** The first thing that is no YAML at all. */
  syntaxError(): SshError | undefined {
    const error = this.#document.errors[0];
    if (error === undefined) return undefined;
    const message = error.code === 'DUPLICATE_KEY' ? 'this key stands here twice' : error.message.split('\n')[0];
    return this.#error(error.pos[0], `${message}`);
  }

  get root(): Node | null {
    return this.#document.contents;
  }

  /** `file:line`, for messages that come later. */
  place(node: Node): string {
    return `${this.#file}:${this.#lines.linePos(node.range?.[0] ?? 0).line}`;
  }

  fail(node: Node | null, message: string, suggestion?: string): never {
    throw this.#error(node?.range?.[0] ?? 0, message, suggestion);
  }

  #error(offset: number, message: string, suggestion?: string): SshError {
    const { line, col } = this.#lines.linePos(offset);
    const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
    // an empty document has no lines at all
    const at = { line: Math.max(line, 1), column: Math.max(col, 1) };
    return new SshError('config', `${this.#file}:${at.line}:${at.column}: ${message}${hint}`, {
      detail: { file: this.#file, ...at, ...(suggestion && { suggestion }) },
    });
  }

  /** The node itself, an alias replaced by what it stands for. */
  resolve(node: unknown, at: Node | null): Node | null {
    if (++this.#visited > configLimits.values) this.fail(at, 'too many values: are aliases repeating each other?');
    if (!isAlias(node)) return (node as Node | null | undefined) ?? null;
    const target = node.resolve(this.#document);
    return target ?? this.fail(node, `the alias *${node.source} stands for nothing`);
  }

  isMapping(node: Node | null): boolean {
    return isMap(this.resolve(node, node));
  }

  /** The fields of a mapping, those of a merged one (`<<`) last. Known keys only; null or missing is an empty mapping. */
  fields(given: Node | null, what: string, known: readonly string[] | undefined, depth = 0): Field[] {
    const node = this.resolve(given, given);
    if (node === null || (isScalar(node) && node.value === null)) return [];
    if (!isMap(node)) this.fail(given, `${what} is a mapping`);
    if (depth > configLimits.depth) this.fail(given, 'nested too deeply');
    const fields: Field[] = [];
    const merged: Field[] = [];
    for (const pair of node.items) {
      const at = pair.key as Node;
      const key = isScalar(at) ? String(at.value) : this.fail(at, `a key of ${what} is a word`);
      const value = this.resolve(pair.value, at);
      if (key === '<<') merged.push(...this.#merge(value, at, what, known, depth));
      else if (known !== undefined && !known.includes(key)) {
        this.fail(at, `${what} has no key '${key}'`, nearest(key, known));
      } else fields.push({ key, at, value: value ?? this.fail(at, `${key} has no value`) });
    }
    const own = new Set(fields.map((field) => field.key));
    for (const field of merged) {
      if (own.has(field.key)) continue;
      own.add(field.key);
      fields.push(field);
    }
    return fields;
  }

  #merge(value: Node | null, at: Node, what: string, known: readonly string[] | undefined, depth: number): Field[] {
    if (isMap(value)) return this.fields(value, what, known, depth + 1);
    if (isSeq(value)) return value.items.flatMap((item) => this.fields(item as Node, what, known, depth + 1));
    return this.fail(at, '<< takes a mapping');
  }

  items(given: Node, what: string): Node[] {
    const node = this.resolve(given, given);
    if (!isSeq(node)) return this.fail(given, `${what} is a list`);
    return node.items.map((item) => this.resolve(item, given) ?? this.fail(given, `${what} has an empty entry`));
  }

  isList(node: Node): boolean {
    return isSeq(node);
  }

  scalar(node: Node): unknown {
    return isScalar(node) ? node.value : undefined;
  }

  text(node: Node, what: string): string {
    const value = this.scalar(node);
    if (typeof value === 'number' || typeof value === 'boolean') {
      // 1.10 and 007 are names as they are written, whatever YAML takes them for
      return isScalar(node) && typeof node.source === 'string' ? node.source : String(value);
    }
    return typeof value === 'string' ? value : this.fail(node, `${what} is a text`);
  }

  flag(node: Node, what: string): boolean {
    const value = this.scalar(node);
    return typeof value === 'boolean' ? value : this.fail(node, `${what} is true or false`);
  }

  oneOf<T extends string>(node: Node, what: string, choices: readonly T[]): T {
    const text = this.text(node, what);
    const found = choices.find((choice) => choice === text);
    return found ?? this.fail(node, `${what} is one of ${choices.join(', ')}, not '${text}'`, nearest(text, choices));
  }
}
