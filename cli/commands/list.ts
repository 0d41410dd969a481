/** `bssh list`: the configured clusters and their nodes. A source of nodes is asked only when its cluster is named. */

import type { ClusterEntry, ClusterSource, Config } from '../config/model.ts';
import type { ClusterIntent } from '../grammar.ts';
import { formatHostSpec } from '../hosts/spec.ts';
import { neutraliseLine } from '../terminal.ts';

const sourceText = (source: ClusterSource): string =>
  source.kind === 'command' ? `command: ${source.command}` : `inventory: ${source.file}, group ${source.group}`;

/** A cluster with a source that was not asked. */
const isUnasked = ({ source, nodes }: ClusterEntry, wanted: boolean): boolean =>
  source !== undefined && nodes.length === 0 && !wanted;

const jsonLine = (name: string, cluster: ClusterEntry, wanted: boolean): string => {
  const head = { version: 1, cluster: name };
  if (isUnasked(cluster, wanted)) return JSON.stringify({ ...head, source: cluster.source });
  return JSON.stringify({ ...head, nodes: cluster.nodes.map(formatHostSpec) });
};

const textLines = (name: string, cluster: ClusterEntry, wanted: boolean): string[] => {
  if (isUnasked(cluster, wanted)) return [`${name} (${sourceText(cluster.source as ClusterSource)})`];
  const { nodes } = cluster;
  const shown = nodes.map((node) => formatHostSpec(node) + (node.address === undefined ? '' : ` (${node.address})`));
  return [`${name} (${nodes.length === 1 ? '1 node' : `${nodes.length} nodes`})`, ...shown.map((line) => `  ${line}`)];
};

const clustersOf = (config: Config, names: readonly string[]): (readonly [string, ClusterEntry])[] =>
  names.flatMap((name) => {
    const cluster = config.clusters.get(name);
    return cluster === undefined ? [] : [[name, cluster] as const];
  });

/** Plain text for people, one JSON object a cluster for programs. */
export function list(intent: ClusterIntent): string {
  const wanted = intent.selection?.clusters.map((cluster) => cluster.name) ?? [];
  const asked = wanted.length > 0;
  const clusters = clustersOf(intent.config, asked ? wanted : [...intent.config.clusters.keys()].sort());
  if (intent.run.output === 'json' || intent.run.output === 'json-result') {
    return clusters.map(([name, cluster]) => `${jsonLine(name, cluster, asked)}\n`).join('');
  }
  if (clusters.length === 0) return 'no clusters are configured\n';
  const lines = clusters.flatMap(([name, cluster]) => textLines(name, cluster, asked));
  return lines.map((line) => `${neutraliseLine(line)}\n`).join('');
}
