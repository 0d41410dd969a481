// What corrupted input is called. Scripts look at the start of the last but one line, as ssh(1) has it.
import { describe, expect, it } from 'vitest';
import { describeError } from '../../cli/errors.ts';
import { type ErrorCode, SshError } from '../../protocol/errors.ts';

const place = { program: 'ssh', user: 'ann', host: 'web', hostName: '192.0.2.1', port: 22 };
const fatal = 'ssh_dispatch_run_fatal: Connection to 192.0.2.1 port 22: ';

describe('corrupted input', () => {
  it.each<[ErrorCode, string, string]>([
    ['mac', 'Corrupted MAC on input', `Corrupted MAC on input.\n${fatal}message authentication code incorrect`],
    ['mac', 'message authentication code incorrect', `${fatal}message authentication code incorrect`],
    ['packet-length', 'Bad packet length 7', `Bad packet length 7.\n${fatal}Connection corrupted`],
    ['padding', 'padding error: 3 bytes', `padding error: 3 bytes.\n${fatal}Connection corrupted`],
    ['malformed', 'message too short', `${fatal}message too short`],
  ])('%s: %s', (code, message, said) => {
    expect(describeError(new SshError(code, message, { by: 'peer' }), place)).toBe(said);
  });
});
