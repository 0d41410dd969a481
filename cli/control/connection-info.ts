/** What `-O conninfo` shows of a connection that is held: where it leads, how it is encrypted, what runs over it. */

import type { Connection, Forwards, HostPlan } from '../../client/index.ts';

export interface Described {
  readonly plan: HostPlan;
  readonly connection: Connection;
  readonly forwards: Pick<Forwards, 'list' | 'connections'>;
  /** Others that use the connection now. */
  readonly clients: number;
}

export function connectionInfo({ plan, connection, forwards, clients }: Described): string {
  const { peerVersion, algorithms, mux } = connection.session;
  const rows: string[] = [`${plan.user}@${plan.hostName} port ${plan.port}`];
  if (peerVersion !== undefined) rows.push(`  server: ${peerVersion.text}`);
  if (algorithms !== undefined) {
    const { kex, hostKey, clientToServer, serverToClient } = algorithms;
    rows.push(`  key exchange: ${kex.name}`, `  host key: ${hostKey.name}`);
    for (const [way, { cipher, mac, compression }] of [
      ['to the server', clientToServer],
      ['from the server', serverToClient],
    ] as const) {
      rows.push(`  ${way}: ${cipher.name}, MAC ${mac?.name ?? 'implicit'}, compression ${compression.name}`);
    }
  }
  const listening = forwards.list().length;
  rows.push(`  channels: ${mux.channelCount}`, `  forwardings: ${listening}, connections: ${forwards.connections}`);
  rows.push(`  clients: ${clients}`);
  return rows.map((row) => `${row}\n`).join('');
}
