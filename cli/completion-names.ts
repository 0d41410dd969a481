/** `--generate names-...`: what the completion scripts offer beside options, one name a line. No source of hosts is asked. */

import { type CommandLineContext, configuration } from './grammar.ts';

/** A configuration that is wrong is no reason to complete nothing of ssh_config. */
const quietly = async <T>(ask: () => T | Promise<T>, otherwise: T): Promise<T> => {
  try {
    return await ask();
  } catch {
    return otherwise;
  }
};

export const completionNames = async (what: string, context: CommandLineContext): Promise<string[]> => {
  const config = await quietly(() => configuration(undefined, context), undefined);
  const clusters = [...(config?.clusters.values() ?? [])];
  if (what === 'names-clusters') return clusters.map(({ name }) => name).sort();
  const ssh = await quietly(() => context.sshHosts?.(undefined) ?? [], []);
  const hosts = [...new Set([...ssh, ...clusters.flatMap(({ nodes }) => nodes.map(({ host }) => host))])];
  if (what === 'names-hosts') return hosts;
  const { env } = context;
  const sources = [
    ...(ssh.length > 0 ? ['ssh'] : []),
    ...(env.SLURM_JOB_NODELIST ? ['slurm'] : []),
    ...(env.PBS_NODEFILE ? ['pbs'] : []),
    ...(env.ANSIBLE_INVENTORY ? ['ansible'] : []),
  ];
  return [...hosts, ...new Set([...clusters.map(({ name }) => name), ...sources].map((name) => `@${name}`))];
};
