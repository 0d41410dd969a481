/** The public face of the client layer. */

export { Disconnect, type ErrorCode, SshError } from '../protocol/index.ts';
export { classify, isFailure } from './fleet/classify.ts';
export { runOnHosts } from './fleet/run.ts';
export type {
  BatchReport,
  FleetClock,
  FleetHost,
  FleetOptions,
  FleetOutcome,
  HostClass,
  HostContext,
  HostEvent,
  HostResult,
  HostSink,
  HostTask,
  OutputStream,
  Phase,
  StopCause,
  TaskOutcome,
} from './fleet/types.ts';
