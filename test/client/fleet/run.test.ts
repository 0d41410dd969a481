import { describe, expect, it } from 'vitest';
import {
  type FleetOptions,
  type HostContext,
  type HostEvent,
  type HostTask,
  runOnHosts,
  SshError,
  type Steering,
} from '../../../client/index.ts';
import { FakeClock, settle } from './fake-clock.ts';

interface Fake {
  readonly name: string;
  readonly gateway?: string;
}

const named = (count: number): Fake[] => Array.from({ length: count }, (_, i) => ({ name: `node${i + 1}` }));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const refused = (): SshError => new SshError('refused', 'connect ECONNREFUSED');
const drop = (): SshError => new SshError('lost', 'the connection was closed');

/** Ends when the signal fires, as a well-behaved task does, and says whether the remote process is gone. */
const untilAborted = (context: HostContext, gone?: boolean): Promise<{ signal: string; gone: boolean }> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void =>
      gone === undefined ? reject(context.signal.reason) : resolve({ signal: 'TERM', gone });
    if (context.signal.aborted) onAbort();
    else context.signal.addEventListener('abort', onAbort, { once: true });
  });

/** Starts a run whose events are kept; the fake clock must be empty at its end. */
function start(hosts: Fake[], task: HostTask<Fake>, options: FleetOptions = {}) {
  const clock = new FakeClock();
  const events: HostEvent[] = [];
  const run = runOnHosts(
    hosts,
    task,
    (event) => {
      events.push(event);
    },
    { clock, random: () => 1, ...options },
  ).then((outcome) => {
    expect(clock.pending).toBe(0);
    expect(events.filter((event) => event.type === 'result')).toHaveLength(hosts.length);
    return outcome;
  });
  return { clock, events, run };
}

const classes = (outcome: { results: readonly { class: string }[] }): string[] => outcome.results.map((r) => r.class);

