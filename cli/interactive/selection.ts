/** Which nodes get commands: what `!all`, `!node2` and the bound keys do to the nodes, and what is said of it. Pure. */

import { isActive, type PromptNode } from './prompt.ts';

export type Selectable = { selected: boolean } & PromptNode;

export const SELECTED_ALL = 'All nodes activated';

export function selectAll(nodes: readonly Selectable[]): string {
  for (const node of nodes) node.selected = true;
  return SELECTED_ALL;
}

/** What to tell the user; a node that is not there cannot be switched to. */
export function switchTo(nodes: readonly Selectable[], numbers: readonly number[], special: string): string {
  const gone = nodes.filter(({ number, connected }) => numbers.includes(number) && !connected);
  if (gone.length === numbers.length) {
    const first = gone[0]!.number;
    return gone.length === 1
      ? `Node ${first} is disconnected: ${special}reconnect ${first} connects it again`
      : `These nodes are disconnected: ${special}reconnect connects them again`;
  }
  for (const node of nodes) node.selected = numbers.includes(node.number);
  return numbers.length === 1 ? `Switched to node ${numbers[0]}` : `Switched to nodes ${numbers.join(', ')}`;
}

/** The key for the next node: from all to the first connected one, and after the last to all again. */
export function switchToNext(nodes: readonly Selectable[], special: string): string {
  const connected = nodes.filter((node) => node.connected);
  const active = connected.filter(isActive);
  const at = active.length === 1 ? connected.indexOf(active[0]!) : -1;
  const next = connected[at + 1];
  return next === undefined ? selectAll(nodes) : switchTo(nodes, [next.number], special);
}

export function describeActive(nodes: readonly PromptNode[]): string {
  const active = nodes.filter(isActive).map(({ host }) => host);
  return active.length === 0 ? 'No active nodes' : `Active nodes: ${active.join(', ')}`;
}

export function listNodes(nodes: readonly (PromptNode & { readonly busy: boolean })[]): string[] {
  const width = `node${nodes.length}`.length;
  return nodes.map((node) => {
    const state = isActive(node) ? '● active' : node.connected ? '○ inactive' : '· disconnected';
    const label = `node${node.number}`.padEnd(width);
    return `  ${label}  ${state.padEnd(14)}  ${node.user}@${node.host}${node.busy ? ' (busy)' : ''}`;
  });
}
