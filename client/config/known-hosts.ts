/**
 * known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): reading lines, finding the keys of a host, judging a key, writing
 * lines. Pure: text in, text out; reading and changing files is in ../known-hosts-file.ts. Whether a certificate is
 * valid is not decided here, only whether its authority is trusted for the host.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { matchPatternList } from './pattern.ts';

export interface KnownHostLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly marker: 'none' | 'revoked' | 'cert-authority';
  /** The names as they stand there: patterns, or one hash. */
  readonly names: string;
  readonly keyType: string;
  readonly blob: Uint8Array;
  readonly comment: string;
}

/** A key as it comes over the wire. */
export interface HostKey {
  readonly type: string;
  readonly blob: Uint8Array;
}

/** Which host is looked up: HostKeyAlias stands for itself, a port other than 22 becomes part of the name. */
export interface HostQuery {
  readonly host: string;
  readonly port: number;
  readonly alias?: string | undefined;
}

const lineShape =
  /^[ \t]*(?:@(\S+)[ \t]+)?([^\s#@]\S*)[ \t]+([A-Za-z][^\s]*)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+(.*))?$/;

const markers = { revoked: 'revoked', 'cert-authority': 'cert-authority' } as const;

/** The blob repeats the key type as its first string (RFC 4253 section 6.6). */
function hasType(blob: Uint8Array, type: string): boolean {
  if (blob.length < 4 + type.length || blob.length > 16_384) return false;
  const length = new DataView(blob.buffer, blob.byteOffset).getUint32(0);
  if (length !== type.length) return false;
  for (let at = 0; at < type.length; at++) if (blob[4 + at] !== type.charCodeAt(at)) return false;
  return true;
}

/** One line; undefined for a comment, a blank line, and whatever is no key: such lines stay in the file untouched. */
function parseKnownHost(text: string, file: string, line: number): KnownHostLine | undefined {
  if (text.length > 65_536) return undefined;
  const match = lineShape.exec(text.trimEnd());
  if (match === null) return undefined;
  const [, mark, names, keyType, base64, comment] = match;
  const marker =
    mark === undefined ? 'none' : Object.hasOwn(markers, mark) ? markers[mark as keyof typeof markers] : undefined;
  const blob = new Uint8Array(Buffer.from(base64!, 'base64'));
  if (marker === undefined || !hasType(blob, keyType!)) return undefined;
  return { file, line, marker, names: names!, keyType: keyType!, blob, comment: comment ?? '' };
}

/** The name in the file: lower case, `[host]:port` where the port is not 22. */
export function knownHostName({ host, port, alias }: HostQuery): string {
  if (alias !== undefined) return alias.toLowerCase();
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

const hashPrefix = '|1|';

/** `|1|salt|HMAC-SHA1(salt, name)`. */
export function hashName(name: string, salt: Uint8Array = randomBytes(20)): string {
  const digest = createHmac('sha1', salt).update(name.toLowerCase()).digest('base64');
  return `${hashPrefix}${Buffer.from(salt).toString('base64')}|${digest}`;
}

function hashMatches(names: string, name: string): boolean {
  const [, , salt, digest, ...rest] = names.split('|');
  if (!salt || !digest || rest.length > 0) return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === digest;
}

/** Names whose lines are remembered. */
const MOST_FOUND = 4096;

const isPlain = (names: string): boolean => !/[*?!]/.test(names);

/** The lines of one or more files, arranged so that a thousand hosts do not walk all of them. */
export class KnownHostList {
  readonly lines: readonly KnownHostLine[];
  readonly #byName = new Map<string, KnownHostLine[]>();
  /** Patterns and hashes: each has to be tried. */
  readonly #others: KnownHostLine[] = [];
  /** A host is looked for three times in one log-in, and hashes are slow. */
  readonly #found = new Map<string, readonly KnownHostLine[]>();
  #order: Map<KnownHostLine, number> | undefined;

  constructor(lines: readonly KnownHostLine[]) {
    this.lines = lines;
    for (const line of lines) {
      if (line.names.startsWith(hashPrefix) || !isPlain(line.names)) this.#others.push(line);
      else for (const name of new Set(line.names.toLowerCase().split(','))) this.#add(name, line);
    }
  }

  #add(name: string, line: KnownHostLine): void {
    const known = this.#byName.get(name);
    if (known === undefined) this.#byName.set(name, [line]);
    else known.push(line);
  }

  /** Lines for a name in the form of knownHostName, in the order of the files. */
  find(name: string): readonly KnownHostLine[] {
    const subject = name.toLowerCase();
    if (this.#others.length === 0) return this.#byName.get(subject) ?? [];
    let found = this.#found.get(subject);
    if (found === undefined) {
      found = this.#search(subject);
      if (this.#found.size >= MOST_FOUND) this.#found.clear();
      this.#found.set(subject, found);
    }
    return found;
  }

  #search(subject: string): readonly KnownHostLine[] {
    const other = this.#others.filter(({ names }) =>
      names.startsWith(hashPrefix) ? hashMatches(names, subject) : matchPatternList(subject, names, true) === 'match',
    );
    const plain = this.#byName.get(subject) ?? [];
    if (other.length === 0) return plain;
    this.#order ??= new Map(this.lines.map((line, index) => [line, index]));
    const order = this.#order;
    return [...plain, ...other].sort((a, b) => order.get(a)! - order.get(b)!);
  }
}

export function parseKnownHosts(text: string, file: string): KnownHostLine[] {
  const out: KnownHostLine[] = [];
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    const parsed = line === '' ? undefined : parseKnownHost(line, file, number);
    if (parsed !== undefined) out.push(parsed);
  }
  return out;
}

export interface HostKeyCheck {
  /** `changed`: the host is known, but by none with this key; `unknown`: nothing is known about it. */
  readonly status: 'ok' | 'changed' | 'unknown' | 'revoked';
  /** The line that decided. */
  readonly line?: KnownHostLine;
  /** The host's authority vouched, not the key itself. */
  readonly byAuthority: boolean;
  /** Found under the bare name although the port is not 22. */
  readonly withoutPort: boolean;
  /** Every plain key known for this host. */
  readonly others: readonly KnownHostLine[];
}

function judge(
  lines: readonly KnownHostLine[],
  key: HostKey,
  authority: HostKey | undefined,
): Omit<HostKeyCheck, 'withoutPort'> {
  const others = lines.filter(({ marker }) => marker === 'none');
  const is = (marker: KnownHostLine['marker'], candidate: HostKey | undefined): KnownHostLine | undefined =>
    candidate && lines.find((line) => line.marker === marker && Buffer.compare(line.blob, candidate.blob) === 0);
  const revoked = is('revoked', key) ?? is('revoked', authority);
  if (revoked !== undefined) return { status: 'revoked', line: revoked, byAuthority: false, others };
  const trusted = is('cert-authority', authority);
  if (trusted !== undefined) return { status: 'ok', line: trusted, byAuthority: true, others };
  const same = is('none', key);
  if (same !== undefined) return { status: 'ok', line: same, byAuthority: false, others };
  const [first] = others;
  if (first === undefined) return { status: 'unknown', byAuthority: false, others };
  return {
    status: 'changed',
    line: others.find(({ keyType }) => keyType === key.type) ?? first,
    byAuthority: false,
    others,
  };
}

/**
 * Any line that holds the key accepts it, `@revoked` beats everything, a known host with another key is `changed` even
 * when the type differs. `authority` is the signer of a certificate; without a trusted one its plain key is judged.
 */
export function checkHostKey(list: KnownHostList, query: HostQuery, key: HostKey, authority?: HostKey): HostKeyCheck {
  const found = judge(list.find(knownHostName(query)), key, authority);
  if (found.status === 'unknown' && query.alias === undefined && query.port !== 22) {
    // As ssh does: a key known under the bare name holds for every port of it, but never condemns one.
    const bare = judge(list.find(knownHostName({ ...query, port: 22 })), key, authority);
    if (bare.status === 'ok' || bare.status === 'revoked') return { ...bare, withoutPort: true };
  }
  return { ...found, withoutPort: false };
}

/** What is known of a host before it has shown a key: to ask for those types first. */
export function knownKeyTypes(list: KnownHostList, query: HostQuery): { types: string[]; authority: boolean } {
  const named = list.find(knownHostName(query));
  const bare = query.alias === undefined && query.port !== 22 ? list.find(knownHostName({ ...query, port: 22 })) : [];
  const lines = named.length > 0 ? named : bare;
  return {
    types: [...new Set(lines.filter(({ marker }) => marker === 'none').map(({ keyType }) => keyType))],
    authority: lines.some(({ marker }) => marker === 'cert-authority'),
  };
}

/** The lines to append for a key, newline included; hashed names need one line each. */
export function formatKnownHosts(names: readonly string[], key: HostKey, hash: boolean): string {
  const entries = hash ? names.map((name) => hashName(name)) : [names.map((name) => name.toLowerCase()).join(',')];
  const rest = `${key.type} ${Buffer.from(key.blob).toString('base64')}\n`;
  return entries.map((entry) => `${entry} ${rest}`).join('');
}

/** The text without some lines (numbers from 1) and with others at the end; every other byte stays. */
export function rewriteKnownHosts(text: string, drop: ReadonlySet<number>, append: string): string {
  const kept = text.split(/(?<=\n)/).filter((_, index) => !drop.has(index + 1));
  const body = kept.join('');
  return append === '' || body === '' || body.endsWith('\n') ? `${body}${append}` : `${body}\n${append}`;
}
