import { ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { fromBigInt, modPow, toBigInt } from '../../../protocol/crypto/bignum.ts';
import { dsaNonces } from '../../../protocol/crypto/dsa.ts';
import { createNobleCrypto } from '../../../protocol/crypto/noble.ts';
import type { DsaSecret, RsaSecret } from '../../../protocol/crypto/provider.ts';
import { hasSmallOrder } from '../../../protocol/crypto/small-order.ts';
import { ascii, flipped, hex, noble, node, providers, seeded, unhex, zeros } from '../../crypto-compliance.ts';

const sample = ascii('sample');
const random = seeded(9);
const concat = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));

describe('Ed25519', () => {
  /** RFC 8032 section 7.1, tests 1 to 3. */
  it.each([
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ])('RFC 8032 test %#', (seed, point, message, signature) => {
    for (const crypto of providers) {
      expect(hex(crypto.ed25519.publicKey(unhex(seed)))).toBe(point);
      expect(hex(crypto.ed25519.sign(unhex(seed), unhex(message)))).toBe(signature);
      expect(crypto.ed25519.verify(unhex(point), unhex(message), unhex(signature))).toBe(true);
    }
  });

  it('agrees with tweetnacl', () => {
    for (const length of [0, 1, 64, 1000]) {
      const [seed, message] = [random(32), random(length)];
      const pair = nacl.sign.keyPair.fromSeed(seed);
      const signature = nacl.sign.detached(message, pair.secretKey);
      for (const crypto of providers) {
        expect(crypto.ed25519.publicKey(seed)).toEqual(pair.publicKey);
        expect(crypto.ed25519.sign(seed, message)).toEqual(signature);
        expect(crypto.ed25519.verify(pair.publicKey, message, signature)).toBe(true);
        expect(crypto.ed25519.verify(pair.publicKey, flippedOrOne(message), signature)).toBe(false);
        for (const at of [0, 31, 32, 63]) {
          expect(crypto.ed25519.verify(pair.publicKey, message, flipped(signature, at))).toBe(false);
        }
        expect(crypto.ed25519.verify(flipped(pair.publicKey), message, signature)).toBe(false);
      }
    }
  });

  it('refuses s + L, zeros and other lengths', () => {
    const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
    const seed = random(32);
    const point = noble.ed25519.publicKey(seed);
    const signature = noble.ed25519.sign(seed, sample);
    const s = toBigInt(signature.slice(32).reverse());
    const malleable = concat(signature.subarray(0, 32), fromBigInt(s + order, 32).reverse());
    for (const crypto of providers) {
      const bad = [
        malleable,
        zeros(64),
        new Uint8Array(64).fill(0xff),
        zeros(0),
        signature.subarray(1),
        concat(signature, zeros(1)),
      ];
      for (const one of bad) expect(crypto.ed25519.verify(point, sample, one)).toBe(false);
      for (const key of [zeros(0), point.subarray(1), new Uint8Array(32).fill(0xff)]) {
        expect(crypto.ed25519.verify(key, sample, signature)).toBe(false);
      }
    }
  });

  it('refuses keys of small order, which anything may seem to be signed with', () => {
    const neutral = concat(Uint8Array.of(1), zeros(31));
    const points = [...ED25519_TORSION_SUBGROUP, `ed${'ff'.repeat(30)}7f`, `ee${'ff'.repeat(31)}`].map(unhex);
    expect(points.length).toBe(10);
    for (const point of points) {
      expect(hasSmallOrder(point)).toBe(true);
      for (const crypto of providers) {
        expect(crypto.ed25519.verify(point, sample, concat(neutral, zeros(32)))).toBe(false);
        expect(crypto.ed25519.verify(point, sample, concat(point, zeros(32)))).toBe(false);
      }
    }
    expect(hasSmallOrder(noble.ed25519.publicKey(zeros(32)))).toBe(false);
  });
});

function flippedOrOne(message: Uint8Array): Uint8Array {
  return message.length === 0 ? Uint8Array.of(0) : flipped(message);
}

