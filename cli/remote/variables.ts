/**
 * `--vars`: what a command may say of the host it runs on. Only text that means itself to every shell is put in, inside
 * quotes or outside of them; a host with any other is refused before anything is started.
 */

import { SshError } from '../../client/index.ts';

export const VARIABLES = ['host', 'node', 'index', 'user', 'port'] as const;
export type Variables = Readonly<Record<(typeof VARIABLES)[number], string>>;

const PLACE = new RegExp(`\\{(${VARIABLES.join('|')})\\}`, 'g');
const PLAIN = /^[\w.@%+=:,/-]+$/;

/** `{host}` and its like replaced; anything else in braces stays. */
export function fillVariables(text: string, variables: Variables): string {
  return text.replace(PLACE, (_, name: keyof Variables) => {
    const value = variables[name];
    if (PLAIN.test(value)) return value;
    throw new SshError('usage', `${variables.node}: {${name}} is '${value}', which a shell would not take as it is`, {
      detail: { grammar: 'cluster', exit: 2 },
    });
  });
}

/** One word for a shell of the Bourne family, whatever it holds. */
export const shellWord = (text: string): string => (PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
