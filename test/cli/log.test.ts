import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Log, type LogLevel, levelOf, openLogFile } from '../../cli/log.ts';

function logAt(level: LogLevel) {
  const lines: string[] = [];
  return { lines, log: new Log({ level, write: (text) => lines.push(text) }) };
}

describe('Log', () => {
  it('writes what its level wants, in the form of ssh(1)', () => {
    const counts = (['quiet', 'fatal', 'error', 'info', 'verbose', 'debug1', 'debug2', 'debug3'] as const).map(
      (level) => {
        const { lines, log } = logAt(level);
        log.fatal('f');
        log.error('e');
        log.info('i');
        log.verbose('v');
        log.debug(1, 'one\ntwo');
        log.debug(2, () => 'lazy');
        log.debug(3, 'three');
        return lines;
      },
    );
    expect(counts.map((lines) => lines.length)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(counts[7]).toEqual([
      'f\n',
      'e\n',
      'i\n',
      'v\n',
      'debug1: one\ndebug1: two\n',
      'debug2: lazy\n',
      'debug3: three\n',
    ]);
  });

  it('calls no function for a message nobody reads', () => {
    logAt('debug1').log.debug(2, () => expect.unreachable());
  });

  it('hides secrets and private keys', () => {
    const { lines, log } = logAt('info');
    log.hide('hunter22');
    log.hide('ab');
    log.info(
      'password hunter22 (hunter22!) about -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end',
    );
    log.info('-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb');
    expect(lines.join('')).toBe('password *** (***!) about [RSA PRIVATE KEY] end\n[OPENSSH PRIVATE KEY]\n');
  });

  it('makes what the peer said harmless, and serves a raw terminal', () => {
    const { lines, log } = logAt('info');
    log.raw = true;
    log.info('banner \x1b[2J\u202e');
    expect(lines).toEqual(['banner ^[[2J<U+202E>\r\n']);
  });

  it('appends to a log file that others share', () => {
    const dir = mkdtempSync(join(tmpdir(), 'bssh-log-'));
    const path = join(dir, 'log');
    const [one, two] = [openLogFile(path), openLogFile(path)];
    const log = new Log({ write: one.write });
    log.info('first');
    log.redirect(two.write);
    log.info('größer');
    one.write('third\n');
    one.close();
    two.close();
    expect(readFileSync(path, 'utf8')).toBe('first\ngrößer\nthird\n');
    rmSync(dir, { recursive: true });
  });

  it('counts -v and -q as ssh(1) does', () => {
    expect([levelOf(0, false), levelOf(1, false), levelOf(3, false), levelOf(9, false)]).toEqual([
      'info',
      'debug1',
      'debug3',
      'debug3',
    ]);
    expect([levelOf(0, true), levelOf(1, true), levelOf(0, false, 'error')]).toEqual(['quiet', 'debug1', 'error']);
  });
});
