/**
 * From an Ansible inventory to nodes: which variables say how a host is reached, which have no effect here, and which
 * would lead the wrong way if they were left out. The last make a host unusable, and the run says so; it does not guess.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { readSsh } from '../argv.ts';
import { type ExpandSources, expandPath } from '../config/expand.ts';
import type { NodeEntry } from '../config/model.ts';
import { hostLimits } from '../hosts/limits.ts';
import { parseHostSpec } from '../hosts/spec.ts';
import { applyOptions, type Setting } from '../options/settings.ts';
import { sourceError } from './errors.ts';
import { Inventory, type Variable, type Variables } from './inventory.ts';
import { readIni } from './inventory-ini.ts';
import { shellWords } from './shell-words.ts';

const readText = (file: string): string => {
  let text: string;
  try {
    if (statSync(file).size > hostLimits.hostfileBytes) throw sourceError(`${file}: is too large for an inventory`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    if (code === 'EISDIR') throw sourceError(`${file}: is a directory: name the inventory's files one by one`, error);
    throw sourceError(`${file}: cannot be read (${code})`, error);
  }
  if (text.startsWith('$ANSIBLE_VAULT')) throw sourceError(`${file}: is encrypted`);
  return text;
};

const isYaml = (file: string): boolean => ['.yml', '.yaml', '.json'].includes(extname(file));

/** The files of one name in group_vars or host_vars: `web`, `web.yml`, or all of `web/`. */
const varsFiles = (folder: string, name: string): string[] => {
  const base = join(folder, name);
  const files = ['', '.yml', '.yaml', '.json'].map((end) => base + end);
  return files.flatMap((file) => {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (!stat.isDirectory()) return [file];
    const names = readdirSync(file).filter((entry) => !entry.startsWith('.') && !entry.endsWith('~'));
    return names.sort().flatMap((entry) => varsFiles(file, entry));
  });
};

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

const readFolder = async (folder: string, names: readonly string[], into: (name: string) => Variables) => {
  if (!isFolder(folder)) return;
  const { readVarsFile } = await import('./inventory-yaml.ts');
  for (const name of names) {
    for (const file of varsFiles(folder, name)) readVarsFile(file, readText(file), into(name));
  }
};

/** Reads the file and the variables beside it. */
export const loadInventory = async (file: string): Promise<Inventory> => {
  const text = readText(file);
  const inventory = new Inventory(file);
  if (text.startsWith('#!')) {
    throw sourceError(
      `${file}: is a program: give it as a cluster's 'command', printing hosts, in the place of 'inventory'`,
    );
  }
  if (isYaml(file)) {
    const { readYaml } = await import('./inventory-yaml.ts');
    readYaml(inventory, text);
  } else readIni(inventory, text);
  const beside = dirname(file);
  await readFolder(join(beside, 'group_vars'), inventory.groupNames, (name) => inventory.group(name).fileVars);
  await readFolder(join(beside, 'host_vars'), inventory.hostNames, (name) => inventory.host(name).fileVars);
  return inventory;
};

/** Of two names for one thing the later one counts, as in Ansible. */
const meaning = {
  address: ['ansible_host', 'ansible_ssh_host'],
  port: ['ansible_port', 'ansible_ssh_port'],
  user: ['ansible_user', 'ansible_ssh_user'],
  key: ['ansible_private_key_file', 'ansible_ssh_private_key_file'],
} as const;
const argumentLists = ['ansible_ssh_args', 'ansible_ssh_common_args', 'ansible_ssh_extra_args'] as const;
const connections = ['ssh', 'smart', 'paramiko', 'paramiko_ssh', 'ansible.builtin.ssh', 'ansible.builtin.paramiko_ssh'];

/** About what happens on the host, or about how Ansible does it. */
const harmless =
  /^ansible_(\w+_interpreter|remote_tmp|(ssh_)?pipelining|ssh_(executable|transfer_method|retries)|group_priority|connection)$/;

const used: ReadonlySet<string> = new Set([...Object.values(meaning).flat(), ...argumentLists]);

export interface InventoryNodes {
  readonly nodes: readonly NodeEntry[];
  /** Variables that say something about connections which has no effect here. */
  readonly warnings: readonly string[];
}

