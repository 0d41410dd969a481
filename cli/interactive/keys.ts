/** Keys that do something of ours, taken out of what is typed before the line editor sees it. */

import { Transform, type TransformCallback } from 'node:stream';

/** `Ctrl+N`, `Alt+N`: what a terminal sends for it. The configuration takes nothing else. */
export function keyBytes(key: string): string {
  const letter = key.slice(-1).toLowerCase();
  return /^ctrl/i.test(key) ? String.fromCharCode(letter.charCodeAt(0) & 0x1f) : `\x1b${letter}`;
}

/** The editor's input: a terminal but for the keys that are bound. */
export class KeyFilter extends Transform {
  readonly isTTY = true;
  /** As a terminal has it: the editor asks its input for raw mode. */
  setRawMode: (on: boolean) => void = () => {};
  /** Sees what is typed first, and says what of it goes on. */
  intercept: (typed: string) => string = (typed) => typed;
  readonly #bound: readonly (readonly [bytes: string, act: () => void])[];

  constructor(bindings: readonly (readonly [key: string, act: () => void])[]) {
    super();
    this.#bound = bindings.map(([key, act]) => [keyBytes(key), act]);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    // A key arrives by itself; inside of more, which was pasted, bytes are text.
    const typed = chunk.toString('latin1');
    const found = this.#bound.find(([bytes]) => bytes === typed);
    if (found !== undefined) {
      found[1]();
      return done();
    }
    const text = chunk.toString();
    const rest = this.intercept(text);
    // What is not touched stays bytes: a character may come in two reads.
    done(null, rest === text ? chunk : Buffer.from(rest));
  }
}
