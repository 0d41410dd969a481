/**
 * The hosts that ssh_config(5) has names for: the words of its Host lines that are no patterns, includes followed.
 * Nothing is evaluated: an Include below a Host or Match line counts whether that holds or not.
 */

import { includePattern, type Loaded, maxIncludeDepth } from './evaluate.ts';
import { checkLoaded, configPaths, type ResolveEnv } from './resolve.ts';

/** In the order of the files, each once; `configFile` is that of -F. */
export function configuredHosts(env: ResolveEnv, configFile?: string): string[] {
  const names = new Set<string>();
  const homes = { home: env.home, of: (user: string) => env.homeOf?.(user) };
  const read = ({ file }: Loaded, user: boolean, depth: number): void => {
    for (const block of file?.blocks ?? []) {
      if (block.condition?.kind === 'host') {
        for (const name of block.condition.patterns) if (!/[*?!]/.test(name)) names.add(name);
      }
      if (depth === maxIncludeDepth) continue;
      for (const entry of block.entries) {
        if (entry.kind !== 'include') continue;
        const patterns = entry.patterns.filter((pattern) => user || !pattern.startsWith('~'));
        for (const pattern of patterns) {
          for (const found of env.files.glob(includePattern(pattern, user, homes))) {
            read(env.files.load(found), user, depth + 1);
          }
        }
      }
    }
  };
  for (const each of configPaths(env, configFile)) {
    const loaded = env.files.load(each.path);
    checkLoaded(each, loaded);
    read(loaded, each.user, 0);
  }
  return [...names];
}
