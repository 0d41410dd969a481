/**
 * The provider on node:crypto. Each row is taken only when a small test of it passes here, never by a version number:
 * Node may be built without an algorithm, and other runtimes offer `node:crypto` in part.
 *
 * Nothing here loads @noble's AES or curves: with every row in place `nodeCrypto()` is complete without them.
 */

import { createECDH, diffieHellman, ECDH, randomBytes, timingSafeEqual, verify } from 'node:crypto';
import {
  argon2,
  type CryptoProvider,
  createMlkem768,
  createSntrup761,
  type HashName,
  modpGroups,
  poly1305 as poly1305InScript,
  SshError,
} from '../protocol/index.ts';
import { ecdh, ffdh, x25519 } from './node-agreement.ts';
import { aesBlock, aesCbc, aesCtr, aesGcm, chacha20, hash, hmac, pbkdf2, plain, tripleDesCbc } from './node-ciphers.ts';
import { dhPublic, dsaPublic, ed25519Private, rsaPublic, x25519Public } from './node-keys.ts';
import { curves, dsa, ecdsa, ed25519, rsa } from './node-signatures.ts';
import { createPoly1305 } from './poly1305-wasm.ts';

type Rows = Required<Omit<CryptoProvider, 'name' | 'overrides' | 'kem' | 'argon2'>>;

const random: Rows['random'] = (length) => plain(randomBytes(length));
const equal: Rows['equal'] = (a, b) => a.length === b.length && timingSafeEqual(a, b);

let poly1305Engine: Rows['poly1305'] | undefined;
/** Compiled at first use: most connections never need it. */
const poly1305: Rows['poly1305'] = (key, data) => {
  if (poly1305Engine === undefined) {
    try {
      poly1305Engine = createPoly1305();
    } catch {
      // WebAssembly may be switched off, by --jitless for one.
      poly1305Engine = poly1305InScript;
    }
  }
  return poly1305Engine(key, data);
};

const hashNames: readonly HashName[] = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'];
const curveNames = ['p256', 'p384', 'p521'] as const;
const nothing = new Uint8Array(0);
const zeros = new Uint8Array(64);
const [bytes8, bytes12, bytes16] = [zeros.subarray(0, 8), zeros.subarray(0, 12), zeros.subarray(0, 16)];
const [bytes24, bytes32] = [zeros.subarray(0, 24), zeros.subarray(0, 32)];

const starts = (bytes: Uint8Array, ...expected: readonly number[]): boolean =>
  expected.every((byte, at) => bytes[at] === byte);

/** No signature of this key exists; a check that says so without an exception knows the algorithm. */
const someNumber = modpGroups.group1.prime;
const [two, three, four] = [Uint8Array.of(2), Uint8Array.of(3), Uint8Array.of(4)];
const someRsaKey = { n: someNumber, e: three };
const someDsaKey = { p: someNumber, q: someNumber.subarray(0, 20), g: two, y: four };

/**
 * Whether a row works here. A known answer where that is cheap; for the rest, that the functions are there and do not
 * throw: their answers are the compliance tests' matter.
 */
const tests: Readonly<Record<keyof Rows, () => boolean>> = {
  random: () => random(1).length === 1,
  equal: () => equal(zeros, zeros) && !equal(bytes16, bytes8),
  hash: () => hashNames.every((name) => hash(name).digest().length >= 16),
  hmac: () => hashNames.every((name) => hmac(name, bytes16).compute(nothing).length >= 16),
  aesCtr: () => starts(aesCtr(bytes16, bytes16).process(bytes16), 0x66, 0xe9, 0x4b, 0xd4),
  aesCbc: () => starts(aesCbc(bytes16, bytes16, 'encrypt').process(bytes16), 0x66, 0xe9, 0x4b, 0xd4),
  aesBlock: () => starts(aesBlock(bytes16).encrypt(bytes16), 0x66, 0xe9, 0x4b, 0xd4),
  aesGcm: () => {
    const tag = new Uint8Array(16);
    aesGcm(bytes16).seal(bytes12, nothing, tag);
    return starts(tag, 0x58, 0xe2, 0xfc, 0xce);
  },
  tripleDesCbc: () => starts(tripleDesCbc(bytes24, bytes8, 'encrypt').process(bytes8), 0x8c, 0xa6, 0x4d, 0xe9),
  chacha20: () => starts(chacha20(bytes32).stream(bytes8).process(bytes16), 0x76, 0xb8, 0xe0, 0xad),
  poly1305: () => 'WebAssembly' in globalThis,
  x25519: () => typeof diffieHellman === 'function' && x25519Public(bytes32).type === 'public',
  ecdh: () => curveNames.every((name) => createECDH(curves[name].name) instanceof ECDH),
  ffdh: () => typeof diffieHellman === 'function' && dhPublic(someNumber, two, four).type === 'public',
  ed25519: () => ed25519Private(bytes32).type === 'private',
  ecdsa: () => curveNames.every((name) => createECDH(curves[name].name) instanceof ECDH),
  rsa: () => !verify('sha1', zeros, rsaPublic(someRsaKey), someNumber),
  dsa: () => !verify('sha1', zeros, { key: dsaPublic(someDsaKey), dsaEncoding: 'ieee-p1363' }, zeros.subarray(0, 40)),
  pbkdf2: () => pbkdf2('sha1', bytes16, bytes16, 1, 16).length === 16,
};

const rows: Rows = {
  random,
  equal,
  hash,
  hmac,
  aesCtr,
  aesCbc,
  aesGcm,
  tripleDesCbc,
  aesBlock,
  chacha20,
  poly1305,
  x25519,
  ecdh,
  ffdh,
  ed25519,
  ecdsa,
  rsa,
  dsa,
  pbkdf2,
};

function passes(test: () => boolean): boolean {
  try {
    return test();
  } catch {
    return false;
  }
}

let working: Partial<Rows> | undefined;

/** The rows that node:crypto provides here; tested at the first call. */
export function nodeRows(): Partial<Rows> {
  working ??= Object.fromEntries(
    Object.entries(rows).filter(([name]) => passes(tests[name as keyof Rows])),
  ) as Partial<Rows>;
  return working;
}

/** Rows that a provider may go without, or that the core has an own version of. */
const spared: readonly string[] = ['tripleDesCbc', 'dsa', 'poly1305'] satisfies readonly (keyof Rows)[];

/**
 * `base` with every row that node:crypto does better. Without a base the few rows that node:crypto lacks come from the
 * core, and the result is complete; it throws SshError('unsupported') where node:crypto lacks more than those.
 */
export function nodeCrypto(base?: CryptoProvider): CryptoProvider {
  const found = nodeRows();
  const overrides = Object.keys(found);
  if (base !== undefined) return { ...base, ...found, name: `node+${base.name}`, overrides };
  const missing = Object.keys(rows).filter((name) => !overrides.includes(name) && !spared.includes(name));
  if (missing.length > 0) throw new SshError('unsupported', 'node:crypto is incomplete here', { detail: { missing } });
  const kem = { mlkem768: createMlkem768(random), sntrup761: createSntrup761(found as Rows) };
  const core = { poly1305: poly1305InScript, argon2 };
  return { ...core, ...(found as Omit<Rows, 'poly1305'>), kem, name: 'node', overrides };
}