describe('runOnHosts', () => {
  it('gives every host the class of its end, in the order of the list', async () => {
    const ends: Record<string, () => Promise<object>> = {
      node1: async () => ({ exitStatus: 0 }),
      node2: async () => ({ exitStatus: 3 }),
      node3: async () => ({ signal: 'SEGV' }),
      node4: async () => Promise.reject(refused()),
      node5: async () => Promise.reject(new SshError('auth', 'denied')),
      node6: async () => ({ exitStatus: null }),
      node7: async () => Promise.reject(new TypeError('a bug')),
    };
    const outcome = await start(named(7), (host) => ends[host.name]!()).run;
    expect(classes(outcome)).toEqual(['ok', 'exit', 'signal', 'refused', 'auth', 'channel', 'channel']);
    expect(outcome.results[1]!.exitStatus).toBe(3);
    expect(outcome.results[2]!.signal).toBe('SEGV');
    expect(outcome.results[6]!.error?.message).toBe('a bug');
    expect(outcome.stopped).toBeUndefined();
  });

  it('takes a task without an answer for done and no hosts for an empty run', async () => {
    expect(classes(await start(named(1), async () => {}).run)).toEqual(['ok']);
    expect((await start([], async () => {}).run).results).toEqual([]);
  });

  it('keeps at most `parallel` hosts at work, and all of them with 0', async () => {
    for (const [parallel, most] of [
      [3, 3],
      [0, 20],
      [undefined, 10],
    ] as const) {
      let now = 0;
      let peak = 0;
      await start(
        named(20),
        async () => {
          peak = Math.max(peak, ++now);
          await settle();
          now--;
        },
        { parallel },
      ).run;
      expect(peak).toBe(most);
    }
  });

  it('limits handshakes apart from hosts, and through a gateway apart from others', async () => {
    const hosts = Array.from({ length: 12 }, (_, i) => ({ name: `n${i}`, gateway: i < 6 ? 'gw' : `own${i}` }));
    let now = 0;
    let peak = 0;
    let viaGateway = 0;
    let gatewayPeak = 0;
    const order: string[] = [];
    await start(
      hosts,
      async (host, context) => {
        const release = await context.handshake();
        order.push(host.name);
        peak = Math.max(peak, ++now);
        if (host.gateway === 'gw') gatewayPeak = Math.max(gatewayPeak, ++viaGateway);
        await settle();
        now--;
        if (host.gateway === 'gw') viaGateway--;
        release();
        release(); // a second release gives nothing away
      },
      { parallel: 0, handshakeLimit: 4, gatewayLimit: 2 },
    ).run;
    expect(peak).toBe(4);
    expect(gatewayPeak).toBe(2);
    // Hosts with a free gateway overtook those that waited for the full one.
    expect(order.indexOf('n6')).toBeLessThan(order.indexOf('n2'));
  });

  it('takes a handshake slot back from a task that forgot to', async () => {
    const outcome = await start(named(5), async (_, context) => void (await context.handshake()), { handshakeLimit: 1 })
      .run;
    expect(classes(outcome)).toEqual(Array(5).fill('ok'));
  });

  it('frees hosts that wait for a slot when the run is aborted', async () => {
    const abort = new AbortController();
    const { run } = start(
      named(3),
      async (_, context) => {
        await context.handshake();
        await untilAborted(context);
      },
      { handshakeLimit: 1, signal: abort.signal },
    );
    await settle();
    abort.abort();
    expect(classes(await run)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  });

  it('times each phase and counts bytes', async () => {
    const { clock, events, run } = start(named(1), async (_, context) => {
      const sleep = (ms: number) => new Promise<void>((resolve) => clock.setTimeout(resolve, ms));
      await sleep(5);
      context.phase('handshake');
      await sleep(7);
      context.phase('command');
      await context.output('stdout', bytes('four'));
      await context.output('stderr', bytes('two'));
      await sleep(11);
      return { exitStatus: 0 };
    });
    await clock.advance(100);
    const [result] = (await run).results;
    expect(result).toMatchObject({ phases: { connect: 5, handshake: 7, command: 11 }, ms: 23 });
    expect(result!.bytes).toEqual({ stdout: 4, stderr: 3 });
    expect(events.map((e) => (e.type === 'state' ? e.phase : e.type))).toEqual([
      'connect',
      'handshake',
      'command',
      'output',
      'output',
      'result',
    ]);
  });

  it("holds a host back while the sink's promise is pending, and only that host", async () => {
    let open!: () => void;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const sent = [0, 0];
    const run = runOnHosts(
      named(2),
      async (_, context) => {
        for (let i = 0; i < 10; i++) {
          await context.output('stdout', bytes('x'));
          sent[context.index]!++;
        }
      },
      (event) => (event.type === 'output' && event.host === 0 ? gate : undefined),
    );
    await settle();
    expect(sent).toEqual([0, 10]);
    open();
    await run;
    expect(sent).toEqual([10, 10]);
  });

  it('ends the run and rejects when the sink fails, thrown or rejected', async () => {
    for (const failing of [() => Promise.reject(new Error('disk full')), () => raise(new Error('disk full'))]) {
      let aborted = 0;
      const run = runOnHosts(
        named(5),
        async (_, context) => {
          await context.output('stdout', bytes('x'));
          await untilAborted(context).finally(() => aborted++);
        },
        (event) => (event.type === 'output' ? failing() : undefined),
        { parallel: 2 },
      );
      await expect(run).rejects.toThrow('disk full');
      expect(aborted).toBe(2);
    }
  });
});

const raise = (error: Error): never => {
  throw error;
};

describe('time limits', () => {
  it('starts the command timeout with the command and says whether the remote process is gone', async () => {
    for (const gone of [true, false]) {
      const { clock, run } = start(
        named(1),
        async (_, context) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 5_000));
          context.phase('command');
          return untilAborted(context, gone);
        },
        { commandTimeout: 1_000 },
      );
      await clock.advance(5_999);
      await clock.advance(1);
      const [result] = (await run).results;
      expect(result).toMatchObject({ class: 'command-timeout', gone, signal: 'TERM' });
      expect(result!.error).toMatchObject({ code: 'timeout', detail: { what: 'command', after: 1_000 } });
      expect(result!.phases.command).toBe(1_000);
    }
  });

  it('knows no timeout with 0, nor one that fires at once beyond 24 days', async () => {
    for (const commandTimeout of [0, 2 ** 31 + 5]) {
      const { clock, run } = start(
        named(1),
        async (_, context) => {
          context.phase('command');
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 2 ** 31));
          return { exitStatus: 0 };
        },
        { commandTimeout },
      );
      await clock.advance(2 ** 31);
      expect(classes(await run)).toEqual(['ok']);
    }
    const { clock, run } = start(
      named(1),
      async (_, context) => {
        context.phase('command');
        return untilAborted(context, true);
      },
      { commandTimeout: 2 ** 31 + 5 },
    );
    await clock.advance(2 ** 31 + 5);
    expect(classes(await run)).toEqual(['command-timeout']);
  });

  it('gives up a task that ignores its signal, after the grace', async () => {
    const { clock, run } = start(
      named(1),
      (_, context) => {
        context.phase('command');
        return new Promise<never>(() => {});
      },
      { commandTimeout: 100, grace: 50 },
    );
    await clock.advance(149);
    await clock.advance(1);
    expect((await run).results[0]).toMatchObject({ class: 'command-timeout', gone: false, ms: 150 });
  });

  it('leaves a command that ended by itself its own end', async () => {
    const { clock, run } = start(
      named(1),
      async (_, context) => {
        context.phase('command');
        await untilAborted(context).catch(() => {});
        return { exitStatus: 4 };
      },
      { commandTimeout: 100 },
    );
    await clock.advance(100);
    expect((await run).results[0]).toMatchObject({ class: 'exit', exitStatus: 4 });
  });

  it('ends everything at the deadline: commands, connections, and hosts that never had a turn', async () => {
    const { clock, run } = start(
      named(3),
      async (_, context) => {
        if (context.index === 0) context.phase('command');
        return untilAborted(context, context.index === 0 ? true : undefined);
      },
      { parallel: 2, deadline: 1_000 },
    );
    await clock.advance(1_000);
    const outcome = await run;
    expect(classes(outcome)).toEqual(['command-timeout', 'connect-timeout', 'not-started']);
    expect(outcome.stopped).toBe('deadline');
  });
});

