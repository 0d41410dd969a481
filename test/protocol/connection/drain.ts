import type { Mux } from '../../../protocol/connection/mux.ts';

/** All that a mux sends now, as payloads. */
export function drain(mux: Mux): Uint8Array[] {
  const sent: Uint8Array[] = [];
  mux.fill({
    full: false,
    reserve(length) {
      const payload = new Uint8Array(length);
      sent.push(payload);
      return payload;
    },
    commit() {},
  });
  return sent;
}
