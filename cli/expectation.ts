/**
 * `--expect RE`: what a line of each host's standard output must match, looked for while the output passes by.
 *
 * Only a line is ever held. The expression is the user's own and is tried on at most 64 KiB of a line at a time.
 */

import { SshError } from '../client/index.ts';
import { usageError } from './options/usage.ts';
import { ShortLines } from './render/short-lines.ts';

export class Expectation {
  /** As typed. */
  readonly text: string;
  readonly regex: RegExp;

  constructor(text: string, regex: RegExp) {
    this.text = text;
    this.regex = regex;
  }

  /** `RE`, or `/RE/i`. */
  static parse(this: void, text: string): Expectation {
    const [, inner, flags] = /^\/(.*)\/([imsu]*)$/s.exec(text) ?? [];
    try {
      return new Expectation(text, new RegExp(inner ?? text, flags ?? ''));
    } catch (error) {
      throw usageError('cluster', `--expect: ${(error as Error).message}`);
    }
  }
}

/** The expectations of one host. */
export class Expected {
  private open: readonly Expectation[];
  private readonly lines = new ShortLines((line) => this.look(line));

  constructor(expectations: readonly Expectation[]) {
    this.open = expectations;
  }

  push(chunk: Uint8Array): void {
    if (this.open.length > 0) this.lines.push(chunk);
  }

  /** The output is over; the error says what did not come. */
  end(): SshError | undefined {
    if (this.open.length > 0) this.lines.end();
    const [missing] = this.open;
    return missing && new SshError('unexpected', `no line of its output matches ${missing.text}`, { by: 'peer' });
  }

  private look(line: Buffer): void {
    const text = line.toString().replace(/\r$/, '');
    if (this.open.some(({ regex }) => regex.test(text))) this.open = this.open.filter(({ regex }) => !regex.test(text));
  }
}
