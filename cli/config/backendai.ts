/**
 * The cluster that Backend.AI describes in the environment of a multi-node session: the hosts, port 2200, the key it mounts
 * and the local user. The main node is this one when its role says so, else the one called so, else the first.
 */

import { existsSync } from 'node:fs';
import type { Setting } from '../options/settings.ts';
import type { ClusterEntry } from './model.ts';

export const backendAiName = 'backendai';
const sshPort = 2200;
const mountedKey = '/home/config/ssh/id_cluster';

export interface BackendAiSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The local user. */
  readonly user?: string | undefined;
  readonly keyExists?: ((path: string) => boolean) | undefined;
}

export const backendAiCluster = ({ env, user, keyExists = existsSync }: BackendAiSources): ClusterEntry | undefined => {
  const here = env.BACKENDAI_CLUSTER_HOST?.trim();
  const hosts = (env.BACKENDAI_CLUSTER_HOSTS ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  if (!here || hosts.length === 0) return undefined;
  const settings: Setting[] = [{ keyword: 'Port', value: String(sshPort) }];
  if (user !== undefined) settings.push({ keyword: 'User', value: user });
  if (keyExists(mountedKey)) settings.push({ keyword: 'IdentityFile', value: mountedKey });
  const isMain = env.BACKENDAI_CLUSTER_ROLE === 'main' && hosts.includes(here);
  return {
    name: backendAiName,
    nodes: [...new Set(hosts)].map((host) => ({ host, settings: [] })),
    settings,
    interactive: {},
    main: isMain ? here : (hosts.find((host) => /^main\d*$/.test(host)) ?? (hosts[0] as string)),
  };
};
