/** pdsh without a command: asks for one after the other. `!command` is run here, `exit` and `quit` end it. */

import { spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline/promises';

const prompt = 'pdsh> ';

/** On a terminal the line editor is there only while a line is asked for: the terminal is the command's otherwise. */
async function* terminalLines(): AsyncGenerator<string> {
  for (;;) {
    const editor = createInterface({ input: process.stdin, output: process.stdout });
    const ended = new Promise<undefined>((resolve) => {
      editor.once('SIGINT', () => resolve(undefined));
      editor.once('close', () => resolve(undefined));
    });
    const line = await Promise.race([editor.question(prompt), ended]);
    editor.close();
    if (line === undefined) {
      process.stdout.write('\n');
      return;
    }
    yield line;
  }
}

export const eachCommand = async (run: (command: string) => Promise<void>): Promise<void> => {
  const lines = process.stdin.isTTY ? terminalLines() : createInterface({ input: process.stdin });
  for await (const given of lines) {
    const line = given.trim();
    if (line === 'exit' || line === 'quit') break;
    if (line.startsWith('!')) spawnSync('/bin/sh', ['-c', line.slice(1)], { stdio: ['ignore', 'inherit', 'inherit'] });
    else if (line !== '') await run(line);
  }
};
