// Logging in: methods, keys, steps and refusals, as a server sees them and as the error tells them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { connect } from '../../client/connect.ts';
import { identities } from '../../client/identities.ts';
import { KeyStore } from '../../client/key-store.ts';
import { formatPrivateKey } from '../../protocol/index.ts';
import { type DemoServerOptions, type DemoUser, startDemoServer } from '../demo-server/index.ts';
import {
  alice,
  crypto,
  failure,
  keyIdentity,
  login,
  newKey,
  noAuth,
  Script,
  to,
  withKeys,
  withPassword,
} from './harness.ts';

const serve = (user: Partial<DemoUser>, more: Partial<DemoServerOptions> = {}) =>
  startDemoServer({ users: [{ name: 'alice', ...user }], ...more });

const outcomes = (server: Awaited<ReturnType<typeof serve>>) =>
  server.sessions[0]!.attempts.map(({ method, signed, outcome }) =>
    signed === undefined ? `${method} ${outcome}` : `${method}${signed ? ' signed' : ''} ${outcome}`,
  );

describe('none', () => {
  it('is enough for a user without a lock', async () => {
    await using server = await serve({ open: true });
    await (await login(server, { auth: noAuth })).close();
    expect(outcomes(server)).toEqual(['none accepted']);
  });
});

describe('passwords', () => {
  it('are sent once when they are right', async () => {
    await using server = await serve(alice);
    await (await login(server)).close();
    expect(outcomes(server)).toEqual(['none rejected', 'password accepted']);
  });

  it('are asked for again when they are wrong, as often as the plan says', async () => {
    await using server = await serve(alice);
    const prompter = new Script('red', 'white', 'wonderland');
    await (await login(server, { auth: { ...noAuth, prompter } })).close();
    expect(prompter.asked.map(({ text, echo }) => [text, echo])).toEqual(
      Array(3).fill(["alice@demo's password: ", false]),
    );
    expect(prompter.told).toEqual(Array(2).fill('Permission denied, please try again.'));
    expect(server.sessions[0]!.user).toBe('alice');
  });

  it('that stay wrong end in a denial that names the methods', async () => {
    await using server = await serve(alice);
    const prompter = new Script('a', 'b', 'c', 'd');
    const error = await failure(connect(to(server, { auth: { ...noAuth, prompter } })));
    expect(error).toMatchObject({
      code: 'auth',
      by: 'peer',
      detail: { methods: ['password'], tried: ['password', 'password', 'password'], user: 'alice' },
    });
    expect(prompter.asked).toHaveLength(3);
  });

  it('nobody gives are no attempt', async () => {
    await using server = await serve(alice);
    expect((await failure(connect(to(server, { auth: noAuth })))).code).toBe('auth');
    expect(outcomes(server)).toEqual(['none rejected']);
  });

  it('given beforehand and wrong leave room for questions', async () => {
    await using server = await serve(alice);
    const prompter = new Script('wonderland');
    await (await login(server, { auth: { ...withPassword('old'), prompter } })).close();
    expect(prompter.asked).toHaveLength(1);
  });

  it('that have expired are changed', async () => {
    await using server = await serve({ ...alice, passwordExpired: true });
    const prompter = new Script('new one', 'not the same', 'new one', 'new one');
    await (await login(server, { auth: { ...withPassword(), prompter } })).close();
    expect(prompter.told).toEqual(['Your password has expired.', 'Mismatch; try again, EOF to quit.']);
    expect((await failure(connect(to(server)))).code).toBe('auth');
    await (await login(server, { auth: withPassword('new one') })).close();
  });

  it('too many to the server end the connection with its reason', async () => {
    await using server = await serve(alice, { maxAuthAttempts: 2 });
    const prompter = new Script('a', 'b', 'c');
    const error = await failure(connect(to(server, { auth: { ...noAuth, prompter } })));
    expect(error).toMatchObject({ code: 'auth', detail: { text: 'too many authentication failures' } });
  });
});

