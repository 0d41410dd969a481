/**
 * Escape characters of ssh(1): what is typed after a newline and the escape character, and the `~C` command line.
 *
 * Pure: typed bytes in, steps out, in order. Whoever runs the session takes the steps. Texts are those that users of
 * ssh(1) know; CR LF, for the terminal is raw.
 */

import { LineInput } from './line-input.ts';

export type EscapeStep =
  /** To the remote. */
  | { readonly step: 'send'; readonly data: Uint8Array }
  /** To our own terminal. */
  | { readonly step: 'show'; readonly text: string }
  /** The command line opens (output should wait) or is done; `line` is undefined when it was given up. */
  | { readonly step: 'command-open' }
  | { readonly step: 'command'; readonly line: string | undefined }
  | { readonly step: 'verbosity'; readonly by: 1 | -1 }
  | { readonly step: 'disconnect' | 'suspend' | 'background' | 'list' | 'break' | 'rekey' };

export interface EscapeOptions {
  readonly escapeChar: number | 'none';
  /** EnableEscapeCommandline. */
  readonly commandLine?: boolean;
}

const CR = 0x0d;
const LF = 0x0a;
const CTRL_Z = 0x1a;

const PROMPT = '\r\nssh> ';

/** The escape character as it is shown: `~`, `^A`. */
export const shownEscape = (byte: number): string =>
  byte < 0x20 ? `^${String.fromCharCode(byte + 0x40)}` : byte === 0x7f ? '^?' : String.fromCharCode(byte);

export function escapeHelp(escapeChar: number, commandLine = false): string {
  const key = shownEscape(escapeChar);
  const rows: [string, string][] = [
    ['.', 'terminate connection (and any multiplexed sessions)'],
    ['B', 'send a BREAK to the remote system'],
    ...(commandLine ? [['C', 'open a command line'] as [string, string]] : []),
    ['R', 'request rekey'],
    ['V/v', 'decrease/increase verbosity (LogLevel)'],
    ['^Z', 'suspend ssh'],
    ['#', 'list forwarded connections'],
    ['&', 'background ssh (when waiting for connections to terminate)'],
    ['?', 'this message'],
    [key, 'send the escape character by typing it twice'],
  ];
  return [
    `${key}?`,
    'Supported escape sequences:',
    ...rows.map(([letter, text]) => ` ${(key + letter).padEnd(4)} - ${text}`),
    '(Note that escapes are only recognized immediately after newline.)',
    '',
  ].join('\r\n');
}

export class EscapeMachine {
  readonly #escape: number;
  readonly #commandLine: boolean;
  #afterNewline = true;
  #pending = false;
  /** The command line, while one is typed. */
  #typing: LineInput | undefined;

  constructor(options: EscapeOptions) {
    this.#escape = options.escapeChar === 'none' ? -1 : options.escapeChar;
    this.#commandLine = options.commandLine ?? false;
  }

  feed(chunk: Uint8Array): EscapeStep[] {
    const steps: EscapeStep[] = [];
    // Runs of plain bytes are views of the chunk; only an escape character that was held back is made anew.
    let from = 0;
    const send = (to: number): void => {
      if (to > from) steps.push({ step: 'send', data: chunk.subarray(from, to) });
    };
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#typing !== undefined) {
        this.#type(this.#typing, byte, steps);
        from = at + 1;
      } else if (this.#pending) {
        this.#pending = false;
        from = at + 1;
        if (this.#act(byte, steps)) continue;
        // An escape character typed twice is sent once; before any other byte it was meant for the remote.
        if (byte !== this.#escape) steps.push({ step: 'send', data: Uint8Array.of(this.#escape) });
        from = at;
        this.#afterNewline = byte === CR || byte === LF;
      } else if (this.#afterNewline && byte === this.#escape) {
        send(at);
        from = at + 1;
        this.#pending = true;
      } else this.#afterNewline = byte === CR || byte === LF;
    }
    send(chunk.length);
    return steps;
  }

