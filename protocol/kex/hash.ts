/** Exchange hash and key derivation: RFC 4253 sections 7.2 and 8. */

import type { CryptoProvider, HashName } from '../crypto/provider.ts';
import { Writer } from '../wire/writer.ts';

export interface HashInputs {
  /** Identification lines without CR LF. */
  readonly clientVersion: Uint8Array;
  readonly serverVersion: Uint8Array;
  /** KEXINIT payloads. */
  readonly clientInit: Uint8Array;
  readonly serverInit: Uint8Array;
  readonly hostKey: Uint8Array;
  /** The method's own fields. */
  readonly hashed: Uint8Array;
  /** K, encoded. */
  readonly secret: Uint8Array;
}

export function exchangeHash(crypto: CryptoProvider, hash: HashName, inputs: HashInputs): Uint8Array {
  const fixed = new Writer(1024)
    .string(inputs.clientVersion)
    .string(inputs.serverVersion)
    .string(inputs.clientInit)
    .string(inputs.serverInit)
    .string(inputs.hostKey)
    .finish();
  return crypto.hash(hash).update(fixed).update(inputs.hashed).update(inputs.secret).digest();
}

/** Derives `length` bytes for the letter 'A' to 'F': K1 = HASH(K || H || X || session_id), Kn = HASH(K || H || K1 .. Kn-1). */
export function deriveKey(
  crypto: CryptoProvider,
  hash: HashName,
  secret: Uint8Array,
  h: Uint8Array,
  letter: 'A' | 'B' | 'C' | 'D' | 'E' | 'F',
  sessionId: Uint8Array,
  length: number,
): Uint8Array {
  const out = new Uint8Array(length);
  let block = crypto
    .hash(hash)
    .update(secret)
    .update(h)
    .update(Uint8Array.of(letter.charCodeAt(0)))
    .update(sessionId)
    .digest();
  let have = 0;
  for (;;) {
    const part = block.subarray(0, Math.min(block.length, length - have));
    out.set(part, have);
    have += part.length;
    if (have >= length) break;
    block = crypto.hash(hash).update(secret).update(h).update(out.subarray(0, have)).digest();
  }
  return out;
}
