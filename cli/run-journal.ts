/** The record of the run that is going on: written when it is over, unless that is not wanted. */

import type { FleetOutcome, HostEvent } from '../client/index.ts';
import type { RunContext } from './context.ts';
import { Journal, type RecordedHost, RunRecorder } from './journal/index.ts';
import type { RunOptions } from './options/run.ts';

export interface RunJournal {
  event(event: HostEvent): void;
  end(outcome: FleetOutcome, exit: number): void;
}

export interface JournaledRun {
  readonly journal: RunOptions['journal'];
  /** What says the same when it is read again. */
  readonly argv: readonly string[];
  readonly command: string;
  readonly hosts: readonly RecordedHost[];
}

export function runJournal(
  { journal, argv, command, hosts }: JournaledRun,
  { env, cwd, log }: RunContext,
): RunJournal | undefined {
  if (journal === 'no' || env.BSSH_JOURNAL === 'no') return undefined;
  const recorder = new RunRecorder(journal === 'with-output');
  const time = new Date().toISOString();
  return {
    event: (event) => recorder.event(event),
    end(outcome, exit) {
      const recorded = recorder.finish(outcome, hosts);
      const { ms, stopped } = outcome;
      const head = { time, ms, argv, cwd, command, exit, ...(stopped && { stopped }) };
      try {
        const id = new Journal(env).write({ ...head, hosts: recorded.hosts }, recorded.output);
        log.debug(1, `Recorded as run ${id}.`);
      } catch (error) {
        // A disk that is full or not ours is no reason to fail a run that did not ask for a record.
        const why = `the run could not be recorded: ${error instanceof Error ? error.message : String(error)}`;
        if (journal === 'with-output') log.error(why);
        else log.debug(1, why);
      }
    },
  };
}
