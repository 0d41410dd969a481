/**
 * What the driver and the layers above use of a session once it is logged in: satisfied by a connection of our own
 * (session.ts) and by one that is shared through a control socket (control/proxy-session.ts).
 */

import type { Session } from './session.ts';

export type SessionCore = Pick<
  Session,
  | 'role'
  | 'crypto'
  | 'mux'
  | 'closed'
  | 'failure'
  | 'authenticated'
  | 'peerVersion'
  | 'algorithms'
  | 'binding'
  | 'wantsInput'
  | 'receive'
  | 'endOfInput'
  | 'tick'
  | 'globalRequest'
  | 'rekey'
  | 'obscureKeystrokes'
  | 'disconnect'
  | 'fail'
  | 'poll'
  | 'takeOutput'
  | 'recycle'
  | 'deadline'
>;
