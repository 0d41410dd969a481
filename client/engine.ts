/**
 * What V8 is told for runs with many hosts, many forwarded connections or much data. It holds for the whole process, so it
 * is done when the program asks for it, and for one that does little else. Each flag is one that V8 reads again and again;
 * code that it kept for other flags is not taken, so they are set when all is loaded, and taken back at the end, when code is
 * kept for the next run.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { release, type Transfer, transferBy } from '../protocol/index.ts';

/** Bytes of bytecode that a function runs before it is optimised: V8's own figure, and ours. */
const USUAL_BUDGET = 67_584;
const LOGIN_BUDGET = 600_000;
const DATA_BUDGET = 4_000_000;

/** With fewer hosts nothing is gained. */
const MANY_HOSTS = 100;

/** Files that are smaller than this on average are mostly our own code, which is wanted fast at once. */
const DATA_BYTES = 32 * 1024;
/** Less is over before anything is gained. */
const LEAST_BYTES = 1024 * 1024;

/** Connections at a time whose memory is more than a small young generation costs. */
const MANY_CONNECTIONS = 200;

const IS_V8_11 = /^11\./.test(process.versions.v8);

/** Later engines show `ArrayBuffer.prototype.transfer` to all, V8 11 to contexts that are made while this is set. */
const TRANSFER = '--harmony-rab-gsab-transfer';

/** glibc: no more than 32 MiB, head and padding included. V8 collects for as much as that, too. */
const KEPT_BYTES = 24 * 1024 * 1024;

const MUCH_DATA = 'much data';
const told = new Set<string>();

function setUntilExit(flag: string, usual: string): void {
  if (told.has(flag)) return;
  told.add(flag);
  setFlagsFromString(flag);
  process.prependOnceListener('exit', () => setFlagsFromString(usual));
}

const optimiseAfter = (budget: number): void =>
  setUntilExit(`--interrupt-budget=${budget}`, `--interrupt-budget=${USUAL_BUDGET}`);

/**
 * The collector does a whole collection in one go. Our heap is small, and what is handed to streams and sockets is outside
 * of it: V8 would mark in a hundred small steps for every 30 to 80 MB that pass, and give nothing back meanwhile. Without the
 * steps a file of 1 GiB takes a tenth less processor time and 25 MB less memory, 60 MB with a current Node.
 */
export function collectAtOnce(): void {
  setUntilExit('--no-incremental-marking', '--incremental-marking');
}

/**
 * For many hosts, of V8 11 (Node.js 20) only: later ones gain nothing by it. A host's log-in is a lot of code that runs a
 * few times, so the optimising compiler is put off: it takes a fifth of the processor time of five hundred hosts, and is not
 * paid back by them. Nor is the young generation collected before it is full: that only copies more log-ins under way.
 */
export function manyShortRuns(hosts: number): void {
  if (hosts < MANY_HOSTS || !IS_V8_11) return;
  optimiseAfter(LOGIN_BUDGET);
  setUntilExit('--no-minor-gc-task', '--minor-gc-task');
}

/**
 * For copies: `bytes` in `files` are to be moved, as far as that is known; told again when more is known.
 *
 * With V8 11 (Node.js 20; that of Node.js 26 knows no such budget) the optimising compiler is put off. What it takes, in
 * threads beside ours, is missing at the server, the disk and the cipher, and a GiB no more than pays it back. So only what
 * runs far more often is optimised: 1 GiB takes 0.8 to 0.9 of the time, a tree of files of 1 MiB 0.7. There is no way back:
 * functions keep the budget they began with. And `release` works then: 25 MiB less for a download, less processor time
 * for both ways.
 */
export function muchData(bytes = Number.POSITIVE_INFINITY, files = 1): void {
  if (bytes < LEAST_BYTES || bytes < files * DATA_BYTES || told.has(MUCH_DATA)) return;
  told.add(MUCH_DATA);
  if (IS_V8_11) {
    optimiseAfter(DATA_BUDGET);
    showTransfer();
  }
  keepFreed();
}

/**
 * Makes glibc keep what is freed, up to twice `KEPT_BYTES`, for what is allocated next; the system would give it back as new
 * pages, one fault each. It does so when memory of that size was freed. What is only read to be handed on, as streams do,
 * takes a twentieth less time so; the peak is the same.
 */
function keepFreed(): void {
  release(new Uint8Array(KEPT_BYTES));
}

/** What `release` needs. */
function showTransfer(): void {
  setFlagsFromString(TRANSFER);
  const found: unknown = runInNewContext('ArrayBuffer.prototype.transfer');
  setFlagsFromString('--no-harmony-rab-gsab-transfer');
  if (typeof found === 'function') transferBy(found as Transfer);
}

/**
 * The young generation stays as small as it is: with many connections a current Node takes 30 to 60 MB less, and with many
 * small files Node 20 takes 30.
 */
export function stayYoung(connections: number): void {
  if (connections < MANY_CONNECTIONS) return;
  setUntilExit('--semi-space-growth-factor=1', '--semi-space-growth-factor=2');
}