describe('keyboard-interactive', () => {
  const user = {
    keyboardInteractive: [
      {
        title: 'Gate',
        instruction: 'Two questions',
        prompts: [
          { text: 'Name: ', answer: 'Alice', echo: true },
          { text: 'Code: ', answer: '42' },
        ],
      },
      { prompts: [] },
      { prompts: [{ text: 'Again: ', answer: '43' }] },
    ],
  };

  it('goes through its rounds', async () => {
    await using server = await serve(user);
    const prompter = new Script('Alice', '42', '43');
    await (await login(server, { auth: { ...noAuth, prompter } })).close();
    expect(prompter.told).toEqual(['Gate', 'Two questions']);
    expect(prompter.asked.map(({ text, echo }) => [text, echo])).toEqual([
      ['(alice@demo) Name: ', true],
      ['(alice@demo) Code: ', false],
      ['(alice@demo) Again: ', false],
    ]);
  });

  it('starts over after a wrong answer', async () => {
    await using server = await serve(user);
    const prompter = new Script('Alice', '41', 'Alice', '42', '43');
    await (await login(server, { auth: { ...noAuth, prompter } })).close();
    expect(server.sessions[0]!.user).toBe('alice');
  });

  it('takes a password given beforehand for its only hidden question, once', async () => {
    await using server = await serve({ keyboardInteractive: [{ prompts: [{ text: 'Password: ', answer: 'right' }] }] });
    await (await login(server, { auth: withPassword('right') })).close();
    const prompter = new Script('right');
    await (await login(server, { auth: { ...withPassword('wrong'), prompter } })).close();
    expect(prompter.asked).toHaveLength(1);
  });

  it('gives up when a question is turned away', async () => {
    await using server = await serve(user);
    const error = await failure(connect(to(server, { auth: { ...noAuth, prompter: new Script('Alice', undefined) } })));
    expect(error).toMatchObject({ code: 'auth', detail: { tried: ['keyboard-interactive'] } });
  });
});

describe('public keys', () => {
  it('are offered with their signature at once', async () => {
    const key = newKey();
    await using server = await serve({ keys: [key.publicKey] });
    await (await login(server, { auth: withKeys(keyIdentity(key)) })).close();
    expect(outcomes(server)).toEqual(['publickey signed accepted']);
  });

  it('that cost something are asked about first', async () => {
    const [wrong, right] = [newKey('wrong'), newKey('right')];
    await using server = await serve({ keys: [right.publicKey] });
    await (await login(server, { auth: withKeys(keyIdentity(wrong, true), keyIdentity(right, true)) })).close();
    expect(outcomes(server)).toEqual(['publickey rejected', 'publickey key-ok', 'publickey signed accepted']);
  });

  it('that are unknown are each named in the denial', async () => {
    await using server = await serve({ keys: [] });
    const auth = withKeys(keyIdentity(newKey('one')), keyIdentity(newKey('two')));
    expect(await failure(connect(to(server, { auth })))).toMatchObject({
      code: 'auth',
      detail: { methods: ['publickey'], tried: ['one', 'two'] },
    });
  });

  it('that cannot sign after all leave the next its turn', async () => {
    const [locked, right] = [newKey(), newKey()];
    await using server = await serve({ keys: [locked.publicKey, right.publicKey] });
    const auth = withKeys({ ...keyIdentity(locked), sign: async () => undefined }, keyIdentity(right));
    await (await login(server, { auth })).close();
    expect(outcomes(server)).toEqual(['publickey signed accepted']);
  });

  it('give way to the password when none fits', async () => {
    await using server = await serve({ ...alice, keys: [] });
    await (await login(server, { auth: { ...withKeys(keyIdentity(newKey())), ...pick(withPassword()) } })).close();
    expect(outcomes(server)).toEqual(['publickey signed rejected', 'password accepted']);
  });
});

const pick = ({ password }: ReturnType<typeof withPassword>) => ({ password });

describe('several steps', () => {
  it('go on after partial success', async () => {
    const key = newKey();
    await using server = await serve(
      { ...alice, keys: [key.publicKey] },
      { requireMethods: ['publickey', 'password'] },
    );
    await (await login(server, { auth: { ...withKeys(keyIdentity(key)), ...pick(withPassword()) } })).close();
    expect(outcomes(server)).toEqual(['publickey signed partial', 'password accepted']);
  });

  it('may want two keys', async () => {
    const keys = [newKey(), newKey()];
    await using server = await serve(
      { keys: keys.map((key) => key.publicKey) },
      { requireMethods: ['publickey', 'publickey'] },
    );
    await (await login(server, { auth: withKeys(...keys.map((key) => keyIdentity(key))) })).close();
    expect(outcomes(server)).toEqual(['publickey signed partial', 'publickey signed accepted']);
  });

  it('end in a denial when the second fails', async () => {
    const key = newKey();
    await using server = await serve(
      { ...alice, keys: [key.publicKey] },
      { requireMethods: ['publickey', 'password'] },
    );
    const error = await failure(connect(to(server, { auth: withKeys(keyIdentity(key)) })));
    expect(error).toMatchObject({ code: 'auth', detail: { methods: ['password'] } });
  });
});

