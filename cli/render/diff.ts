/**
 * `--diff`: what most hosts answered, once, and every other answer as a unified diff against it; the rarest first.
 *
 * stdout and stderr are compared each for itself and go where they always go. With masks the masked forms are compared
 * and shown. An answer that is too long or too different for a diff is told by a sentence, or shown whole.
 */

import type { OutputStream } from '../../client/index.ts';
import { neutraliseBytes, paint, type Style } from '../terminal.ts';
import type { Answer, Answers } from './answers.ts';
import { isAnswer } from './answers.ts';
import { writeBlock } from './block.ts';
import type { Piece } from './collected.ts';
import type { CollectOptions } from './group.ts';
import { folded, heading } from './heading.ts';
import type { Renderer } from './renderer.ts';

type Unified = typeof import('./unified.ts');

const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

/** The parts of two answers that differ, to be written under one heading. */
type Difference =
  | { readonly kind: 'hunks'; readonly lines: readonly string[] }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'whole' };

export class DiffRenderer implements Renderer {
  private readonly options: CollectOptions;
  private readonly answers: Answers;
  /** Texts of the majority, made when first needed. */
  private readonly texts = new Map<OutputStream, string>();

  constructor(options: CollectOptions, answers: Answers) {
    this.options = options;
    this.answers = answers;
  }

  event(): void {}

  async end(): Promise<void> {
    const majority = this.answers.majority();
    if (majority !== undefined) {
      await writeBlock(this.options, this.head(majority, ''), this.pieces(majority));
    }
    for (const answer of this.answers.rarestFirst()) {
      // Loaded late: most runs compare nothing.
      if (answer !== majority) await this.writeOther(answer, majority, await import('./unified.ts'));
    }
  }

  private async writeOther(answer: Answer, majority: Answer | undefined, unified: Unified): Promise<void> {
    const { stdout, stderr } = answer.result.bytes;
    const isSilent = stdout + stderr === 0;
    if (majority === undefined || (isSilent && !isAnswer(answer.result))) {
      return writeBlock(this.options, this.head(answer, ''), this.pieces(answer));
    }
    const differing = STREAMS.filter((stream) => answer.digests[stream] !== majority.digests[stream]);
    if (differing.length === 0) {
      this.options.out.writeText(this.head(answer, isSilent ? '' : ', same output'));
      return;
    }
    const { out, err } = this.options;
    const targets = { stdout: out, stderr: err };
    out.writeText(this.head(answer, ''));
    for (const stream of differing) {
      if (targets[stream] !== out) targets[stream].writeText(this.head(answer, ''));
      await this.write(answer, majority, stream, this.difference(unified, answer, majority, stream));
    }
  }

  private async write(answer: Answer, majority: Answer, stream: OutputStream, found: Difference): Promise<void> {
    const { out, err, looks } = this.options;
    const target = stream === 'stdout' ? out : err;
    const { color, harmless } = looks[stream];
    const line = (text: string, style: Style | undefined): void =>
      target.writeText(`${color && style !== undefined ? paint(text, style) : text}\n`);
    if (found.kind === 'note') return line(found.text, 'yellow');
    if (found.kind === 'whole') {
      line('(too different for a diff, so all of it)', 'yellow');
      return writeBlock(this.options, '', this.pieces(answer, [stream]));
    }
    line(`--- ${this.names(majority)}`, 'bold');
    line(`+++ ${this.names(answer)}`, 'bold');
    for (const text of found.lines) {
      const bytes = Buffer.from(text, 'latin1');
      const style = styleOf(text);
      if (harmless) line(Buffer.from(neutraliseBytes(bytes)).toString(), style);
      else {
        target.write(color && style !== undefined ? Buffer.from(paint(text, style), 'latin1') : bytes);
        target.writeText('\n');
      }
      await target.ready();
    }
  }

  private difference(unified: Unified, answer: Answer, majority: Answer, stream: OutputStream): Difference {
    const { answers } = this;
    const { firstDifference, LONGEST_DIFFED, unifiedHunks } = unified;
    const lengths = [majority, answer].map((one) => answers.length(one, stream));
    if (Math.max(...lengths) > LONGEST_DIFFED) {
      const line = firstDifference(answers.read(majority, stream), answers.read(answer, stream));
      const text = `(too long for a diff: ${lengths[0]} and ${lengths[1]} bytes, different from line ${line} on)`;
      return { kind: 'note', text };
    }
    let before = this.texts.get(stream);
    if (before === undefined) {
      before = textOf(answers.read(majority, stream));
      this.texts.set(stream, before);
    }
    const lines = unifiedHunks(before, textOf(answers.read(answer, stream)));
    return lines === undefined ? { kind: 'whole' } : { kind: 'hunks', lines };
  }

  private head({ hosts, result }: Answer, note: string): string {
    const { prefix, looks } = this.options;
    return prefix ? heading(this.list(hosts), result, looks.stdout.color, note) : '';
  }

  private names({ hosts }: Answer): string {
    return folded(this.list(hosts));
  }

  private list(hosts: readonly number[]): string[] {
    return hosts.map((host) => this.options.hosts[host]!.name);
  }

  private *pieces(answer: Answer, streams = STREAMS): Generator<Piece> {
    for (const stream of streams) {
      for (const data of this.answers.read(answer, stream)) yield { stream, data };
    }
  }
}

const STYLES: Readonly<Record<string, Style>> = { '+': 'green', '-': 'red', '@': 'cyan' };
const styleOf = (line: string): Style | undefined => STYLES[line.charAt(0)];

const textOf = (parts: Iterable<Uint8Array>): string => Buffer.concat([...parts]).toString('latin1');
