/** The journal of runs on many hosts: written at the end of a run, read to repeat one or to compare with it. */

export type { HostRecord, RunRecord } from './record.ts';
export { DIGESTED_BYTES, KEPT_BYTES, type RecordedHost, RunRecorder } from './recorder.ts';
export { type CommandLine, endings, type Rerun, recordedArgv, rerunOf } from './rerun.ts';
export { Journal, type JournalLimits, type NewRun } from './store.ts';
