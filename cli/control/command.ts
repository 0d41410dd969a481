/**
 * `-O check`, `conninfo`, `forward`, `cancel`, `exit` and `stop`: what is asked of the holder of a shared connection, with ssh(1)'s
 * words and exit codes. `-O proxy` is a session and goes through route.ts.
 */

import { type ControlClient, connectControl, type HostPlan, SshError } from '../../client/index.ts';
import type { RunContext } from '../context.ts';
import { ExitCode } from '../exit.ts';
import { printErr, printOut } from '../print.ts';
import { closeForwards, openForwards } from './forward.ts';
import { NO_PATH } from './route.ts';

export const CONTROL_COMMANDS = ['check', 'conninfo', 'forward', 'cancel', 'exit', 'stop'] as const;
export type ControlCommand = (typeof CONTROL_COMMANDS)[number];

export const isControlCommand = (text: string | undefined): text is ControlCommand =>
  CONTROL_COMMANDS.includes(text as ControlCommand);

/** Asks, says what came of it on standard error, and gives the exit code. */
export async function controlCommand(plan: HostPlan, command: ControlCommand, context: RunContext): Promise<number> {
  const { path } = plan.control;
  try {
    if (path === undefined) throw new SshError('usage', NO_PATH);
    const client = await connectControl(path, { timeout: (plan.connectTimeout ?? 0) * 1000 });
    try {
      return await perform(client, command, plan, context);
    } finally {
      client.close();
    }
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    context.log.fatal(worded(error, command));
    return ExitCode.ssh;
  }
}

function worded({ code, message, detail }: SshError, command: ControlCommand): string {
  if (code !== 'channel-request') return message;
  if (command === 'conninfo') return `the holder of the shared connection does not say: ${message}`;
  const what = command === 'exit' ? 'termination' : 'stop listening';
  return detail.denied === true ? `Master refused ${what} request: ${message}` : `${what} request failed: ${message}`;
}

async function perform(
  client: ControlClient,
  command: ControlCommand,
  plan: HostPlan,
  { log }: RunContext,
): Promise<number> {
  // ssh(1) ends these lines for a terminal in raw mode.
  const tell = (text: string): void => printErr(`${text}\r\n`);
  const { list } = plan.forwards;
  switch (command) {
    case 'check':
      tell(`Master running (pid=${await client.check()})`);
      return ExitCode.ok;
    case 'conninfo': {
      const pid = await client.check();
      printOut(`${await client.info()}  holder: pid ${pid}\n`);
      return ExitCode.ok;
    }
    case 'exit':
      await client.terminate();
      if (log.wants('fatal')) tell('Exit request sent.');
      return ExitCode.ok;
    case 'stop':
      await client.stopListening();
      if (log.wants('fatal')) tell('Stop listening request sent.');
      return ExitCode.ok;
    case 'forward': {
      const onPort = (port: number): void => printOut(`${port}\n`);
      if (await openForwards(client, list, log, onPort)) return ExitCode.ok;
      log.error('muxclient: master forward request failed');
      return ExitCode.ssh;
    }
    case 'cancel':
      // An error is told, not returned, as ssh(1) has it.
      if (!(await closeForwards(client, list, log))) log.error('muxclient: master cancel forward request failed');
      return ExitCode.ok;
  }
}
