// When keys are exchanged again. What it says must agree with when it is asked: a deadline in the past makes a spin.
import { describe, expect, it } from 'vitest';
import { RekeyPolicy } from '../../../protocol/kex/policy.ts';

const used = { bytes: 100, packets: 2 };
const unused = { bytes: 0, packets: 0 };

describe('RekeyPolicy', () => {
  it('wants new keys after so much time, if the old ones were used at all', () => {
    const policy = new RekeyPolicy({ time: 1000 }, 5000);
    expect(policy.deadline(used, unused)).toBe(6000);
    expect(policy.due(used, unused, 5999)).toBe(false);
    expect(policy.due(used, unused, 6000)).toBe(true);
    expect(policy.deadline(unused, unused)).toBe(undefined);
    expect(policy.due(unused, unused, 60_000)).toBe(false);
  });

  it('counts bytes and packets of each direction by itself', () => {
    const policy = new RekeyPolicy({ bytes: 200, packets: 10 }, 0);
    expect(policy.due({ bytes: 199, packets: 9 }, { bytes: 199, packets: 9 }, 0)).toBe(false);
    expect(policy.due({ bytes: 200, packets: 1 }, unused, 0)).toBe(true);
    expect(policy.due(unused, { bytes: 1, packets: 10 }, 0)).toBe(true);
    expect(policy.deadline(used, used)).toBe(undefined);
  });
});