describe('stopping', () => {
  const aborting = (context: HostContext): Promise<object> => untilAborted(context, true);

  it('fail-fast ends hosts at work and starts no other', async () => {
    const outcome = await start(
      named(5),
      async (_, context) => {
        context.phase('command');
        return context.index === 1 ? { exitStatus: 1 } : aborting(context);
      },
      { parallel: 3, failFast: true },
    ).run;
    expect(classes(outcome)).toEqual(['cancelled', 'exit', 'cancelled', 'not-started', 'not-started']);
    expect(outcome.results[0]!.gone).toBe(true);
    expect(outcome.stopped).toBe('fail-fast');
  });

  it('max-failures tolerates that many, as a number or in percent, and lets hosts at work finish', async () => {
    for (const [maxFailures, started] of [
      [0, 1],
      [2, 3],
      [{ percent: 25 }, 3],
      [10, 10],
    ] as const) {
      const outcome = await start(named(10), async () => ({ exitStatus: 1 }), { parallel: 1, maxFailures }).run;
      expect(classes(outcome).filter((c) => c === 'exit')).toHaveLength(started);
      expect(outcome.stopped).toBe(started < 10 ? 'max-failures' : undefined);
    }
    const working = await start(
      named(3),
      async (_, context) => {
        if (context.index === 0) return { exitStatus: 1 };
        await settle();
        return { exitStatus: 0 };
      },
      { parallel: 2, maxFailures: 0 },
    ).run;
    expect(classes(working)).toEqual(['exit', 'ok', 'not-started']);
  });

  it('first Ctrl-C: nothing more is launched; second: what runs is ended', async () => {
    const stop = new AbortController();
    const abort = new AbortController();
    const { run, events } = start(named(4), async (_, context) => aborting(context), {
      parallel: 2,
      stop: stop.signal,
      signal: abort.signal,
    });
    await settle();
    stop.abort();
    await settle();
    expect(events.filter((e) => e.type === 'result').map((e) => e.host)).toEqual([2, 3]);
    abort.abort();
    const outcome = await run;
    expect(classes(outcome)).toEqual(['cancelled', 'cancelled', 'not-started', 'not-started']);
    expect(outcome.stopped).toBe('abort');
  });

  it('starts nothing when the signal fired before', async () => {
    for (const option of ['stop', 'signal'] as const) {
      const outcome = await start(named(2), async () => raise(new Error('started')), { [option]: AbortSignal.abort() })
        .run;
      expect(classes(outcome)).toEqual(['not-started', 'not-started']);
    }
  });
});

