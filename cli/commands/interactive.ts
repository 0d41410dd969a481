/** `bssh interactive`: one prompt for many nodes, or a session on one of them. */

import { homedir } from 'node:os';
import { isatty } from 'node:tty';
import type { RunContext } from '../context.ts';
import { ExitCode } from '../exit.ts';
import { fleetEntries } from '../fleet-run.ts';
import type { ClusterIntent } from '../grammar.ts';
import { Session } from '../interactive/session.ts';
import { interactiveSettings } from '../interactive/settings.ts';
import { chooseNode, singleNode } from '../interactive/single.ts';
import { printOut } from '../print.ts';
import { Interrupts } from '../signals.ts';
import { wantsColor } from '../terminal.ts';
import { dryRun } from './fleet.ts';

export async function interactive(intent: ClusterIntent, context: RunContext): Promise<number> {
  const { run, selection } = intent;
  const settings = interactiveSettings(run.interactive, selection!.interactive, homedir());
  const entries = fleetEntries(intent, context, undefined);
  if (run.dryRun) {
    printOut(dryRun(intent, entries, undefined));
    return ExitCode.ok;
  }
  if (settings.singleNode) {
    const chosen = await chooseNode(entries, process.stdin, process.stdout);
    return chosen === undefined ? ExitCode.interrupted : singleNode(chosen, settings.workDir, context);
  }
  const interrupts = new Interrupts();
  const terminal = isatty(0) && isatty(1);
  try {
    const session = new Session({
      entries,
      context,
      run,
      parallel: selection!.parallel,
      settings,
      interrupts,
      terminal,
      color: wantsColor(run.color, isatty(1), context.env),
    });
    return await session.run();
  } finally {
    interrupts.dispose();
  }
}
