/**
 * Negotiation beside a slow reading of RFC 4253 section 7.1. Invariants: both roles come to the same choice, the
 * model's; without a common name both say which list failed and show both lists, markers left out.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type AlgorithmPreferences, algorithms, supportedAlgorithms } from '../protocol/algorithms.ts';
import { nobleCrypto } from '../protocol/crypto/noble.ts';
import { SshError } from '../protocol/errors.ts';
import { KexInit } from '../protocol/messages/transport.ts';
import { buildKexInit, guessedRight, marker, type Negotiated, negotiate } from '../protocol/negotiate.ts';
import { name } from './arbitraries/messages.ts';

const lists = {
  kex: algorithms.kex,
  hostKey: algorithms.hostKeys,
  cipherClientToServer: algorithms.ciphers,
  cipherServerToClient: algorithms.ciphers,
  macClientToServer: algorithms.macs,
  macServerToClient: algorithms.macs,
  compressionClientToServer: algorithms.compression,
  compressionServerToClient: algorithms.compression,
} as const;
type ListName = keyof typeof lists;
const listNames = Object.keys(lists) as ListName[];
const kinds: Readonly<Record<string, string>> = {
  kex: 'kex',
  hostKey: 'host key',
  cipher: 'cipher',
  mac: 'mac',
  compression: 'compression',
};
const markers: readonly string[] = Object.values(marker);
const isMarker = (each: string): boolean => markers.includes(each);

/** A few names we know, so that lists meet often. */
const known = (which: ListName): fc.Arbitrary<string> =>
  fc.constantFrom(...lists[which].slice(0, 4).map((row) => row.name));
/** Lists of ours hold names we have; those of a peer anything, doubled names and markers too. */
const ours = (which: ListName, maxLength: number) =>
  fc
    .tuple(fc.uniqueArray(known(which), { maxLength }), which === 'kex' ? fc.subarray([...markers]) : fc.constant([]))
    .map(([names, more]) => [...names, ...more]);
const theirs = (which: ListName) =>
  fc.array(fc.oneof({ weight: 6, arbitrary: known(which) }, name, fc.constantFrom(...markers)), { maxLength: 6 });

const init = (list: (which: ListName) => fc.Arbitrary<readonly string[]>): fc.Arbitrary<KexInit> =>
  fc
    .record({
      ...(Object.fromEntries(listNames.map((which) => [which, list(which)])) as Record<
        ListName,
        fc.Arbitrary<string[]>
      >),
      languagesClientToServer: fc.array(name, { maxLength: 2 }),
      languagesServerToClient: fc.array(name, { maxLength: 2 }),
      firstKexPacketFollows: fc.boolean(),
    })
    .map((lists) => ({ cookie: new Uint8Array(16), reserved: 0, ...lists }));

interface Failure {
  readonly kind: string;
  readonly ours: string[];
  readonly theirs: string[];
}

/** The section's own words, one list after the other. */
function model(client: KexInit, server: KexInit): Record<ListName, string | undefined> | ListName[] {
  const chosen = {} as Record<ListName, string | undefined>;
  const failed: ListName[] = [];
  for (const which of listNames) {
    chosen[which] = undefined;
    for (const each of client[which]) {
      if (isMarker(each)) continue;
      if (server[which].indexOf(each) === -1) continue;
      chosen[which] = each;
      break;
    }
  }
  for (const which of listNames) {
    const cipher = which === 'macClientToServer' ? chosen.cipherClientToServer : chosen.cipherServerToClient;
    if (which.startsWith('mac') && algorithms.ciphers.find((row) => row.name === cipher)?.aead)
      chosen[which] = undefined;
    else if (chosen[which] === undefined) failed.push(which);
  }
  return failed.length > 0 ? failed : chosen;
}

const shown = ({
  kex,
  hostKey,
  clientToServer: up,
  serverToClient: down,
}: Negotiated): Record<ListName, string | undefined> => ({
  kex: kex.name,
  hostKey: hostKey.name,
  cipherClientToServer: up.cipher.name,
  cipherServerToClient: down.cipher.name,
  macClientToServer: up.mac?.name,
  macServerToClient: down.mac?.name,
  compressionClientToServer: up.compression.name,
  compressionServerToClient: down.compression.name,
});

