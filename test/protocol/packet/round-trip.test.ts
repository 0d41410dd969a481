/** Every cipher with every MAC, each provider: what one side sends is what the other gets, however the bytes arrive. */

import { describe, expect, it } from 'vitest';
import { join, pattern, type Suite, suites } from '../../../fuzz/arbitraries/suites.ts';
import { nobleCrypto } from '../../../protocol/crypto/noble.ts';
import type { CryptoProvider } from '../../../protocol/crypto/provider.ts';
import { Inbound } from '../../../protocol/packet/inbound.ts';
import { Outbound } from '../../../protocol/packet/outbound.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';

const providers: readonly CryptoProvider[] = [nobleCrypto, nodeCrypto()];
const payloads = [1, 2, 7, 8, 11, 15, 16, 17, 255, 1000].map((length) => pattern(length, length));

function sent(crypto: CryptoProvider, suite: Suite): Uint8Array {
  const outbound = new Outbound(crypto);
  outbound.rekey(suite.sealer());
  for (const payload of payloads) outbound.send(payload);
  const parts: Uint8Array[] = [];
  for (let part = outbound.take(); part !== undefined; part = outbound.take()) parts.push(part);
  expect(outbound.sequence).toBe(payloads.length);
  expect(outbound.bytes).toBe(join(parts).length);
  return join(parts);
}

/** Feeds `wire` in pieces through one buffer that is overwritten between calls, as a socket's may be. */
function received(suite: Suite, wire: Uint8Array, sizes: () => number): Uint8Array[] {
  const inbound = new Inbound();
  inbound.rekey(suite.opener());
  const out: Uint8Array[] = [];
  for (let at = 0; at < wire.length; ) {
    const chunk = wire.slice(at, at + sizes());
    at += chunk.length;
    inbound.feed(chunk);
    for (let payload = inbound.next(); payload !== undefined; payload = inbound.next()) out.push(payload);
    inbound.settle();
    chunk.fill(0xee);
  }
  expect(inbound.held).toBe(0);
  expect(inbound.bytes).toBe(wire.length);
  expect(inbound.packets).toBe(out.length);
  return out;
}

describe.each(providers.map((crypto) => [crypto.name, crypto] as const))('%s', (_name, crypto) => {
  it.each(suites(crypto).map((suite) => [suite.name, suite] as const))('%s', (_suite, suite) => {
    const wire = sent(crypto, suite);
    expect(received(suite, wire, () => wire.length)).toEqual(payloads);
    expect(received(suite, wire, () => 1)).toEqual(payloads);
    let step = 0;
    const uneven = (): number => {
      step = (step * 31 + 17) % 97;
      return 1 + step;
    };
    expect(received(suite, wire, uneven)).toEqual(payloads);
  });
});
