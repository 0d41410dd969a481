/** Output of one command on several nodes, to be shown once where it is the same. Pure; memory is bounded. */

export interface Gathered {
  readonly nodes: readonly number[];
  /** Undefined: the shell or the connection ended. */
  readonly status: number | undefined;
  readonly lines: readonly Uint8Array[];
}

/** What a node may say before its output is shown as it comes. */
const LARGEST = 4 * 1024 * 1024;

interface Kept {
  readonly lines: Uint8Array[];
  bytes: number;
}

export class Gather {
  readonly #nodes = new Map<number, Kept>();

  /** Keeps the line; false: there is too much already, show it. */
  add(node: number, line: Uint8Array): boolean {
    const kept = this.#nodes.get(node) ?? { lines: [], bytes: 0 };
    this.#nodes.set(node, kept);
    if (kept.bytes + line.length > LARGEST) return false;
    kept.bytes += line.length + 1;
    kept.lines.push(Uint8Array.from(line));
    return true;
  }

  /** Groups of nodes with the same output and the same status, in the order of their first nodes. */
  groups(ends: ReadonlyMap<number, number | undefined>): Gathered[] {
    const groups = new Map<string, { nodes: number[]; status: number | undefined; lines: readonly Uint8Array[] }>();
    for (const [node, status] of ends) {
      const lines = this.#nodes.get(node)?.lines ?? [];
      const key = `${status};${lines.map((line) => Buffer.from(line).toString('latin1')).join('\n')};${lines.length}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { nodes: [node], status, lines });
      else group.nodes.push(node);
    }
    return [...groups.values()];
  }
}
