// Files over SFTP: whole or not at all, resumable, with progress; and directories made alike.
import { type Connection, download, openLanes, upload, uploadTree } from '../../client/index.ts';

export async function deploy(connection: Connection, site: string, archive: string, target: string): Promise<number> {
  const lanes = await openLanes(connection);
  await upload(lanes, archive, `${target}/release.tar`, {
    resume: true,
    onProgress: ({ done, total }) => console.log(`${done} of ${total ?? '?'} bytes`),
  });
  const { files } = await uploadTree(lanes, site, `${target}/www`, {
    sync: { compare: 'time', delete: true, dryRun: false },
  });
  await download(lanes.first, `${target}/release.tar`, `${archive}.check`);
  return files;
}
