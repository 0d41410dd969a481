/**
 * UpdateHostKeys (OpenSSH PROTOCOL section 2.5): a server tells all its host keys, proves that it holds those we do not
 * know, and known_hosts follows: new keys are learnt, keys the server gave up are forgotten.
 *
 * Only for a host whose key stands in the user's own files under its own plain name: patterns, authorities, revocations
 * and keys that other names share are left to their owner.
 */

import {
  type CryptoProvider,
  type FingerprintHash,
  fingerprint,
  keyBits,
  keyTypeLabel,
  type PublicKey,
  parsePublicBlob,
  Reader,
  SshError,
  signatureAlgorithm,
  signatureRow,
  verify,
  Writer,
} from '../protocol/index.ts';
import { type HostQuery, type KnownHostLine, KnownHostList, knownHostName } from './config/known-hosts.ts';
import type { Connection } from './connection.ts';
import { KnownHosts } from './known-hosts-file.ts';
import type { Prompter } from './prompter.ts';

export const HOST_KEYS_REQUEST = 'hostkeys-00@openssh.com';
const PROVE_REQUEST = 'hostkeys-prove-00@openssh.com';

/** Keys one server may announce: real ones have a handful. */
const MAX_KEYS = 128;
/** How often a person may give an answer that is none. */
const MAX_ANSWERS = 3;

export interface HostKeyUpdateRules {
  readonly crypto: CryptoProvider;
  readonly update: 'yes' | 'ask' | 'no';
  readonly query: HostQuery;
  /** The address, when keys are kept by address too (CheckHostIP). */
  readonly address?: HostQuery | undefined;
  readonly userFiles: readonly string[];
  readonly hash: boolean;
  /** HostKeyAlgorithms: other keys are not learnt. */
  readonly accepted: readonly string[];
  readonly requiredRsaSize: number;
  readonly fingerprintHash: FingerprintHash;
  /** Missing: `ask` does nothing. */
  readonly prompter?: Prompter | undefined;
  readonly warn?: ((text: string) => void) | undefined;
  readonly log?: ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;
}

interface Changes {
  /** All keys of the server that we would have. */
  readonly keys: readonly PublicKey[];
  readonly fresh: readonly PublicKey[];
  readonly stale: readonly KnownHostLine[];
}

const same = (a: { readonly blob: Uint8Array }, b: { readonly blob: Uint8Array }): boolean =>
  Buffer.compare(a.blob, b.blob) === 0;

/** Follows what the server announced in `body`. Never throws for what a server or a file does: it says so and leaves all as it is. */
export async function updateHostKeys(
  connection: Connection,
  rules: HostKeyUpdateRules,
  body: Uint8Array,
): Promise<void> {
  const { log, warn, update, prompter, userFiles } = rules;
  if (update === 'no' || userFiles.length === 0 || (update === 'ask' && prompter === undefined)) return;
  try {
    const changes = plan(rules, announced(rules, body));
    if (changes === undefined) return;
    if (changes.fresh.length > 0 && !(await proven(connection, rules, changes.fresh))) return;
    if (await agreed(rules, changes)) write(rules, changes);
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    if (error.by === 'local') warn?.(`UpdateHostKeys: ${error.message}`);
    else log?.(1, `client_input_hostkeys: ${error.message}`);
  }
}

/** The keys we would take, unless two are the same. */
function announced({ accepted, requiredRsaSize, log }: HostKeyUpdateRules, body: Uint8Array): PublicKey[] {
  const reader = new Reader(body);
  const keys: PublicKey[] = [];
  for (let count = 0; reader.remaining > 0; count++) {
    if (count === MAX_KEYS) throw new SshError('limit', 'too many host keys', { by: 'peer' });
    const key = readKey(reader.string());
    if (key === undefined) continue;
    const permitted = accepted.some((name) => signatureRow(name)?.blobType === key.type);
    if (!permitted) log?.(3, `client_input_hostkeys: ${key.type} key not permitted by HostkeyAlgorithms`);
    if (!permitted || (key.material.kind === 'rsa' && keyBits(key) < requiredRsaSize)) continue;
    if (keys.some((other) => same(other, key)))
      throw new SshError('protocol', `received duplicated ${key.type} host key`, { by: 'peer' });
    keys.push(key);
  }
  return keys;
}

/** Certificates and types we do not know are passed over. */
function readKey(blob: Uint8Array): PublicKey | undefined {
  try {
    return parsePublicBlob(blob);
  } catch (error) {
    if (error instanceof SshError) return undefined;
    throw error;
  }
}

/** What would change, or undefined when nothing would or must. */
function plan(rules: HostKeyUpdateRules, keys: readonly PublicKey[]): Changes | undefined {
  const skip = (text: string): undefined => rules.log?.(1, `client_input_hostkeys: ${text}`) as undefined;
  if (keys.length === 0) return skip('server sent no hostkeys');
  const { all } = files(rules);
  const ours = mine(rules, all);
  const others = all.filter((line) => !ours.includes(line));
  const stale = ours.filter((line) => line.marker === 'none' && !keys.some((key) => same(line, key)));
  const fresh = keys.filter((key) => !ours.some((line) => line.marker === 'none' && same(line, key)));
  if (fresh.length === 0 && stale.length === 0) return skip('no new or deprecated keys from server');
  if (ours.some(isComplex))
    return skip(
      'CA/revocation marker, manual host list or wildcard host pattern found, skipping UserKnownHostsFile update',
    );
  if (others.some((line) => keys.some((key) => same(line, key))) || halfKnown(rules, ours))
    return skip('host key found matching a different name/address, skipping UserKnownHostsFile update');
  if (others.some((line) => stale.some((old) => same(line, old))))
    return skip(`key(s) for ${knownHostName(rules.query)} exist under other names; skipping UserKnownHostsFile update`);
  return { keys, fresh, stale };
}

