/** The prompt: which nodes are active, or what the user's format says. Pure. */

import { formatHosts } from '../hosts/fold.ts';
import { cutToWidth, neutraliseLine } from '../terminal.ts';

export interface PromptNode {
  /** From 1. */
  readonly number: number;
  readonly host: string;
  readonly user: string;
  /** Where its shell is; undefined until it said so. */
  readonly pwd: string | undefined;
  readonly connected: boolean;
  /** Gets commands, as long as it is connected. */
  readonly selected: boolean;
}

/** More nodes than these are counted, not drawn. */
const DRAWN = 10;
/** So many numbers are named. */
const NAMED = 3;
/** A list of hosts may take so much of the line. */
const WIDEST_HOSTS = 40;

export const isActive = ({ connected, selected }: PromptNode): boolean => connected && selected;

const dot = (node: PromptNode): string => (isActive(node) ? '●' : node.connected ? '○' : '·');

/** Without the brackets, and whether the numbers are in it already. */
function summary(nodes: readonly PromptNode[]): { readonly text: string; readonly counted: boolean } {
  if (nodes.length <= DRAWN) return { text: nodes.map(dot).join(' '), counted: nodes.every(isActive) };
  const active = nodes.filter(isActive);
  const connected = nodes.filter((node) => node.connected).length;
  if (active.length === nodes.length) return { text: `All ${active.length}/${nodes.length}`, counted: true };
  if (active.length === 0) return { text: `None 0/${connected}`, counted: true };
  const named = active.slice(0, NAMED).map(({ number }) => number);
  const more = active.length - named.length;
  return { text: `Nodes ${named.join(',')}${more > 0 ? `... +${more}` : ''}`, counted: false };
}

/** What all of them have in common; `*` when they differ. */
function common(values: readonly (string | undefined)[]): string {
  const [first] = values;
  return first !== undefined && values.every((value) => value === first) ? first : '*';
}

function variables(nodes: readonly PromptNode[]): Readonly<Record<string, string>> {
  const active = nodes.filter(isActive);
  return {
    node: active.length === 1 ? `node${active[0]!.number}` : summary(nodes).text,
    user: common(active.map(({ user }) => user)),
    host: active.length === 0 ? '-' : cutToWidth(formatHosts(active.map(({ host }) => host)), WIDEST_HOSTS),
    pwd: common(active.map(({ pwd }) => pwd)),
  };
}

/** `[● ○ ○] (1/3) bssh> `, or the format with {node}, {user}, {host} and {pwd} filled in. */
export function promptText(nodes: readonly PromptNode[], format: string | undefined): string {
  if (format !== undefined) {
    const known = variables(nodes);
    return neutraliseLine(format.replace(/\{(node|user|host|pwd)\}/g, (_, name: string) => known[name]!));
  }
  const { text, counted } = summary(nodes);
  const active = nodes.filter(isActive).length;
  const connected = nodes.filter((node) => node.connected).length;
  return `[${text}] ${counted ? '' : `(${active}/${connected}) `}bssh> `;
}
