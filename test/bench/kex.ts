// What one key exchange costs the client in processor time, method by method: `node test/run.mjs test/bench/kex.ts
// [--provider node|noble] [--rounds N]`. Each method has processes of its own. The first exchange of a process is what a
// command pays; the median of later ones is what a run on many hosts pays for each. Only the client's half counts, not
// the server's, and neither the host key's signature nor the keys made of the secret.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nobleCrypto } from '../../protocol/crypto/noble.ts';
import { dhRows } from '../../protocol/kex/dh.ts';
import { ecdhRows } from '../../protocol/kex/ecdh.ts';
import { gexRows } from '../../protocol/kex/gex.ts';
import { hybridRows } from '../../protocol/kex/hybrid.ts';
import type { KexRow } from '../../protocol/kex/method.ts';
import { nodeCrypto } from '../../transport/node-crypto.ts';

const rows = [...hybridRows, ...ecdhRows, ...gexRows, ...dhRows].filter(
  (row, index, all) => row.default && all.findIndex(({ name }) => name === row.name.split('@')[0]) === index,
);
const { values } = parseArgs({
  options: {
    provider: { type: 'string', default: 'node' },
    rounds: { type: 'string', default: '60' },
    one: { type: 'string' },
  },
});
const crypto = values.provider === 'noble' ? nobleCrypto : nodeCrypto();
const dummy = new Uint8Array(64);

/** Milliseconds of processor time that the client's steps take. */
function exchange(row: KexRow): number {
  const server = row.server(crypto, { strength: 128 });
  let spent = 0;
  const timed = <T>(step: () => T): T => {
    const before = process.cpuUsage();
    const result = step();
    const { user, system } = process.cpuUsage(before);
    spent += (user + system) / 1000;
    return result;
  };
  const client = timed(() => row.client(crypto, { strength: 128 }));
  let message: Uint8Array | undefined = timed(() => client.begin());
  while (message !== undefined) {
    const answer: ReturnType<typeof server.receive> = server.receive(message);
    const reply: Uint8Array = answer.send ?? answer.done!.reply(dummy, dummy);
    message = timed(() => client.receive(reply)).send;
  }
  return spent;
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

if (values.one !== undefined) {
  const row = rows.find(({ name }) => name === values.one)!;
  const first = exchange(row);
  // Half of them warm the engine up.
  const later = Array.from({ length: Number(values.rounds) }, () => exchange(row));
  process.stdout.write(JSON.stringify([first, median(later.slice(later.length / 2))]));
} else {
  const self = fileURLToPath(import.meta.url);
  process.stdout.write(`| method (${values.provider}) | first, ms | later, ms |\n|---|---|---|\n`);
  for (const { name } of rows) {
    const args = [self, '--provider', values.provider, '--rounds', values.rounds, '--one', name];
    const runs = Array.from(
      { length: 5 },
      () => JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as [number, number],
    );
    const [first, later] = [0, 1].map((i) => median(runs.map((run) => run[i]!)).toFixed(1));
    process.stdout.write(`| \`${name}\` | ${first} | ${later} |\n`);
  }
}
