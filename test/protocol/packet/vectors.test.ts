/** Byte-exact packets of an independent implementation, across the wrap of the sequence number. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { join } from '../../../fuzz/arbitraries/suites.ts';
import { createNobleCrypto } from '../../../protocol/crypto/noble.ts';
import type { CryptoProvider } from '../../../protocol/crypto/provider.ts';
import { cipherRows } from '../../../protocol/packet/ciphers.ts';
import { Inbound } from '../../../protocol/packet/inbound.ts';
import { macRows } from '../../../protocol/packet/macs.ts';
import { Outbound } from '../../../protocol/packet/outbound.ts';
import { nodeCrypto } from '../../../transport/node-crypto.ts';

interface Stream {
  readonly cipher: string;
  readonly key: string;
  readonly iv: string;
  readonly mac?: string;
  readonly macKey?: string;
  readonly wire: string;
}
const file = JSON.parse(readFileSync(new URL('../../vectors/packets.json', import.meta.url), 'utf8')) as {
  readonly firstSequence: number;
  readonly payloads: readonly string[];
  readonly streams: readonly Stream[];
};
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const payloads = file.payloads.map(bytes);
const random = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (7 * i + 1) & 0xff);
const providers: readonly CryptoProvider[] = [createNobleCrypto({ random }), { ...nodeCrypto(), random }];

function keyed(crypto: CryptoProvider, stream: Stream) {
  const row = cipherRows.find(({ name }) => name === stream.cipher)!;
  const macRow = macRows.find(({ name }) => name === stream.mac);
  const mac = macRow && { row: macRow, mac: macRow.create(crypto, bytes(stream.macKey!)) };
  return { row, key: bytes(stream.key), iv: bytes(stream.iv), mac };
}

describe.each(providers.map((crypto) => [crypto.name, crypto] as const))('%s', (_name, crypto) => {
  const usable = file.streams.filter(({ cipher }) => cipherRows.find((row) => row.name === cipher)!.available(crypto));
  const table = usable.map((stream) => [`${stream.cipher} ${stream.mac ?? ''}`, stream] as const);

  it.each(table)('opens %s', (_case, stream) => {
    const { row, key, iv, mac } = keyed(crypto, stream);
    const inbound = new Inbound(file.firstSequence);
    inbound.rekey(row.opener(crypto, key, iv, mac));
    inbound.feed(bytes(stream.wire));
    expect(payloads.map(() => inbound.next())).toEqual(payloads);
    expect(inbound.held).toBe(0);
    expect(inbound.sequence).toBe(2);
  });

  it.each(table)('seals %s', (_case, stream) => {
    const { row, key, iv, mac } = keyed(crypto, stream);
    const outbound = new Outbound(crypto, file.firstSequence);
    outbound.rekey(row.sealer(crypto, key, iv, mac));
    for (const payload of payloads) outbound.send(payload);
    expect(Buffer.from(join([outbound.take()!])).toString('hex')).toBe(stream.wire);
    expect(outbound.sequence).toBe(2);
  });
});
