/** Forwardings asked of the holder of a shared connection, in ssh(1)'s words. */

import { type ControlClient, type Forward, SshError } from '../../client/index.ts';
import type { Log } from '../log.ts';

const say = (error: unknown, log: Log): void => {
  if (!(error instanceof SshError) || error.code !== 'channel-request') throw error;
  const { denied } = error.detail;
  log.error(
    denied === true
      ? `Master refused forwarding request: ${error.message}`
      : `mux_client_forward: forwarding request failed: ${error.message}`,
  );
};

/** Local ones first, as ssh(1) does; false when one of them was refused. */
export async function openForwards(
  client: ControlClient,
  list: readonly Forward[],
  log: Log,
  onPort: (port: number) => void = () => {},
): Promise<boolean> {
  let good = true;
  for (const forward of inOrder(list)) {
    try {
      const port = await client.openForward(forward);
      if (port === undefined) continue;
      const { connect } = forward;
      const to =
        connect === undefined ? 'socks:0' : connect.kind === 'unix' ? connect.path : `${connect.host}:${connect.port}`;
      log.verbose(`Allocated port ${port} for remote forward to ${to}`);
      onPort(port);
    } catch (error) {
      say(error, log);
      good = false;
    }
  }
  return good;
}

export async function closeForwards(client: ControlClient, list: readonly Forward[], log: Log): Promise<boolean> {
  let good = true;
  for (const forward of inOrder(list)) {
    try {
      await client.closeForward(forward);
    } catch (error) {
      say(error, log);
      good = false;
    }
  }
  return good;
}

const inOrder = (list: readonly Forward[]): readonly Forward[] => {
  const remote = ({ type }: Forward): boolean => type.startsWith('remote');
  return [...list.filter((each) => !remote(each)), ...list.filter(remote)];
};
