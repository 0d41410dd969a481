import { describe, expect, it, vi } from 'vitest';
import { modpGroups } from '../../../protocol/crypto/groups.ts';
import type { CryptoProvider, HashName } from '../../../protocol/crypto/provider.ts';
import { platformRandom } from '../../../protocol/crypto/random.ts';
import { ascii, flipped, hex, noble, node, providers, same, seeded, unhex, zeros } from '../../crypto-compliance.ts';

const names: readonly HashName[] = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'];
/** Around every block length, and one packet's worth. */
const lengths = [0, 1, 15, 16, 17, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 32_768];

/** `{ data, tag }`, sealed beside the text. */
function seal(crypto: CryptoProvider, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array) {
  const sealed = Uint8Array.of(...text, ...zeros(16));
  crypto.aesGcm(key).seal(nonce, aad, sealed);
  return { data: sealed.slice(0, -16), tag: sealed.slice(-16) };
}

describe.each(providers)('$name', (crypto) => {
  it('hashes "abc" (RFC 1321, FIPS 180-4)', () => {
    const digests = names.map((name) => hex(crypto.hash(name).update(ascii('a')).update(ascii('bc')).digest()));
    expect(digests[0]).toBe('900150983cd24fb0d6963f7d28e17f72');
    expect(digests[1]).toBe('a9993e364706816aba3e25717850c26c9cd0d89d');
    expect(digests[2]).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(digests[3]).toMatch(/^cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163/);
    expect(digests[4]).toMatch(/^ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2/);
  });

  it('computes HMAC (RFC 2202, RFC 4231 case 2)', () => {
    const mac = (name: HashName): string =>
      hex(crypto.hmac(name, ascii('Jefe')).compute(ascii('what do ya want '), ascii('for nothing?')));
    expect(mac('md5')).toBe('750c783e6ab0b503eaa86e310a5db738');
    expect(mac('sha1')).toBe('effcdf6ae5eb2fa2d27416d5f184df9c259a7c79');
    expect(mac('sha256')).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
    expect(mac('sha512')).toMatch(/^164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd6/);
  });

  it('uses one HMAC again and again', () => {
    const mac = crypto.hmac('sha256', ascii('key'));
    const once = mac.compute(ascii('x'));
    mac.compute(ascii('other'));
    expect(mac.compute(ascii('x'))).toEqual(once);
    expect(mac.length).toBe(32);
  });

  const key128 = unhex('2b7e151628aed2a6abf7158809cf4f3c');
  const key256 = unhex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4');
  const plain = unhex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51');

  it('runs AES-CTR (SP 800-38A F.5)', () => {
    const iv = unhex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
    const cipher = crypto.aesCtr(key128, iv);
    expect(hex(cipher.process(plain.subarray(0, 16)))).toBe('874d6191b620e3261bef6864990db6ce');
    expect(hex(cipher.process(plain.subarray(16)))).toBe('9806f66b7970fdff8617187bb9fffdff');
    expect(hex(crypto.aesCtr(key256, iv).process(plain))).toMatch(/^601ec313775789a5b7a7f504bbf3d228f443e3ca/);
    expect(hex(iv)).toBe('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
  });

  it('carries the counter of AES-CTR through 128 bits and round to zero', () => {
    const cipher = crypto.aesCtr(key128, unhex('ffffffffffffffffffffffffffffffff'));
    const block = crypto.aesBlock(key128);
    expect(cipher.process(zeros(16))).toEqual(block.encrypt(unhex('ffffffffffffffffffffffffffffffff')));
    expect(cipher.process(zeros(16))).toEqual(block.encrypt(zeros(16)));
    const low = crypto.aesCtr(key128, unhex('00000000000000ffffffffffffffffff'));
    expect(low.process(zeros(32)).subarray(16)).toEqual(block.encrypt(unhex('00000000000001000000000000000000')));
  });

  it('runs AES-CBC both ways (SP 800-38A F.2)', () => {
    const iv = unhex('000102030405060708090a0b0c0d0e0f');
    const encrypt = crypto.aesCbc(key128, iv, 'encrypt');
    const first = encrypt.process(plain.subarray(0, 16));
    const second = encrypt.process(plain.subarray(16));
    expect(hex(first) + hex(second)).toBe('7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2');
    const decrypt = crypto.aesCbc(key128, iv, 'decrypt');
    expect(hex(decrypt.process(first)) + hex(decrypt.process(second))).toBe(hex(plain));
  });

  it('encrypts one AES block (FIPS 197 appendix C)', () => {
    const block = crypto.aesBlock(unhex('000102030405060708090a0b0c0d0e0f'));
    const input = unhex('00112233445566778899aabbccddeeff');
    expect(hex(block.encrypt(input))).toBe('69c4e0d86a7b0430d8cdb78070b4c55a');
    expect(hex(block.encrypt(input))).toBe('69c4e0d86a7b0430d8cdb78070b4c55a');
    expect(hex(input)).toBe('00112233445566778899aabbccddeeff');
  });

  it('seals and opens AES-GCM (GCM specification, test case 4)', () => {
    const key = unhex('feffe9928665731c6d6a8f9467308308');
    const aead = crypto.aesGcm(key);
    const nonce = unhex('cafebabefacedbaddecaf888');
    const aad = unhex('feedfacedeadbeeffeedfacedeadbeefabaddad2');
    const text = unhex(`d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`);
    const sealed = seal(crypto, key, nonce, aad, text);
    expect(hex(sealed.data)).toMatch(/^42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e/);
    expect(hex(sealed.tag)).toBe('5bc94fbc3221a5db94fae95ae7121a47');
    expect(aead.open(nonce, aad, sealed.data, sealed.tag)).toEqual(text);
    expect(aead.open(nonce, aad, sealed.data, flipped(sealed.tag, 15))).toBeUndefined();
    expect(aead.open(nonce, aad, flipped(sealed.data), sealed.tag)).toBeUndefined();
    expect(aead.open(nonce, flipped(aad), sealed.data, sealed.tag)).toBeUndefined();
    expect(aead.open(flipped(nonce), aad, sealed.data, sealed.tag)).toBeUndefined();
    // A shortened tag must not be checked over its length only.
    for (const length of [0, 4, 12, 15]) {
      expect(aead.open(nonce, aad, sealed.data, sealed.tag.subarray(0, length))).toBeUndefined();
    }
  });

  it('runs ChaCha20 in its original form', () => {
    const cipher = crypto.chacha20(zeros(32));
    const stream = cipher.stream(zeros(8));
    expect(hex(stream.process(zeros(64)))).toMatch(/^76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1a/);
    expect(hex(stream.process(zeros(32)))).toMatch(/^9f07e7be5551387a98ba977c732d080dcb0f29a048e36569/);
    expect(hex(cipher.stream(unhex('0000000000000001')).process(zeros(8)))).toBe('de9cba7bf3d69ef5');
  });

  it('computes Poly1305 (RFC 8439 section 2.5.2)', () => {
    const key = unhex('85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b');
    expect(hex(crypto.poly1305(key, ascii('Cryptographic Forum Research Group')))).toBe(
      'a8061dc1305136c6c22b8baf0c0127a9',
    );
  });

  /** RFC 8439 appendix A.3, vectors 7 to 11: sums and products at the edge of 2^130 - 5. */
  it.each([
    ['0200000000000000000000000000000000000000000000000000000000000000', 'ff'.repeat(16), `03${'00'.repeat(15)}`],
    [`02${'00'.repeat(15)}${'ff'.repeat(16)}`, `02${'00'.repeat(15)}`, `03${'00'.repeat(15)}`],
    [`01${'00'.repeat(31)}`, `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, `05${'00'.repeat(15)}`],
    [`01${'00'.repeat(31)}`, `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '00'.repeat(16)],
    [`02${'00'.repeat(31)}`, `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
    [
      `0100000000000000040000000000000000000000000000000000000000000000`,
      `e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000${'00'.repeat(16)}01${'00'.repeat(15)}`,
      `14${'00'.repeat(7)}55${'00'.repeat(7)}`,
    ],
  ])('carries in Poly1305 (%#)', (key, data, tag) => {
    expect(hex(crypto.poly1305(unhex(key), unhex(data)))).toBe(tag);
  });

  it('runs triple DES (SP 800-67 example of the three-key mode)', () => {
    const key = unhex('0123456789abcdef23456789abcdef01456789abcdef0123');
    const blocks = ascii('The qufck brown fox jump');
    const out = [0, 8, 16].map((at) =>
      crypto.tripleDesCbc!(key, zeros(8), 'encrypt').process(blocks.subarray(at, at + 8)),
    );
    expect(out.map(hex).join(' ')).toBe('a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900');
    const encrypted = crypto.tripleDesCbc!(key, key.subarray(0, 8), 'encrypt').process(blocks);
    const decrypt = crypto.tripleDesCbc!(key, key.subarray(0, 8), 'decrypt');
    expect(hex(decrypt.process(encrypted.subarray(0, 8)))).toBe(hex(blocks.subarray(0, 8)));
    expect(hex(decrypt.process(encrypted.subarray(8)))).toBe(hex(blocks.subarray(8)));
  });

  it('derives keys with PBKDF2 (RFC 6070)', () => {
    const key = crypto.pbkdf2('sha1', ascii('password'), ascii('salt'), 4096, 20);
    expect(hex(key)).toBe('4b007901b765489abead49d926f721d065a429c1');
  });

  /** From OpenSSL's Argon2: RFC 9106 has vectors only with a secret and associated data. */
  it.each([
    ['d', '09bc8f6d459fa2f7229f10e3773eed2fb0cfbcdc3af3dfe4'],
    ['i', '3e8cab626bd60ef55e33645afc56e385eaae8780da335196'],
    ['id', 'e5c9a33c83899d2f5c89bb9da84f83377a0290539f87632f'],
  ] as const)('derives keys with Argon2%s', (flavour, expected) => {
    const options = { memory: 256, passes: 2, parallelism: 2, length: 24 };
    expect(hex(crypto.argon2!(flavour, ascii('password'), ascii('somesalt'), options))).toBe(expected);
  });

  it('compares', () => {
    expect(crypto.equal(unhex('0102'), unhex('0102'))).toBe(true);
    expect(crypto.equal(unhex('0102'), unhex('0103'))).toBe(false);
    expect(crypto.equal(unhex('0102'), unhex('010200'))).toBe(false);
    expect(crypto.equal(zeros(0), zeros(0))).toBe(true);
  });

  it('makes random bytes of any length', () => {
    for (const length of [0, 1, 32, 70_000]) expect(crypto.random(length).length).toBe(length);
    expect(crypto.random(16)).not.toEqual(crypto.random(16));
    expect(crypto.random(70_000).subarray(65_536)).not.toEqual(zeros(70_000 - 65_536));
  });

  it('returns plain arrays, since a Buffer’s slice shares memory', () => {
    const outputs = [
      crypto.random(8),
      crypto.hash('sha256').digest(),
      crypto.hmac('sha1', key128).compute(plain),
      crypto.aesCtr(key128, zeros(16)).process(plain),
      crypto.chacha20(key256).stream(zeros(8)).process(plain),
      crypto.x25519().publicKey,
      crypto.ecdh('p256').publicKey,
      crypto.ffdh(modpGroups.group1.prime, modpGroups.group1.generator, 160).publicKey,
      crypto.ed25519.sign(key256, plain),
    ];
    for (const output of outputs) expect(output.constructor.name).toBe('Uint8Array');
  });
});

describe('every provider gives the same', () => {
  const random = seeded(1);

  it('hashes and MACs', () => {
    for (const length of lengths) {
      const data = random(length);
      for (const name of names) {
        same((crypto) => crypto.hash(name).update(data).digest());
        for (const keyLength of [1, 20, 64, 65, 200]) {
          const key = random(keyLength);
          same((crypto) => crypto.hmac(name, key).compute(data.subarray(0, 5), data));
        }
      }
    }
  });

  it.each([16, 24, 32])('AES with keys of %i bytes', (keyLength) => {
    for (const length of lengths) {
      const [key, iv, nonce, aad] = [random(keyLength), random(16), random(12), random(4)];
      // An odd offset: implementations that read words must not depend on alignment.
      const whole = random((length & ~15) + 1).subarray(1);
      const data = random(length + 3).subarray(3);
      same((crypto) => crypto.aesCtr(key, iv).process(whole));
      const encrypted = same((crypto) => crypto.aesCbc(key, iv, 'encrypt').process(whole));
      expect(same((crypto) => crypto.aesCbc(key, iv, 'decrypt').process(encrypted))).toEqual(Uint8Array.from(whole));
      const sealed = same((crypto) => seal(crypto, key, nonce, aad, data).data);
      const tag = same((crypto) => seal(crypto, key, nonce, aad, data).tag);
      expect(same((crypto) => crypto.aesGcm(key).open(nonce, aad, sealed, tag)!)).toEqual(Uint8Array.from(data));
    }
  });

  it('chained calls, whatever their lengths', () => {
    const [key, iv, key3] = [random(16), random(16), random(24)];
    const parts = [16, 48, 16, 4096, 32].map((length) => random(length));
    const join = (process: (data: Uint8Array) => Uint8Array): Uint8Array =>
      Uint8Array.from(Buffer.concat(parts.map(process)));
    same((crypto) => join(crypto.aesCtr(key, iv).process));
    for (const direction of ['encrypt', 'decrypt'] as const) {
      same((crypto) => join(crypto.aesCbc(key, iv, direction).process));
      same((crypto) => join(crypto.tripleDesCbc!(key3, iv.subarray(0, 8), direction).process));
    }
  });

  it('ChaCha20 and Poly1305', () => {
    for (const length of lengths) {
      const [key, nonce, data] = [random(32), random(8), random(length + 1).subarray(1)];
      same((crypto) => crypto.chacha20(key).stream(nonce).process(data));
      for (const blocks of [1, 1000]) {
        same((crypto) => {
          const stream = crypto.chacha20(key).stream(nonce);
          stream.process(zeros(blocks * 64));
          return stream.process(data);
        });
      }
      // Two of one key side by side.
      same((crypto) => {
        const cipher = crypto.chacha20(key);
        const [one, other] = [cipher.stream(nonce), cipher.stream(random(8).fill(9))];
        return Uint8Array.of(...other.process(zeros(64)), ...one.process(data));
      });
      same((crypto) => crypto.poly1305(key, data));
    }
    for (let run = 0; run < 200; run++) {
      const [key, data] = [random(32), random(run)];
      // Bytes of ones are where carries go wrong.
      if (run % 2 === 0) data.fill(0xff);
      if (run % 3 === 0) key.fill(0xff);
      same((crypto) => crypto.poly1305(key, data));
    }
  });

  it('PBKDF2', () => {
    for (const name of names) same((crypto) => crypto.pbkdf2(name, ascii('pass'), random(8).fill(3), 7, 77));
  });

  it('nothing that a caller passes in is changed', () => {
    for (const crypto of providers) {
      const [key, iv, data] = [random(32), random(16), random(64)];
      const before = [key, iv, data].map(hex);
      crypto.aesCtr(key, iv).process(data);
      crypto.aesCbc(key, iv, 'encrypt').process(data);
      crypto.aesCbc(key, iv, 'decrypt').process(data);
      const { data: sealed, tag } = seal(crypto, key, iv.subarray(0, 12), iv, data);
      crypto.aesGcm(key).open(iv.subarray(0, 12), iv, sealed, tag);
      crypto.chacha20(key).stream(iv.subarray(0, 8)).process(data);
      crypto.poly1305(key, data);
      crypto.tripleDesCbc!(key.subarray(0, 24), iv.subarray(0, 8), 'decrypt').process(data);
      crypto.hmac('sha256', key).compute(data);
      expect([key, iv, data].map(hex)).toEqual(before);
    }
  });
});

describe('Poly1305 in WebAssembly', () => {
  it('takes messages longer than its memory', () => {
    const [key, data] = [seeded(2)(32), seeded(3)(300_001)];
    same((crypto) => crypto.poly1305(key, data));
  });

  it('gives way to the core’s own where WebAssembly is switched off', async () => {
    vi.resetModules();
    const { nodeCrypto } = await import('../../../transport/node-crypto.ts');
    vi.stubGlobal('WebAssembly', {
      Module: () => {
        throw new Error('switched off');
      },
    });
    try {
      const key = seeded(4)(32);
      expect(nodeCrypto().poly1305(key, key)).toEqual(noble.poly1305(key, key));
    } finally {
      vi.unstubAllGlobals();
    }
  });
});

describe('what is said of providers', () => {
  it('names the rows that come from node', () => {
    expect(noble.overrides).toEqual([]);
    expect(node.overrides).toContain('aesGcm');
    expect(node.name).toBe('node');
    expect(Object.keys(node).sort()).toEqual(Object.keys(noble).sort());
  });

  it('the platform’s generator does not repeat', () => {
    expect(platformRandom(32)).not.toEqual(platformRandom(32));
  });
});
