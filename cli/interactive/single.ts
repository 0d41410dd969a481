/** One node of a selection, with a terminal of its own: ssh(1)'s session, after a menu where there are several. */

import { createInterface } from 'node:readline/promises';
import { SshError } from '../../client/index.ts';
import { ssh } from '../commands/ssh.ts';
import type { RunContext } from '../context.ts';
import { describeError } from '../errors.ts';
import { ExitCode } from '../exit.ts';
import type { FleetEntry } from '../fleet-run.ts';
import { neutraliseLine } from '../terminal.ts';
import { changeDirectory } from './shell-text.ts';

/** Undefined: the user left. */
export async function chooseNode(
  entries: readonly FleetEntry[],
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
): Promise<FleetEntry | undefined> {
  if (entries.length === 1) return entries[0];
  if (!input.isTTY) {
    const text = `--single-node needs a terminal to ask which of ${entries.length} nodes, or one node`;
    throw new SshError('usage', text, { detail: { grammar: 'cluster', exit: ExitCode.usage } });
  }
  const width = String(entries.length).length;
  entries.forEach(({ name, plan }, index) => {
    output.write(`  ${String(index + 1).padStart(width)}  ${neutraliseLine(`${plan.user}@${name}`)}\n`);
  });
  const menu = createInterface({ input, output });
  const closed = new Promise<undefined>((resolve) => {
    menu.once('close', () => resolve(undefined));
    menu.once('SIGINT', () => menu.close());
  });
  try {
    for (;;) {
      const answer = await Promise.race([menu.question(`Node to connect to [1-${entries.length}]: `), closed]);
      if (answer === undefined) return undefined;
      const text = answer.trim();
      const chosen = entries.find(({ name }, index) => text === String(index + 1) || text === name);
      if (chosen !== undefined) return chosen;
      output.write(`There is no node '${neutraliseLine(text)}'\n`);
    }
  } finally {
    menu.close();
  }
}

/** The exit code, as ssh(1) has it. */
export async function singleNode(
  { name, plan }: FleetEntry,
  workDir: string | undefined,
  context: RunContext,
): Promise<number> {
  const command = workDir === undefined ? [] : [`${changeDirectory(workDir)}; exec "$SHELL" -l`];
  const session = { ...plan.session, requestTty: 'yes' as const };
  try {
    return await ssh(
      { ...plan, session },
      { kind: 'ssh', strict: false, host: name, command, invocation: context.invocation, notes: [] },
      context,
    );
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    const { user, host, hostName, port } = plan;
    context.log.error(describeError(error, { program: context.program, user, host, hostName, port }));
    return ExitCode.ssh;
  }
}
