/**
 * What is expanded in the values of ssh_config(5): `%` tokens (TOKENS), `${NAME}` (ENVIRONMENT VARIABLES) and a leading
 * `~`. Pure: users, host names and variables are handed in. An unknown token or a missing variable is an error.
 */

import { createHash } from 'node:crypto';
import { SshError } from '../../protocol/index.ts';

/** Values by token letter; `%%` is always known. */
export type Tokens = Readonly<Record<string, string>>;

export type Environment = Readonly<Record<string, string | undefined>>;

const fail = (message: string): never => {
  throw new SshError('config', message);
};

interface Sources {
  readonly tokens?: Tokens | undefined;
  readonly env?: Environment | undefined;
}

/** One pass over the text: what a variable or token expands to is never expanded again. */
function expand(text: string, { tokens, env }: Sources): string {
  if (!(tokens !== undefined && text.includes('%')) && !(env !== undefined && text.includes('${'))) return text;
  let out = '';
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    const next = text[at + 1];
    if (env !== undefined && c === '$' && next === '{') {
      const close = text.indexOf('}', at + 2);
      if (close < 0) fail(`environment variable '${text.slice(at + 2)}' missing closing '}'`);
      const name = text.slice(at + 2, close);
      if (name === '') fail('zero-length environment variable');
      out += env[name] ?? fail(`env var \${${name}} has no value`);
      at = close;
    } else if (tokens !== undefined && c === '%') {
      if (next === undefined) fail(`bad token at the end of '${text}'`);
      out += next === '%' ? '%' : (tokens[next!] ?? fail(`unknown key %${next} in '${text}'`));
      at++;
    } else {
      out += c;
    }
  }
  return out;
}

/** `%x` only: commands, where the shell itself expands variables. */
export const expandTokens = (text: string, tokens: Tokens): string => expand(text, { tokens });

/** `${NAME}` only. */
export const expandEnvironment = (text: string, env: Environment): string => expand(text, { env });

/** Both: paths. */
export const expandPath = (text: string, tokens: Tokens, env: Environment): string => expand(text, { tokens, env });

/** Where home directories are found; `of` answers for other users. */
export interface Homes {
  readonly home: string;
  of?(user: string): string | undefined;
}

/** `~`, `~/x` and `~user/x`; anything else comes back as it is. */
export function expandTilde(text: string, homes: Homes): string {
  if (!text.startsWith('~')) return text;
  const slash = text.indexOf('/');
  const user = slash < 0 ? text.slice(1) : text.slice(1, slash);
  const home = user === '' ? homes.home : homes.of?.(user);
  if (home === undefined) return fail(`tilde_expand: No such user ${user}`);
  return `${home}${home.endsWith('/') ? '' : '/'}${slash < 0 ? '' : text.slice(slash + 1)}`;
}

export interface ConnectionFacts {
  /** The local host name, domain included. */
  readonly localHost: string;
  readonly localUser: string;
  readonly uid: number;
  readonly home: string;
  /** As given on the command line. */
  readonly originalHost: string;
  /** After Hostname and canonicalization. */
  readonly host: string;
  readonly hostKeyAlias?: string | undefined;
  readonly port: number;
  readonly user: string;
  /** The text of ProxyJump, or nothing. */
  readonly jump?: string | undefined;
}

/** `%C`: SHA-1 over `%l%h%p%r%j`, the name ssh gives a connection. */
export const connectionHash = (facts: ConnectionFacts): string =>
  createHash('sha1')
    .update(`${facts.localHost}${facts.host}${facts.port}${facts.user}${facts.jump ?? ''}`)
    .digest('hex');

/** The tokens every keyword with tokens shares. */
export function connectionTokens(facts: ConnectionFacts): Tokens {
  return {
    // Few runs ask for it, and it costs more than all the others.
    get C() {
      return connectionHash(facts);
    },
    d: facts.home,
    h: facts.host,
    i: String(facts.uid),
    j: facts.jump ?? '',
    k: facts.hostKeyAlias ?? facts.originalHost,
    L: facts.localHost.split('.', 1)[0]!,
    l: facts.localHost,
    n: facts.originalHost,
    p: String(facts.port),
    r: facts.user,
    u: facts.localUser,
  };
}

/** Only some of the tokens: ProxyCommand takes fewer than IdentityFile. */
export const pickTokens = (tokens: Tokens, letters: string): Tokens =>
  Object.fromEntries([...letters].flatMap((letter) => (letter in tokens ? [[letter, tokens[letter]!]] : [])));
