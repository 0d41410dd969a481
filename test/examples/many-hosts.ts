// A task on many hosts: limits, retries, one class of ending for each host, and events while it runs.
import { type Connection, type FleetHost, type HostResult, runOnHosts } from '../../client/index.ts';

export async function onAll(
  names: readonly string[],
  open: (name: string, signal: AbortSignal) => Promise<Connection>,
  command: string,
): Promise<Map<string, HostResult>> {
  const hosts: FleetHost[] = names.map((name) => ({ name }));
  const { results } = await runOnHosts(
    hosts,
    async (host, context) => {
      const release = await context.handshake(); // waits while too many connections are being set up
      const connection = await open(host.name, context.signal);
      release();
      try {
        context.phase('command'); // from here on nothing is tried a second time
        const handle = await connection.exec(command, {
          stdout: (chunk) => context.output('stdout', chunk) ?? undefined,
          stderr: (chunk) => context.output('stderr', chunk) ?? undefined,
          signal: context.signal,
        });
        handle.end();
        const { status, signal } = await handle.exit;
        return { exitStatus: status ?? null, signal };
      } finally {
        await connection.close();
      }
    },
    (event) => {
      if (event.type === 'output') process.stdout.write(`${names[event.host]}: ${Buffer.from(event.data)}`);
    },
    { parallel: 10, commandTimeout: 60_000, retries: 2 },
  );
  return new Map(results.map((result, i) => [names[i]!, result]));
}