const unclear = ({ value }: Variable): string | undefined => {
  if (value === undefined) return 'is no plain text';
  return /\{\{|\{%/.test(value) ? 'is a template' : undefined;
};

/** Arguments of ssh(1) as settings; a text for what is not understood. */
const sshSettings = (text: string): readonly Setting[] | string => {
  const words = shellWords(text);
  if (typeof words === 'string') return words;
  const reading = readSsh([...words, 'host'], true);
  if (reading.problem !== undefined || reading.host !== 'host' || reading.words.length > 0) {
    return `'${text}' is not understood`;
  }
  const invocation = applyOptions('ssh', reading.tokens);
  if (invocation.sshConfig !== undefined || invocation.controlCommand !== undefined || invocation.refused.length > 0) {
    return `'${text}' is not understood`;
  }
  const odd = invocation.settings.find(
    ({ keyword, value, line }) => line === true && /[\s"]/.test(value) && !/command$/i.test(keyword),
  );
  if (odd !== undefined) return `${odd.keyword} with several values is not understood`;
  // sharing of connections is Ansible's way to be fast: every host has one connection here anyway
  return invocation.settings
    .filter(({ keyword }) => !/^control(master|path|persist)$/i.test(keyword))
    .map(({ keyword, value }) => ({ keyword, value }));
};

/** First value wins, except where values add up. */
const firstOfEach = (settings: readonly Setting[]): Setting[] => {
  const seen = new Set<string>();
  return settings.filter(({ keyword }) => {
    const name = keyword.toLowerCase();
    if (seen.has(name) && !/^(identityfile|certificatefile|.*forward)$/.test(name)) return false;
    seen.add(name);
    return true;
  });
};

class NodeMaker {
  readonly #sources: ExpandSources;
  /** Names of variables without effect, with how many hosts have them. */
  readonly ignored = new Map<string, number>();

  constructor(sources: ExpandSources) {
    this.#sources = sources;
  }

  make(name: string, vars: Variables): NodeEntry {
    const problems: string[] = [];
    const take = (names: readonly string[]): Variable | undefined => {
      const name = names.findLast((candidate) => vars.has(candidate));
      const variable = name === undefined ? undefined : vars.get(name);
      const problem = variable && unclear(variable);
      if (problem === undefined) return variable;
      problems.push(`${variable?.at}: ${name} ${problem}`);
      return undefined;
    };
    const address = take(meaning.address);
    const spec = parseHostSpec(address?.value ?? name);
    if ('bad' in spec || spec.user !== undefined || spec.port !== undefined) {
      problems.push(`${address?.at}: '${address?.value}' is not an address`);
    }
    const port = take(meaning.port);
    const number = port === undefined ? undefined : Number(port.value);
    if (number !== undefined && !(Number.isInteger(number) && number >= 1 && number <= 65_535)) {
      problems.push(`${port?.at}: '${port?.value}' is not a port`);
    }
    const connection = take(['ansible_connection'])?.value;
    if (connection !== undefined && !connections.includes(connection)) {
      problems.push(`${vars.get('ansible_connection')?.at}: ansible_connection=${connection} is no ssh`);
    }
    const settings = this.#settings(take, problems);
    for (const key of vars.keys()) {
      if (!key.startsWith('ansible_') || used.has(key) || harmless.test(key)) continue;
      this.ignored.set(key, (this.ignored.get(key) ?? 0) + 1);
    }
    return {
      host: name,
      user: take(meaning.user)?.value,
      port: number,
      settings,
      ...(!('bad' in spec) && spec.host !== name && { address: spec.host }),
      ...(problems.length > 0 && { problem: problems.join('; ') }),
    };
  }

  #settings(take: (names: readonly string[]) => Variable | undefined, problems: string[]): Setting[] {
    const parts: Setting[] = [];
    for (const name of argumentLists) {
      const variable = take([name]);
      if (variable?.value === undefined) continue;
      const settings = sshSettings(variable.value);
      if (typeof settings === 'string') problems.push(`${variable.at}: ${name}: ${settings}`);
      else parts.push(...settings);
    }
    const key = take(meaning.key);
    if (key?.value !== undefined) {
      const path = expandPath(key.value, this.#sources);
      if (typeof path === 'string') parts.unshift({ keyword: 'IdentityFile', value: path });
      else problems.push(`${key.at}: $${path.unset} is not set`);
    }
    return firstOfEach(parts);
  }
}

/** The hosts of a group (`all` for everything) or one host, by name. */
export const inventoryNodes = (inventory: Inventory, name: string, sources: ExpandSources): InventoryNodes => {
  const maker = new NodeMaker(sources);
  const nodes = inventory.members(name).map((host) => maker.make(host, inventory.variables(host)));
  const warnings = [...maker.ignored].map(
    ([key, count]) => `${inventory.file}: ${key} has no effect here (${count === 1 ? '1 host' : `${count} hosts`})`,
  );
  return { nodes, warnings };
};
