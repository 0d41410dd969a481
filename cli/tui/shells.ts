/**
 * `bssh interactive --tui`: a lasting shell on every host, seen on the whole screen. A command goes to all of them or to those
 * marked; what each answered last can be compared.
 */

import { systemClock } from '../../client/index.ts';
import { ExitCode, fleetExitCode } from '../exit.ts';
import { type FleetSettings, NodeFleet } from '../interactive/fleet.ts';
import { fullScreenProgram } from '../interactive/full-screen.ts';
import type { ShellNode } from '../interactive/node.ts';
import type { Settings } from '../interactive/settings.ts';
import { parseLine } from '../interactive/special.ts';
import type { Interrupts } from '../signals.ts';
import { requireTerminal, Tui } from './index.ts';

export interface ShellsOptions extends Omit<FleetSettings, 'events' | 'onFailure' | 'directory'> {
  readonly settings: Settings;
  readonly interrupts: Interrupts;
  readonly color: boolean;
}

const NEWLINE = Buffer.from('\n');

class Shells {
  readonly #options: ShellsOptions;
  readonly #tui: Tui;
  readonly #fleet: NodeFleet;
  readonly #connecting = new AbortController();

  constructor(options: ShellsOptions) {
    this.#options = options;
    const { entries, settings, context, color } = options;
    this.#tui = new Tui({
      names: entries.map(({ name }) => name),
      title: 'interactive',
      color,
      clock: systemClock,
      shells: { command: (text, hosts) => this.#command(text, hosts), interrupt: () => this.#interrupt() },
    });
    context.prompter.onAsk = () => this.#tui.lend();
    this.#fleet = new NodeFleet({
      ...options,
      directory: settings.workDir,
      events: {
        lines: (node, stream, lines) => {
          for (const line of lines) this.#tui.board.say(node.number - 1, stream, Buffer.concat([line, NEWLINE]));
          this.#tui.changed();
        },
        lost: (node, error) => this.#lost(node, this.#fleet.describe(this.#fleet.planOf(node), error)),
        restarted: (node) => this.#tell(node, 'the shell ended: a new one runs, variables are lost'),
      },
      onFailure: (node, text) => this.#lost(node, text),
    });
  }

  async run(): Promise<number> {
    const { interrupts, context, entries } = this.#options;
    const direct =
      context.invocation.logFile === undefined ? context.log.redirect((text) => this.#tui.message(text)) : undefined;
    this.#tui.open(interrupts.abort);
    try {
      const results = this.#connect(this.#fleet.nodes);
      await this.#tui.left();
      this.#connecting.abort();
      if (interrupts.code !== undefined) await this.#fleet.interrupt(this.#fleet.nodes.filter((node) => node.busy));
      const ends = await results;
      if (interrupts.code !== undefined) return interrupts.code;
      const reached = ends.some(({ class: end }) => end === 'ok');
      return reached || entries.length === 0 ? ExitCode.ok : fleetExitCode({ results: ends, policy: 'worst' });
    } finally {
      await this.#tui.close();
      if (direct !== undefined) context.log.redirect(direct);
      await this.#fleet.close();
    }
  }

  #connect(nodes: readonly ShellNode[]) {
    for (const node of nodes) this.#tui.board.rows[node.number - 1]!.stage = 'connecting';
    this.#tui.changed();
    return this.#fleet.connect(nodes, this.#connecting.signal, () => {
      for (const { number, connected } of nodes) {
        const row = this.#tui.board.rows[number - 1]!;
        if (connected && row.stage === 'connecting') row.stage = 'idle';
      }
      this.#tui.changed();
    });
  }

  #lost(node: ShellNode, text: string): void {
    this.#tui.board.rows[node.number - 1]!.stage = 'lost';
    this.#tell(node, text);
  }

  #tell(node: ShellNode, text: string): void {
    this.#tui.message(`${node.host}: ${text}\n`);
  }

  #command(line: string, hosts: readonly number[]): void {
    const { nodes } = this.#fleet;
    const request = parseLine(line, this.#options.settings.prefixes, nodes.length);
    const special = this.#options.settings.prefixes.special;
    switch (request.kind) {
      case 'exit':
        return this.#tui.leave();
      case 'command':
        return this.#give(request.text, hosts);
      case 'broadcast':
        return this.#give(
          request.text,
          nodes.map(({ number }) => number - 1),
        );
      case 'reconnect': {
        const lost = nodes.filter(
          ({ number }) =>
            this.#tui.board.rows[number - 1]!.stage === 'lost' &&
            (request.numbers.length === 0 || request.numbers.includes(number)),
        );
        if (lost.length === 0) return this.#tui.message('Nothing to do: no host is lost\n');
        void this.#connect(lost);
        return undefined;
      }
      case 'wrong':
        return this.#tui.message(`${request.text}\n`);
      default: {
        const known = `Only commands, ${special}broadcast, ${special}reconnect and exit here`;
        return this.#tui.message(`${known}; Space marks hosts\n`);
      }
    }
  }

  #give(text: string, hosts: readonly number[]): void {
    const program = fullScreenProgram(text);
    if (program !== undefined) {
      return this.#tui.message(`${program} needs a terminal of its own: leave, and use --single-node for it\n`);
    }
    const { board } = this.#tui;
    for (const host of hosts) {
      const node = this.#fleet.nodes[host]!;
      if (!node.connected) continue;
      board.ask(host, text, systemClock.now());
      void node.run(text).then(({ status }) => {
        // Of several commands in a row the last one counts.
        if (!node.busy) board.answered(host, status);
        this.#tui.changed();
      });
    }
    this.#tui.changed();
  }

  #interrupt(): void {
    const busy = this.#fleet.nodes.filter((node) => node.busy);
    if (busy.length === 0) return this.#tui.message('Nothing runs; q leaves\n');
    void this.#fleet.interrupt(busy);
  }
}

export function shellsOnScreen(options: ShellsOptions): Promise<number> {
  requireTerminal();
  return new Shells(options).run();
}
