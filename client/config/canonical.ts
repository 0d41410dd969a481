/**
 * CanonicalizeHostname of ssh_config(5): which full name a short host name stands for. The resolver is handed in; the
 * result goes back into the evaluation, which then reads the files a second time.
 */

import { SshError } from '../../protocol/index.ts';
import { matchPatternList, parseAddress } from './pattern.ts';
import type { PermittedCname } from './special-values.ts';

/** Resolves a name: undefined when there is none, else the canonical name if it differs. */
export type Lookup = (name: string) => Promise<{ readonly cname?: string } | undefined>;

export interface Canonicalization {
  readonly mode: 'no' | 'yes' | 'always';
  readonly domains: readonly string[];
  readonly maxDots: number;
  readonly fallbackLocal: boolean;
  readonly permittedCnames: readonly PermittedCname[];
  /** No ProxyCommand and no ProxyJump: the name is resolved here. */
  readonly direct: boolean;
}

const isList = (text: string, list: string): boolean => matchPatternList(text, list, true) === 'match';

function followCname(name: string, cname: string | undefined, how: Canonicalization): string {
  if (cname === undefined || cname === '' || !(how.direct || how.mode === 'always')) return name;
  const permitted = how.permittedCnames.some(
    ({ sources, targets }) => targets !== '' && isList(name, sources) && isList(cname, targets),
  );
  return permitted ? cname : name;
}

async function searchDomains(host: string, how: Canonicalization, lookup: Lookup): Promise<string | undefined> {
  const dots = host.split('.').length - 1;
  if (how.maxDots > 0 ? dots > how.maxDots : dots > 0) return undefined;
  for (const domain of how.domains) {
    if (domain.toLowerCase() === 'none') break;
    const full = `${host}.${domain}`;
    const found = await lookup(full);
    if (found !== undefined) return followCname(full, found.cname, how);
  }
  if (!how.fallbackLocal) throw new SshError('dns', `Could not resolve host "${host}"`, { detail: { host } });
  return undefined;
}

/** The name to go on with; the given one when nothing applies. */
export async function canonicalizeHost(host: string, how: Canonicalization, lookup: Lookup): Promise<string> {
  const wanted = how.mode === 'always' || (how.mode === 'yes' && how.direct);
  if (parseAddress(host) !== undefined) return host;
  if (wanted) {
    if (host.endsWith('.') && host.length > 1) {
      const found = await lookup(host);
      if (found !== undefined) return followCname(host.slice(0, -1), found.cname, how);
      if (!how.fallbackLocal) throw new SshError('dns', `Could not resolve host "${host}"`, { detail: { host } });
    } else {
      const full = await searchDomains(host, how, lookup);
      if (full !== undefined) return full;
    }
  }
  const rules = how.permittedCnames.some(({ targets }) => targets !== '');
  if (!rules || !(how.direct || how.mode === 'always')) return host;
  const found = await lookup(host);
  return followCname(host, found?.cname, how);
}
