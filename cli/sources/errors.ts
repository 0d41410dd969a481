/** What is wrong with a source of hosts: an error of the command line, for that is where the source was named. */

import { SshError } from '../../client/index.ts';

export const sourceError = (message: string, cause?: unknown): SshError =>
  new SshError('usage', message, { detail: { grammar: 'cluster', exit: 2 }, cause });
