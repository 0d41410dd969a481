/**
 * Configuration files on disk, parsed once per process: an entry is trusted for `ttl`, then compared by inode, size and
 * time of change before it is parsed again. Also Include's globs and ssh's check of owner and permissions.
 */

import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { systemError } from '../system-error.ts';
import type { ConfigReader, Loaded } from './evaluate.ts';
import { parseConfig } from './ssh-config.ts';
import type { ParseContext } from './values.ts';

export interface FileStatistics {
  /** Files read and parsed. */
  parsed: number;
  /** Answers without touching the file. */
  hits: number;
  /** Answers after a look at the file's size and time. */
  revalidated: number;
}

export interface ConfigFilesOptions {
  readonly context: ParseContext;
  readonly uid: number;
  /** How long an answer is good without looking, in milliseconds. */
  readonly ttl?: number;
  readonly now?: () => number;
}

interface CacheEntry {
  checked: number;
  readonly stamp: string;
  readonly loaded: Loaded;
}

const errorCode = (error: unknown): string => (error as { code?: string }).code ?? 'EIO';

/** Group-writable is fine when nobody else is in the group (Debian gives every user one). */
function isPrivateGroup(gid: number, uid: number): boolean {
  try {
    const rows = (path: string): string[][] =>
      readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.split(':'));
    const users = rows('/etc/passwd').filter((fields) => fields.length > 3);
    const own = users.find((fields) => Number(fields[2]) === uid)?.[0];
    const members = rows('/etc/group').find((fields) => Number(fields[2]) === gid)?.[3] ?? '';
    return (
      own !== undefined &&
      users.every((fields) => Number(fields[3]) !== gid || fields[0] === own) &&
      members.split(',').every((name) => name === '' || name === own)
    );
  } catch {
    return false;
  }
}

/** `[a-z]`, `*` and `?` of one path component; a leading dot must be written out. */
function componentPattern(component: string): RegExp {
  let source = component.startsWith('.') ? '' : '(?!\\.)';
  for (let at = 0; at < component.length; at++) {
    const c = component[at]!;
    const close = c === '[' ? component.indexOf(']', at + 2) : -1;
    if (c === '*') {
      if (component[at - 1] !== '*') source += '[^]*';
    } else if (c === '?') {
      source += '[^]';
    } else if (close > 0) {
      const inner = component.slice(at + 1, close).replace(/[\\\]^[]/g, '\\$&');
      source += `[${inner.startsWith('!') ? `^${inner.slice(1)}` : inner.replace(/^\\\^/, '^')}]`;
      at = close;
    } else {
      source += c.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    }
  }
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /(?!)/; // a range that runs backwards matches nothing
  }
}

/** Absolute pattern to the paths that exist, in the order of their bytes. */
export function globPaths(pattern: string): string[] {
  let paths = [''];
  for (const component of pattern.split('/').slice(1)) {
    if (component === '') continue;
    const wild = /[*?[]/.test(component) ? componentPattern(component) : undefined;
    paths = paths.flatMap((path) => {
      if (wild === undefined) return [`${path}/${component}`];
      try {
        return readdirSync(path === '' ? '/' : path)
          .filter((name) => wild.test(name))
          .sort()
          .map((name) => `${path}/${name}`);
      } catch {
        return [];
      }
    });
  }
  return paths.filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}

export class ConfigFiles implements ConfigReader {
  readonly statistics: FileStatistics = { parsed: 0, hits: 0, revalidated: 0 };
  readonly #options: ConfigFilesOptions;
  readonly #ttl: number;
  readonly #now: () => number;
  readonly #files = new Map<string, CacheEntry>();
  readonly #globs = new Map<string, { checked: number; paths: string[] }>();

  constructor(options: ConfigFilesOptions) {
    this.#options = options;
    this.#ttl = options.ttl ?? 1000;
    this.#now = options.now ?? Date.now;
  }

  load(path: string): Loaded {
    const known = this.#files.get(path);
    const now = this.#now();
    if (known !== undefined && now - known.checked < this.#ttl) {
      this.statistics.hits++;
      return known.loaded;
    }
    const stamp = this.#stamp(path);
    if (known !== undefined && known.stamp === stamp) {
      this.statistics.revalidated++;
      known.checked = now;
      return known.loaded;
    }
    const loaded = this.#read(path);
    this.#files.set(path, { checked: now, stamp, loaded });
    return loaded;
  }

  glob(pattern: string): readonly string[] {
    const known = this.#globs.get(pattern);
    const now = this.#now();
    if (known !== undefined && now - known.checked < this.#ttl) return known.paths;
    const paths = globPaths(pattern);
    this.#globs.set(pattern, { checked: now, paths });
    return paths;
  }

  #stamp(path: string): string {
    try {
      const { dev, ino, size, mtimeMs, ctimeMs } = statSync(path);
      return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
    } catch (error) {
      return errorCode(error);
    }
  }

  #read(path: string): Loaded {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      const code = errorCode(error);
      // ssh opens a directory without complaint and finds no line in it.
      if (code === 'EISDIR') return { file: parseConfig('', path, this.#options.context), safe: true };
      return { missing: code === 'ENOENT', reason: systemError(error) };
    }
    this.statistics.parsed++;
    return { file: parseConfig(text, path, this.#options.context), safe: this.#isSafe(path) };
  }

  #isSafe(path: string): boolean {
    const { uid, gid, mode } = statSync(path);
    if (uid !== 0 && uid !== this.#options.uid) return false;
    if ((mode & 0o002) !== 0) return false;
    return (mode & 0o020) === 0 || isPrivateGroup(gid, this.#options.uid);
  }
}
