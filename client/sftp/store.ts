/**
 * Local file to remote file, pipelined over one or more SFTP sessions ("lanes"): servers grant a channel little window
 * (OpenSSH: 2 MiB), so over a distance one channel alone is slow. Opens, names and finishes nothing: that is
 * `upload.ts`.
 */

import { SshError } from '../../protocol/index.ts';
import { offAbort, onAbort } from '../../transport/index.ts';
import { BLOCK_BYTES, SPAN_BYTES } from './blocks.ts';
import { aborted } from './link.ts';
import { type RateLimit, RateTurn } from './rate.ts';
import type { RemoteFile } from './remote-file.ts';
import { PIECE_BYTES } from './resume.ts';
import type { SharedBlock, SharedFile } from './shared-file.ts';
import { DISTANCE_MS } from './transfer.ts';
import { STORE_BYTES, TransferWindow } from './window.ts';

export interface StoreOptions {
  readonly from: SharedFile;
  /** A multiple of the block size. */
  readonly start: number;
  readonly signal?: AbortSignal | undefined;
  readonly rate?: RateLimit | undefined;
  onBytes(count: number): void;
  /** How long a request without content took at least (milliseconds). */
  readonly roundTrip: number;
  /** Called once when round trips are long and much is left: time to `addLane`. */
  onDistance?(): void;
}

interface Lane {
  readonly file: RemoteFile;
  readonly window: TransferWindow;
  readonly request: number;
  stalled: boolean;
}

interface Slot {
  readonly index: number;
  block: SharedBlock | undefined;
  cut: number;
  open: number;
}

/** Blocks read ahead of sending: by one, and by all that run at the same time. */
const AHEAD = 4;
const AHEAD_OF_ALL = 32;
/** What all that run at the same time may have on the way, unless each has too little then. */
const BYTES_OF_ALL = 32 * 1024 * 1024;
const LEAST_BYTES = 1024 * 1024;
const WORTH_LANES = 4 * 1024 * 1024;

/** The longest request up to this one that cuts a block in equal pieces. */
const even = (request: number): number => Math.ceil(BLOCK_BYTES / Math.ceil(BLOCK_BYTES / request));

/** Transfers of this process: memory is theirs together. */
let running = 0;

