// How long an answer of the log-in may take: what is no answer does not end the wait.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AuthExchange } from '../../client/auth-exchange.ts';
import type { Session } from '../../protocol/index.ts';

describe('an answer of the log-in', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function asked(over: () => void): AuthExchange {
    const session = { auth: { requestService() {} } } as unknown as Session;
    const exchange = new AuthExchange(session, () => {}, 'someone', { after: 1000, over });
    void exchange.service();
    return exchange;
  }

  it('is overdue although a banner came', () => {
    const over = vi.fn();
    asked(over).event({ type: 'banner', message: new Uint8Array(1) });
    vi.advanceTimersByTime(999);
    expect(over).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(over).toHaveBeenCalledWith(expect.objectContaining({ code: 'timeout', by: 'peer' }));
  });

  it('is waited for no longer when it came', () => {
    const over = vi.fn();
    asked(over).event({ type: 'auth-service' });
    vi.advanceTimersByTime(5000);
    expect(over).not.toHaveBeenCalled();
  });
});
