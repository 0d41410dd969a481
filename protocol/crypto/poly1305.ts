/** Poly1305 (RFC 8439 section 2.5) on @noble/ciphers. In a file of its own, since providers on a platform's crypto need it too. */

import { poly1305 as noblePoly1305 } from '@noble/ciphers/_poly1305.js';
import type { CryptoProvider } from './provider.ts';

export const poly1305: CryptoProvider['poly1305'] = (key, data) => noblePoly1305(data, key);
