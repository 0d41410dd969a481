/**
 * Finite-field Diffie-Hellman (RFC 4253 section 8, RFC 4419) on BigInt.
 *
 * Every exponent is used for one exchange only, so a timing difference has no long-lived secret to add up on.
 * Primality of a server's group is not tested here: a server that lies about its group hurts only its own session.
 */

import { Disconnect, SshError } from '../errors.ts';
import { bitLength, fromBigInt, modPow, toBigInt } from './bignum.ts';
import type { KeyPair } from './provider.ts';

const unusable = (message: string): SshError =>
  new SshError('kex', message, { by: 'peer', disconnect: Disconnect.keyExchangeFailed });

/** Refuses what can be no group: an even or tiny modulus, a generator outside 1 < g < p - 1. */
export function checkGroup(prime: bigint, generator: bigint): void {
  if (prime < 5n || prime % 2n === 0n) throw unusable('Diffie-Hellman modulus is not an odd prime');
  if (generator <= 1n || generator >= prime - 1n) throw unusable('Diffie-Hellman generator is out of range');
}

/** A peer's value must lie in 1 < y < p - 1 (RFC 4253 section 8 asks for [1, p-1]; 1 and p-1 give the secret away). */
export function checkPublic(value: bigint, prime: bigint): void {
  if (value <= 1n || value >= prime - 1n) throw unusable('Diffie-Hellman public value is out of range');
}

/** `bits` random bits with the top one set, kept below p - 1. */
export function privateExponent(random: (length: number) => Uint8Array, prime: bigint, privateBits: number): bigint {
  const bits = Math.max(1, Math.min(privateBits, bitLength(prime) - 2));
  const value = toBigInt(random(Math.ceil(bits / 8)));
  const top = 1n << BigInt(bits - 1);
  return (value & (top - 1n)) | top;
}

/** A peer's bytes as a number; too many of them is the peer's fault, not a limit of ours. */
export function publicNumber(bytes: Uint8Array, primeLength: number): bigint {
  if (bytes.length > primeLength + 1) throw unusable('Diffie-Hellman public value is out of range');
  return toBigInt(bytes);
}

export function createFfdh(random: (length: number) => Uint8Array) {
  return (primeBytes: Uint8Array, generatorBytes: Uint8Array, privateBits: number): KeyPair => {
    const prime = toBigInt(primeBytes);
    const generator = toBigInt(generatorBytes);
    checkGroup(prime, generator);
    let secret: bigint;
    let own: bigint;
    do {
      secret = privateExponent(random, prime, privateBits);
      own = modPow(generator, secret, prime);
    } while (own <= 1n || own >= prime - 1n);
    return {
      publicKey: fromBigInt(own),
      derive(peer) {
        const theirs = publicNumber(peer, primeBytes.length);
        checkPublic(theirs, prime);
        return fromBigInt(modPow(theirs, secret, prime));
      },
    };
  };
}
