// A remote command as a part of a pipeline: Node streams in and out, with back-pressure from end to end.
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Connection } from '../../client/index.ts';

export async function streamThrough(
  connection: Connection,
  command: string,
  input: Readable,
  output: Writable,
): Promise<number | undefined> {
  const handle = await connection.exec(command);
  handle.stream.stderr.resume(); // what nobody reads would hold up the command
  await pipeline(input, handle.stream, output);
  return (await handle.exit).status;
}
