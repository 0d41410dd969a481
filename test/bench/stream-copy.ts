// One file to or from a server through the client library's Node streams, as a program that embeds it would:
// `stream-copy.ts get|put CONFIG HOST FROM TO`, with CONFIG an ssh_config that says all the rest. Run by files.ts.
import { pipeline } from 'node:stream/promises';
import {
  algorithmSets,
  collectAtOnce,
  defaultAlgorithms,
  KeyStore,
  localReadable,
  localResolveEnv,
  localWritable,
  muchData,
  nodeCrypto,
  openHost,
  openSftp,
  resolveHost,
  supportedAlgorithms,
} from '../../client/index.ts';

// The command's bundler, which makes this one file, takes no top-level await.
async function main([way, configFile, destination, from, to]: string[]): Promise<void> {
  // As docs/files.md says of a program that mostly copies.
  collectAtOnce();
  muchData();
  const crypto = nodeCrypto();
  const environment = localResolveEnv({
    algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
    version: 'bench',
  });
  const plan = resolveHost({ destination: destination!, configFile: configFile! }, environment);
  const { connection } = await openHost(plan, { crypto, keys: new KeyStore({ crypto }), shell: '/bin/sh' });
  const sftp = await openSftp(connection);
  const file = await sftp.open((way === 'get' ? from : to)!, way === 'get' ? 'r' : 'w');
  if (way === 'get') await pipeline(file.readable(), localWritable(to!));
  else await pipeline(localReadable(from!), file.writable());
  await file.close();
  await connection.close();
}

void main(process.argv.slice(2));