const files = ({ userFiles, hash }: HostKeyUpdateRules): KnownHosts =>
  new KnownHosts({ userFiles, globalFiles: [], mode: 'no', hash });

function mine({ query, address }: HostKeyUpdateRules, all: readonly KnownHostLine[]): KnownHostLine[] {
  const list = new KnownHostList(all);
  const found = new Set(list.find(knownHostName(query)));
  if (address !== undefined) for (const line of list.find(knownHostName(address))) found.add(line);
  return [...found];
}

/** ssh never writes a pattern or more than a name and an address: such a line is the work of a person. */
const isComplex = ({ marker, names }: KnownHostLine): boolean =>
  marker !== 'none' || /[*?!]/.test(names) || names.split(',').length > 2;

/** A line of a name and an address of which only one is ours. */
function halfKnown({ query, address }: HostKeyUpdateRules, ours: readonly KnownHostLine[]): boolean {
  if (address === undefined) return false;
  const wanted = [knownHostName(query), knownHostName(address)];
  return ours.some(({ names }) => {
    const given = names.toLowerCase().split(',');
    return given.length === 2 && !wanted.every((name) => given.includes(name));
  });
}

/** Asks the server for a signature by each new key over this session (PROTOCOL section 2.5). */
async function proven(
  connection: Connection,
  rules: HostKeyUpdateRules,
  fresh: readonly PublicKey[],
): Promise<boolean> {
  const { log, warn, crypto } = rules;
  log?.(3, `client_input_hostkeys: asking server to prove ownership for ${fresh.length} keys`);
  const request = new Writer(1024);
  for (const { blob } of fresh) request.string(blob);
  let answer: Reader;
  try {
    answer = new Reader(await connection.globalRequest(PROVE_REQUEST, request.finish()));
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    if (error.code === 'channel-request') warn?.('Server failed to confirm ownership of private host keys');
    return false;
  }
  const { sessionId } = connection.session.binding;
  for (const key of fresh) {
    const signature = answer.string();
    const signed = new Writer(512).text(PROVE_REQUEST).string(sessionId).string(key.blob).finish();
    if (!verify(crypto, key, proofAlgorithm(connection, key, signature), signed, signature)) {
      warn?.(`server gave bad signature for ${keyTypeLabel(key)} key`);
      return false;
    }
  }
  answer.end(PROVE_REQUEST);
  return true;
}

/** RSA proofs are made with the algorithm of the key exchange when that is an RSA one, else with SHA-2. */
function proofAlgorithm(connection: Connection, key: PublicKey, signature: Uint8Array): string {
  if (key.type !== 'ssh-rsa') return key.type;
  const negotiated = connection.session.algorithms?.hostKey;
  if (negotiated?.keyType === 'ssh-rsa') return negotiated.plain;
  const named = signatureAlgorithm(signature);
  return named === 'rsa-sha2-256' ? named : 'rsa-sha2-512';
}

async function agreed(rules: HostKeyUpdateRules, { fresh, stale }: Changes): Promise<boolean> {
  const { update, prompter, log, warn, crypto, fingerprintHash } = rules;
  const line = (what: string, key: PublicKey): string =>
    `${what}: ${keyTypeLabel(key)} ${fingerprint(crypto, key.blob, fingerprintHash)}`;
  const lines = [
    ...fresh.map((key) => line('Learned new hostkey', key)),
    ...stale.flatMap(({ blob }) => {
      const key = readKey(blob);
      return key === undefined ? [] : [line('Deprecating obsolete hostkey', key)];
    }),
  ];
  if (update !== 'ask') {
    for (const text of lines) log?.(0, text);
    return true;
  }
  warn?.(
    [
      'The server has updated its host keys.',
      "These changes were verified by the server's existing trusted key.",
      ...lines,
    ].join('\n'),
  );
  for (let i = 0; i < MAX_ANSWERS; i++) {
    const answer = await prompter?.ask({
      text: 'Accept updated hostkeys? (yes/no): ',
      echo: true,
      purpose: `host keys of ${knownHostName(rules.query)}`,
    });
    if (answer === undefined || /^no$/i.test(answer)) return false;
    if (/^yes$/i.test(answer)) return true;
    warn?.('Please enter "yes" or "no"');
  }
  return false;
}

function write(rules: HostKeyUpdateRules, { keys }: Changes): void {
  // Another process may have been quicker: what is there now is what is compared.
  files(rules).replace(rules.query, keys, rules.address);
}

/** What the server announces may come before anybody is ready to ask it for proofs: held until `begin`. */
export class HostKeyUpdates {
  #connection: Connection | undefined;
  #rules: HostKeyUpdateRules | undefined;
  #body: Uint8Array | undefined;
  #running: Promise<void> = Promise.resolve();

  /** Takes the server's announcement; only the first one counts. */
  readonly announced = (body: Uint8Array): undefined => {
    if (this.#body !== undefined) return;
    this.#body = new Uint8Array(body);
    this.#run();
  };

  begin(connection: Connection, rules: HostKeyUpdateRules): void {
    this.#connection = connection;
    this.#rules = rules;
    this.#run();
  }

  #run(): void {
    if (this.#connection === undefined || this.#rules === undefined || this.#body === undefined) return;
    this.#running = updateHostKeys(this.#connection, this.#rules, this.#body);
  }

  /** Settles when nothing is under way: what was announced so far is written, or given up. */
  get settled(): Promise<void> {
    return this.#running;
  }
}
