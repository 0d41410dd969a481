/** Puts lines on the terminal: only those that changed since the last time. */

export class Painter {
  #before: readonly string[] = [];

  /** What to write so that the screen has these lines; empty when it has them. */
  paint(lines: readonly string[]): string {
    let out = '';
    lines.forEach((line, at) => {
      // Erased before, not after: a full line leaves the cursor on its last character.
      if (line !== this.#before[at]) out += `\x1b[${at + 1};1H\x1b[K${line}`;
    });
    this.#before = lines;
    return out;
  }

  /** The terminal shows something else: everything is to be drawn. */
  forget(): void {
    this.#before = [];
  }
}
