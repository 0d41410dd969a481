/**
 * Many nodes behind one prompt: a line goes to the shells of the active nodes, their output comes back with their names.
 *
 * A command is waited for until every node has answered; Ctrl-C interrupts it there, a second one leaves it running and
 * its output comes when it comes.
 */

import type { HostResult } from '../../client/index.ts';
import { ExitCode, fleetExitCode } from '../exit.ts';
import { formatHosts } from '../hosts/fold.ts';
import type { Interrupts } from '../signals.ts';
import { neutralise, neutraliseBytes, neutraliseLine, paint } from '../terminal.ts';
import { type FleetSettings, NodeFleet } from './fleet.ts';
import { fullScreenProgram } from './full-screen.ts';
import { Gather, type Gathered } from './gather.ts';
import { HISTORY_SIZE, History, loadHistory } from './history.ts';
import { KeyFilter } from './keys.ts';
import type { ShellNode, Stream } from './node.ts';
import { completions, listCommand, pathWord } from './paths.ts';
import { isActive, promptText } from './prompt.ts';
import { Screen } from './screen.ts';
import { describeActive, listNodes, SELECTED_ALL, selectAll, switchTo, switchToNext } from './selection.ts';
import { nodeLabel, type Settings } from './settings.ts';
import { completeSpecial, helpText, parseLine, type Request } from './special.ts';

export interface SessionOptions extends Omit<FleetSettings, 'events' | 'onFailure' | 'directory'> {
  readonly settings: Settings;
  readonly interrupts: Interrupts;
  /** Standard input and output are a terminal. */
  readonly terminal: boolean;
  readonly color: boolean;
}

const NEWLINE = Buffer.from('\n');

/** Once the first node is there, so long the others are waited for before there is a prompt, in milliseconds. */
const JOIN_PATIENCE = 3000;

const plural = (count: number): string => (count === 1 ? '1 node' : `${count} nodes`);

export class Session {
  readonly #options: SessionOptions;
  readonly #settings: Settings;
  readonly #screen: Screen;
  readonly #fleet: NodeFleet;
  readonly #history: History;
  readonly #labels: readonly string[];
  /** Nodes that the command at hand runs on. */
  #running: readonly ShellNode[] = [];
  /** Ctrl-C came once for this command. */
  #interrupted = false;
  #release: () => void = () => {};
  #connecting: AbortController | undefined;
  /** For the first connections. */
  readonly #joinAborter = new AbortController();
  #gather: boolean;
  #gathering: Gather | undefined;
  /** The selection that the toggle goes back to. */
  #before: readonly number[] = [1];
  #lastFailed = false;
  #readerGone = false;
  /** Nodes are still being connected for the first time. */
  #joining = true;

