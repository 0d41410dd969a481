// The names ssh_config has hosts for: no patterns, includes followed wherever they stand.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { configuredHosts, isConfiguredHost } from '../../../client/config/host-names.ts';
import { algorithmSets, localResolveEnv } from '../../../client/config/local-env.ts';
import { defaultAlgorithms, nobleCrypto, supportedAlgorithms } from '../../../client/index.ts';
import { freshDir } from '../../interop/servers.ts';

let home = '';
const write = (name: string, text: string): string => {
  const file = join(home, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};
beforeEach(() => {
  home = freshDir('names');
});

const env = () => ({
  ...localResolveEnv({
    algorithms: algorithmSets(supportedAlgorithms(nobleCrypto), defaultAlgorithms(nobleCrypto)),
    version: '1',
  }),
  home,
  systemConfig: join(home, 'etc'),
});

describe('configuredHosts', () => {
  it('are the words of Host lines that are no patterns', () => {
    write('.ssh/config', 'Host a b *.x !c d?\nHost "e" a\nHost *\n  User f\nMatch host g\n  User h\n');
    write('etc', 'Host z\n');
    expect(configuredHosts(env())).toEqual(['a', 'b', 'e', 'z']);
  });

  it('come from includes too, and not for ever', () => {
    write('.ssh/config', 'Include sub/*\nHost a\n  Include ~/other\nMatch user nobody\n  Include third\n');
    write('.ssh/sub/1', 'Host s1\nInclude sub/1\n');
    write('.ssh/sub/2', 'Host s2\n');
    write('other', 'Host o\n');
    write('.ssh/third', 'Host t\n');
    expect(configuredHosts(env())).toEqual(['s1', 's2', 'a', 'o', 't']);
  });

  it('of -F are those of its file alone', () => {
    write('.ssh/config', 'Host a\n');
    expect(configuredHosts(env(), write('f', 'Host b\n'))).toEqual(['b']);
    expect(configuredHosts(env(), 'none')).toEqual([]);
    expect(() => configuredHosts(env(), join(home, 'missing'))).toThrow(/missing: No such file/);
  });

  it('of nobody are none', () => {
    expect(configuredHosts(env())).toEqual([]);
  });
});

describe('isConfiguredHost', () => {
  it('is what a Host line is about, whatever it says, and not what all of them are about', () => {
    write('.ssh/config', 'Include other\nHost a lab-* !lab-7\nHost * !x\n  HostName %h.example.com\nHost ??\n');
    write('.ssh/other', 'Host o\n');
    const known = ['a', 'lab-1', 'lab-7', 'o', 'x', 'uptime', 'ab'].filter((name) => isConfiguredHost(name, env()));
    expect(known).toEqual(['a', 'lab-1', 'o']);
    expect(isConfiguredHost('b', env(), write('f', 'Host b\n'))).toBe(true);
    expect(isConfiguredHost('a', env(), join(home, 'f'))).toBe(false);
  });
});
