/** For the tests of transfers: a folder of its own for each test, with one below it that the server's user may write. */

import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach } from 'vitest';
import { freshDir, type Server } from '../interop/servers.ts';
import { Bssh, type Outcome, served } from './e2e/bssh.ts';

export function transfers(start?: () => Promise<Server>) {
  const bssh = served(new Bssh(), start);
  let dir: string;
  beforeEach(() => {
    dir = freshDir('transfer');
    mkdirSync(join(dir, 'there'));
    // The server's user is another one.
    for (const path of [dir, join(dir, 'there')]) chmodSync(path, 0o777);
  });
  const at = (name: string): string => join(dir, name);
  return {
    bssh,
    /** A path in the folder. */
    at,
    run: (...args: readonly string[]): Promise<Outcome> => bssh.run([...bssh.common, ...args], { cwd: dir }),
    put: (name: string, data: string | Uint8Array, mode = 0o644): void => {
      mkdirSync(at(join(name, '..')), { recursive: true });
      writeFileSync(at(name), data);
      chmodSync(at(name), mode);
    },
    get: (name: string): string => readFileSync(at(name), 'utf8'),
    tree: (name: string): string[] => (readdirSync(at(name), { recursive: true }) as string[]).sort(),
    there: (name = ''): string => `${at('there')}/${name}`,
  };
}
