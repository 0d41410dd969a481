/**
 * Ends what was started on a host: TERM, then KILL, for the command and all that came of it, and says whether it is gone.
 *
 * Servers pass signals on to the command's first process at best (OpenSSH for root not even that), and once that one has
 * died nobody knows the rest. So a second command finds the process groups of this connection's sessions first, and
 * signals those. What made itself a session of its own (a daemon) is left alone.
 */

import type { Connection, ExecHandle, Exit, TaskOutcome } from '../../client/index.ts';

/** Milliseconds: for the groups to be found, after TERM, and after KILL. */
const LOOK = 2000;
const TERM = 5000;
const KILL = 3000;

/**
 * Each session's first process is a child of the server process of this connection, and leads a group, which outlives it.
 * For `exec /bin/sh -c` in single quotes under any log-in shell. Says when the groups are known; ends with 0 when they are
 * gone, with 1 when some are not, with 2 when it does not know. Not every sleep knows parts of a second.
 */
const HELPER = [
  'l=$(ps -A -o pid= -o ppid= | while read -r p q; do [ "$q" != "$PPID" ] || [ "$p" = $$ ] || echo "$p"; done)',
  'echo "$l"',
  '[ -n "$l" ] || exit 2',
  // With -s every shell takes a group
  'k() { r=1; for p in $l; do kill -s "$1" -- -$p && r=0; done; return $r; }',
  // Where nobody buries them, the dead answer to kill -0.
  'a() { ps -A -o pgid= -o stat= | while read -r g s; do case "$s" in Z*) continue;; esac; for p in $l; do [ "$g" != "$p" ] || echo "$p"; done; done; }',
  'w() { for i in $1; do sleep $i || sleep 1; k 0 && [ -n "$(a)" ] || exit 0; done; }',
  'exec 2>/dev/null',
  'k TERM',
  'w "0.1 0.2 0.4 0.8 1.5"',
  'k KILL',
  'w "0.1 0.4 1"',
  'exit 1',
].join('; ');

export async function endRemote(handle: ExecHandle, connection: Connection): Promise<TaskOutcome> {
  const ended = handle.exit.then(outcomeOf, () => undefined);
  const helper = help(connection);
  // It may have been about to end anyway.
  const early = await Promise.race([ended, helper.known, after(LOOK)]);
  if (early !== undefined) return { ...early, gone: true };
  const all = Promise.all([ended, helper.status]);
  // Who has no room for another session, or no ps, at least hears the signals.
  for (const [name, patience] of [
    ['TERM', TERM],
    ['KILL', KILL],
  ] as const) {
    if (connection.isClosed) break;
    handle.kill(name);
    const [outcome, status] = (await Promise.race([all, after(patience)])) ?? [];
    if (status !== undefined) return { ...outcome, gone: status !== 1 && outcome !== undefined };
  }
  handle.close();
  return { gone: false };
}

/** Starts the helper. Its status is 2 when it could not do anything. */
function help(connection: Connection): { readonly known: Promise<undefined>; readonly status: Promise<number> } {
  let tell = (): void => {};
  const known = new Promise<undefined>((resolve) => {
    tell = () => resolve(undefined);
  });
  const status = connection
    .exec(`exec /bin/sh -c '${HELPER}'`, { stdout: tell })
    .then((helper) => {
      helper.end();
      return helper.exit;
    })
    .then(
      (exit) => exit.status ?? 2,
      () => 2,
    );
  void status.then(tell);
  return { known, status };
}

export const outcomeOf = (exit: Exit): TaskOutcome => ({
  exitStatus: exit.status ?? null,
  ...(exit.signal !== undefined && { signal: exit.signal }),
});

const after = (ms: number): Promise<undefined> =>
  new Promise((resolve) => void setTimeout(() => resolve(undefined), ms));