export class Store {
  readonly #options: StoreOptions;
  readonly #lanes: Lane[] = [];
  readonly #rate: RateTurn;
  #turn = 0;
  #nextBlock: number;
  #ahead: Slot[] = [];
  /** Blocks begun and not acknowledged, in order. */
  readonly #unfinished = new Set<Slot>();
  /** Requests without an answer, over all lanes. */
  #open = 0;
  #left: number;
  #toldDistance = false;
  #error: SshError | undefined;
  #settle: { resolve: () => void; reject: (error: SshError) => void } | undefined;
  readonly #abort = (): void => this.#fail(aborted(this.#options.signal!));

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#rate = new RateTurn(options.rate, () => this.#pump());
    this.#nextBlock = options.start / BLOCK_BYTES;
    this.#left = options.from.size - options.start;
  }

  /** `file` is the same remote file, opened in a session of its own; `most` what that session takes at a time. */
  addLane(file: RemoteFile, most: number): void {
    const request = even(Math.min(most, this.#options.rate?.request ?? most));
    const bytes = Math.max(LEAST_BYTES, Math.floor(BYTES_OF_ALL / Math.max(1, running)));
    this.#lanes.push({ file, request, window: new TransferWindow(request, STORE_BYTES, bytes), stalled: false });
    if (this.#settle) this.#pump();
  }

  /** Runs once; every byte is acknowledged when it settles well. */
  run(): Promise<void> {
    running++;
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      const { signal } = this.#options;
      if (signal?.aborted) this.#abort();
      else onAbort(signal, this.#abort);
      this.#pump();
    });
  }

  #pump(): void {
    try {
      this.#readAhead();
      for (let lane = this.#lane(); lane && !this.#error; lane = this.#lane()) {
        const slot = this.#ahead[0];
        if (!slot?.block || !this.#rate.open) break;
        this.#write(lane, slot, slot.block);
        this.#readAhead();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#finish();
  }

  #readAhead(): void {
    const { from } = this.#options;
    const ahead = Math.min(AHEAD, Math.max(1, Math.floor(AHEAD_OF_ALL / running)));
    while (!this.#error && this.#ahead.length < ahead && this.#nextBlock < from.blocks) {
      const [first] = this.#unfinished;
      if (first && (this.#nextBlock + 1 - first.index) * BLOCK_BYTES > SPAN_BYTES) return;
      const slot: Slot = { index: this.#nextBlock++, block: undefined, cut: 0, open: 0 };
      this.#ahead.push(slot);
      this.#unfinished.add(slot);
      const block = from.block(slot.index);
      if (block instanceof Promise) this.#fillLater(slot, block);
      else slot.block = block;
    }
  }

  #fillLater(slot: Slot, reading: Promise<SharedBlock>): void {
    reading.then(
      (block) => {
        slot.block = block;
        if (this.#error) block.release();
        else this.#pump();
      },
      (error) => this.#fail(error),
    );
  }

  /** The next lane that can take a request. */
  #lane(): Lane | undefined {
    for (let i = 0; i < this.#lanes.length; i++) {
      const lane = this.#lanes[(this.#turn + i) % this.#lanes.length]!;
      const { link } = lane.file.sftp;
      if (!link.willing) {
        if (!lane.stalled) {
          lane.stalled = true;
          link.whenWilling(() => {
            lane.stalled = false;
            this.#pump();
          });
        }
      } else if (lane.window.open) {
        this.#turn = (this.#turn + i + 1) % this.#lanes.length;
        return lane;
      }
    }
    return undefined;
  }

  #write(lane: Lane, slot: Slot, block: SharedBlock): void {
    const { file, window } = lane;
    const part = block.bytes.subarray(slot.cut, slot.cut + lane.request);
    const position = block.index * BLOCK_BYTES + slot.cut;
    const sentAt = performance.now();
    const id = file.sftp.link.client.write(file.handle, position, part, file.path);
    slot.cut += part.length;
    if (slot.cut >= block.bytes.length) this.#ahead.shift();
    slot.open++;
    this.#open++;
    window.sent(part.length, sentAt);
    this.#rate.took(part.length);
    file.sftp.link.ask(id, (answer) => {
      window.answered(part.length, sentAt, performance.now());
      this.#open--;
      slot.open--;
      if (slot.open === 0 && (slot.cut >= block.bytes.length || this.#error)) {
        this.#unfinished.delete(slot);
        block.release();
      }
      if (answer.kind === 'done') {
        this.#left -= part.length;
        this.#options.onBytes(part.length);
        this.#measure(window);
      } else {
        this.#fail(answer.kind === 'failed' ? answer.error : new SshError('protocol', 'no status', { by: 'peer' }));
      }
      this.#pump();
    });
  }

  #measure(window: TransferWindow): void {
    const shortest = Math.min(window.shortest, this.#options.roundTrip);
    if (this.#toldDistance || shortest < DISTANCE_MS || this.#left < WORTH_LANES) return;
    // Several lanes leave holes when they are cut off, and shorter ones than this are not found.
    if (this.#lanes[0]!.request < PIECE_BYTES) return;
    this.#toldDistance = true;
    this.#options.onDistance?.();
  }

  #fail(error: unknown): void {
    if (!this.#error) {
      this.#error = error instanceof SshError ? error : new SshError('lost', String(error), { cause: error });
      for (const slot of this.#ahead) if (slot.open === 0) slot.block?.release();
      this.#ahead = [];
    }
    this.#finish();
  }

  #finish(): void {
    if (!this.#settle) return;
    if (!this.#error && (this.#open > 0 || this.#ahead.length > 0 || this.#nextBlock < this.#options.from.blocks))
      return;
    const { resolve, reject } = this.#settle;
    this.#settle = undefined;
    running--;
    this.#rate.end();
    offAbort(this.#options.signal, this.#abort);
    if (this.#error) reject(this.#error);
    else resolve();
  }
}