  /** Whether the byte after the escape character means something. What follows may be an escape again. */
  #act(byte: number, steps: EscapeStep[]): boolean {
    const key = shownEscape(this.#escape);
    const show = (text: string): void => void steps.push({ step: 'show', text: `${text}\r\n` });
    // The escape character itself comes first: with `^Z`, `?` or `B` as one, typing it twice must send it.
    if (byte === this.#escape) return false;
    switch (byte === CTRL_Z ? '^Z' : String.fromCharCode(byte)) {
      case '.':
        steps.push({ step: 'disconnect' });
        return true;
      case '^Z':
        show(`${key}^Z [suspend ssh]`);
        steps.push({ step: 'suspend' });
        return true;
      case 'B':
        show(`${key}B`);
        steps.push({ step: 'break' });
        return true;
      case 'R':
        steps.push({ step: 'rekey' });
        return true;
      case 'V':
        steps.push({ step: 'verbosity', by: -1 });
        return true;
      case 'v':
        steps.push({ step: 'verbosity', by: 1 });
        return true;
      case '&':
        steps.push({ step: 'background' });
        return true;
      case '?':
        steps.push({ step: 'show', text: escapeHelp(this.#escape, this.#commandLine) });
        return true;
      case '#':
        show(`${key}#`);
        steps.push({ step: 'list' });
        return true;
      case 'C':
        if (this.#commandLine) {
          this.#typing = new LineInput();
          steps.push({ step: 'command-open' }, { step: 'show', text: PROMPT });
        } else show('commandline disabled');
        return true;
      default:
        return false;
    }
  }

  #type(input: LineInput, byte: number, steps: EscapeStep[]): void {
    const show = (text: string): void => void steps.push({ step: 'show', text });
    const typed = input.type(byte);
    switch (typed.did) {
      case 'edit':
        if (typed.echo !== '') show(typed.echo);
        return;
      case 'suspend':
      case 'quit':
        return;
      case 'interrupt':
        show('^C');
    }
    this.#typing = undefined;
    show('\r\n');
    steps.push({ step: 'command', line: typed.did === 'line' ? typed.line : undefined });
  }
}

export type ForwardKind = 'local' | 'remote' | 'dynamic';

export type EscapeCommand =
  | { readonly command: 'nothing' | 'help' | 'invalid' }
  | { readonly command: 'shell'; readonly line: string }
  | { readonly command: 'forward' | 'cancel'; readonly kind: ForwardKind; readonly spec: string };

const KINDS: Readonly<Record<string, ForwardKind>> = { L: 'local', R: 'remote', D: 'dynamic' };

/** What a line typed at `ssh>` asks for. The leading `-` may be left out, as in ssh(1). */
export function parseEscapeCommand(line: string, permitLocalCommand: boolean): EscapeCommand {
  const text = line.trimStart().replace(/^-/, '');
  if (text === '') return { command: 'nothing' };
  if (/^[hH?]/.test(text)) return { command: 'help' };
  if (text.startsWith('!') && permitLocalCommand) return { command: 'shell', line: text.slice(1) };
  const match = /^(K?)([LRD])\s*(.*)$/s.exec(text);
  if (match === null) return { command: 'invalid' };
  return { command: match[1] ? 'cancel' : 'forward', kind: KINDS[match[2]!]!, spec: match[3]!.trimEnd() };
}

export const commandHelp = (permitLocalCommand: boolean): string =>
  [
    'Commands:',
    '      -L[bind_address:]port:host:hostport    Request local forward',
    '      -R[bind_address:]port:host:hostport    Request remote forward',
    '      -D[bind_address:]port                  Request dynamic forward',
    '      -KL[bind_address:]port                 Cancel local forward',
    '      -KR[bind_address:]port                 Cancel remote forward',
    '      -KD[bind_address:]port                 Cancel dynamic forward',
    ...(permitLocalCommand ? ['      !args                                  Execute local command'] : []),
    '',
  ].join('\r\n');
