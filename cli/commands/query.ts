/** `-Q`: what the stack really offers, read from its tables. */

import { algorithms, supportedAlgorithms } from '../../client/index.ts';
import { chooseCrypto } from '../crypto.ts';

const sections = [
  'cipher',
  'cipher-auth',
  'compression',
  'kex',
  'key',
  'key-ca-sign',
  'key-cert',
  'key-plain',
  'key-sig',
  'mac',
  'protocol-version',
  'sig',
] as const;
type Section = (typeof sections)[number] | 'help';

/** ssh(1) takes the keywords of ssh_config(5) too. */
const aliases: Readonly<Record<string, Section>> = {
  ciphers: 'cipher',
  macs: 'mac',
  kexalgorithms: 'kex',
  hostkeyalgorithms: 'key-sig',
  pubkeyacceptedalgorithms: 'key-sig',
  pubkeyacceptedkeytypes: 'key-sig',
  hostbasedacceptedalgorithms: 'key-sig',
  hostbasedkeytypes: 'key-sig',
  hostbasedacceptedkeytypes: 'key-sig',
  casignaturealgorithms: 'key-ca-sign',
};

/** Names, one a line, or undefined for a section nobody knows. */
export function query(what: string, env: Readonly<Record<string, string | undefined>>): string[] | undefined {
  const section = aliases[what.toLowerCase()] ?? (what as Section);
  if (section === 'help') return [...sections];
  const able = supportedAlgorithms(chooseCrypto(undefined, env));
  const rows = algorithms.hostKeys.filter((row) => able.hostKeys.includes(row.name));
  const unique = (names: readonly string[]): string[] => [...new Set(names)];
  switch (section) {
    case 'cipher':
      return [...able.ciphers];
    case 'cipher-auth':
      return algorithms.ciphers.filter((row) => row.aead && able.ciphers.includes(row.name)).map((row) => row.name);
    case 'mac':
      return [...able.macs];
    case 'kex':
      return [...able.kex];
    case 'compression':
      return [...able.compression];
    case 'key':
      return unique(rows.map((row) => row.blobType));
    case 'key-plain':
      return unique(rows.filter((row) => !row.certificate).map((row) => row.keyType));
    case 'key-cert':
      return unique(rows.filter((row) => row.certificate).map((row) => row.blobType));
    case 'key-sig':
      return rows.map((row) => row.name);
    case 'sig':
    case 'key-ca-sign':
      return rows.filter((row) => !row.certificate).map((row) => row.name);
    case 'protocol-version':
      return ['2'];
    default:
      return undefined;
  }
}
