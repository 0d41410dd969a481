/** A line cut into words as a POSIX shell does: quotes, backslashes, `#` comments. Nothing is expanded. */

/** The words, or what is wrong as a text. */
export const shellWords = (line: string): string[] | string => {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (quote !== '') {
      if (char === quote) quote = '';
      else if (char === '\\' && quote === '"' && /["\\]/.test(line[at + 1] ?? '')) word += line[++at] as string;
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '\\' && at + 1 < line.length) {
      word = (word ?? '') + (line[++at] as string);
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '#') {
      break;
    } else word = (word ?? '') + char;
  }
  if (quote !== '') return `a ${quote} is not closed`;
  if (word !== undefined) words.push(word);
  return words;
};
