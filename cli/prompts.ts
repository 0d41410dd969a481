import type { Prompter, PromptRequest } from '../client/index.ts';
export class TerminalPrompter implements Prompter {
  constructor(_: { env: Readonly<Record<string, string | undefined>> }) {}
  async ask(_r: PromptRequest): Promise<string | undefined> {
    return undefined;
  }
  tell(_t: string): void {}
}
