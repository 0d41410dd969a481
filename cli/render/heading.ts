/** The line above a block of output in the collecting modes: `==> node[01-47] (47): exit 3 <==`. */

import type { HostResult } from '../../client/index.ts';
import { formatHosts } from '../hosts/fold.ts';
import { neutraliseLine, paint } from '../terminal.ts';
import { classLabel } from './renderer.ts';

export function heading(names: readonly string[], result: HostResult, color: boolean): string {
  const count = names.length > 1 ? ` (${names.length})` : '';
  const silent = result.bytes.stdout + result.bytes.stderr === 0 ? ', no output' : '';
  const text = `==> ${neutraliseLine(formatHosts(names))}${count}: ${neutraliseLine(classLabel(result))}${silent} <==`;
  return `${color ? paint(text, result.class === 'ok' ? 'bold' : 'red') : text}\n`;
}
