/** The line above a block of output in the collecting modes: `==> node[01-47] (47): exit 3 <==`. */

import type { HostResult } from '../../client/index.ts';
import { formatHosts } from '../hosts/fold.ts';
import { neutraliseLine, paint } from '../terminal.ts';
import { classLabel } from './renderer.ts';

/** `web[1,3] (2)`, or `web2` alone. */
export const folded = (names: readonly string[]): string =>
  neutraliseLine(formatHosts(names)) + (names.length > 1 ? ` (${names.length})` : '');

/** `note` stands behind the class. */
export function heading(names: readonly string[], result: HostResult, color: boolean, note = ''): string {
  const silent = result.bytes.stdout + result.bytes.stderr === 0 ? ', no output' : '';
  const text = `==> ${folded(names)}: ${neutraliseLine(classLabel(result))}${silent}${note} <==`;
  return `${color ? paint(text, result.class === 'ok' ? 'bold' : 'red') : text}\n`;
}
