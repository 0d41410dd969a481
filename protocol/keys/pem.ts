/**
 * PEM armour (RFC 7468, RFC 1421 headers): finds blocks, decodes their bodies. What is inside is for others.
 */

import { SshError } from '../errors.ts';
import { decodeBase64 } from './base64.ts';
import { keyFormat } from './errors.ts';

export interface PemBlock {
  readonly label: string;
  /** RFC 1421 headers, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

const beginLine = /^-----BEGIN ([A-Z0-9 ]+)-----\s*$/;

/** The first block whose label `wanted` accepts, or undefined. Text around blocks is skipped (openssl writes some). */
export function findPem(text: string, wanted: (label: string) => boolean): PemBlock | undefined {
  const lines = text.split(/\r\n|\n|\r/);
  for (let at = 0; at < lines.length; at++) {
    const label = beginLine.exec(lines[at]!)?.[1];
    if (label === undefined || !wanted(label)) continue;
    const end = lines.findIndex((line, i) => i > at && line.trimEnd() === `-----END ${label}-----`);
    if (end < 0) throw keyFormat(`${label} has no end line`, { format: 'PEM' });
    return decodeBlock(label, lines.slice(at + 1, end));
  }
  return undefined;
}

function decodeBlock(label: string, lines: readonly string[]): PemBlock {
  const headers = new Map<string, string>();
  let at = 0;
  if (lines[0]?.includes(':')) {
    let name = '';
    for (; at < lines.length && lines[at]!.trim() !== ''; at++) {
      const line = lines[at]!;
      const colon = line.indexOf(':');
      if (/^\s/.test(line) && name !== '') headers.set(name, headers.get(name)! + line.trim());
      else if (colon > 0) {
        name = line.slice(0, colon).toLowerCase();
        headers.set(name, line.slice(colon + 1).trim());
      } else throw keyFormat(`${label}: broken header`, { format: 'PEM' });
    }
  }
  const body = decodeBase64(lines.slice(at).join(''));
  if (!body) throw new SshError('key-format', `${label}: broken base64`, { detail: { format: 'PEM' } });
  return { label, headers, body };
}
