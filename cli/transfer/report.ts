/**
 * What a transfer says of itself, host by host: lines for people, events of their own for `--json`. Failures of single
 * files are said when they happen, with their path.
 */

import {
  type HostContext,
  SshError,
  type TransferProgress,
  type TreeAction,
  type TreeFailure,
  type TreeResult,
} from '../../client/index.ts';
import type { Rendering } from '../render/index.ts';
import { countText, sizeText } from './amounts.ts';
import type { Meter } from './meter.ts';

/** Progress events of one host are this far apart (milliseconds). */
const PROGRESS_MS = 1000;

/** What became of one source. */
export interface Done {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  /** Absent for a single file. */
  readonly tree?:
    | { readonly files: number; readonly directories: number; readonly skipped: number; readonly failed: number }
    | undefined;
  readonly synced?: { readonly unchanged: number; readonly deleted: number } | undefined;
}

export interface ReportOptions {
  /** Undefined in other modes than `--json`. */
  readonly events: (() => Rendering) | undefined;
  readonly meter: Meter;
  /** Every file of a tree has its line. */
  readonly verbose: boolean;
  /** Failures only. */
  readonly quiet: boolean;
  readonly dryRun: boolean;
}

export class Report {
  readonly #options: ReportOptions;
  readonly #host: HostContext;
  #lastProgress = Number.NEGATIVE_INFINITY;
  #failures = 0;
  files = 0;

  constructor(host: HostContext, options: ReportOptions) {
    this.#host = host;
    this.#options = options;
  }

  get failures(): number {
    return this.#failures;
  }

  readonly onProgress = (progress: TransferProgress): void => {
    const { meter, events } = this.#options;
    const { index } = this.#host;
    meter.note(index, progress);
    const now = performance.now();
    if (!events || now - this.#lastProgress < PROGRESS_MS) return;
    this.#lastProgress = now;
    events().note(index, { type: 'progress', ...meter.of(index) });
  };

  /** A file of a tree, or something deleted there. */
  readonly onAction = ({ action, from, to, size }: TreeAction): void => {
    const { events, verbose, dryRun } = this.#options;
    if (events) {
      const fields = action === 'copy' ? { from, to, bytes: size } : { path: to };
      events().note(this.#host.index, {
        type: action === 'copy' ? 'file' : 'delete',
        ...fields,
        ...(dryRun && { dryRun }),
      });
    } else if (verbose) {
      this.#say('stdout', action === 'copy' ? `copy ${from} -> ${to}` : `delete ${to}`);
    }
  };

  readonly onFailure = ({ path, error }: TreeFailure): void => {
    this.#failures++;
    const message = describeFailure(path, error);
    const { events } = this.#options;
    if (events) events().note(this.#host.index, { type: 'failure', path, code: error.code, message });
    else this.#say('stderr', message);
  };

  /** Runs `work`; what is wrong with files is noted, and everything else ends the host. */
  async attempt(path: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isAboutFiles(error)) throw error;
      this.onFailure({ path, error });
    }
  }

  done({ from, to, bytes, tree, synced }: Done): void {
    this.files += tree?.files ?? 1;
    const { events, quiet } = this.#options;
    if (events) {
      events().note(this.#host.index, { type: tree ? 'tree' : 'file', from, to, bytes, ...tree, ...synced });
      return;
    }
    if (quiet) return;
    const parts = [`${from} -> ${to}`];
    if (tree) parts.push(countText(tree.files, 'file'), countText(tree.directories, 'directory', 'directories'));
    parts.push(sizeText(bytes));
    if (synced) parts.push(`${synced.unchanged} unchanged`, `${synced.deleted} deleted`);
    if (tree && tree.skipped > 0) parts.push(`${tree.skipped} left out (links, devices)`);
    if (tree && tree.failed > 0) parts.push(`${tree.failed} failed`);
    this.#say('stdout', parts.join(', '));
  }

  #say(stream: 'stdout' | 'stderr', line: string): void {
    // Names with newlines must not look like lines of their own.
    void this.#host.output(stream, Buffer.from(`${line.replaceAll('\n', '\\n')}\n`));
  }
}

export const describeTree = (from: string, to: string, result: TreeResult, synced: boolean): Done => ({
  from,
  to,
  bytes: result.bytes,
  tree: {
    files: result.files,
    directories: result.directories,
    skipped: result.skipped,
    failed: result.failed,
  },
  synced: synced ? { unchanged: result.unchanged, deleted: result.deleted } : undefined,
});

/** Version 3's codes in the words of the system they mostly come from. */
const words: Readonly<Record<number, string>> = {
  2: 'No such file or directory',
  3: 'Permission denied',
  4: 'Failure',
  8: 'Operation unsupported',
};

/** The path and why, once each. */
export function describeFailure(path: string, error: SshError): string {
  const { detail } = error;
  const about = typeof detail.path === 'string' ? detail.path : path;
  if (error.code === 'sftp' && typeof detail.status === 'number') {
    const text = typeof detail.text === 'string' ? detail.text : '';
    return `${about}: ${words[detail.status] ?? (text || `status ${detail.status}`)}${detail.status === 4 && text !== '' && text !== 'Failure' ? ` (${text})` : ''}`;
  }
  return error.message.includes(about) ? error.message : `${about}: ${error.message}`;
}

/** What concerns files and paths; everything else ends the host. */
const isAboutFiles = (error: unknown): error is SshError =>
  error instanceof SshError && ['sftp', 'scp', 'file', 'usage', 'unsupported'].includes(error.code);