const attempt = (run: () => Negotiated): ReturnType<typeof shown> | Failure => {
  try {
    return shown(run());
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    expect(error).toMatchObject({ code: 'no-common-algorithm', by: 'peer', disconnect: 3 });
    return error.detail as unknown as Failure;
  }
};

it('both roles choose as the model does, or fail with both lists', () => {
  fc.assert(
    fc.property(
      init((which) => ours(which, 4)),
      init(theirs),
      fc.boolean(),
      (mine, peer, weAreClient) => {
        const [client, server] = weAreClient ? [mine, peer] : [peer, mine];
        const expected = model(client, server);
        const got = attempt(() => negotiate(weAreClient ? 'client' : 'server', mine, peer));
        if (!Array.isArray(expected)) {
          expect(got).toEqual(expected);
          return;
        }
        const failure = got as Failure;
        const which = expected.find(
          (each) => kinds[each.replace(/(ClientToServer|ServerToClient)$/, '')] === failure.kind && same(each, failure),
        );
        expect(which).toBeDefined();
        function same(each: ListName, { ours, theirs }: Failure): boolean {
          const plain = (names: readonly string[]) => names.filter((one) => !isMarker(one)).join();
          return ours.join() === plain(mine[each]) && theirs.join() === plain(peer[each]);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

it('both sides of one exchange agree', () => {
  fc.assert(
    fc.property(
      init((which) => ours(which, 4)),
      init((which) => ours(which, 4)),
      (client, server) => {
        const one = attempt(() => negotiate('client', client, server));
        const two = attempt(() => negotiate('server', server, client));
        if ('kind' in one) expect(two).toEqual({ kind: one.kind, ours: one.theirs, theirs: one.ours });
        else expect(two).toEqual(one);
      },
    ),
    { numRuns: 1000 },
  );
});

it('a guess is right when the first kex and host-key names agree, markers aside', () => {
  fc.assert(
    fc.property(init(theirs), init(theirs), (one, two) => {
      const first = (names: readonly string[]) => names.filter((each) => !isMarker(each))[0];
      const right = first(one.kex) === first(two.kex) && first(one.hostKey) === first(two.hostKey);
      expect(guessedRight(one, two)).toBe(right);
      expect(guessedRight(two, one)).toBe(right);
    }),
    { numRuns: 500 },
  );
});

it('KEXINIT holds the offer in order, with the markers of its role in the first one', () => {
  const all = supportedAlgorithms(nobleCrypto);
  const offers = fc.record({
    kex: fc.shuffledSubarray([...all.kex]),
    hostKeys: fc.shuffledSubarray([...all.hostKeys]),
    ciphers: fc.shuffledSubarray([...all.ciphers]),
    macs: fc.shuffledSubarray([...all.macs]),
    compression: fc.shuffledSubarray([...all.compression]),
  });
  fc.assert(
    fc.property(
      offers,
      fc.constantFrom('client', 'server'),
      fc.boolean(),
      (offer: AlgorithmPreferences, role, first) => {
        const built = KexInit.decode(buildKexInit(nobleCrypto, role, offer, first));
        const wanted =
          role === 'client'
            ? ['ext-info-c', 'kex-strict-c-v00@openssh.com']
            : ['ext-info-s', 'kex-strict-s-v00@openssh.com'];
        expect(built.kex).toEqual([...offer.kex, ...(first ? wanted : [])]);
        expect([built.hostKey, built.cipherClientToServer, built.macServerToClient]).toEqual([
          offer.hostKeys,
          offer.ciphers,
          offer.macs,
        ]);
        expect(built).toMatchObject({ reserved: 0, firstKexPacketFollows: false });
        expect(built.cookie).not.toEqual(KexInit.decode(buildKexInit(nobleCrypto, role, offer, first)).cookie);
      },
    ),
    { numRuns: 50 },
  );
});
