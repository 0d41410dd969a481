/**
 * The hosts that ssh_config(5) has names for: the words of its Host lines that are no patterns, includes followed.
 * Nothing is evaluated: an Include below a Host or Match line counts whether that holds or not.
 */

import { SshError } from '../../protocol/index.ts';
import { includePattern, maxIncludeDepth } from './evaluate.ts';
import { configPaths, type ResolveEnv } from './resolve.ts';

/** In the order of the files, each once; `configFile` is that of -F. */
export function configuredHosts(env: ResolveEnv, configFile?: string): string[] {
  const names = new Set<string>();
  const homes = { home: env.home, of: (user: string) => env.homeOf?.(user) };
  const read = (path: string, user: boolean, depth: number, required: boolean): void => {
    const loaded = env.files.load(path);
    if (loaded.file === undefined) {
      if (!required) return;
      throw new SshError('config', `Can't open user config file ${path}: ${loaded.reason}`, { detail: { file: path } });
    }
    for (const block of loaded.file.blocks) {
      if (block.condition?.kind === 'host') {
        for (const name of block.condition.patterns) if (!/[*?!]/.test(name)) names.add(name);
      }
      if (depth === maxIncludeDepth) continue;
      for (const entry of block.entries) {
        if (entry.kind !== 'include') continue;
        const patterns = entry.patterns.filter((pattern) => user || !pattern.startsWith('~'));
        for (const pattern of patterns) {
          for (const found of env.files.glob(includePattern(pattern, user, homes))) read(found, user, depth + 1, false);
        }
      }
    }
  };
  for (const { path, user } of configPaths(env, configFile)) read(path, user, 0, configFile !== undefined);
  return [...names];
}
