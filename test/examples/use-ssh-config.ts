// Connects as `ssh NAME` would: ssh_config, known_hosts, agent, keys, jump hosts and ProxyCommand included.
import {
  algorithmSets,
  type Connection,
  defaultAlgorithms,
  type HostPlan,
  JumpPool,
  KeyStore,
  localResolveEnv,
  nodeCrypto,
  openHost,
  resolveHost,
  supportedAlgorithms,
} from '../../client/index.ts';

const crypto = nodeCrypto();
const keys = new KeyStore({ crypto });
const environment = localResolveEnv({
  algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
  version: '1.0',
});

/** `configFile` is what `-F` is to ssh. */
function planFor(destination: string, configFile?: string): HostPlan {
  return resolveHost({ destination, ...(configFile !== undefined && { configFile }) }, environment);
}

export async function withHost<T>(
  destination: string,
  work: (connection: Connection) => Promise<T>,
  configFile?: string,
): Promise<T> {
  const context = { crypto, keys, shell: '/bin/sh' };
  const pool = new JumpPool({
    resolve: ({ user, host, port }) =>
      planFor(
        `ssh://${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : `:${port}`}`,
        configFile,
      ),
    context: () => context,
  });
  try {
    const { connection } = await openHost(planFor(destination, configFile), { ...context, jump: pool.jump });
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  } finally {
    await pool.close();
  }
}
