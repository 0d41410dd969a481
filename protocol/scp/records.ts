/**
 * The lines of SCP, the protocol that `scp -f` and `scp -t` speak: rcp's, which no RFC describes. `C` begins a file, `D`
 * a directory, `E` ends one, `T` gives the times of what follows. Each is answered by a byte: 0 for "go on", 1 or 2 and
 * a line of text for a problem, 2 being the last word. Says nothing about whether a name is safe to use.
 */

import { malformed, SshError } from '../errors.ts';
import { decodeName, encodeName } from '../sftp/names.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/text.ts';

/** Seconds since 1970. */
export interface ScpTimes {
  readonly mtime: number;
  readonly atime: number;
}

export interface ScpEntry {
  readonly kind: 'file' | 'directory';
  /** Permission bits. */
  readonly mode: number;
  /** Of a directory: 0. */
  readonly size: number;
  /** As `decodeName` maps it; whatever the other side sent, `..` and slashes included. */
  readonly name: string;
}

export type ScpRecord = ScpEntry | ({ readonly kind: 'times' } & ScpTimes) | { readonly kind: 'end' };

export const NEWLINE = 0x0a;

export function encodeRecord(record: ScpRecord): Uint8Array {
  switch (record.kind) {
    case 'end':
      return encodeUtf8('E\n');
    case 'times':
      return encodeUtf8(`T${record.mtime} 0 ${record.atime} 0\n`);
    default: {
      const { kind, mode, size, name } = record;
      // A newline would end the line: the rest of the name would be an order of its own.
      if (/[\n\0]/.test(name) || name === '') {
        throw new SshError('unsupported', `SCP cannot carry the name ${JSON.stringify(name)}`, { detail: { name } });
      }
      const octal = (mode & 0o7777).toString(8).padStart(4, '0');
      return encodeName(`${kind === 'file' ? 'C' : 'D'}${octal} ${size} ${name}\n`);
    }
  }
}

/** A line without its newline. */
export function decodeRecord(line: Uint8Array): ScpRecord {
  const text = decodeName(line);
  if (text === 'E') return { kind: 'end' };
  const times = /^T(\d{1,15}) \d{1,9} (\d{1,15}) \d{1,9}$/.exec(text);
  if (times) return { kind: 'times', mtime: Number(times[1]), atime: Number(times[2]) };
  const entry = /^([CD])([0-7]{4}) (\d{1,16}) (.*)$/s.exec(text);
  const size = Number(entry?.[3]);
  if (!entry || !Number.isSafeInteger(size)) throw malformed(`no line of SCP: ${JSON.stringify(text.slice(0, 80))}`);
  const kind = entry[1] === 'C' ? 'file' : 'directory';
  return { kind, mode: Number.parseInt(entry[2]!, 8), size: kind === 'file' ? size : 0, name: entry[4]! };
}

export const GO_ON: Uint8Array = Uint8Array.of(0);

/** The answer that refuses one entry and lets the rest go on. */
export const encodeProblem = (text: string): Uint8Array => encodeUtf8(`\u0001${text.replaceAll('\n', ' ')}\n`);

/** What the other side says is wrong, without the name it calls itself by. */
export const problemText = (line: Uint8Array): string => decodeUtf8(line).replace(/^scp: (warning: )?/, '');
