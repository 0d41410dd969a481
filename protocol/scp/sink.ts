/**
 * SCP's receiving side, sans-IO: what `scp -f` sends becomes events, each entry is accepted or refused. Knows the order
 * of things and counts bytes; which names are welcome, and where they go, is its user's.
 */

import { protocolError, SshError } from '../errors.ts';
import { LineInput } from './lines.ts';
import { decodeRecord, encodeProblem, GO_ON, problemText, type ScpEntry, type ScpTimes } from './records.ts';

export type ScpSinkEvent =
  /** To be answered, as is `complete`. */
  | { readonly type: 'entry'; readonly entry: ScpEntry; readonly times: ScpTimes | undefined; readonly depth: number }
  /** A view of what was received. */
  | { readonly type: 'data'; readonly data: Uint8Array }
  /** The file has all its bytes; `problem` when the sender says that they are not the right ones. */
  | { readonly type: 'complete'; readonly problem: string | undefined }
  | { readonly type: 'leave' }
  /** Something could not be sent; after a `fatal` one nothing more comes. */
  | { readonly type: 'problem'; readonly text: string; readonly fatal: boolean };

type State = 'record' | 'content' | 'status' | 'answer-entry' | 'answer-content';

export class ScpSink {
  readonly #input = new LineInput();
  #output: Uint8Array[] = [GO_ON];
  #state: State = 'record';
  #times: ScpTimes | undefined;
  #entry: ScpEntry | undefined;
  #left = 0;
  #depth = 0;

  /** Bytes of the sender; only when `poll` has nothing more. */
  receive(bytes: Uint8Array): void {
    this.#input.receive(bytes);
  }

  takeOutput(): readonly Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  /** Whether the sender may stop here. */
  get isAtRest(): boolean {
    return this.#state === 'record' && this.#depth === 0 && this.#times === undefined && this.#input.isEmpty;
  }

  poll(): ScpSinkEvent | undefined {
    switch (this.#state) {
      case 'record':
        return this.#record();
      case 'content':
        return this.#content();
      case 'status':
        return this.#status();
      default:
        throw new SshError('usage', 'an SCP entry waits for its answer');
    }
  }

  /** The entry is wanted, or was stored. */
  accept(): void {
    const entry = this.#answered();
    this.#output.push(GO_ON);
    if (!entry) return;
    if (entry.kind === 'directory') {
      this.#depth++;
    } else {
      this.#left = entry.size;
      this.#state = entry.size === 0 ? 'status' : 'content';
    }
  }

  /** The entry is not wanted, or was not stored; the sender goes on with the next. */
  refuse(text: string): void {
    this.#answered();
    this.#output.push(encodeProblem(text));
  }

  #answered(): ScpEntry | undefined {
    if (!this.#state.startsWith('answer')) throw new SshError('usage', 'no SCP entry waits for an answer');
    const entry = this.#entry;
    this.#entry = undefined;
    this.#state = 'record';
    return entry;
  }

  #record(): ScpSinkEvent | undefined {
    for (;;) {
      const line = this.#input.line();
      if (line === undefined) return undefined;
      // Instead of an entry, the sender may say why there is none.
      if (line[0] === 1 || line[0] === 2) {
        return { type: 'problem', text: problemText(line.subarray(1)), fatal: line[0] === 2 };
      }
      const record = decodeRecord(line);
      if (record.kind === 'times') {
        if (this.#times !== undefined) throw protocolError('SCP times twice');
        this.#times = record;
        this.#output.push(GO_ON);
        continue;
      }
      const times = this.#times;
      this.#times = undefined;
      if (record.kind !== 'end') return this.#asked(record, times);
      if (this.#depth === 0) throw protocolError('SCP left a directory it never entered');
      this.#depth--;
      this.#output.push(GO_ON);
      return { type: 'leave' };
    }
  }

  #asked(entry: ScpEntry, times: ScpTimes | undefined): ScpSinkEvent {
    this.#entry = entry;
    this.#state = 'answer-entry';
    return { type: 'entry', entry, times, depth: this.#depth };
  }

  #content(): ScpSinkEvent | undefined {
    const data = this.#input.data(this.#left);
    if (data === undefined) return undefined;
    this.#left -= data.length;
    if (this.#left === 0) this.#state = 'status';
    return { type: 'data', data };
  }

  #status(): ScpSinkEvent | undefined {
    const answer = this.#input.answer();
    if (answer === undefined) return undefined;
    this.#state = 'answer-content';
    return { type: 'complete', problem: answer.ok ? undefined : answer.text };
  }
}
