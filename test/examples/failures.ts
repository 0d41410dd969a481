// Every failure is an SshError: `code` says what happened, `by` whose fault it is, `detail` the rest.
import { SshError } from '../../client/index.ts';

export function explain(error: unknown): string {
  if (!(error instanceof SshError)) throw error;
  switch (error.code) {
    case 'dns':
    case 'refused':
    case 'unreachable':
    case 'timeout':
      return 'not reachable: try again later';
    case 'host-key':
    case 'host-key-signature':
      return 'the host is not who it should be: do not try again';
    case 'auth':
      return `not let in; the server takes ${String(error.detail.methods)}`;
    case 'no-common-algorithm':
      return `no common ${String(error.detail.kind)}; the server has ${String(error.detail.theirs)}`;
    default:
      return `${error.code}: ${error.message}${error.by === 'peer' ? ' (the server)' : ''}`;
  }
}
