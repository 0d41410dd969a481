// What prompts.test.ts starts: questions given as JSON, answers on standard output, one object a line.
import { TerminalPrompter } from '../../../cli/prompts.ts';

interface Ask {
  readonly text: string;
  readonly echo?: boolean;
  readonly purpose?: string;
  readonly tell?: string;
  /** Milliseconds until the asker gives up. */
  readonly patience?: number;
}

const secrets: string[] = [];
const prompter = new TerminalPrompter({ env: process.env, onSecret: (secret) => secrets.push(secret) });
const asks = JSON.parse(process.argv[2]!) as Ask[];
if (process.argv[3] === 'catch') process.on('SIGINT', () => process.stdout.write('caught SIGINT\n'));
const answers = await Promise.all(
  asks.map(({ text, echo = false, purpose = text, tell, patience }) => {
    if (tell !== undefined) prompter.tell(tell);
    return prompter.ask({ text, echo, purpose }, patience === undefined ? undefined : AbortSignal.timeout(patience));
  }),
);
process.stdout.write(`${JSON.stringify({ answers: answers.map((answer) => answer ?? null), secrets })}\n`);
