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
  // Asked for on the command line, the whole screen is above the mode of the configuration.
  const tui = run.output === 'tui';
  if (settings.singleNode && !tui) {
    const chosen = await chooseNode(entries, process.stdin, process.stdout);
    return chosen === undefined ? ExitCode.interrupted : singleNode(chosen, settings.workDir, context);
  }
  const terminal = isatty(0) && isatty(1);
  const interrupts = new Interrupts();
  const color = wantsColor(run.color, isatty(1), context.env);
  const options = { entries, context, run, parallel: selection!.parallel, settings, interrupts, color };
  try {
    if (!tui) return await new Session({ ...options, terminal }).run();
    const { shellsOnScreen } = await import('../tui/shells.ts');
    return await shellsOnScreen(options);
  } finally {
    interrupts.dispose();
  }
}
