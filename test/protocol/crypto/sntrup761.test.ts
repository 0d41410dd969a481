import { readFileSync } from 'node:fs';
import { chacha20orig } from '@noble/ciphers/chacha.js';
import { describe, expect, it } from 'vitest';
import { createNobleCrypto, nobleCrypto } from '../../../protocol/crypto/noble.ts';
import {
  createSntrup761,
  decapsulate,
  decodeNumbers,
  decodeSmall,
  encodeNumbers,
  type Sntrup761Secret,
} from '../../../protocol/crypto/sntrup761.ts';
import { inverseMod3 } from '../../../protocol/crypto/sntrup761-mod3.ts';
import { inverseOfTriple, multiply, p, q, reduce3, reduceQ } from '../../../protocol/crypto/sntrup761-ring.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** Made with PQClean's sntrup761, which writes a secret key as f, 1/g, public key, rho, hash of the public key. */
interface Vector {
  readonly publicKey: string;
  readonly secretKey: string;
  readonly ciphertext: string;
  readonly secret: string;
  readonly badCiphertext: string;
  readonly badSecret: string;
}
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/crypto/sntrup761.json', import.meta.url), 'utf8'),
) as Vector[];

function secretOf(vector: Vector): Sntrup761Secret {
  const key = bytes(vector.secretKey);
  return {
    f: decodeSmall(key.subarray(0, 191)),
    gInverse: decodeSmall(key.subarray(191, 382)),
    publicKey: key.subarray(382, 1540),
    rho: key.subarray(1540, 1731),
  };
}

function seeded(seed: number): (length: number) => Uint8Array {
  const key = new Uint8Array(32).fill(seed);
  let count = 0;
  return (length) => chacha20orig(key, new Uint8Array(8).fill(++count), new Uint8Array(length));
}

describe('sntrup761', () => {
  it.each(vectors.map((vector, i) => [i, vector] as const))('decapsulates what PQClean made (%i)', (_, vector) => {
    const secret = secretOf(vector);
    expect(secret.publicKey).toEqual(bytes(vector.publicKey));
    expect(decapsulate(nobleCrypto, secret, bytes(vector.ciphertext))).toEqual(bytes(vector.secret));
  });

  it.each(vectors.map((vector, i) => [i, vector] as const))(
    'answers a bad ciphertext as PQClean does (%i)',
    (_, vector) => {
      expect(decapsulate(nobleCrypto, secretOf(vector), bytes(vector.badCiphertext))).toEqual(bytes(vector.badSecret));
    },
  );

  it('computes the public keys of foreign secrets', () => {
    for (const vector of vectors) {
      const { f, gInverse, publicKey } = secretOf(vector);
      const g = inverseMod3(gInverse)!;
      const h = multiply(inverseOfTriple(f), g).map(reduceQ);
      const coded = encodeNumbers(
        Array.from(h, (value) => value + 2295),
        new Array<number>(p).fill(q),
      );
      expect(Uint8Array.from(coded)).toEqual(publicKey);
    }
  });

  it('agrees with itself, with the sizes of the draft', () => {
    const kem = createSntrup761(nobleCrypto);
    const pair = kem.generate();
    const { ciphertext, secret } = kem.encapsulate(pair.publicKey);
    expect([pair.publicKey.length, ciphertext.length, secret.length]).toEqual([1158, 1039, 32]);
    expect(pair.decapsulate(ciphertext)).toEqual(secret);
    for (const at of [0, 500, 1006, 1007, 1038]) {
      const bad = ciphertext.slice();
      bad[at]! ^= 0x10;
      const other = pair.decapsulate(bad);
      expect(other).not.toEqual(secret);
      expect(pair.decapsulate(bad)).toEqual(other);
    }
  });

  it('takes all its randomness from the generator it is given', () => {
    const run = () => {
      const kem = createNobleCrypto({ random: seeded(7) }).kem.sntrup761!;
      const pair = kem.generate();
      return { publicKey: pair.publicKey, ...kem.encapsulate(pair.publicKey) };
    };
    expect(run()).toEqual(run());
    const other = createNobleCrypto({ random: seeded(8) }).kem.sntrup761!.generate();
    expect(other.publicKey).not.toEqual(run().publicKey);
  });

  it('refuses wrong lengths as the peer’s fault', () => {
    const kem = createSntrup761(nobleCrypto);
    const fault = expect.objectContaining({ code: 'kex', by: 'peer' });
    expect(() => kem.encapsulate(new Uint8Array(1157))).toThrow(fault);
    expect(() => kem.generate().decapsulate(new Uint8Array(1040))).toThrow(fault);
  });

  it('encodes and decodes number lists of any moduli', () => {
    const random = seeded(3)(4000);
    for (const length of [1, 2, 3, 5, 8, 100]) {
      const moduli = Array.from({ length }, (_, i) => 2 + (((random[i]! << 6) | random[i + 500]!) % 16_000));
      const numbers = moduli.map((modulus, i) => ((random[i + 1000]! << 8) | random[i + 2000]!) % modulus);
      const coded = Uint8Array.from(encodeNumbers(numbers, moduli));
      expect(decodeNumbers(coded, moduli)).toEqual(numbers);
    }
  });

  it('inverts in both rings, and sees what has no inverse', () => {
    const one = new Int32Array(p);
    one[0] = 1;
    const f = decodeSmall(bytes(vectors[0]!.secretKey));
    expect(
      multiply(
        inverseOfTriple(f).map(reduceQ),
        f.map((value) => value * 3),
      ).map(reduceQ),
    ).toEqual(one);
    const g = decodeSmall(bytes(vectors[0]!.secretKey).subarray(191));
    expect(multiply(inverseMod3(g)!, g).map(reduce3)).toEqual(one);
    expect(inverseMod3(new Int32Array(p))).toBeUndefined();
  });

  it('inverts whatever course the division steps take', () => {
    const one = Int32Array.from({ length: p }, (_, i) => (i === 0 ? 1 : 0));
    let single = 0;
    for (let seed = 1; seed <= 24; seed++) {
      const small = Int32Array.from(seeded(seed)(p), (byte) => (byte % 3) - 1);
      // Leading zeros take steps that cannot be paired.
      if (seed % 3 === 0) small.fill(0, p - seed);
      const inverse = inverseOfTriple(small).map(reduceQ);
      const threefold = small.map((value) => value * 3);
      expect(multiply(inverse, threefold).map(reduceQ)).toEqual(one);
      const other = inverseMod3(small);
      if (other === undefined) single++;
      else expect(multiply(other, small).map(reduce3)).toEqual(one);
    }
    expect(single).toBeLessThan(4);
  });
});
