/**
 * The known_hosts files on disk: loaded together, parsed once while they do not change, appended to with a single
 * write, replaced through a temporary file and rename. Judging keys is in config/known-hosts.ts.
 */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { SshError } from '../protocol/index.ts';
import {
  checkHostKey,
  formatKnownHosts,
  type HostKey,
  type HostKeyCheck,
  type HostQuery,
  type KnownHostLine,
  KnownHostList,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  rewriteKnownHosts,
} from './config/known-hosts.ts';

export interface KnownHostsOptions {
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  /** `yes`: at least one of the files must be there. */
  readonly mode: 'yes' | 'accept-new' | 'ask' | 'no';
  /** New names are written as hashes. */
  readonly hash?: boolean;
  /** Lines of KnownHostsCommand. */
  readonly extra?: readonly KnownHostLine[];
}

/** For how long a look at a file stands (milliseconds): a hundred hosts that connect at once cost one look. */
const FRESH = 100;

interface Parsed {
  readonly stamp: string;
  readonly lines: readonly KnownHostLine[];
}

const cache = new Map<string, Parsed>();
const looked = new Map<string, { readonly at: number; readonly found: Parsed | undefined }>();
const lists = new Map<string, { readonly stamps: string; readonly list: KnownHostList }>();

const refuse = (file: string, reason: string, cause?: unknown): never => {
  throw new SshError('host-key', `${file}: ${reason}`, { detail: { file, reason }, cause });
};

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? 'EIO';

function recentLines(file: string): Parsed | undefined {
  const now = performance.now();
  const last = looked.get(file);
  if (last !== undefined && now - last.at < FRESH) return last.found;
  const found = readLines(file);
  looked.set(file, { at: now, found });
  return found;
}

/** Missing is an answer; unreadable and a directory are refusals: keys nobody can look up must not count as unknown. */
function readLines(file: string): Parsed | undefined {
  let stats: ReturnType<typeof statSync>;
  try {
    stats = statSync(file);
  } catch (error) {
    const code = codeOf(error);
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : refuse(file, `cannot be read (${code})`, error);
  }
  if (stats.isDirectory()) return refuse(file, 'is a directory');
  const stamp = `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`;
  const known = cache.get(file);
  if (known?.stamp === stamp) return known;
  try {
    const parsed = { stamp, lines: parseKnownHosts(readFileSync(file, 'utf8'), file) };
    cache.set(file, parsed);
    return parsed;
  } catch (error) {
    return refuse(file, `cannot be read (${codeOf(error)})`, error);
  }
}

/** One write to the end of the file, the missing newline of the last line put right within it. */
function appendLines(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const fd = openSync(file, 'a+', 0o600);
  try {
    const { size } = fstatSync(fd);
    const last = Buffer.alloc(1);
    const open = size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
    // O_APPEND and a single write keep the lines of several processes whole.
    writeSync(fd, Buffer.from(open ? `\n${text}` : text));
  } finally {
    closeSync(fd);
  }
}

/** The new text appears at once or not at all; a link stays a link, the mode stays. */
function replaceFile(file: string, text: string): void {
  const target = realpathSync(file);
  const temporary = `${target}.${randomBytes(6).toString('hex')}`;
  const fd = openSync(temporary, 'wx', statSync(target).mode & 0o777);
  try {
    writeSync(fd, Buffer.from(text, 'latin1'));
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, target);
}

const sameKey = (line: KnownHostLine, key: HostKey): boolean => Buffer.compare(line.blob, key.blob) === 0;

export class KnownHosts {
  readonly #options: KnownHostsOptions;
  #list: KnownHostList;

  /** Throws SshError('host-key') when a file cannot be used. */
  constructor(options: KnownHostsOptions) {
    this.#options = options;
    this.#list = this.#load(recentLines);
  }