describe('retries', () => {
  it('tries again after connection failures with doubled pauses, and says so', async () => {
    let calls = 0;
    const { clock, events, run } = start(named(1), async () => (++calls < 4 ? raise(refused()) : undefined), {
      retries: 3,
      backoff: { first: 100, max: 300 },
    });
    await clock.advance(1_000);
    const outcome = await run;
    expect(outcome.results[0]).toMatchObject({ class: 'ok', attempts: 4, ms: 100 + 200 + 300 });
    expect(events.flatMap((e) => (e.type === 'retry' ? [[e.attempt, e.delay, e.class]] : []))).toEqual([
      [1, 100, 'refused'],
      [2, 200, 'refused'],
      [3, 300, 'refused'],
    ]);
  });

  it('gives up after the last try with the class of the last failure', async () => {
    const { clock, run } = start(named(1), async () => raise(refused()), { retries: 2 });
    await clock.advance(10_000);
    expect((await run).results[0]).toMatchObject({ class: 'refused', attempts: 3 });
  });

  it('never tries again what will not change, or what may have run', async () => {
    const never: [SshError, 'connect' | 'auth' | 'command'][] = [
      [new SshError('auth', 'denied'), 'auth'],
      [new SshError('host-key', 'changed'), 'connect'],
      [new SshError('no-common-algorithm', 'none'), 'connect'],
      [new SshError('disconnected', 'x', { detail: { text: 'Too many authentication failures' } }), 'auth'],
      [drop(), 'command'],
      [new SshError('timeout', 'keepalive', { detail: { what: 'keepalive' } }), 'command'],
    ];
    for (const [error, phase] of never) {
      const { run } = start(
        named(1),
        async (_, context) => {
          context.phase(phase);
          throw error;
        },
        { retries: 5 },
      );
      expect((await run).results[0]!.attempts).toBe(1);
    }
  });

  it('rides out MaxStartups drops beyond the retries asked for, with jitter', async () => {
    let calls = 0;
    const { clock, events, run } = start(named(1), async () => (++calls < 6 ? raise(drop()) : undefined), {
      random: () => 0,
    });
    await clock.advance(60_000);
    expect((await run).results[0]).toMatchObject({ class: 'ok', attempts: 6 });
    expect(events.flatMap((e) => (e.type === 'retry' ? [e.delay] : []))).toEqual([250, 500, 1000, 2000, 4000]);
    const lost = start(named(1), async () => raise(drop()), { dropRetries: 2, retries: 1 });
    await lost.clock.advance(60_000);
    expect((await lost.run).results[0]).toMatchObject({ class: 'lost', attempts: 4 });
  });

  it('does not take a connection lost during the key exchange for a drop', async () => {
    const { run } = start(named(1), async (_, context) => {
      context.phase('handshake');
      throw drop();
    });
    expect((await run).results[0]).toMatchObject({ class: 'lost', attempts: 1 });
  });

  it('gives the place of a pausing host to another', async () => {
    const order: number[] = [];
    const { clock, run } = start(
      named(3),
      async (_, context) => {
        order.push(context.index);
        if (context.index === 0 && context.attempt === 1) throw refused();
      },
      { parallel: 1, retries: 1 },
    );
    await clock.advance(1_000);
    expect(classes(await run)).toEqual(['ok', 'ok', 'ok']);
    expect(order).toEqual([0, 1, 2, 0]);
  });

  it('ends a pausing host with what it met last when the run stops', async () => {
    const stop = new AbortController();
    const { run } = start(named(1), async () => raise(refused()), { retries: 5, stop: stop.signal });
    await settle();
    stop.abort();
    expect((await run).results[0]).toMatchObject({ class: 'refused', attempts: 1 });
  });
});

