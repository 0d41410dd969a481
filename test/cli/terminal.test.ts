import { describe, expect, it } from 'vitest';
import {
  cutToWidth,
  neutralise,
  neutraliseBytes,
  neutraliseLine,
  padToWidth,
  shortNames,
  textWidth,
  wantsColor,
} from '../../cli/terminal.ts';

describe('neutralise', () => {
  it('shows controls, drops colours, keeps text', () => {
    expect(neutralise('a\x1b[1;31mb\x1b[0mc\td\n')).toBe('abc\td\n');
    expect(neutralise('\x1b[2J\x07\x00\r\x7f')).toBe('^[[2J^G^@^M^?');
    expect(neutralise('\x9b31m|\x9b2J|\x85')).toBe('|<U+009B>2J|<U+0085>');
    expect(neutralise('a\u202eb\u2066c\u200ed\ufeff')).toBe('a<U+202E>b<U+2066>c<U+200E>d<U+FEFF>');
    expect(neutralise('lone \ud800 surrogate')).toBe('lone \ufffd surrogate');
    expect(neutralise('größe 日本 👩‍💻 नमस्ते')).toBe('größe 日本 👩‍💻 नमस्ते');
    expect(neutralise(Buffer.from([0x61, 0xff, 0xc3, 0x28]))).toBe('a\ufffd\ufffd(');
    expect(neutraliseLine('a\nb')).toBe('a^Jb');
  });

  it('leaves nothing a terminal obeys, whatever two characters meet', () => {
    for (let a = 0; a < 0x100; a++) {
      for (const b of ['', '[', ']', 'm', '\x1b', '\x9b', '1m']) {
        for (const text of [`${String.fromCharCode(a)}${b}`, `\x1b[${String.fromCharCode(a)}${b}`, `\x1b\x1b[1m${b}`]) {
          expect(neutralise(text)).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
        }
      }
    }
  });

  it('hands plain lines on as they are and takes the CR of CR LF away', () => {
    const plain = Buffer.from('plain\ttext');
    expect(neutraliseBytes(plain)).toBe(plain);
    expect(Buffer.from(neutraliseBytes(Buffer.from('x\r'))).toString()).toBe('x');
  });
});

describe('width', () => {
  it('counts columns', () => {
    expect(['abc', 'größe', 'e\u0301', '日本', 'ｆｕ', '한글', '👍', 'a\u200db', '…', '─'].map(textWidth)).toEqual([
      3, 5, 1, 4, 4, 4, 2, 2, 1, 1,
    ]);
  });

  it('cuts and pads by columns', () => {
    expect(cutToWidth('日本語', 6)).toBe('日本語');
    expect(cutToWidth('日本語', 5)).toBe('日本…');
    expect(cutToWidth('日本語', 4)).toBe('日…');
    expect(cutToWidth('abc', 0)).toBe('');
    expect(padToWidth('日', 4)).toBe('日  ');
  });
});

describe('colour', () => {
  it('is for terminals, unless somebody says otherwise', () => {
    expect(wantsColor('auto', true, {})).toBe(true);
    expect(wantsColor('auto', false, {})).toBe(false);
    expect(wantsColor('auto', true, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColor('auto', true, { NO_COLOR: '' })).toBe(true);
    expect(wantsColor('auto', true, { TERM: 'dumb' })).toBe(false);
    expect(wantsColor('always', false, { NO_COLOR: '1' })).toBe(true);
    expect(wantsColor('never', true, {})).toBe(false);
  });
});

describe('short names', () => {
  it('lose the domain they share, and only that', () => {
    expect(shortNames(['a.x.org', 'b.x.org'])).toEqual(['a', 'b']);
    expect(shortNames(['a.x.org', 'a.y.org'])).toEqual(['a.x', 'a.y']);
    expect(shortNames(['x.org', 'a.x.org'])).toEqual(['x', 'a.x']);
    expect(shortNames(['10.0.0.1', '10.1.0.1'])).toEqual(['10.0.0.1', '10.1.0.1']);
    expect(shortNames(['node1'])).toEqual(['node1']);
    expect(shortNames([])).toEqual([]);
  });
});
