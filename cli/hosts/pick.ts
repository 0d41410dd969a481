/**
 * `--pick N`: some of the hosts, by chance. A seed decides, and the names alone: the same seed picks the same hosts of a
 * list in any order, and most of them again when the list has changed.
 */

import { formatHostSpec, type HostSpec } from './spec.ts';

export interface Pick {
  readonly count: number;
  readonly seed: string;
}

/** FNV-1a with MurmurHash3's last step, since names that differ in their last digit alone are to be spread. */
const lot = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
};

/** In the order of the list. */
export const pickHosts = <T extends HostSpec>(hosts: readonly T[], { count, seed }: Pick): readonly T[] => {
  if (count >= hosts.length) return hosts;
  const drawn = hosts.map((host) => {
    const name = formatHostSpec(host);
    return { host, name, lot: lot(`${seed}\0${name}`) };
  });
  drawn.sort((a, b) => a.lot - b.lot || (a.name < b.name ? -1 : 1));
  const kept = new Set(drawn.slice(0, count).map(({ host }) => host));
  return hosts.filter((host) => kept.has(host));
};
