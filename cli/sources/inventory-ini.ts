/**
 * The INI form of an Ansible inventory: `[group]` with hosts, `[group:children]`, `[group:vars]`; hosts with ranges and
 * `key=value` behind them, split as a shell would. What is none of these is an error at its line.
 */

import { hostProblem } from '../hosts/spec.ts';
import { sourceError } from './errors.ts';
import { expandPattern, type Inventory } from './inventory.ts';
import { shellWords } from './shell-words.ts';

type Section = { readonly group: string; readonly kind: 'hosts' | 'children' | 'vars' };

/** Python's literals where they differ from their text: quotes go, and so does what follows a number behind a #. */
export const iniValue = (text: string): string => {
  const quoted = /^(['"])((?:(?!\1)[^\\])*)\1\s*(?:#.*)?$/.exec(text);
  if (quoted !== null) return quoted[2] as string;
  return /^(-?\d+)\s*#/.exec(text)?.[1] ?? text;
};

export const readIni = (inventory: Inventory, text: string): void => {
  let section: Section = { group: 'ungrouped', kind: 'hosts' };
  const declared = new Map<string, string>();
  const wanted = new Map<string, string>();
  text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .forEach((raw, i) => {
      const line = raw.trim();
      const at = `${inventory.file}:${i + 1}`;
      if (line === '' || line.startsWith('#') || line.startsWith(';')) return;
      if (line.startsWith('[')) {
        const next = readSection(line);
        if (next !== undefined) {
          section = next;
          if (section.kind === 'vars') wanted.set(section.group, at);
          else declared.set(section.group, at);
          inventory.group(section.group);
          return;
        }
        // a host may begin with a range or an address in brackets
        if (line.endsWith(']')) {
          throw sourceError(`${at}: '${line}' is no [group], [group:children] or [group:vars]`);
        }
      }
      if (section.kind === 'hosts') readHost(inventory, section.group, line, at);
      else if (section.kind === 'children') {
        const [, child] = /^([^:\]\s]+)\s*(?:#.*)?$/.exec(line) ?? [];
        if (child === undefined) throw sourceError(`${at}: '${line}' is not the name of a group`);
        inventory.addChild(section.group, child);
        wanted.set(child, at);
      } else {
        const equals = line.indexOf('=');
        if (equals < 1) throw sourceError(`${at}: '${line}' is no key=value`);
        const value = iniValue(line.slice(equals + 1).trim());
        inventory.group(section.group).vars.set(line.slice(0, equals).trim(), { value, at });
      }
    });
  for (const [group, at] of wanted) {
    if (declared.has(group) || group === 'all' || group === 'ungrouped') continue;
    throw sourceError(`${at}: there is no group [${group}]`);
  }
};

const readSection = (line: string): Section | undefined => {
  const [whole, group, kind = 'hosts'] = /^\[([^:\]\s]+)(?::(children|vars|hosts))?\]\s*(?:#.*)?$/.exec(line) ?? [];
  return whole === undefined ? undefined : { group: group as string, kind: kind as Section['kind'] };
};

const readHost = (inventory: Inventory, group: string, line: string, at: string): void => {
  const words = shellWords(line);
  if (typeof words === 'string') throw sourceError(`${at}: ${words}`);
  const [word = '', ...rest] = words;
  const pattern = expandPattern(word);
  if (typeof pattern === 'string') throw sourceError(`${at}: ${pattern}`);
  const vars: (readonly [string, string])[] = [];
  if (pattern.port !== undefined) vars.push(['ansible_port', pattern.port]);
  for (const assignment of rest) {
    const equals = assignment.indexOf('=');
    if (equals < 1) throw sourceError(`${at}: '${assignment}' is no key=value`);
    vars.push([assignment.slice(0, equals), iniValue(assignment.slice(equals + 1))]);
  }
  for (const name of pattern.names) {
    const problem = hostProblem(name);
    if (problem !== undefined) throw sourceError(`${at}: ${problem}`);
    const host = inventory.addHost(group, name);
    for (const [key, value] of vars) host.vars.set(key, { value, at });
  }
};
