/** AddKeysToAgent (ssh_config(5)): a key file that served for a log-in is handed to the agent. Never fails a log-in. */

import { type PrivateKey, SshError } from '../protocol/index.ts';
import type { AgentConnection } from '../transport/index.ts';
import type { AddKeysToAgent } from './config/special-values.ts';
import type { Prompter } from './prompter.ts';

export interface AddKeysOptions {
  readonly rules: AddKeysToAgent;
  readonly agent: (() => Promise<AgentConnection>) | undefined;
  readonly prompter?: Prompter | undefined;
  readonly log?: ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;
}

export async function addKeyToAgent(key: PrivateKey, path: string, options: AddKeysOptions): Promise<void> {
  const { rules, agent, log } = options;
  if (rules.mode === 'no') return;
  if (agent === undefined) return log?.(3, 'no authentication agent, not adding key');
  const comment = key.comment === '' ? path : key.comment;
  if (rules.mode === 'ask' && !(await isWanted(path, comment, options))) return log?.(3, 'user denied adding this key');
  let connection: AgentConnection | undefined;
  try {
    connection = await agent();
    await connection.add(
      { ...key, comment },
      { confirm: rules.mode === 'confirm', ...(rules.lifetime > 0 && { lifetime: rules.lifetime }) },
    );
    log?.(1, `identity added to agent: ${path}`);
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    log?.(1, `could not add identity to agent: ${path} (${error.message})`);
  } finally {
    connection?.close();
  }
}

async function isWanted(path: string, comment: string, { prompter }: AddKeysOptions): Promise<boolean> {
  const text = `Add key ${path} (${comment}) to agent? (yes/no) `;
  const answer = await prompter?.ask({ text, echo: true, purpose: `add key ${path}` });
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}
