import { describe, expect, it } from 'vitest';
import { HistorySearch } from '../../../cli/interactive/history-search.ts';

const history = ['ls -l', 'echo two', 'ls -l', 'echo one'];

describe('searching the history', () => {
  it('finds the newest line first, and goes back', () => {
    const search = new HistorySearch(history);
    for (const typed of ['e', 'ch']) expect(search.feed(typed)).toEqual({ kind: 'show' });
    expect([search.prompt, search.match]).toEqual(["(reverse-i-search)`ech': ", 'echo two']);
    search.feed('\x12');
    expect(search.match).toBe('echo one');
    search.feed('\x12');
    expect([search.prompt, search.match]).toEqual(["(failed reverse-i-search)`ech': ", 'echo one']);
    expect(search.feed('\r')).toEqual({ kind: 'accept', rest: '\r' });
  });

  it('takes characters back, and looks anew', () => {
    const search = new HistorySearch(history);
    for (const typed of 'onex') search.feed(typed);
    expect(search.prompt).toMatch(/^\(failed/);
    search.feed('\x7f');
    expect([search.prompt, search.match]).toEqual(["(reverse-i-search)`one': ", 'echo one']);
  });

  it('is left by cursor keys, Escape, and given up by Ctrl-G and Ctrl-C', () => {
    const search = new HistorySearch(history);
    expect(search.feed('\x1b[D')).toEqual({ kind: 'accept', rest: '\x1b[D' });
    expect(search.feed('\x1b')).toEqual({ kind: 'accept', rest: '' });
    expect(search.feed('\x07')).toEqual({ kind: 'cancel' });
    expect(search.feed('\x03')).toEqual({ kind: 'cancel' });
  });
});
