/** What the layers above may use of the protocol core. Named exports only. */

export { Disconnect, type ErrorCode, SshError, type SshErrorOptions } from './errors.ts';
export { limits } from './limits.ts';
