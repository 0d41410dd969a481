// Runs one command on one host: its output as it comes, its exit status at the end.
import { connect, identities, KeyStore, knownHostsPolicy, nodeCrypto, SshError } from '../../client/index.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  readonly knownHosts: string;
}

export async function runCommand(target: Target, command: string): Promise<number> {
  const crypto = nodeCrypto();
  const keys = new KeyStore({ crypto });
  const connection = await connect({
    host: target.host,
    port: target.port,
    user: target.user,
    crypto,
    hostKey: knownHostsPolicy({ crypto, mode: 'yes', userFiles: [target.knownHosts], globalFiles: [] }),
    auth: {
      methods: ['publickey'],
      accepted: ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'],
      identities: () =>
        identities({
          store: keys,
          crypto,
          files: [{ path: target.keyFile, explicit: true }],
          certificates: [],
          only: true,
        }),
      passwordPrompts: 0,
    },
  });
  try {
    const handle = await connection.exec(command, {
      stdout: (chunk) => void process.stdout.write(chunk),
      stderr: (chunk) => void process.stderr.write(chunk),
    });
    handle.end(); // nothing for its stdin
    const { status, signal } = await handle.exit;
    if (status === undefined) throw new SshError('lost', `ended without a status${signal ? `: ${signal}` : ''}`);
    return status;
  } finally {
    await connection.close();
  }
}
