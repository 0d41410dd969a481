/** Which crypto provider a run uses: node:crypto by default, noble by --crypto or BSSH_CRYPTO. */

import { type CryptoProvider, nobleCrypto, nodeCrypto, SshError } from '../client/index.ts';

export function chooseCrypto(
  flag: 'node' | 'noble' | undefined,
  env: Readonly<Record<string, string | undefined>>,
): CryptoProvider {
  const wanted = flag ?? (env.BSSH_CRYPTO || 'node');
  if (wanted === 'noble') return nobleCrypto;
  if (wanted !== 'node')
    throw new SshError('usage', `BSSH_CRYPTO is node or noble, not '${wanted}'`, { detail: { exit: 255 } });
  try {
    return nodeCrypto();
  } catch (error) {
    // A Node built without some algorithm gets that row from noble.
    if (error instanceof SshError && error.code === 'unsupported') return nodeCrypto(nobleCrypto);
    throw error;
  }
}
