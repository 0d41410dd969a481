/** Whether a remote and a local file of one size hold the same bytes; both are read, up to the first difference. */

import { open } from 'node:fs/promises';
import { local } from './local-file.ts';
import { toLocal } from './safe-names.ts';
import type { Sftp, SftpCallOptions } from './sftp.ts';

export async function sameContent(
  sftp: Sftp,
  remotePath: string,
  localPath: string,
  size: number,
  options: SftpCallOptions,
): Promise<boolean> {
  if (size === 0) return true;
  const ours = await local(localPath, open(toLocal(localPath)));
  try {
    const theirs = await sftp.open(remotePath, 'r', options);
    try {
      let at = 0;
      for await (const chunk of theirs.readable({ ...options, end: size }) as AsyncIterable<Buffer>) {
        const { buffer, bytesRead } = await local(
          localPath,
          ours.read(Buffer.alloc(chunk.length), 0, chunk.length, at),
        );
        if (bytesRead < chunk.length || !chunk.equals(buffer)) return false;
        at += chunk.length;
      }
      return at === size;
    } finally {
      theirs.close().catch(() => {});
    }
  } finally {
    await ours.close();
  }
}
