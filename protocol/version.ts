/** Identification lines (RFC 4253 section 4.2): reading the peer's without trusting it, checking ours. */

import { Disconnect, SshError } from './errors.ts';
import { limits } from './limits.ts';
import { decodeUtf8, encodeUtf8 } from './wire/text.ts';

export interface PeerVersion {
  /** The line without CR LF, exactly as it came: it is hashed. */
  readonly line: Uint8Array;
  readonly text: string;
  readonly software: string;
}

const bad = (message: string): SshError =>
  new SshError('version', message, { by: 'peer', disconnect: Disconnect.protocolVersionNotSupported });

/** Collects bytes until the identification line is complete. Lines before it are allowed only from a server. */
export class VersionReader {
  readonly #allowBefore: boolean;
  #line: number[] = [];
  #before = 0;
  /** What a server said before its identification; shown at -v only. */
  readonly preamble: string[] = [];

  constructor(allowBefore: boolean) {
    this.#allowBefore = allowBefore;
  }

  /** Returns the version and how many bytes of `chunk` were used, or undefined when all were used and more are needed. */
  read(chunk: Uint8Array): { version: PeerVersion; used: number } | undefined {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      // RFC 4253 section 4.2 forbids it anywhere in here: whoever sends it will not come to a line's end either.
      if (byte === 0) throw bad('a null character before the identification line ends');
      if (byte !== 0x0a) {
        this.#line.push(byte);
        if (this.#line.length > limits.preIdentLineLength) throw bad('identification line too long');
        // A stream that cannot become "SSH-" nor is allowed another line first is refused at once.
        if (!this.#allowBefore && this.#line.length <= 4 && byte !== 'SSH-'.charCodeAt(this.#line.length - 1)) {
          throw bad('the peer does not speak SSH');
        }
        continue;
      }
      const line = Uint8Array.from(this.#line.at(-1) === 0x0d ? this.#line.slice(0, -1) : this.#line);
      this.#line = [];
      const text = decodeUtf8(line);
      if (text.startsWith('SSH-')) return { version: parse(line, text), used: i + 1 };
      if (!this.#allowBefore || ++this.#before > limits.preIdentLines) throw bad('no identification line');
      this.preamble.push(text);
    }
    return undefined;
  }
}

function parse(line: Uint8Array, text: string): PeerVersion {
  const match = /^SSH-([^-]*)-([^ ]*)(?: .*)?$/s.exec(text);
  if (line.length > limits.identLine - 2 || match === null) throw bad('unusable identification line');
  // RFC 4253 section 5.1: servers that also speak 1.x say 1.99.
  if (match[1] !== '2.0' && match[1] !== '1.99') throw bad(`protocol version ${match[1]} is not supported`);
  return { line, text, software: match[2]! };
}

/** Our line with CR LF; throws 'usage' when `software` cannot stand in one. */
export function identification(software: string): { line: Uint8Array; wire: Uint8Array } {
  if (!/^[\x21-\x2c\x2e-\x7e]+( [\x20-\x7e]+)?$/.test(software) || software.length > 200) {
    throw new SshError('usage', 'a software version is printable US-ASCII without blanks or minus signs');
  }
  const line = encodeUtf8(`SSH-2.0-${software}`);
  const wire = new Uint8Array(line.length + 2);
  wire.set(line);
  wire.set([0x0d, 0x0a], line.length);
  return { line, wire };
}