  #load(read: (file: string) => Parsed | undefined): KnownHostList {
    const { userFiles, globalFiles, mode, extra = [] } = this.#options;
    const files = [...userFiles, ...globalFiles];
    const found = files.map(read);
    if (mode === 'yes' && extra.length === 0 && files.length > 0 && found.every((file) => file === undefined)) {
      refuse(files[0]!, 'no known_hosts file exists');
    }
    const key = files.join('\0');
    const stamps = found.map((file) => file?.stamp ?? '').join('\0');
    const known = lists.get(key);
    if (extra.length === 0 && known?.stamps === stamps) return known.list;
    const list = new KnownHostList([...found.flatMap((file) => file?.lines ?? []), ...extra]);
    if (extra.length === 0) lists.set(key, { stamps, list });
    return list;
  }

  /** Sees what other processes wrote since. */
  refresh(): void {
    looked.clear();
    this.#list = this.#load(readLines);
  }

  check(query: HostQuery, key: HostKey, authority?: HostKey): HostKeyCheck {
    return checkHostKey(this.#list, query, key, authority);
  }

  keyTypes(query: HostQuery): { types: string[]; authority: boolean } {
    return knownKeyTypes(this.#list, query);
  }

  /** Every line about a host, of all files. */
  lines(query: HostQuery): readonly KnownHostLine[] {
    return this.#list.find(knownHostName(query));
  }

  /** Every line there is, those of KnownHostsCommand included. */
  get all(): readonly KnownHostLine[] {
    return this.#list.lines;
  }

  /** Where new keys go; undefined when the user wants no file. */
  get file(): string | undefined {
    return this.#options.userFiles[0];
  }

  /** Remembers a key under these names. Nothing happens without a user file. */
  add(names: readonly string[], key: HostKey): void {
    const { file } = this;
    if (file === undefined) return;
    try {
      appendLines(file, formatKnownHosts(names, key, this.#options.hash === true));
    } catch (error) {
      refuse(file, `cannot be written (${codeOf(error)})`, error);
    }
    this.refresh();
  }

  /**
   * UpdateHostKeys: in every user file the plain keys of the host become `keys`; what is there already stays in its
   * place, markers and other hosts stay, new keys go to the end of the first file. `also` is the address when keys are
   * kept by address too.
   */
  replace(query: HostQuery, keys: readonly HostKey[], also?: HostQuery): { added: number; removed: number } {
    const names = [query, ...(also === undefined ? [] : [also])].map(knownHostName);
    const known = this.#options.userFiles.flatMap((file) => names.flatMap((name) => this.#userLines(file, name)));
    const fresh = keys.filter((key) => !known.some((line) => sameKey(line, key)));
    const stale = known.filter((line) => !keys.some((key) => sameKey(line, key)));
    const lines = fresh.map((key) => formatKnownHosts(names, key, this.#options.hash === true)).join('');
    for (const [index, file] of this.#options.userFiles.entries()) {
      const drop = new Set(stale.filter((line) => line.file === file).map(({ line }) => line));
      this.#rewrite(file, drop, index === 0 ? lines : '');
    }
    this.refresh();
    return { added: fresh.length, removed: stale.length };
  }

  /** Takes every plain line of the host out of the user files; says how many there were. */
  remove(query: HostQuery): number {
    return this.replace(query, []).removed;
  }

  #userLines(file: string, name: string): KnownHostLine[] {
    const lines = readLines(file)?.lines ?? [];
    // A pattern speaks for more hosts than this one: it is never taken out.
    return new KnownHostList(lines).find(name).filter(({ marker, names }) => marker === 'none' && !/[*?!]/.test(names));
  }

  #rewrite(file: string, drop: ReadonlySet<number>, append: string): void {
    if (drop.size === 0) {
      if (append !== '') appendLines(file, append);
      return;
    }
    try {
      // Latin-1 both ways: bytes of other people's lines stay what they are.
      replaceFile(file, rewriteKnownHosts(readFileSync(file, 'latin1'), drop, append));
    } catch (error) {
      refuse(file, `cannot be written (${codeOf(error)})`, error);
    }
  }
}
