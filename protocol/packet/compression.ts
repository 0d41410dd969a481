/**
 * Payload compression: none, zlib (RFC 4253 section 6.2) and zlib@openssh.com, which starts after authentication.
 *
 * One zlib stream (RFC 1950) runs through all packets of a direction until the next key exchange; each packet ends with
 * a partial flush. What inflates past `limits.inflatedPayload` is refused as soon as it does.
 */

import {
  Z_BUF_ERROR,
  type Z_CallStatus,
  Z_OK,
  Z_PARTIAL_FLUSH,
  Z_SYNC_FLUSH,
  ZStream,
  zlibDeflate,
  zlibDeflateInit,
  zlibInflate,
  zlibInflateInit,
} from 'pako';
import { Disconnect, SshError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Compressor } from './cipher.ts';

export interface CompressionRow {
  readonly name: string;
  readonly default: boolean;
  /** Starts with authentication's success instead of with NEWKEYS. */
  readonly delayed: boolean;
  /** Undefined for `none`. */
  readonly compressor: (() => Compressor) | undefined;
  readonly decompressor: (() => Compressor) | undefined;
}

/** OpenSSH's level: more costs time and wins little on a session's short packets. */
const level = 6;

const broken = (message: string): SshError =>
  new SshError('compression', message, { by: 'peer', disconnect: Disconnect.compressionError });

function point(stream: ZStream, input: Uint8Array, capacity: number): void {
  stream.input = input;
  stream.next_in = 0;
  stream.avail_in = input.length;
  stream.output = new Uint8Array(capacity);
  stream.next_out = 0;
  stream.avail_out = capacity;
}

/** More room for output, what is there being kept. */
function widen(stream: ZStream, capacity: number): void {
  const wider = new Uint8Array(capacity);
  wider.set(stream.output);
  stream.output = wider;
  stream.avail_out = capacity - stream.next_out;
}

/** What came out; not as a view when that would pin much more memory than it shows. */
function output(stream: ZStream): Uint8Array {
  const made = stream.output.subarray(0, stream.next_out);
  return made.length * 2 < stream.output.length ? made.slice() : made;
}

function compressor(): Compressor {
  const stream = new ZStream();
  zlibDeflateInit(stream, level);
  return {
    process(payload) {
      // Stored blocks are the worst case: five bytes for each 16 KiB, the stream's header and the flush.
      point(stream, payload, payload.length + (payload.length >> 10) + 64);
      let status: Z_CallStatus = zlibDeflate(stream, Z_PARTIAL_FLUSH);
      while (status === Z_OK && stream.avail_out === 0) {
        widen(stream, stream.output.length * 2);
        status = zlibDeflate(stream, Z_PARTIAL_FLUSH);
      }
      if (status !== Z_OK && status !== Z_BUF_ERROR) throw new SshError('compression', `deflate failed: ${stream.msg}`);
      return output(stream);
    },
  };
}

function decompressor(): Compressor {
  const stream = new ZStream();
  zlibInflateInit(stream);
  return {
    process(payload) {
      const { inflatedPayload } = limits;
      point(stream, payload, Math.min(inflatedPayload + 1, Math.max(512, payload.length * 4)));
      for (;;) {
        const status: Z_CallStatus = zlibInflate(stream, Z_SYNC_FLUSH);
        if (stream.next_out > inflatedPayload) throw broken(`packet inflates to more than ${inflatedPayload} bytes`);
        // BUF_ERROR: no input left and no output due, which is how a packet ends whose output filled the room exactly.
        if (status !== Z_OK && status !== Z_BUF_ERROR) throw broken(`broken zlib stream: ${stream.msg || status}`);
        if (stream.avail_out > 0) break;
        widen(stream, Math.min(inflatedPayload + 1, stream.output.length * 2));
      }
      if (stream.avail_in > 0) throw broken('zlib stream ends inside a packet');
      return output(stream);
    },
  };
}

export const compressionRows: readonly CompressionRow[] = [
  { name: 'none', default: true, delayed: false, compressor: undefined, decompressor: undefined },
  { name: 'zlib@openssh.com', default: true, delayed: true, compressor, decompressor },
  { name: 'zlib', default: true, delayed: false, compressor, decompressor },
];
