import { homedir } from 'node:os';
import { expect, it } from 'vitest';
import { algorithmSets, localResolveEnv } from '../../../client/config/local-env.ts';
import { resolveHost } from '../../../client/config/resolve.ts';

const offer = {
  kex: ['k1', 'k2'],
  hostKeys: ['ssh-ed25519-cert-v01@openssh.com', 'ssh-ed25519'],
  ciphers: ['c'],
  macs: ['m'],
  compression: ['none'],
};
const env = localResolveEnv({
  algorithms: algorithmSets(offer, { ...offer, kex: ['k1'] }),
  version: 'bssh_1',
  env: { SHELL: '/bin/sh', A: 'b' },
});

it('resolves with the algorithms of the stack', () => {
  const { algorithms } = resolveHost({ destination: 'h', configFile: 'none' }, env);
  expect(algorithms).toMatchObject({ kex: ['k1'], hostKey: offer.hostKeys, caSignature: ['ssh-ed25519'] });
});

it('knows the machine', () => {
  expect(env.homeOf?.('root')).toMatch(/root$/);
  expect(env.homeOf?.('no such user')).toBeUndefined();
  expect(env.addresses?.()).toContain('127.0.0.1');
  expect([env.run?.('exit 0'), env.run?.('exit 3')]).toEqual([0, 3]);
  expect(homedir()).toContain(env.home.split('/').at(-1)!);
});
