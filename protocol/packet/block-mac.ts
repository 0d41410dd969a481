/**
 * A block cipher and a MAC side by side: CTR (RFC 4344 section 4) and CBC (RFC 4253 section 6.3) with either order of
 * encrypting and authenticating (MAC over the plaintext, RFC 4253 section 6.4, or OpenSSH's -etm over the ciphertext).
 *
 * The cipher's chaining state runs on from packet to packet. MAC-then-encrypt has to decrypt the first block to learn
 * the length; whatever else it finds, it looks at nothing before the MAC was right.
 */

import type { Cipher, CryptoProvider } from '../crypto/provider.ts';
import { release } from '../memory.ts';
import { getU32 } from '../wire/writer.ts';
import { type CipherRow, macFailed, type Opener, type PacketMac, type Sealer } from './cipher.ts';

type Direction = 'encrypt' | 'decrypt';
type Factory = (crypto: CryptoProvider, key: Uint8Array, iv: Uint8Array, direction: Direction) => Cipher;

/** What the cipher makes of `data`, written to `into` from `at` on. */
function transform(cipher: Cipher, data: Uint8Array, into: Uint8Array, at: number): void {
  const made = cipher.process(data);
  into.set(made, at);
  release(made);
}

function macFirstSealer(cipher: Cipher, blockSize: number, mac: PacketMac): Sealer {
  return {
    blockSize,
    lengthPadded: true,
    tagLength: mac.length,
    seal(sequence, packet) {
      const end = packet.length - mac.length;
      const plain = packet.subarray(0, end);
      packet.set(mac.compute(sequence, plain), end);
      transform(cipher, plain, packet, 0);
    },
  };
}

function macFirstOpener(
  crypto: CryptoProvider,
  cipher: Cipher,
  blockSize: number,
  mac: PacketMac,
  cbc: boolean,
): Opener {
  let first: Uint8Array = new Uint8Array(0); // the block that told the length, kept for `open`
  return {
    blockSize,
    lengthPadded: true,
    tagLength: mac.length,
    headLength: blockSize,
    readsOn: cbc,
    length(_sequence, head) {
      first = cipher.process(head);
      return getU32(first, 0);
    },
    open(sequence, packet) {
      const end = packet.length - mac.length;
      const plain = new Uint8Array(end);
      plain.set(first, 0);
      if (end > blockSize) transform(cipher, packet.subarray(blockSize, end), plain, blockSize);
      if (!crypto.equal(mac.compute(sequence, plain), packet.subarray(end))) throw macFailed('Corrupted MAC on input');
      return plain.subarray(4);
    },
  };
}

function encryptFirstSealer(cipher: Cipher, blockSize: number, mac: PacketMac): Sealer {
  return {
    blockSize,
    lengthPadded: false,
    tagLength: mac.length,
    seal(sequence, packet) {
      const end = packet.length - mac.length;
      transform(cipher, packet.subarray(4, end), packet, 4);
      packet.set(mac.compute(sequence, packet.subarray(0, end)), end);
    },
  };
}

function encryptFirstOpener(crypto: CryptoProvider, cipher: Cipher, blockSize: number, mac: PacketMac): Opener {
  return {
    blockSize,
    lengthPadded: false,
    tagLength: mac.length,
    headLength: 4,
    length: (_sequence, head) => getU32(head, 0),
    open(sequence, packet) {
      const end = packet.length - mac.length;
      if (!crypto.equal(mac.compute(sequence, packet.subarray(0, end)), packet.subarray(end))) {
        throw macFailed('Corrupted MAC on input');
      }
      return cipher.process(packet.subarray(4, end));
    },
  };
}

interface Shape {
  readonly name: string;
  readonly keyLength: number;
  readonly blockSize: number;
  readonly cbc: boolean;
  readonly default: boolean;
  readonly available: (crypto: CryptoProvider) => boolean;
  readonly factory: Factory;
}

function row({ factory, cbc, ...shape }: Shape): CipherRow {
  const { blockSize } = shape;
  return {
    ...shape,
    ivLength: blockSize,
    aead: false,
    sealer(crypto, key, iv, mac) {
      const cipher = factory(crypto, key, iv, 'encrypt');
      return (mac!.row.etm ? encryptFirstSealer : macFirstSealer)(cipher, blockSize, mac!.mac);
    },
    opener(crypto, key, iv, mac) {
      const cipher = factory(crypto, key, iv, 'decrypt');
      return mac!.row.etm
        ? encryptFirstOpener(crypto, cipher, blockSize, mac!.mac)
        : macFirstOpener(crypto, cipher, blockSize, mac!.mac, cbc);
    },
  };
}

const always = (): boolean => true;
const ctr = (bits: number): CipherRow =>
  row({
    name: `aes${bits}-ctr`,
    keyLength: bits / 8,
    blockSize: 16,
    cbc: false,
    default: true,
    available: always,
    factory: (crypto, key, iv) => crypto.aesCtr(key, iv),
  });
const cbc = (bits: number): CipherRow =>
  row({
    name: `aes${bits}-cbc`,
    keyLength: bits / 8,
    blockSize: 16,
    cbc: true,
    default: false,
    available: always,
    factory: (crypto, key, iv, direction) => crypto.aesCbc(key, iv, direction),
  });

export const ctrRows: readonly CipherRow[] = [ctr(128), ctr(192), ctr(256)];

/** Off by default, as in OpenSSH: wanted by old network gear only. */
export const cbcRows: readonly CipherRow[] = [
  cbc(128),
  cbc(192),
  cbc(256),
  row({
    name: '3des-cbc',
    keyLength: 24,
    blockSize: 8,
    cbc: true,
    default: false,
    available: (crypto) => crypto.tripleDesCbc !== undefined,
    factory: (crypto, key, iv, direction) => crypto.tripleDesCbc!(key, iv, direction),
  }),
];
