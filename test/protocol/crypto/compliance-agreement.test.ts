import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bitLength, fromBigInt, modPow, toBigInt } from '../../../protocol/crypto/bignum.ts';
import { modpGroups } from '../../../protocol/crypto/groups.ts';
import { createNobleCrypto } from '../../../protocol/crypto/noble.ts';
import type { CryptoProvider, KeyPair } from '../../../protocol/crypto/provider.ts';
import { hex, noble, node, peerFault, providers, seeded, unhex, zeros } from '../../crypto-compliance.ts';

const curves = [
  ['p256', 32],
  ['p384', 48],
  ['p521', 66],
] as const;

/** Every provider with every other, both ways round. */
function agree(make: (crypto: CryptoProvider) => KeyPair, length?: number): void {
  for (const first of providers) {
    for (const second of providers) {
      const [a, b] = [make(first), make(second)];
      const secret = a.derive(b.publicKey);
      expect(b.derive(a.publicKey)).toEqual(secret);
      if (length !== undefined) expect(secret.length).toBe(length);
    }
  }
}

describe('X25519', () => {
  it('computes RFC 7748 section 6.1', () => {
    const fixed = (secret: string): KeyPair => createNobleCrypto({ random: () => unhex(secret) }).x25519();
    const alice = fixed('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
    const bob = fixed('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
    expect(hex(alice.publicKey)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    expect(hex(bob.publicKey)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(hex(alice.derive(bob.publicKey))).toBe(shared);
    expect(hex(bob.derive(alice.publicKey))).toBe(shared);
  });

  it('agrees', () => {
    for (let run = 0; run < 5; run++) agree((crypto) => crypto.x25519(), 32);
  });

  /** Points of small order (RFC 7748 section 6.1): zero, one, the two of order eight, and their unreduced twins. */
  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080',
  ])('refuses the point %s', (point) => {
    for (const crypto of providers) expect(() => crypto.x25519().derive(unhex(point))).toThrow(peerFault);
  });

  it('refuses other lengths', () => {
    for (const crypto of providers) {
      for (const length of [0, 31, 33, 64]) {
        expect(() => crypto.x25519().derive(new Uint8Array(length).fill(9))).toThrow(peerFault);
      }
    }
  });
});

describe.each(curves)('ECDH on %s', (curve, width) => {
  it('agrees', () => agree((crypto) => crypto.ecdh(curve), width));

  it('refuses what is no point', () => {
    for (const crypto of providers) {
      const pair = crypto.ecdh(curve);
      const good = noble.ecdh(curve).publicKey;
      const offCurve = good.slice();
      offCurve[2 * width]! ^= 1;
      const compressed = good.slice(0, width + 1);
      compressed[0] = 2 + (good[2 * width]! & 1);
      const hybrid = good.slice();
      hybrid[0] = 6 + (good[2 * width]! & 1);
      const outOfField = new Uint8Array(2 * width + 1).fill(0xff);
      outOfField[0] = 4;
      const origin = zeros(2 * width + 1);
      origin[0] = 4;
      for (const bad of [zeros(0), zeros(1), offCurve, compressed, hybrid, outOfField, origin, good.subarray(1)]) {
        expect(() => pair.derive(bad)).toThrow(peerFault);
      }
      expect(pair.derive(good).length).toBe(width);
    }
  });
});

describe('finite-field Diffie-Hellman', () => {
  it.each([
    ['group1', 1024, 129_093],
    ['group14', 2048, 124_476],
    ['group16', 4096, 240_904],
    ['group18', 8192, 4_743_158],
  ] as const)('%s is what its RFC says', (name, bits, offset) => {
    const [n, tail] = [BigInt(bits), 1n << 64n];
    const expected = (1n << n) - (1n << (n - 64n)) - 1n + tail * (piTimes(bits - 130) + BigInt(offset));
    expect(toBigInt(modpGroups[name].prime)).toBe(expected);
    expect(modpGroups[name].generator).toEqual(Uint8Array.of(2));
  });

  it.each(['group1', 'group14'] as const)('agrees in %s', (name) => {
    const { prime, generator } = modpGroups[name];
    agree((crypto) => crypto.ffdh(prime, generator, 512));
  });

  it('computes in a group that OpenSSL does not know', () => {
    // (p - 1) / 2 of group 14 is prime too; 4 generates squares modulo it.
    const prime = fromBigInt((toBigInt(modpGroups.group14.prime) - 1n) / 2n);
    agree((crypto) => crypto.ffdh(prime, Uint8Array.of(4), 256));
  });

  it('refuses peer values outside 1 < y < p - 1', () => {
    const { prime, generator } = modpGroups.group14;
    const p = toBigInt(prime);
    for (const crypto of providers) {
      const pair = crypto.ffdh(prime, generator, 256);
      for (const value of [0n, 1n, p - 1n, p, p + 1n, p * p]) {
        expect(() => pair.derive(fromBigInt(value))).toThrow(peerFault);
      }
      expect(() => pair.derive(new Uint8Array(100_000).fill(1))).toThrow(peerFault);
      expect(toBigInt(pair.derive(Uint8Array.of(0, 2)))).toBe(toBigInt(pair.publicKey));
    }
  });

  it('refuses groups that are none', () => {
    const { prime } = modpGroups.group14;
    for (const crypto of providers) {
      const even = prime.slice();
      even[even.length - 1]! &= 0xfe;
      expect(() => crypto.ffdh(even, Uint8Array.of(2), 256)).toThrow(peerFault);
      expect(() => crypto.ffdh(zeros(0), Uint8Array.of(2), 256)).toThrow(peerFault);
      expect(() => crypto.ffdh(prime, Uint8Array.of(1), 256)).toThrow(peerFault);
      expect(() => crypto.ffdh(prime, zeros(1), 256)).toThrow(peerFault);
      expect(() => crypto.ffdh(prime, prime, 256)).toThrow(peerFault);
    }
  });

  it('uses exponents of the size asked for', () => {
    const { prime, generator } = modpGroups.group14;
    const asked: number[] = [];
    const crypto = createNobleCrypto({
      random: (length) => {
        asked.push(length);
        return new Uint8Array(length);
      },
    });
    // All-zero randomness leaves the top bit alone: the exponent is 2^255.
    expect(toBigInt(crypto.ffdh(prime, generator, 256).publicKey)).toBe(modPow(2n, 1n << 255n, toBigInt(prime)));
    expect(asked).toEqual([32]);
  });
});

/** floor(2^bits * pi), by Machin's formula with guard bits. */
function piTimes(bits: number): bigint {
  const guard = 64n;
  const one = 1n << (BigInt(bits) + guard);
  const arctan = (x: bigint): bigint => {
    let sum = 0n;
    for (let power = one / x, k = 1n, sign = 1n; power > 0n; power /= x * x, k += 2n, sign = -sign) {
      sum += (sign * power) / k;
    }
    return sum;
  };
  return (4n * (4n * arctan(5n) - arctan(239n))) >> guard;
}

describe('ML-KEM-768', () => {
  const vector = JSON.parse(readFileSync(new URL('../../vectors/crypto/mlkem768.json', import.meta.url), 'utf8')) as {
    seed: string;
    publicKey: string;
    ciphertext: string;
    secret: string;
  };

  it('makes the key of a seed and decapsulates what OpenSSL made for it', () => {
    const pair = createNobleCrypto({ random: () => unhex(vector.seed) }).kem.mlkem768!.generate();
    expect(hex(pair.publicKey)).toBe(vector.publicKey);
    expect(hex(pair.decapsulate(unhex(vector.ciphertext)))).toBe(vector.secret);
  });

  it('answers a bad ciphertext with another secret', () => {
    const pair = createNobleCrypto({ random: () => unhex(vector.seed) }).kem.mlkem768!.generate();
    const bad = unhex(vector.ciphertext);
    bad[7]! ^= 1;
    expect(pair.decapsulate(bad).length).toBe(32);
    expect(hex(pair.decapsulate(bad))).not.toBe(vector.secret);
  });
});

describe.each(providers)('KEMs of $name', (crypto) => {
  it.each(['mlkem768', 'sntrup761'] as const)('%s', (name) => {
    const kem = crypto.kem[name]!;
    const pair = kem.generate();
    expect(pair.publicKey.length).toBe(kem.publicKeyLength);
    const { ciphertext, secret } = kem.encapsulate(pair.publicKey);
    expect(ciphertext.length).toBe(kem.ciphertextLength);
    expect(pair.decapsulate(ciphertext)).toEqual(secret);
    expect(() => pair.decapsulate(ciphertext.subarray(1))).toThrow(peerFault);
    expect(() => kem.encapsulate(pair.publicKey.subarray(1))).toThrow(peerFault);
  });

  it('refuses an ML-KEM key that is not reduced (FIPS 203 section 7.2)', () => {
    expect(() => crypto.kem.mlkem768!.encapsulate(new Uint8Array(1184).fill(0xff))).toThrow(peerFault);
  });
});

it('a seeded generator repeats every exchange', () => {
  const run = (): string[] => {
    const crypto = createNobleCrypto({ random: seeded(5) });
    const { prime, generator } = modpGroups.group1;
    const pairs = [crypto.x25519(), ...curves.map(([curve]) => crypto.ecdh(curve)), crypto.ffdh(prime, generator, 160)];
    const { ciphertext } = crypto.kem.mlkem768!.encapsulate(crypto.kem.mlkem768!.generate().publicKey);
    return [...pairs.map((pair) => hex(pair.publicKey)), hex(ciphertext)];
  };
  expect(run()).toEqual(run());
  expect(node.x25519().publicKey).not.toEqual(node.x25519().publicKey);
});

describe('numbers', () => {
  it('go to bytes and back', () => {
    for (const value of [0n, 1n, 127n, 128n, 255n, 256n, (1n << 521n) - 1n]) {
      expect(toBigInt(fromBigInt(value))).toBe(value);
      expect(bitLength(value)).toBe(value === 0n ? 0 : value.toString(2).length);
    }
    expect(fromBigInt(1n, 4)).toEqual(Uint8Array.of(0, 0, 0, 1));
    expect(() => fromBigInt(256n, 1)).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => toBigInt(new Uint8Array(2050))).toThrow(expect.objectContaining({ code: 'limit' }));
  });

  it('powers match repeated multiplication', () => {
    const modulus = 1_000_003n;
    for (let exponent = 0n, slow = 1n; exponent < 40n; exponent++, slow = (slow * 5n) % modulus) {
      expect(modPow(5n, exponent, modulus)).toBe(slow);
    }
    const long = (1n << 200n) + 12_345n;
    // Fermat: exponents count modulo p - 1.
    expect(modPow(5n, long, modulus)).toBe(modPow(5n, long % (modulus - 1n), modulus));
    expect(modPow(-1n, 3n, 7n)).toBe(6n);
    expect(modPow(3n, 3n, 1n)).toBe(0n);
  });
});