  constructor(options: SessionOptions) {
    const { settings, terminal, color, entries, interrupts, context } = options;
    this.#options = options;
    this.#settings = settings;
    this.#gather = options.run.output === 'gather';
    const history = terminal ? loadHistory(settings.historyFile) : [];
    this.#history = new History(settings.historyFile, history.at(-1), (text) => context.log.info(text));
    this.#labels = entries.map(({ name }, index) =>
      nodeLabel({ number: index + 1, host: name }, settings.colors, color),
    );
    this.#screen = new Screen({
      terminal,
      history,
      historySize: HISTORY_SIZE,
      complete: (line) => this.#complete(line),
      keys: new KeyFilter(this.#bindings()),
      onInterrupt: () => this.#interrupt(),
      onClosed: () => {
        this.#readerGone = true;
        this.#stop();
      },
    });
    this.#fleet = new NodeFleet({
      ...options,
      directory: settings.workDir,
      events: {
        lines: (node, stream, lines) => this.#lines(node, stream, lines),
        lost: (node, error) => this.#lost(node, error),
        restarted: (node, status) => {
          const how = status === undefined ? '' : ` (exit ${status})`;
          this.#about(node, `the shell ended${how}: a new one runs, variables are lost`);
        },
      },
      onFailure: (node, text) => this.#about(node, text),
    });
    context.prompter.onAsk = () => this.#screen.lend();
    interrupts.abort.addEventListener('abort', () => this.#stop(), { once: true });
  }

  #bindings(): (readonly [string, () => void])[] {
    const { switch_node, broadcast_toggle, quit } = this.#settings.keybindings;
    const all: readonly (readonly [string | undefined, () => void])[] = [
      [switch_node, () => this.#changed(switchToNext(this.#fleet.nodes, this.#settings.prefixes.special))],
      [broadcast_toggle, () => this.#changed(this.#toggle())],
      [quit, () => this.#stop()],
    ];
    return all.filter((binding): binding is readonly [string, () => void] => binding[0] !== undefined);
  }

  async #complete(line: string): Promise<[string[], string]> {
    const { prefixes, remoteCompletion } = this.#settings;
    const { nodes } = this.#fleet;
    const special = completeSpecial(line, prefixes, nodes.length);
    const word = remoteCompletion && special.length === 0 ? pathWord(line) : undefined;
    const node = nodes.find(isActive);
    if (word === undefined || node === undefined) return [special, line];
    return [completions(await node.ask(listCommand(word, node.pwd)), word), word];
  }

  #toggle(): string {
    const { nodes } = this.#fleet;
    const connected = nodes.filter((node) => node.connected);
    if (!connected.every(isActive)) {
      this.#before = nodes.filter((node) => node.selected).map(({ number }) => number);
      return selectAll(nodes);
    }
    return switchTo(nodes, this.#before, this.#settings.prefixes.special);
  }

  /** Returns what the process exits with. */
  async run(): Promise<number> {
    const { interrupts, context } = this.#options;
    const direct =
      context.invocation.logFile === undefined
        ? context.log.redirect((text) => this.#screen.print(text.trimEnd()))
        : undefined;
    try {
      const results = await this.#join();
      if (interrupts.code !== undefined) return interrupts.code;
      if (results !== undefined && this.#connected === 0) return fleetExitCode({ results, policy: 'worst' });
      this.#screen.print(this.#joined());
      this.#screen.start();
      await this.#loop();
      if (interrupts.code !== undefined) {
        await this.#fleet.interrupt(this.#running);
        return interrupts.code;
      }
      if (this.#readerGone) return ExitCode.brokenPipe;
      this.#screen.print('Goodbye!');
      return this.#options.terminal || !this.#lastFailed ? ExitCode.ok : ExitCode.failed;
    } finally {
      this.#joinAborter.abort();
      await this.#screen.close();
      if (direct !== undefined) context.log.redirect(direct);
      await this.#fleet.close();
    }
  }

  get #connected(): number {
    return this.#fleet.nodes.filter((node) => node.connected).length;
  }

  #joined(): string {
    const count = this.#fleet.nodes.length;
    const what = this.#connected === count ? plural(count) : `${this.#connected} of ${plural(count)}`;
    return `Connected to ${what}${this.#joining ? ', the others join as they come' : ''}`;
  }

  /** Connects all; undefined when some are ready on a terminal and the others may take their time. */
  async #join(): Promise<readonly HostResult[] | undefined> {
    const { nodes } = this.#fleet;
    const { terminal } = this.#options;
    let ended = 0;
    let ready = (): void => {};
    const someReady = new Promise<undefined>((resolve) => void (ready = () => resolve(undefined)));
    let patience: NodeJS.Timeout | undefined;
    const show = (): void =>
      this.#screen.status(ended < nodes.length ? `Connecting: ${ended} of ${nodes.length} ...` : '');
    const results = this.#fleet.connect(nodes, this.#joinAborter.signal, () => {
      ended++;
      if (this.#screen.reads) this.#screen.refresh(this.#prompt());
      else show();
      if (terminal && this.#connected > 0) patience ??= setTimeout(ready, JOIN_PATIENCE);
    });
    if (terminal) show();
    const done = (): void => {
      clearTimeout(patience);
      this.#joining = false;
      if (this.#screen.reads) this.#screen.print(this.#joined());
    };
    void results.then(done, done);
    const first = await Promise.race([results, someReady]);
    this.#screen.status('');
    return first;
  }

  #stop(): void {
    this.#joinAborter.abort();
    this.#connecting?.abort();
    this.#screen.forget();
    this.#screen.end();
    this.#release();
  }

  #prompt(): string {
    return promptText(this.#fleet.nodes, this.#settings.promptFormat);
  }

  async #loop(): Promise<void> {
    for (;;) {
      const line = await this.#screen.read(() => this.#prompt());
      if (line === undefined) return;
      if (this.#options.terminal) this.#history.add(line);
      const request = parseLine(line, this.#settings.prefixes, this.#fleet.nodes.length);
      if (request.kind === 'exit') return;
      await this.#perform(request);
    }
  }

  async #perform(request: Exclude<Request, { kind: 'exit' }>): Promise<void> {
    const { nodes } = this.#fleet;
    const { prefixes } = this.#settings;
    switch (request.kind) {
      case 'nothing':
        return undefined;
      case 'command':
        return this.#command(nodes.filter(isActive), request.text);
      case 'broadcast':
        if (this.#refused(request.text)) return undefined;
        this.#screen.print('Broadcasting command to all connected nodes...');
        return this.#command(
          nodes.filter((node) => node.connected),
          request.text,
        );
      case 'nodes':
        return this.#screen.print(switchTo(nodes, request.numbers, prefixes.special));
      case 'all':
        return this.#screen.print(selectAll(nodes));
      case 'list':
        return this.#screen.print(listNodes(nodes).join('\n'));
      case 'status':
        return this.#screen.print(describeActive(nodes));
      case 'help':
        return this.#screen.print(helpText(prefixes).join('\n'));
      case 'gather':
        this.#gather = request.on;
        return this.#screen.print(`Identical output is shown ${request.on ? 'once' : 'for each node'}`);
      case 'reconnect':
        return this.#reconnect(request.numbers);
      case 'wrong':
        return this.#screen.print(request.text);
    }
  }

  #refused(text: string): boolean {
    const program = fullScreenProgram(text);
    if (program === undefined) return false;
    this.#screen.print(`${neutraliseLine(program)} needs a terminal of its own: leave, and use --single-node for it`);
    return true;
  }

  async #command(nodes: readonly ShellNode[], text: string): Promise<void> {
    if (nodes.length === 0) {
      return this.#screen.print(`No active nodes: ${this.#settings.prefixes.special}all activates the connected ones`);
    }
    if (this.#refused(text)) return undefined;
    const ends = new Map<number, number | undefined>();
    const gathering = this.#gather ? new Gather() : undefined;
    this.#gathering = gathering;
    this.#running = nodes;
    this.#interrupted = false;
    this.#lastFailed = false;
    const released = new Promise<'released'>((resolve) => {
      this.#release = () => resolve('released');
    });
    const work = nodes.map(async (node) => {
      const { status } = await node.run(text);
      ends.set(node.number, status);
      if (status !== 0) this.#lastFailed = true;
      if (gathering === undefined && status !== undefined && status !== 0) this.#about(node, `exit status ${status}`);
    });
    const how = await Promise.race([Promise.all(work), released]);
    if (!this.#options.interrupts.abort.aborted) this.#running = [];
    if (gathering !== undefined) {
      this.#gathering = undefined;
      for (const group of gathering.groups(new Map([...ends].sort(([a], [b]) => a - b)))) await this.#show(group);
    }
    const busy = nodes.filter((node) => node.busy).map(({ label }) => label);
    if (how === 'released' && busy.length > 0) {
      this.#screen.print(`Still running on ${busy.join(', ')}: the output appears when it comes`);
    }
  }

  async #show({ nodes, status, lines }: Gathered): Promise<void> {
    const names = formatHosts(nodes.map((number) => `node${number}`));
    const how = status === undefined || status === 0 ? '' : `: exit status ${status}`;
    this.#screen.print(`==> ${names} (${nodes.length})${how}${lines.length === 0 ? ', no output' : ''} <==`);
    for (const line of lines) await this.#screen.write(Buffer.concat([this.#harmless(line), NEWLINE]), 1);
  }

  #harmless(line: Uint8Array): Uint8Array {
    return this.#options.terminal ? neutraliseBytes(line) : line;
  }

  #head(node: ShellNode): string {
    const time = this.#settings.timestamps ? `[${new Date().toTimeString().slice(0, 8)}] ` : '';
    return `${time}${this.#labels[node.number - 1]!} `;
  }

  #lines(node: ShellNode, stream: Stream, lines: readonly Uint8Array[]): void | Promise<void> {
    const gathering = this.#running.includes(node) ? this.#gathering : undefined;
    const head = Buffer.from(this.#options.run.prefix ? this.#head(node) : '');
    const shown = lines.flatMap((line) =>
      gathering?.add(node.number, line) ? [] : [head, this.#harmless(line), NEWLINE],
    );
    return shown.length === 0 ? undefined : this.#screen.write(Buffer.concat(shown), stream === 'stdout' ? 1 : 2);
  }

  /** Something we say of a node. */
  #about(node: ShellNode, text: string): void {
    for (const line of neutralise(text).split('\n')) {
      this.#screen.print(this.#head(node) + (this.#options.color ? paint(line, 'red') : line));
    }
  }

  #lost(node: ShellNode, error: unknown): void {
    const why = this.#fleet.describe(this.#fleet.planOf(node), error);
    this.#about(node, `${why} (${this.#settings.prefixes.special}reconnect connects it again)`);
    this.#screen.refresh(this.#prompt());
  }

  async #reconnect(numbers: readonly number[]): Promise<void> {
    const lost = this.#fleet.nodes.filter(
      ({ number, connected }) => !connected && (numbers.length === 0 || numbers.includes(number)),
    );
    if (this.#joining) return this.#screen.print('Still connecting: the others join as they come');
    if (lost.length === 0) return this.#screen.print('Nothing to do: connected already');
    const connecting = new AbortController();
    this.#connecting = connecting;
    await this.#fleet.connect(lost, connecting.signal);
    this.#connecting = undefined;
    const back = lost.filter((node) => node.connected).map(({ number }) => number);
    if (back.length > 0) this.#screen.print(`Reconnected: node ${back.join(', ')}`);
  }

  #changed(said: string): void {
    this.#screen.refresh(this.#prompt());
    if (said !== SELECTED_ALL || this.#fleet.nodes.some(isActive)) this.#screen.print(said);
  }

  /** Ctrl-C. */
  #interrupt(): void {
    this.#screen.forget();
    if (this.#connecting !== undefined) return this.#connecting.abort();
    const atPrompt = this.#running.length === 0;
    const busy = (atPrompt ? this.#fleet.nodes : this.#running).filter((node) => node.busy);
    if (atPrompt) this.#screen.abandon();
    else if (this.#interrupted) return this.#release();
    this.#interrupted = true;
    void this.#fleet.interrupt(busy);
  }
}
