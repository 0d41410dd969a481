/**
 * The nodes of the batch job we run in: Slurm's list in its bracket form (`SLURM_JOB_NODELIST`), PBS' file of one line for
 * each processor (`PBS_NODEFILE`).
 */

import { SshError } from '../../client/index.ts';
import { expandHosts, hostfileExpression } from '../hosts/expand.ts';
import type { ReadHostfile } from '../hosts/hostfile.ts';
import type { HostSpec } from '../hosts/spec.ts';
import { sourceError } from './errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

const plain = (where: string, text: string): HostSpec[] => {
  // Slurm and PBS know neither users nor operators: what looks like one is damage
  const odd = /[!&^@/\s]/.exec(text)?.[0];
  if (odd !== undefined) throw sourceError(`${where}: '${odd}' means nothing in a list of nodes`);
  try {
    return expandHosts<HostSpec>(text, { host: (spec) => spec, cluster: () => [], file: () => '' });
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    throw sourceError(`${where}: ${error.message}`, error);
  }
};

/** `node[001-003,007],gpu-[1-2]`; the second name is that of Slurm before 14. */
export const slurmHosts = (env: Env): HostSpec[] => {
  const variable = ['SLURM_JOB_NODELIST', 'SLURM_NODELIST'].find((name) => env[name]?.trim());
  if (variable === undefined) throw sourceError('@slurm: this is no Slurm job: SLURM_JOB_NODELIST is not set');
  return plain(variable, (env[variable] as string).trim());
};

/** A node stands there once for each of its processors. */
export const pbsHosts = (env: Env, readFile: ReadHostfile): HostSpec[] => {
  const path = env.PBS_NODEFILE;
  if (!path) throw sourceError('@pbs: this is no PBS job: PBS_NODEFILE is not set');
  return plain(`PBS_NODEFILE ${path}`, hostfileExpression(readFile(path)));
};
