/**
 * Folders made with all that is missing above them. Node's own `recursive` never returns where a file system takes no
 * folders (/proc): it keeps going up and down again.
 */

import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // Some releases of Node say so of what lies below a file.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    throw error;
  }
}

const isFolder = (path: string): boolean => isThere(path) && statSync(path).isDirectory();

/** Makes `path` unless it is there; throws what the system says. */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let at = resolve(path); !isThere(at); at = dirname(at)) missing.unshift(at);
  // A file in the place of a folder is for the system to refuse, in its words.
  for (const folder of missing.length === 0 ? [path] : missing) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // It is there, or somebody else made it meanwhile.
      if (!isFolder(folder)) throw error;
    }
  }
}
