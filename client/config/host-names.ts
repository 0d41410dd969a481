/**
 * The hosts that ssh_config(5) has names for: the words of its Host lines that are no patterns, includes followed; and
 * whether any of these lines is about a host.
 * Nothing is evaluated: an Include below a Host or Match line counts whether that holds or not.
 */

import { includePattern, type Loaded, maxIncludeDepth } from './evaluate.ts';
import { compileHostPatterns } from './pattern.ts';
import { checkLoaded, configPaths, type ResolveEnv } from './resolve.ts';

/** The patterns of every Host line, in the order of the files. */
function* hostLines(env: ResolveEnv, configFile?: string): Generator<readonly string[]> {
  const homes = { home: env.home, of: (user: string) => env.homeOf?.(user) };
  function* read({ file }: Loaded, user: boolean, depth: number): Generator<readonly string[]> {
    for (const block of file?.blocks ?? []) {
      if (block.condition?.kind === 'host') yield block.condition.patterns;
      if (depth === maxIncludeDepth) continue;
      for (const entry of block.entries) {
        if (entry.kind !== 'include') continue;
        const patterns = entry.patterns.filter((pattern) => user || !pattern.startsWith('~'));
        for (const pattern of patterns) {
          for (const found of env.files.glob(includePattern(pattern, user, homes))) {
            yield* read(env.files.load(found), user, depth + 1);
          }
        }
      }
    }
  }
  for (const each of configPaths(env, configFile)) {
    const loaded = env.files.load(each.path);
    checkLoaded(each, loaded);
    yield* read(loaded, each.user, 0);
  }
}

/** In the order of the files, each once; `configFile` is that of -F. */
export function configuredHosts(env: ResolveEnv, configFile?: string): string[] {
  const names = new Set<string>();
  for (const patterns of hostLines(env, configFile)) {
    for (const name of patterns) if (!/[*?!]/.test(name)) names.add(name);
  }
  return [...names];
}

/** Is there a Host line for it? A pattern without a letter (`*`) is about every word, and so about none. */
export function isConfiguredHost(name: string, env: ResolveEnv, configFile?: string): boolean {
  for (const patterns of hostLines(env, configFile)) {
    const telling = patterns.filter((pattern) => pattern.startsWith('!') || /[^*?]/.test(pattern));
    if (compileHostPatterns(telling).matches(name)) return true;
  }
  return false;
}
