/**
 * What V8 is told for runs with many hosts or many forwarded connections. Each flag is one that V8 reads again and again;
 * code that it kept for other flags is not taken, so they are set when all is loaded, and taken back at the end, when code
 * is kept for the next run.
 */

import { setFlagsFromString } from 'node:v8';

/** Bytes of bytecode that a function runs before it is optimised, and V8's own figure. */
const BUDGET = 600_000;
const USUAL_BUDGET = 67_584;

/** With fewer hosts nothing is gained, and what moves much data is wanted fast. */
const MANY_HOSTS = 100;

/** Connections at a time whose memory is more than a small young generation costs. */
const MANY_CONNECTIONS = 200;

function setUntilExit(flag: string, usual: string): void {
  setFlagsFromString(flag);
  process.prependOnceListener('exit', () => setFlagsFromString(usual));
}

/**
 * For many hosts, of V8 11 (Node.js 20) only: later ones gain nothing by it. A host's log-in is a lot of code that runs a
 * few times, so the optimising compiler is put off: it takes a fifth of the processor time of five hundred hosts, and is not
 * paid back by them. And the collector does its work in one go, and not before it has to: the heap is small, marking in
 * steps costs six times as much, and what is collected earlier has more hosts' log-ins to copy.
 */
export function manyShortRuns(hosts: number): void {
  if (hosts < MANY_HOSTS || !/^11\./.test(process.versions.v8)) return;
  setUntilExit(`--interrupt-budget=${BUDGET}`, `--interrupt-budget=${USUAL_BUDGET}`);
  setUntilExit('--no-incremental-marking', '--incremental-marking');
  setUntilExit('--no-minor-gc-task', '--minor-gc-task');
}

/**
 * The young generation stays as small as it is: with many connections a current Node takes 30 to 60 MB less, and with many
 * small files Node 20 takes 30.
 */
export function stayYoung(connections: number): void {
  if (connections < MANY_CONNECTIONS) return;
  setUntilExit('--semi-space-growth-factor=1', '--semi-space-growth-factor=2');
}
