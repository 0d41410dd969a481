/** A property that fails, for the test of what happens then. No run includes it unless it is named. */

import fc from 'fast-check';
import { describe, it } from 'vitest';

describe('numbers (all of them)', () => {
  it('stay below 1000', () => {
    fc.assert(fc.property(fc.nat(), (n) => n < 1000));
  });
  it('are numbers', () => {
    fc.assert(fc.property(fc.nat(), (n) => n >= 0));
  });
});
