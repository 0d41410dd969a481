/**
 * The first packet of an X11 connection (X protocol, chapter 8): the cookie the far end was given is checked and replaced
 * by the display's own. Pure and bounded; a packet that is not as it must be is rejected.
 */

import { equalBytes } from '../../protocol/index.ts';

export const COOKIE_PROTOCOL = 'MIT-MAGIC-COOKIE-1';

export interface X11Cookies {
  readonly protocol: string;
  /** What the server was told. */
  readonly fake: Uint8Array;
  /** What the display wants; of the same length. */
  readonly real: Uint8Array;
}

export type X11Step =
  | { readonly kind: 'more' }
  /** All bytes so far, with the real cookie. */
  | { readonly kind: 'pass'; readonly bytes: Uint8Array }
  | { readonly kind: 'reject'; readonly reason: string };

const HEAD = 12;
const padded = (length: number): number => (length + 3) & ~3;
const reject = (reason: string): X11Step => ({ kind: 'reject', reason });

export class X11Greeting {
  readonly #cookies: X11Cookies;
  #held: Uint8Array = new Uint8Array(0);

  constructor(cookies: X11Cookies) {
    this.#cookies = cookies;
  }

  receive(bytes: Uint8Array): X11Step {
    const { protocol, fake, real } = this.#cookies;
    const all = new Uint8Array(this.#held.length + bytes.length);
    all.set(this.#held);
    all.set(bytes, this.#held.length);
    this.#held = all;
    if (all.length < HEAD) return { kind: 'more' };
    const order = all[0];
    if (order !== 0x42 && order !== 0x6c) return reject('the X11 packet has no byte order');
    const u16 = (at: number): number =>
      order === 0x42 ? (all[at]! << 8) | all[at + 1]! : all[at]! | (all[at + 1]! << 8);
    // Only our own protocol and length are waited for, so what is held stays small.
    if (u16(6) !== protocol.length) return reject('X11 connection uses different authentication protocol.');
    if (u16(8) !== fake.length) return reject('X11 auth data does not match fake data.');
    const at = HEAD + padded(protocol.length);
    if (all.length < at + padded(fake.length)) return { kind: 'more' };
    const name = String.fromCharCode(...all.subarray(HEAD, HEAD + protocol.length));
    if (name !== protocol) return reject('X11 connection uses different authentication protocol.');
    if (!equalBytes(all.subarray(at, at + fake.length), fake)) return reject('X11 auth data does not match fake data.');
    all.set(real, at);
    return { kind: 'pass', bytes: all };
  }
}
