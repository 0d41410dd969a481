/** What `upload` does on one host. */

import { joinRemote, type Lanes, type SharedFiles, type TreeOptions, upload, uploadTree } from '../../client/index.ts';
import { remoteTarget } from './remote.ts';
import { describeTree, type Report } from './report.ts';
import type { Source } from './sources.ts';

export interface UploadJob {
  readonly sources: readonly Source[];
  readonly destination: string;
  readonly files: SharedFiles;
  readonly options: Omit<TreeOptions, 'signal' | 'onProgress' | 'onAction' | 'onFailure' | 'sources'>;
}

export async function uploadAll(job: UploadJob, lanes: Lanes, report: Report, signal: AbortSignal): Promise<void> {
  const { sources, destination, files, options } = job;
  const { sync } = options;
  const target = await remoteTarget(lanes.first, destination, sources.length > 1, signal, sync !== undefined);
  const common = { ...options, signal, onProgress: report.onProgress };
  for (const { path, kind, name } of sources) {
    // A directory that is made like another one takes its place; it does not go into it.
    const inside = target.isDirectory && sync === undefined;
    const to = inside && name !== '' ? joinRemote(target.path, name) : target.path;
    await report.attempt(path, async () => {
      if (kind === 'directory') {
        const tree = { ...common, sources: files, onAction: report.onAction, onFailure: report.onFailure };
        report.done(describeTree(path, to, await uploadTree(lanes, path, to, tree), sync !== undefined));
      } else {
        const { size } = await files.use(path, (file) => upload(lanes, file, to, { ...common, sync: false }));
        report.done({ from: path, to, bytes: size });
      }
    });
  }
}
