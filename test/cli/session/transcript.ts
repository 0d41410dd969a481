// What stands on a terminal, and has scrolled off its top, after a program's output: enough of a terminal for a line editor.

const CONTROL = /\x1b\[([?0-9;]*)([A-Za-z])|\r|\n|\x08|[^\x00-\x1f\x7f]/gu;

/** Lines without the blanks at their ends. */
export function transcript(output: string): string[] {
  const lines: string[][] = [[]];
  let row = 0;
  let column = 0;
  for (const [text, parameter = '', command] of output.matchAll(CONTROL)) {
    const count = Number(parameter) || 1;
    const line = (lines[row] ??= []);
    if (text === '\r') column = 0;
    else if (text === '\n') row++;
    else if (text === '\b') column = Math.max(0, column - 1);
    else if (command === undefined) line[column++] = text;
    else if (command === 'A') row = Math.max(0, row - count);
    else if (command === 'B') row += count;
    else if (command === 'C') column += count;
    else if (command === 'D') column = Math.max(0, column - count);
    else if (command === 'G') column = count - 1;
    else if (command === 'K') line.length = Math.min(line.length, column);
    else if (command === 'J') {
      line.length = Math.min(line.length, column);
      lines.length = Math.min(lines.length, row + 1);
    }
  }
  return Array.from(lines, (line) =>
    Array.from(line ?? [], (each) => each ?? ' ')
      .join('')
      .trimEnd(),
  );
}
