/**
 * Public keys in text: the one-line form of authorized_keys and *.pub files (sshd(8), "AUTHORIZED_KEYS FILE FORMAT")
 * and the block form of RFC 4716. Options of a line are kept as text; what they mean is the server's affair.
 */

import { limits } from '../limits.ts';
import { decodeUtf8, encodeUtf8 } from '../wire/text.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { blobType, keyTypeRows, parsePublicBlob } from './blob.ts';
import { isCertificateType, parseCertificate } from './cert.ts';
import { keyFormat, readingKey } from './errors.ts';
import type { Certificate, PublicKey } from './types.ts';

export interface PublicKeyLine {
  /** The key; with a certificate, the one it certifies. */
  readonly key: PublicKey;
  readonly certificate?: Certificate;
  readonly comment: string;
  readonly options?: string;
}

const isKeyType = (name: string): boolean => isCertificateType(name) || keyTypeRows.some((row) => row.type === name);

/** A key blob or a certificate blob; throws 'key-format' or 'key-unsupported'. */
export function parseKeyOrCertificate(blob: Uint8Array): {
  readonly key: PublicKey;
  readonly certificate?: Certificate;
} {
  return readingKey('public key', () => {
    if (!isCertificateType(blobType(blob))) return { key: parsePublicBlob(blob) };
    const certificate = parseCertificate(blob);
    return { key: certificate.key, certificate };
  });
}

/** One line `[options] type base64 [comment]`. */
export function parsePublicKeyLine(text: string): PublicKeyLine {
  const line = text.trim();
  if (line.length > limits.keyFileBytes) throw keyFormat('public key line too long');
  if (line === '' || line.startsWith('#') || /[\r\n]/.test(line)) throw keyFormat('not one line with a public key');
  let rest = line;
  let options: string | undefined;
  if (!isKeyType(firstWord(line))) {
    const end = endOfOptions(line);
    options = line.slice(0, end);
    rest = line.slice(end).trimStart();
  }
  const type = firstWord(rest);
  if (!isKeyType(type)) throw keyFormat('no known key type in the line', { type: firstWord(line) });
  const behindType = rest.slice(type.length).trimStart();
  const encoded = firstWord(behindType);
  const blob = decodeBase64(encoded);
  if (!blob || blob.length === 0) throw keyFormat('public key line with broken base64');
  const parsed = parseKeyOrCertificate(blob);
  if ((parsed.certificate ?? parsed.key).type !== type) throw keyFormat('public key line names another type', { type });
  const comment = behindType.slice(encoded.length).trim();
  return { ...parsed, comment, ...(options !== undefined && { options }) };
}

const firstWord = (text: string): string => /^\S*/.exec(text)![0];

/** Options end at the first white space outside double quotes; a backslash protects a quote. */
function endOfOptions(line: string): number {
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (char === '\\' && line[i + 1] === '"') i++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && (char === ' ' || char === '\t')) return i;
  }
  return line.length;
}

/** `type base64 comment`, without a line end. */
export function formatPublicKeyLine(key: PublicKey | Certificate, comment = ''): string {
  const line = `${key.type} ${encodeBase64(key.blob)}`;
  return comment === '' ? line : `${line} ${comment.replace(/[\r\n]+/g, ' ')}`;
}

const beginMarker = '---- BEGIN SSH2 PUBLIC KEY ----';
const endMarker = '---- END SSH2 PUBLIC KEY ----';

/** RFC 4716 section 3: headers may go on after a backslash at the line end; a quoted comment loses its quotes. */
export function parseRfc4716(text: string): PublicKeyLine {
  if (text.length > limits.keyFileBytes) throw keyFormat('public key file too long');
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.trimEnd());
  const begin = lines.indexOf(beginMarker);
  const end = lines.indexOf(endMarker, begin + 1);
  if (begin < 0 || end < 0) throw keyFormat('no SSH2 public key', { format: 'RFC4716' });
  let comment = '';
  let at = begin + 1;
  while (at < end && lines[at]!.includes(':')) {
    let header = lines[at++]!;
    while (header.endsWith('\\') && at < end) header = header.slice(0, -1) + lines[at++]!;
    const colon = header.indexOf(':');
    if (header.slice(0, colon).toLowerCase() === 'comment') comment = unquote(header.slice(colon + 1).trim());
  }
  const blob = decodeBase64(lines.slice(at, end).join(''));
  if (!blob || blob.length === 0) throw keyFormat('SSH2 public key with broken base64', { format: 'RFC4716' });
  return { ...parseKeyOrCertificate(blob), comment };
}

const unquote = (text: string): string => /^"(.*)"$/.exec(text)?.[1] ?? text;

export function formatRfc4716(key: PublicKey | Certificate, comment = ''): string {
  const body = encodeBase64(key.blob).replace(/.{1,70}/g, '$&\n');
  // RFC 4716 section 3.3: lines of at most 72 bytes; the rest of a header goes on after a backslash.
  const header = comment === '' ? '' : `${foldHeader(`Comment: "${comment.replace(/[\r\n]+/g, ' ')}"`)}\n`;
  return `${beginMarker}\n${header}${body}${endMarker}\n`;
}

function foldHeader(header: string): string {
  const lines: string[] = [];
  let line = '';
  for (const char of header) {
    if (encodeUtf8(line + char).length > 71) {
      lines.push(`${line}\\`);
      line = '';
    }
    line += char;
  }
  return [...lines, line].join('\n');
}

/** The first key in a *.pub file of either form. */
export function parsePublicKeyFile(bytes: Uint8Array): PublicKeyLine {
  if (bytes.length > limits.keyFileBytes) throw keyFormat('public key file too large', { size: bytes.length });
  const text = decodeUtf8(bytes);
  if (text.includes(beginMarker)) return parseRfc4716(text);
  const line = text.split(/\r\n|\n|\r/).find((candidate) => candidate.trim() !== '' && !candidate.startsWith('#'));
  return parsePublicKeyLine(line ?? '');
}
