/**
 * How eagerly V8 optimises while many hosts are served. A host's log-in is a lot of code that runs a few times: compiling
 * it well takes a fifth of the processor time of five hundred hosts, and is not paid back by them.
 */

import { setFlagsFromString } from 'node:v8';

/** Bytes of bytecode that a function runs before it is optimised, and V8's own figure. */
const BUDGET = 600_000;
const USUAL_BUDGET = 67_584;

/** With fewer hosts nothing is gained, and what moves much data is wanted fast. */
const MANY_HOSTS = 100;

/** Puts off the optimising compiler. Of V8 11 (Node.js 20) only: later ones count otherwise, and gain nothing by it. */
export function optimiseLate(hosts: number): void {
  if (hosts < MANY_HOSTS || !/^11\./.test(process.versions.v8)) return;
  setFlagsFromString(`--interrupt-budget=${BUDGET}`);
  // The code that the bundle keeps for the next run is only taken with the flags it was made with.
  process.prependOnceListener('exit', () => setFlagsFromString(`--interrupt-budget=${USUAL_BUDGET}`));
}
