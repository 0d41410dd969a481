/**
 * A line typed at a raw terminal, edited as a terminal's own line discipline would: erase, kill, give up.
 *
 * Pure: a byte in, what it did out. Bytes, because a character may come in several reads.
 */

export type Typed =
  /** Shown when the line is to be seen. */
  | { readonly did: 'edit'; readonly echo: string }
  | { readonly did: 'line'; readonly line: string }
  /** Ctrl-C, Ctrl-\, Ctrl-Z; Ctrl-D on an empty line. */
  | { readonly did: 'interrupt' | 'quit' | 'suspend' | 'end' };

const LONGEST = 4096;
const RUBOUT = '\b \b';

export class LineInput {
  readonly #line: number[] = [];

  type(byte: number): Typed {
    switch (byte) {
      case 0x0a:
      case 0x0d:
        return { did: 'line', line: new TextDecoder().decode(Uint8Array.from(this.#line)) };
      case 0x03:
        return { did: 'interrupt' };
      case 0x1c:
        return { did: 'quit' };
      case 0x1a:
        return { did: 'suspend' };
      case 0x04:
        return this.#line.length === 0 ? { did: 'end' } : { did: 'edit', echo: '' };
      case 0x08:
      case 0x7f:
        return { did: 'edit', echo: this.#erase() ? RUBOUT : '' };
      case 0x15: {
        let echo = '';
        while (this.#erase()) echo += RUBOUT;
        return { did: 'edit', echo };
      }
      default:
        return { did: 'edit', echo: this.#add(byte) };
    }
  }

  /** A character of several bytes is shown with its last one. */
  #add(byte: number): string {
    if (byte < 0x20 || this.#line.length >= LONGEST) return '';
    this.#line.push(byte);
    if (byte < 0x80) return String.fromCharCode(byte);
    let first = this.#line.length - 1;
    while (first > 0 && (this.#line[first]! & 0xc0) === 0x80) first--;
    const text = new TextDecoder().decode(Uint8Array.from(this.#line.slice(first)));
    return text.includes('\ufffd') ? '' : text;
  }

  /** Takes the last character away, with all its bytes. */
  #erase(): boolean {
    if (this.#line.length === 0) return false;
    while ((this.#line.pop()! & 0xc0) === 0x80 && this.#line.length > 0);
    return true;
  }
}
