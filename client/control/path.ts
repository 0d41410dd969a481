/** Where control sockets may be: a path has to fit into the address of a Unix socket. */

import { SshError } from '../../protocol/index.ts';

/** sizeof(sun_path) on Linux and, smaller, where BSD's sockets are. */
const SUN_PATH = process.platform === 'linux' ? 108 : 104;

/** Throws SshError 'config' for a path that the system would cut. */
export function checkControlPath(path: string): void {
  if (Buffer.byteLength(path) < SUN_PATH) return;
  throw new SshError('config', `ControlPath too long ('${path}' >= ${SUN_PATH} bytes)`, { detail: { path } });
}
