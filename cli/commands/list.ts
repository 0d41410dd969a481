/** `bssh list`: the configured clusters and their nodes. */

import type { Config } from '../config/model.ts';
import type { ClusterIntent } from '../grammar.ts';
import { formatHostSpec } from '../hosts/spec.ts';
import { neutraliseLine } from '../terminal.ts';

interface ListedNode {
  readonly node: string;
}

function clustersOf(config: Config, wanted: readonly string[]): { name: string; nodes: ListedNode[] }[] {
  const names = wanted.length > 0 ? wanted : [...config.clusters.keys()].sort();
  return names.map((name) => ({
    name,
    nodes: (config.clusters.get(name)?.nodes ?? []).map((node) => ({ node: formatHostSpec(node) })),
  }));
}

/** Plain text for people, one JSON object a cluster for programs. */
export function list(intent: ClusterIntent): string {
  const wanted = intent.selection?.clusters.map((cluster) => cluster.name) ?? [];
  const clusters = clustersOf(intent.config, wanted);
  if (intent.run.output === 'json' || intent.run.output === 'json-result') {
    return clusters
      .map(({ name, nodes }) => `${JSON.stringify({ version: 1, cluster: name, nodes: nodes.map((n) => n.node) })}\n`)
      .join('');
  }
  if (clusters.length === 0) return 'no clusters are configured\n';
  const plural = (n: number): string => (n === 1 ? '1 node' : `${n} nodes`);
  return clusters
    .map(
      ({ name, nodes }) =>
        `${neutraliseLine(name)} (${plural(nodes.length)})\n${nodes.map(({ node }) => `  ${neutraliseLine(node)}\n`).join('')}`,
    )
    .join('');
}
