/**
 * Output that must wait for its turn: in memory up to a budget that all hosts share, on disk beyond it.
 *
 * One temporary file for the whole run, unlinked as soon as it is open: it takes one descriptor, and no way out, not
 * even SIGKILL, leaves it behind.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onDisk } from './disk-error.ts';

/** Memory for waiting output in one run. */
export const SPILL_BUDGET = 64 * 1024 * 1024;
/** A buffer goes to disk in pieces of at least this size, however tight the budget. */
const PIECE = 16 * 1024;
const LARGEST_BLOCK = 64 * 1024;
const SMALLEST_BLOCK = 256;

export class SpillStore {
  /** Bytes of memory its buffers hold. */
  held = 0;
  private readonly budget: number;
  private fd: number | undefined;
  private size = 0;
  private live = 0;

  constructor(budget: number = SPILL_BUDGET) {
    this.budget = budget;
  }

  get isOverBudget(): boolean {
    return this.held > this.budget;
  }

  /** Bytes on disk. */
  get spilled(): number {
    return this.live;
  }

  append(bytes: Uint8Array): number {
    const at = this.size;
    onDisk(`output that waits for its turn does not fit into ${tmpdir()}`, 'TMPDIR names another place', () => {
      this.fd ??= openUnlinked();
      for (let done = 0; done < bytes.length; ) done += writeSync(this.fd, bytes, done, bytes.length - done, at + done);
    });
    this.size += bytes.length;
    this.live += bytes.length;
    return at;
  }

  read(at: number, length: number): Uint8Array {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.fd!, bytes, done, length - done, at + done);
      if (count === 0) throw new Error('the temporary file of waiting output was truncated');
      done += count;
    }
    return bytes;
  }

  release(length: number): void {
    this.live -= length;
    if (this.live > 0 || this.fd === undefined || this.size === 0) return;
    ftruncateSync(this.fd, 0);
    this.size = 0;
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}

function openUnlinked(): number {
  const path = join(tmpdir(), `bssh-${process.pid}-${randomBytes(8).toString('hex')}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return fd;
}

/** Bytes appended now and read once later. */
export class SpillBuffer {
  length = 0;
  private readonly store: SpillStore;
  /** Pieces on disk come first, then full blocks, then the tail. */
  private pieces: { readonly at: number; readonly length: number }[] = [];
  private blocks: Uint8Array[] = [];
  private tail: Uint8Array = new Uint8Array(0);
  private fill = 0;
  private held = 0;

  constructor(store: SpillStore) {
    this.store = store;
  }

  /** Copies: a few bytes kept must not keep the packet they came in. */
  push(bytes: Uint8Array): void {
    this.length += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.fill === this.tail.length) this.grow(bytes.length - at);
      const count = Math.min(this.tail.length - this.fill, bytes.length - at);
      this.tail.set(bytes.subarray(at, at + count), this.fill);
      this.fill += count;
      at += count;
    }
  }

  /** All of it at once, for what is known to be short. */
  toBytes(): Uint8Array {
    const inMemory = this.pieces.length === 0;
    if (inMemory && this.blocks.length === 0) return this.tail.slice(0, this.fill);
    return Buffer.concat([...this.parts()]);
  }

  /** In pieces of at most 64 KiB, from the beginning each time. */
  *parts(): Generator<Uint8Array> {
    for (const { at, length } of this.pieces) {
      for (let done = 0; done < length; done += LARGEST_BLOCK) {
        yield this.store.read(at + done, Math.min(LARGEST_BLOCK, length - done));
      }
    }
    yield* this.blocks;
    if (this.fill > 0) yield this.tail.subarray(0, this.fill);
  }

  /** The same, and empty afterwards, also when the reader stops early. */
  *drain(): Generator<Uint8Array> {
    try {
      yield* this.parts();
    } finally {
      this.clear();
    }
  }

  clear(): void {
    for (const { length } of this.pieces) this.store.release(length);
    this.pieces = [];
    this.blocks = [];
    this.store.held -= this.held;
    this.held = 0;
    this.tail = new Uint8Array(0);
    this.fill = 0;
    this.length = 0;
  }

  private grow(wanted: number): void {
    if (this.fill > 0) this.blocks.push(this.tail);
    if (this.store.isOverBudget && this.held >= PIECE) this.spill();
    const size = Math.min(LARGEST_BLOCK, Math.max(SMALLEST_BLOCK, wanted, this.tail.length * 2));
    this.tail = Buffer.allocUnsafeSlow(size);
    this.fill = 0;
    this.held += size;
    this.store.held += size;
  }

  private spill(): void {
    for (const block of this.blocks) {
      const at = this.store.append(block);
      const last = this.pieces.at(-1);
      if (last && last.at + last.length === at)
        this.pieces[this.pieces.length - 1] = { at: last.at, length: last.length + block.length };
      else this.pieces.push({ at, length: block.length });
    }
    this.blocks = [];
    this.store.held -= this.held;
    this.held = 0;
  }
}
