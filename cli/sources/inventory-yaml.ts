/**
 * The YAML form of an Ansible inventory, and the YAML files of group_vars and host_vars: groups with `hosts`, `children`
 * and `vars`. Any other key of a group is an error at its line and column.
 */

import { SshError } from '../../client/index.ts';
import { ConfigDocument, type Node } from '../config/document.ts';
import { hostProblem } from '../hosts/spec.ts';
import { sourceError } from './errors.ts';
import { expandPattern, type Inventory, type Variables } from './inventory.ts';

const groupKeys = ['hosts', 'children', 'vars'];

/** Groups in groups: Ansible's own have four or five levels. */
const deepest = 64;

const open = (file: string, text: string): ConfigDocument => {
  const document = new ConfigDocument(file, text);
  const error = document.syntaxError();
  if (error !== undefined) throw error;
  return document;
};

/** What is wrong in the file is wrong with a source of hosts. */
const asSource = (read: () => void): void => {
  try {
    read();
  } catch (error) {
    if (!(error instanceof SshError) || error.code !== 'config') throw error;
    throw sourceError(error.message, error);
  }
};

const readVars = (document: ConfigDocument, given: Node, what: string, into: Variables): void => {
  for (const { key, at, value } of document.fields(given, what, undefined)) {
    const scalar = document.scalar(value);
    const plain = scalar !== undefined && scalar !== null && !isEncrypted(value);
    into.set(key, { value: plain ? document.text(value, key) : undefined, at: document.place(at) });
  }
};

const isEncrypted = (node: Node): boolean => (node as { tag?: string }).tag === '!vault';

class YamlReader {
  readonly #document: ConfigDocument;
  readonly #inventory: Inventory;

  constructor(document: ConfigDocument, inventory: Inventory) {
    this.#document = document;
    this.#inventory = inventory;
  }

  read(): void {
    const { root } = this.#document;
    const fields = this.#document.fields(root, 'an inventory', undefined);
    const plugin = fields.find(({ key }) => key === 'plugin');
    if (plugin !== undefined) {
      this.#document.fail(
        plugin.at,
        "the configuration of a plugin: give the output of a program instead, with 'command' in the place of 'inventory'",
      );
    }
    for (const { key, value } of fields) this.#group(key, value, 0);
  }

  #group(name: string, given: Node, depth: number): void {
    if (depth > deepest) this.#document.fail(given, 'groups lie too deeply in each other');
    const group = this.#inventory.group(name);
    for (const { key, value } of this.#document.fields(given, `group '${name}'`, groupKeys)) {
      if (key === 'vars') readVars(this.#document, value, 'vars', group.vars);
      else if (key === 'hosts') this.#hosts(name, value);
      else {
        for (const child of this.#document.fields(value, 'children', undefined)) {
          this.#inventory.addChild(name, child.key);
          this.#group(child.key, child.value, depth + 1);
        }
      }
    }
  }

  #hosts(group: string, given: Node): void {
    for (const { key, at, value } of this.#document.fields(given, 'hosts', undefined)) {
      const pattern = expandPattern(key);
      if (typeof pattern === 'string') this.#document.fail(at, pattern);
      for (const name of pattern.names) {
        const problem = hostProblem(name);
        if (problem !== undefined) this.#document.fail(at, problem);
        const { vars } = this.#inventory.addHost(group, name);
        if (pattern.port !== undefined) {
          vars.set('ansible_port', { value: pattern.port, at: this.#document.place(at) });
        }
        readVars(this.#document, value, `host '${name}'`, vars);
      }
    }
  }
}

export const readYaml = (inventory: Inventory, text: string): void =>
  asSource(() => new YamlReader(open(inventory.file, text), inventory).read());

/** One file of group_vars or host_vars. */
export const readVarsFile = (file: string, text: string, into: Variables): void =>
  asSource(() => {
    const document = open(file, text);
    if (document.root !== null) readVars(document, document.root, 'a file of variables', into);
  });