/** RFC 6979 appendix A.2.5 to A.2.7, message "sample", the curve's own hash. */
const ecdsaVectors = [
  {
    curve: 'p256',
    secret: 'C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721',
    point:
      '60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB67903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299',
    r: 'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716',
    s: 'F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
    order: toBigInt(unhex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')),
  },
  {
    curve: 'p384',
    secret: '6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5',
    point: '',
    r: '94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46',
    s: '99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8',
    order: toBigInt(
      unhex('ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973'),
    ),
  },
  {
    curve: 'p521',
    secret:
      '00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538',
    point: '',
    r: '00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA',
    s: '00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A',
    order: toBigInt(
      unhex(
        '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
      ),
    ),
  },
] as const;

describe.each(ecdsaVectors)('ECDSA on $curve', ({ curve, secret: secretHex, point, r, s, order }) => {
  const secret = unhex(secretHex);
  const signature = unhex(r + s);
  const width = signature.length / 2;
  const pair = (a: bigint, b: bigint): Uint8Array => concat(fromBigInt(a, width), fromBigInt(b, width));

  it('verifies RFC 6979', () => {
    for (const crypto of providers) {
      const ecdsa = crypto.ecdsa(curve);
      const key = ecdsa.publicKey(secret);
      if (point !== '') expect(hex(key)).toBe(`04${point.toLowerCase()}`);
      expect(ecdsa.verify(key, sample, signature)).toBe(true);
      expect(ecdsa.verify(key, ascii('simple'), signature)).toBe(false);
    }
  });

  it('every provider verifies what every other signs', () => {
    for (const signer of providers) {
      const own = signer.ecdsa(curve).generate();
      expect(own.length).toBe(width);
      const key = signer.ecdsa(curve).publicKey(own);
      const made = signer.ecdsa(curve).sign(own, sample);
      expect(made.length).toBe(2 * width);
      for (const verifier of providers) {
        expect(verifier.ecdsa(curve).publicKey(own)).toEqual(key);
        expect(verifier.ecdsa(curve).verify(key, sample, made)).toBe(true);
        expect(verifier.ecdsa(curve).verify(key, sample, flipped(made, width - 1))).toBe(false);
        expect(verifier.ecdsa(curve).verify(key, sample, flipped(made, 2 * width - 1))).toBe(false);
      }
    }
  });

  it('takes both values of s, and none out of range', () => {
    const [rn, sn] = [toBigInt(unhex(r)), toBigInt(unhex(s))];
    for (const crypto of providers) {
      const ecdsa = crypto.ecdsa(curve);
      const key = ecdsa.publicKey(secret);
      expect(ecdsa.verify(key, sample, pair(rn, order - sn))).toBe(true);
      const bad = [pair(0n, sn), pair(rn, 0n), pair(0n, 0n), pair(order, sn), pair(rn, order), pair(1n, 1n)];
      for (const one of [...bad, zeros(0), signature.subarray(1), concat(signature, zeros(2))]) {
        expect(ecdsa.verify(key, sample, one)).toBe(false);
      }
    }
  });

  it('refuses keys that are no points', () => {
    const key = noble.ecdsa(curve).publicKey(secret);
    const infinity = zeros(1);
    const compressed = key.slice(0, width + 1);
    compressed[0] = 2 + (key.at(-1)! & 1);
    for (const crypto of providers) {
      for (const bad of [zeros(0), infinity, compressed, flipped(key, 2 * width), flipped(key, 0), key.subarray(1)]) {
        expect(crypto.ecdsa(curve).verify(bad, sample, signature)).toBe(false);
      }
    }
  });
});

describe('RSA', () => {
  const key = node.rsa.generate!(2048);
  const [n, d] = [toBigInt(key.n), toBigInt(key.d)];
  /** Signs any encoded block: what a forger with a small-exponent key could bring about. */
  const raw = (block: Uint8Array): Uint8Array => fromBigInt(modPow(toBigInt(block), d, n), 256);
  const digestInfo = unhex('3031300d060960864801650304020105000420');
  const digest = noble.hash('sha256').update(sample).digest();
  const block = (...tail: readonly Uint8Array[]): Uint8Array => {
    const end = concat(...tail);
    return concat(Uint8Array.of(0, 1), new Uint8Array(256 - 3 - end.length).fill(0xff), Uint8Array.of(0), end);
  };

  it.each(['sha1', 'sha256', 'sha512'] as const)('signs and verifies with %s, all alike', (hash) => {
    const signatures = providers.map((crypto) => crypto.rsa.sign(key, hash, sample));
    for (const signature of signatures) {
      expect(signature).toEqual(signatures[0]);
      for (const crypto of providers) {
        expect(crypto.rsa.verify(key, hash, sample, signature)).toBe(true);
        expect(crypto.rsa.verify(key, hash, ascii('simple'), signature)).toBe(false);
        expect(crypto.rsa.verify(key, hash === 'sha1' ? 'sha256' : 'sha1', sample, signature)).toBe(false);
        expect(crypto.rsa.verify(key, hash, sample, flipped(signature, 128))).toBe(false);
      }
    }
  });

  it.each([1024, 3072])('works with %i-bit keys', (bits) => {
    const other = node.rsa.generate!(bits);
    const signature = noble.rsa.sign(other, 'sha512', sample);
    expect(signature.length).toBe(bits / 8);
    expect(node.rsa.verify(other, 'sha512', sample, signature)).toBe(true);
    expect(noble.rsa.verify(other, 'sha512', sample, node.rsa.sign(other, 'sha512', sample))).toBe(true);
  });

  it('refuses every encoding but the one of RFC 8017 section 9.2', () => {
    const withoutNull = unhex('302f300b0609608648016503040201' + '0420');
    const good = block(digestInfo, digest);
    const shortPadding = concat(unhex('0001ffffffffffffffff00'), digestInfo, digest);
    const bad = [
      block(withoutNull, digest),
      concat(shortPadding, zeros(256 - shortPadding.length)),
      concat(Uint8Array.of(0, 2), good.subarray(2)),
      flipped(good, 100),
      block(digest),
      zeros(256),
      fromBigInt(1n, 256),
    ];
    for (const crypto of providers) {
      expect(crypto.rsa.verify(key, 'sha256', sample, raw(good))).toBe(true);
      for (const one of bad) expect(crypto.rsa.verify(key, 'sha256', sample, raw(one))).toBe(false);
    }
  });

  it('refuses signatures out of range, takes those without their leading zeros', () => {
    const signature = noble.rsa.sign(key, 'sha256', sample);
    const shifted = fromBigInt(toBigInt(signature) + n);
    // A message whose signature starts with a zero byte.
    let [message, short] = [sample, signature];
    for (let i = 0; short[0] !== 0; i++) {
      message = ascii(`message ${i}`);
      short = node.rsa.sign(key, 'sha256', message);
    }
    for (const crypto of providers) {
      for (const one of [shifted, key.n, zeros(0), zeros(256), concat(zeros(1), signature)]) {
        expect(crypto.rsa.verify(key, 'sha256', sample, one)).toBe(false);
      }
      expect(crypto.rsa.verify(key, 'sha256', message, short.subarray(1))).toBe(true);
      expect(crypto.rsa.verify(key, 'sha256', message, signature.subarray(1))).toBe(false);
    }
  });

  it('refuses unusable public keys', () => {
    const signature = noble.rsa.sign(key, 'sha256', sample);
    const even = key.n.slice();
    even[255]! &= 0xfe;
    for (const crypto of providers) {
      for (const e of [zeros(0), Uint8Array.of(1), Uint8Array.of(2), key.n]) {
        expect(crypto.rsa.verify({ n: key.n, e }, 'sha256', sample, signature)).toBe(false);
      }
      for (const bad of [zeros(0), even, key.n.subarray(0, 32), new Uint8Array(3000).fill(0xff)]) {
        expect(crypto.rsa.verify({ n: bad, e: key.e }, 'sha256', sample, signature)).toBe(false);
      }
    }
  });

  it('lets no faulty signature out', () => {
    const wrong = (change: Partial<RsaSecret>): RsaSecret => ({ ...key, ...change });
    const broken = [
      wrong({ d: flipped(key.d, 100) }),
      wrong({ p: flipped(key.p, 5) }),
      wrong({ iqmp: flipped(key.iqmp, 9) }),
    ];
    for (const secret of broken) {
      expect(() => noble.rsa.sign(secret, 'sha256', sample)).toThrow(expect.objectContaining({ code: 'key-format' }));
    }
    expect(() => noble.rsa.sign(wrong({ n: key.n.subarray(0, 8) }), 'sha256', sample)).toThrow(
      expect.objectContaining({ code: 'key-unsupported' }),
    );
  });

  it('blinds: other random bytes, the same signature', () => {
    let drawn = 0;
    const counting = createNobleCrypto({
      random: (length) => {
        drawn += length;
        return random(length);
      },
    });
    expect(counting.rsa.sign(key, 'sha256', sample)).toEqual(node.rsa.sign(key, 'sha256', sample));
    expect(drawn).toBeGreaterThanOrEqual(256 + 16);
  });
});

describe('DSA', () => {
  /** RFC 6979 appendix A.2.1. */
  const p = unhex(`86F5CA03DCFEB225063FF830A0C769B9DD9D6153AD91D7CE27F787C43278B447E6533B86B18BED6E8A48B784A14C252C
    5BE0DBF60B86D6385BD2F12FB763ED8873ABFD3F5BA2E0A8C0A59082EAC056935E529DAF7C610467899C77ADEDFC846C881870B7B19B2B58
    F9BE0521A17002E3BDD6B86685EE90B3D9A1B02B782B1779`);
  const q = unhex('996F967F6C8E388D9E28D01E205FBA957A5698B1');
  const g = unhex(`07B0F92546150B62514BB771E2A0C0CE387F03BDA6C56B505209FF25FD3C133D89BBCD97E904E09114D9A7DEFDEADFC9
    078EA544D2E401AEECC40BB9FBBF78FD87995A10A1C27CB7789B594BA7EFB5C4326A9FE59A070E136DB77175464ADCA417BE5DCE2F40D10A
    46A3A3943F26AB7FD9C0398FF8C76EE0A56826A8A88F1DBD`);
  const x = unhex('411602CB19A6CCC34494D79D98EF1E7ED5AF25F7');
  const key: DsaSecret = { p, q, g, x, y: fromBigInt(modPow(toBigInt(g), toBigInt(x), toBigInt(p))) };
  const signature = unhex('2E1A0C2562B2912CAAF89186FB0F42001585DA55' + '29EFB6B0AFF2D7A68EB70CA313022253B9A88DF5');

  it('makes the nonce of RFC 6979', () => {
    const digest = noble.hash('sha1').update(sample).digest();
    const nonce = dsaNonces(noble, toBigInt(q), toBigInt(x), digest, zeros(0)).next().value;
    expect(hex(fromBigInt(nonce)).toUpperCase()).toBe('7BDB6B0FF756E1BB5D53583EF979082F9AD5BD5B');
  });

  it('verifies RFC 6979, and what every provider signs', () => {
    for (const signer of providers) {
      const made = signer.dsa!.sign(key, sample);
      for (const crypto of providers) {
        expect(crypto.dsa!.verify(key, sample, signature)).toBe(true);
        expect(crypto.dsa!.verify(key, sample, made)).toBe(true);
        expect(crypto.dsa!.verify(key, ascii('simple'), made)).toBe(false);
      }
    }
  });

  it('refuses values out of range and broken keys', () => {
    const [r, s] = [signature.subarray(0, 20), signature.subarray(20)];
    const bad = [
      concat(zeros(20), s),
      concat(r, zeros(20)),
      concat(q, s),
      concat(r, q),
      signature.subarray(1),
      flipped(signature),
    ];
    for (const crypto of providers) {
      for (const one of bad) expect(crypto.dsa!.verify(key, sample, one)).toBe(false);
      const keys = [
        { ...key, g: Uint8Array.of(1) },
        { ...key, y: Uint8Array.of(1) },
        { ...key, y: p },
        { ...key, q: q.subarray(1) },
        { ...key, p: p.subarray(0, 32) },
      ];
      for (const one of keys) {
        expect(crypto.dsa!.verify(one, sample, signature)).toBe(false);
        expect(() => crypto.dsa!.sign(one, sample)).toThrow(expect.objectContaining({ code: 'key-unsupported' }));
      }
    }
  });
});

it('a seeded generator repeats every signature', () => {
  const run = (): string[] => {
    const crypto = createNobleCrypto({ random: seeded(6) });
    return (['p256', 'p384', 'p521'] as const).map((curve) => {
      const ecdsa = crypto.ecdsa(curve);
      return hex(ecdsa.sign(ecdsa.generate(), sample));
    });
  };
  expect(run()).toEqual(run());
});
