/**
 * What a server says a file is called, before it becomes part of a local path: one component, never a way out of the
 * directory it goes to. Local paths are strings as `decodeName` maps them; `toLocal` makes of them what node:fs takes.
 */

import { decodeName, encodeName, isByteName, SshError } from '../../protocol/index.ts';

const reserved = /^(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$)(\..*)?$/i;

/** `name` if it is a plain name on `platform`; throws otherwise. */
export function safeName(name: string, platform: NodeJS.Platform = process.platform): string {
  const reason = unsafe(name, platform);
  if (!reason) return name;
  throw new SshError('sftp', `the server named a file ${JSON.stringify(name)}: ${reason}`, {
    by: 'peer',
    detail: { name, reason },
  });
}

function unsafe(name: string, platform: NodeJS.Platform): string | undefined {
  if (name === '') return 'no name at all';
  if (name === '.' || name === '..') return 'a directory of its own';
  if (name.includes('/')) return 'a path, not a name';
  if (name.includes('\0')) return 'a NUL';
  if (platform !== 'win32') return undefined;
  // Backslashes separate, colons name drives and streams; the rest the system refuses or changes into something else.
  if (/[\\:*?"<>|\u0001-\u001f]/.test(name)) return 'a character that has a meaning of its own';
  if (/[ .]$/.test(name)) return 'an ending that is dropped';
  if (reserved.test(name)) return 'the name of a device';
  return undefined;
}

/** A path for node:fs: bytes where the name is no text. */
export function toLocal(path: string): string | Buffer {
  return isByteName(path) ? Buffer.from(encodeName(path)) : path;
}

/** A name that node:fs gave as bytes. */
export const fromLocal = (name: Uint8Array): string => decodeName(name);

/** The last component of a remote path. */
export function baseName(path: string): string {
  const trimmed = withoutEnd(path);
  return trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

const withoutEnd = (path: string): string => (path.endsWith('/') ? path.replace(/\/+$/, '') : path);

/** `name` inside the remote directory `directory`. */
export function joinRemote(directory: string, name: string): string {
  if (directory === '') return name;
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`;
}

/** The name beside `path` under which its content arrives. It stays within 255 bytes, the limit of most systems. */
export function partName(path: string, mark: string): string {
  const trimmed = withoutEnd(path);
  const start = trimmed.lastIndexOf('/') + 1;
  const directory = trimmed.slice(0, start);
  let stem = trimmed.slice(start);
  // Three bytes a character at most.
  if (stem.length > 70) while (encodeName(stem).length + mark.length > 240) stem = stem.slice(0, -1);
  return `${directory}.${stem}.${mark}.part`;
}