describe('key files', () => {
  const dir = mkdtempSync(join(tmpdir(), 'bssh-auth-'));
  afterAll(() => rmSync(dir, { recursive: true }));
  const key = newKey();
  const path = join(dir, 'id_encrypted');
  writeFileSync(path, formatPrivateKey(crypto, key, { passphrase: 'open sesame', rounds: 1 }), { mode: 0o600 });

  const auth = (store: KeyStore, paths = [path]) => ({
    ...noAuth,
    identities: () =>
      identities({
        store,
        crypto,
        files: paths.map((each) => ({ path: each, explicit: true })),
        certificates: [],
        only: false,
      }),
  });

  it('are decrypted once for many log-ins', async () => {
    await using server = await serve({ keys: [key.publicKey] });
    const prompter = new Script('wrong', 'open sesame');
    const store = new KeyStore({ crypto, prompter });
    const connections = await Promise.all([1, 2, 3].map(() => login(server, { auth: auth(store) })));
    expect(prompter.asked.map(({ text }) => text)).toEqual(Array(2).fill(`Enter passphrase for key '${path}': `));
    for (const connection of connections) await connection.close();
  });

  it('are not asked about when the server does not want them', async () => {
    await using server = await serve({ keys: [] });
    const prompter = new Script();
    const error = await failure(connect(to(server, { auth: auth(new KeyStore({ crypto, prompter })) })));
    expect(error).toMatchObject({ code: 'auth', detail: { tried: [path] } });
    expect(prompter.asked).toEqual([]);
  });

  it('are left out, with a warning, when the passphrase stays wrong', async () => {
    await using server = await serve({ keys: [key.publicKey] });
    const warnings: string[] = [];
    const store = new KeyStore({
      crypto,
      prompter: new Script('a', 'b', 'c'),
      warn: (text) => void warnings.push(text),
    });
    expect((await failure(connect(to(server, { auth: auth(store) })))).code).toBe('auth');
    expect(warnings).toEqual([`Load key "${path}": incorrect passphrase supplied to decrypt private key`]);
  });

  it('that others can read, are missing or are no keys are passed over', async () => {
    const open = join(dir, 'open');
    writeFileSync(open, formatPrivateKey(crypto, key), { mode: 0o644 });
    const junk = join(dir, 'junk');
    writeFileSync(junk, 'not a key', { mode: 0o600 });
    const good = join(dir, 'good');
    writeFileSync(good, formatPrivateKey(crypto, key), { mode: 0o600 });
    await using server = await serve({ keys: [key.publicKey] });
    const warnings: string[] = [];
    const store = new KeyStore({ crypto, warn: (text) => void warnings.push(text) });
    await (await login(server, { auth: auth(store, [open, junk, join(dir, 'nowhere'), good]) })).close();
    expect(outcomes(server)).toEqual(['publickey signed accepted']);
    const said = warnings.join('\n');
    expect(said).toMatch(/^Warning: Identity file .*nowhere not accessible: No such file or directory\.$/m);
    expect(said).toMatch(/UNPROTECTED[\s\S]*Load key ".*open": bad permissions\nLoad key ".*junk": invalid format$/);
  });
});

describe('the host key', () => {
  it('that is refused ends the attempt before anything is said about the user', async () => {
    await using server = await serve(alice);
    const error = await failure(connect(to(server, { hostKey: () => false })));
    expect(error).toMatchObject({ code: 'host-key', by: 'local' });
    expect(server.sessions[0]!.attempts).toEqual([]);
  });

  it('is refused when its policy fails', async () => {
    await using server = await serve(alice);
    const broken = connect(to(server, { hostKey: () => Promise.reject(new Error('disk on fire')) }));
    expect(await failure(broken)).toMatchObject({ code: 'host-key', cause: { message: 'disk on fire' } });
  });
});