describe('batches', () => {
  it('begins a batch when the one before is over, retries included, and asks for its health between', async () => {
    const order: string[] = [];
    const { clock, run } = start(
      named(5),
      async (_, context) => {
        order.push(`host ${context.index}`);
        if (context.index === 0 && context.attempt === 1) throw refused();
      },
      {
        batch: 2,
        retries: 1,
        healthy: async ({ number, first, results }) => {
          order.push(`batch ${number} from ${first}: ${results.map((r) => r.class)}`);
          return true;
        },
      },
    );
    await clock.advance(5_000);
    await run;
    expect(order).toEqual([
      'host 0',
      'host 1',
      'host 0',
      'batch 0 from 0: ok,ok',
      'host 2',
      'host 3',
      'batch 1 from 2: ok,ok',
      'host 4',
    ]);
  });

  it('leaves the rest unstarted after an unhealthy batch', async () => {
    const outcome = await start(named(5), async () => ({ exitStatus: 1 }), { batch: 2, healthy: () => false }).run;
    expect(classes(outcome)).toEqual(['exit', 'exit', 'not-started', 'not-started', 'not-started']);
    expect(outcome.stopped).toBe('unhealthy');
  });
});

describe('scale', () => {
  it('runs 1000 hosts with output, slots and timeouts in little time and leaves no timer', async () => {
    const hosts = named(1000);
    const line = bytes('hello\n');
    let outputs = 0;
    const began = process.cpuUsage();
    const outcome = await runOnHosts(
      hosts,
      async (_, context) => {
        const release = await context.handshake();
        context.phase('handshake');
        await null;
        release();
        context.phase('auth');
        context.phase('command');
        for (let i = 0; i < 10; i++) await context.output('stdout', line);
        return { exitStatus: 0 };
      },
      (event) => {
        if (event.type === 'output') outputs++;
      },
      { parallel: 0, handshakeLimit: 16, commandTimeout: 300_000 },
    );
    const spent = process.cpuUsage(began);
    expect(outputs).toBe(10_000);
    expect(outcome.results.every((r) => r.class === 'ok')).toBe(true);
    // Five runs on a busy machine took 50 to 160 ms of CPU; the bound only catches something quadratic.
    expect((spent.user + spent.system) / 1000).toBeLessThan(1_000);
  });
});

describe('steering', () => {
  it('starts nothing while held, tries nothing again, and goes on after it', async () => {
    let steer!: Steering;
    const started: string[] = [];
    const ends: (() => void)[] = [];
    const { clock, run } = start(
      named(4),
      async (host, { attempt }) => {
        started.push(`${host.name}/${attempt}`);
        if (host.name === 'node1' && attempt === 1) throw refused();
        await new Promise<void>((resolve) => ends.push(resolve));
      },
      { parallel: 2, retries: 1, steered: (steering) => void (steer = steering) },
    );
    await settle();
    steer.hold(true);
    await clock.advance(60_000);
    for (const end of ends.splice(0)) end();
    await settle();
    const before = [...started];
    expect(before).toEqual(['node1/1', 'node2/1', 'node3/1']);
    steer.hold(false);
    await settle();
    expect(started).toEqual([...before, 'node1/2', 'node4/1']);
    for (const end of ends) end();
    expect(classes(await run)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  it('leaves out who waits, ends who is at work, and knows who has ended', async () => {
    let steer!: Steering;
    const started: string[] = [];
    const { run } = start(
      named(6),
      async (host, context) => {
        started.push(host.name);
        if (host.name === 'node1') return;
        if (host.name === 'node2') throw refused();
        if (host.name === 'node3') await untilAborted(context);
      },
      { parallel: 1, batch: 4, retries: 3, steered: (steering) => void (steer = steering) },
    );
    steer.skip(3);
    await settle();
    steer.skip(0);
    steer.skip(4);
    steer.skip(5);
    steer.skip(1);
    await settle();
    steer.skip(2);
    await settle();
    expect(classes(await run)).toEqual(['ok', 'refused', 'cancelled', 'not-started', 'not-started', 'not-started']);
    expect(started).toEqual(['node1', 'node2', 'node3']);
  });

  it('does not try again a host that was skipped while its connection broke', async () => {
    let steer!: Steering;
    let tries = 0;
    const { run } = start(
      named(1),
      async (_host, context) => {
        tries++;
        await untilAborted(context).catch(() => {});
        throw new SshError('lost', 'the connection was closed');
      },
      { retries: 3, steered: (steering) => void (steer = steering) },
    );
    await settle();
    steer.skip(0);
    expect(classes(await run)).toEqual(['cancelled']);
    expect(tries).toBe(1);
  });
});
