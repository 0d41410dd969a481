/**
 * Finds and reads the configuration file: `--config`, else ./config.yaml, else the XDG directory's, else ~/.bssh's. The
 * first that exists is the one; a ./config.yaml that is not ours is passed over. The YAML package is loaded only when there
 * is something to read.
 */

import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SshError } from '../../client/index.ts';
import type { ExpandSources } from './expand.ts';
import { expandPath } from './expand.ts';
import type { Config } from './model.ts';

export interface ConfigSources extends ExpandSources {
  readonly cwd: string;
}

/** A larger file is none of ours: 100,000 long host names fit. */
const fileBytes = 8 * 1024 * 1024;

interface Candidate {
  readonly file: string;
  /** Named by the user: must exist and be ours. */
  readonly named: boolean;
  /** Found in the current directory: may belong to somebody else. */
  readonly local: boolean;
}

const candidates = (sources: ConfigSources): Candidate[] => {
  const xdg = sources.env.XDG_CONFIG_HOME;
  // the XDG specification has relative paths ignored
  const base = xdg?.startsWith('/') ? xdg : join(sources.home, '.config');
  return [
    { file: join(sources.cwd, 'config.yaml'), named: false, local: true },
    { file: join(base, 'bssh', 'config.yaml'), named: false, local: false },
    { file: join(sources.home, '.bssh', 'config.yaml'), named: false, local: false },
  ];
};

const configError = (file: string, message: string, cause?: unknown): SshError =>
  new SshError('config', `${file}: ${message}`, { detail: { file }, cause });

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** The text, or undefined when there is no such file (or what is there belongs to somebody else). */
const readCandidate = ({ file, named, local }: Candidate, notes: string[]): string | undefined => {
  try {
    const stat = statSync(file);
    if (!stat.isFile() && local) {
      notes.push(`${file} is no file: passed over`);
      return undefined;
    }
    if (stat.isDirectory()) throw configError(file, 'is a directory');
    if (stat.size > fileBytes) throw configError(file, 'is too large for a configuration file');
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof SshError) throw error;
    const missing = codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
    if (missing && !named) return undefined;
    throw configError(file, missing ? 'no such file' : `cannot be read (${codeOf(error)})`, error);
  }
};

/** One of our keys at the beginning of a line: enough to know the owner of a file that does not parse. */
const looksOurs = /^["']?(?:clusters|defaults|interactive)["']?\s*:/m;

const readText = async (
  { file, local }: Candidate,
  text: string,
  sources: ConfigSources,
  notes: readonly string[],
): Promise<Config | undefined> => {
  if (local && !/clusters|defaults|interactive/.test(text)) return undefined;
  const [{ ConfigDocument }, { ConfigReader, topLevelKeys }] = await Promise.all([
    import('./document.ts'),
    import('./schema.ts'),
  ]);
  const document = new ConfigDocument(file, text);
  const syntaxError = document.syntaxError();
  if (syntaxError !== undefined) {
    if (local && !looksOurs.test(text)) return undefined;
    throw syntaxError;
  }
  if (local) {
    if (!document.isMapping(document.root)) return undefined;
    const fields = document.fields(document.root, 'the configuration', undefined);
    // a `defaults` that is a list is how other programs compose their configuration
    const ours = fields.filter((field) => topLevelKeys.some((key) => key === field.key));
    if (ours.every((field) => field.key === 'defaults' && document.isList(field.value))) return undefined;
  }
  return new ConfigReader(document, sources).read(file, notes);
};

export const loadConfig = async (named: string | undefined, sources: ConfigSources): Promise<Config> => {
  const notes: string[] = [];
  const list: Candidate[] = [];
  if (named === undefined) list.push(...candidates(sources));
  else {
    const path = expandPath(named, sources);
    list.push({ file: resolve(sources.cwd, typeof path === 'string' ? path : named), named: true, local: false });
  }
  for (const candidate of list) {
    const text = readCandidate(candidate, notes);
    if (text === undefined) continue;
    const config = await readText(candidate, text, sources, notes);
    if (config !== undefined) return config;
    notes.push(`${candidate.file} belongs to another program: passed over`);
  }
  return { file: undefined, settings: [], clusters: new Map(), interactive: {}, notes };
};
