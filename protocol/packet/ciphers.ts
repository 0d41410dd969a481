/** Every packet cipher, in OpenSSH's order of preference (its default proposal first, then what is off by default). */

import { gcmRows } from './aead-gcm.ts';
import { cbcRows, ctrRows } from './block-mac.ts';
import { chachaPolyRow } from './chacha-poly.ts';
import type { CipherRow } from './cipher.ts';

export const cipherRows: readonly CipherRow[] = [chachaPolyRow, ...gcmRows, ...ctrRows, ...cbcRows];
