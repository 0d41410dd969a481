import { connect, identities, KeyStore, knownHostsPolicy, nobleCrypto } from '../../client/index.ts';

const crypto = nobleCrypto;
const keys = new KeyStore({ crypto });
const connection = await connect({
  host: 'host.example.com',
  user: 'me',
  crypto,
  hostKey: knownHostsPolicy({ crypto, mode: 'yes', userFiles: ['/home/me/.ssh/known_hosts'], globalFiles: [] }),
  auth: {
    methods: ['publickey'],
    accepted: ['ssh-ed25519'],
    identities: () =>
      identities({
        store: keys,
        crypto,
        files: [{ path: '/home/me/.ssh/id_ed25519', explicit: true }],
        certificates: [],
        only: true,
      }),
    passwordPrompts: 0,
  },
});
const handle = await connection.exec('uptime', { stdout: (chunk) => void process.stdout.write(chunk) });
console.log(await handle.exit); // { status: 0 }
await connection.close();
