// The first lines of the bundle: what node is started with, and what the programs that bssh starts get to see of it.
import { expect, test } from 'vitest';
import { Bssh } from './bssh.ts';

const bssh = new Bssh();

test('certificates meant for others are not read, and handed on', async () => {
  const proxy = 'env | grep CA_CERTS= >&2';
  const { err } = await bssh.run(['-F', 'none', '-o', `ProxyCommand=${proxy}`, 'somewhere', 'true'], {
    env: { NODE_EXTRA_CA_CERTS: '/nowhere/ca.pem' },
  });
  // Node would say that it cannot load them.
  expect(err.split('\n').filter((line) => /cert/i.test(line))).toEqual(['NODE_EXTRA_CA_CERTS=/nowhere/ca.pem']);
});

test('without any, nothing of them is there', async () => {
  const { err } = await bssh.run(['-F', 'none', '-o', 'ProxyCommand=env | grep -c CA_CERTS= >&2', 'somewhere', 'true']);
  expect(err.split('\n')[0]).toBe('0');
});

test('arguments arrive as they are', async () => {
  const { code, out } = await bssh.run(['-F', 'none', '-o', 'User=a$b', '-G', 'somewhere']);
  expect(code).toBe(0);
  expect(out).toContain('user a$b\n');
});
