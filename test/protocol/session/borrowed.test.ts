// A chunk is borrowed for the call, whatever kind of Uint8Array it is: Node's Buffer has a `slice` that does not copy.
import { expect, it } from 'vitest';
import { Pair } from './pair.ts';

it('keeps nothing of a Buffer it was lent', () => {
  const pair = new Pair();
  const receive = pair.client.receive.bind(pair.client);
  pair.client.receive = (bytes) => {
    const lent = Buffer.from(bytes);
    receive(lent);
    lent.fill(0xee);
  };
  pair.login();
  expect(pair.closed('client')).toBeUndefined();
  expect(pair.client.authenticated).toBe(true);
});
