// One file to or from a server through the client library's Node streams, as a program that embeds it would:
// `stream-copy.ts get|put CONFIG HOST FROM TO`, with CONFIG an ssh_config that says all the rest. Run by files.ts.
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import {
  algorithmSets,
  collectAtOnce,
  defaultAlgorithms,
  KeyStore,
  localResolveEnv,
  muchData,
  nodeCrypto,
  openHost,
  openSftp,
  resolveHost,
  supportedAlgorithms,
} from '../../client/index.ts';

const [way, configFile, destination, from, to] = process.argv.slice(2) as [string, string, string, string, string];
// As docs/files.md says of a program that mostly copies.
collectAtOnce();
muchData();
const crypto = nodeCrypto();
const environment = localResolveEnv({
  algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
  version: 'bench',
});
const plan = resolveHost({ destination, configFile }, environment);
const { connection } = await openHost(plan, { crypto, keys: new KeyStore({ crypto }), shell: '/bin/sh' });
const sftp = await openSftp(connection);
const file = await sftp.open(way === 'get' ? from : to, way === 'get' ? 'r' : 'w');
// Node's own 16 and 64 KiB cost the local file as much time as the network takes.
const local = { highWaterMark: 512 * 1024 };
if (way === 'get') await pipeline(file.readable(), createWriteStream(to, local));
else await pipeline(createReadStream(from, local), file.writable());
await file.close();
await connection.close();
