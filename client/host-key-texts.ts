/** What is said about host keys, in ssh(1)'s words: people and scripts know those. Pure. */

import type { KnownHostLine } from './config/known-hosts.ts';

const RULE = '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@';
const boxed = (title: string): string => [RULE, `@${title.padEnd(57)}@`, RULE].join('\n');

export interface ShownKey {
  /** As known_hosts has it: `[host]:port` where the port is not 22. */
  readonly name: string;
  /** `ED25519`, or `ED25519-CERT`. */
  readonly label: string;
  readonly fingerprint: string;
}

export const changedKeyText = ({ label, fingerprint }: ShownKey): string =>
  [
    boxed('    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!'),
    'IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!',
    'Someone could be eavesdropping on you right now (man-in-the-middle attack)!',
    'It is also possible that a host key has just been changed.',
    `The fingerprint for the ${label} key sent by the remote host is\n${fingerprint}.`,
    'Please contact your system administrator.',
  ].join('\n');

export const offendingText = (line: KnownHostLine, label: string, file: string): string =>
  [
    `Add correct host key in ${file} to get rid of this message.`,
    `Offending ${label} key in ${line.file}:${line.line}`,
  ].join('\n');

export const revokedKeyText = ({ name, label }: ShownKey): string =>
  [
    boxed('       WARNING: REVOKED HOST KEY DETECTED!'),
    `The ${label} host key for ${name} is marked as revoked.`,
    'This could mean that a stolen key is being used to',
    'impersonate this host.',
  ].join('\n');

export function spoofingText({ name, label }: ShownKey, ip: string, status: string, line?: KnownHostLine): string {
  const what = status === 'unknown' ? 'is unknown' : status === 'ok' ? 'is unchanged' : 'has a different value';
  return [
    boxed('       WARNING: POSSIBLE DNS SPOOFING DETECTED!'),
    `The ${label} host key for ${name} has changed,`,
    `and the key for the corresponding IP address ${ip}`,
    `${what}. This could either mean that`,
    'DNS SPOOFING is happening or the IP address for the host',
    'and its host key have changed at the same time.',
    ...(line === undefined ? [] : [`Offending key for IP in ${line.file}:${line.line}`]),
  ].join('\n');
}

export function addressDiffersText(
  { name, label }: ShownKey,
  ip: string,
  offending: KnownHostLine | undefined,
  matching: KnownHostLine | undefined,
): string {
  return [
    `Warning: the ${label} host key for '${name}' differs from the key for the IP address '${ip}'`,
    ...(offending === undefined ? [] : [`Offending key for IP in ${offending.file}:${offending.line}`]),
    ...(matching === undefined ? [] : [`Matching host key in ${matching.file}:${matching.line}`]),
  ].join('\n');
}

/** Names shown of those that a key is also known by. */
const NAMES_SHOWN = 8;

/** Where else a key stands; `home` is written as `~`. */
export function otherNamesText(lines: readonly KnownHostLine[], home: string | undefined): string {
  if (lines.length === 0) return 'This key is not known by any other names.';
  const short = (file: string): string =>
    home !== undefined && file.startsWith(`${home}/`) ? `~${file.slice(home.length)}` : file;
  const names = lines.map(
    ({ file, line, names }) => `    ${short(file)}:${line}: ${names.startsWith('|1|') ? '[hashed name]' : names}`,
  );
  const omitted = names.length - NAMES_SHOWN;
  return [
    'This host key is known by the following other names/addresses:',
    ...names.slice(0, NAMES_SHOWN),
    ...(omitted > 0 ? [`    (${omitted} additional names omitted)`] : []),
  ].join('\n');
}

export interface UnknownKeyFacts extends ShownKey {
  /** The address, or why there is none. */
  readonly where: string;
  readonly randomart?: string | undefined;
  /** Whether DNS has this key; undefined when nobody asked. */
  readonly inDns?: boolean | undefined;
  readonly otherNames: string;
}

export const unknownKeyQuestion = (facts: UnknownKeyFacts): string =>
  [
    `The authenticity of host '${facts.name} (${facts.where})' can't be established.`,
    `${facts.label} key fingerprint is ${facts.fingerprint}.`,
    ...(facts.randomart === undefined ? [] : [facts.randomart]),
    ...(facts.inDns === undefined
      ? []
      : [`${facts.inDns ? 'Matching' : 'No matching'} host key fingerprint found in DNS.`]),
    facts.otherNames,
    'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
  ].join('\n');
