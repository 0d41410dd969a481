// What is judged and what is said about a host key, without a network: every mode, by name and by address, with DNS.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatKnownHosts } from '../../../client/config/known-hosts.ts';
import type { HostKeyQuestion } from '../../../client/connect.ts';
import {
  type HostKeyOutcome,
  type HostKeyRules,
  knownHostsPolicy,
  orderHostKeyAlgorithms,
} from '../../../client/host-key.ts';
import type { SshfpAnswer } from '../../../client/sshfp.ts';
import { fingerprint, generateKey, type PublicKey, randomart, type SshError } from '../../../protocol/index.ts';
import { crypto, failure, Script } from '../harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'bssh-host-key-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;

const key = generateKey(crypto, 'ed25519').publicKey;
const other = generateKey(crypto, 'ecdsa-sha2-nistp256').publicKey;
const print = fingerprint(crypto, key.blob);
const line = (names: string, of: PublicKey): string => formatKnownHosts([names], of, false);

function file(text: string): string {
  const path = join(dir, `known-${++files}`);
  writeFileSync(path, text);
  return path;
}

interface Case {
  readonly known?: string;
  readonly global?: string;
  readonly rules?: Partial<HostKeyRules>;
  readonly question?: Partial<HostKeyQuestion>;
  readonly answers?: readonly string[];
}

interface Seen {
  readonly outcome: HostKeyOutcome | undefined;
  readonly error: SshError | undefined;
  readonly warnings: string;
  readonly log: readonly string[];
  readonly asked: readonly string[];
  /** The user's file as it is now. */
  readonly known: string;
  readonly path: string;
}

/** Judges `key`, shown by `box` at 192.0.2.7. */
async function judge({ known = '', global = '', rules, question, answers = [] }: Case): Promise<Seen> {
  const path = file(known);
  const warnings: string[] = [];
  const log: string[] = [];
  const prompter = new Script(...answers);
  let outcome: HostKeyOutcome | undefined;
  const policy = knownHostsPolicy({
    crypto,
    mode: 'ask',
    userFiles: [path],
    globalFiles: [file(global)],
    prompter,
    warn: (text) => void warnings.push(text),
    log: (_, text) => void log.push(text),
    onAccepted: (accepted) => {
      outcome = accepted;
    },
    ...rules,
  });
  const verdict = Promise.resolve(
    policy({
      host: 'box',
      port: 22,
      address: '192.0.2.7',
      hostKey: { blob: key.blob, key, certificate: undefined },
      algorithm: key.type,
      ...question,
    }),
  );
  const error = await verdict.then(
    () => undefined,
    () => failure(verdict),
  );
  const asked = prompter.asked.map(({ text }) => text);
  return { outcome, error, warnings: warnings.join('\n'), log, asked, known: readFileSync(path, 'utf8'), path };
}

describe('an unknown key', () => {
  it('is asked about with all that is known of it', async () => {
    const seen = await judge({ known: line('elsewhere', key), answers: ['yes'], question: { port: 2222 } });
    expect(seen.asked).toEqual([
      [
        "The authenticity of host '[box]:2222 ([192.0.2.7]:2222)' can't be established.",
        `ED25519 key fingerprint is ${print}.`,
        'This host key is known by the following other names/addresses:',
        `    ${seen.path}:1: elsewhere`,
        'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
      ].join('\n'),
    ]);
    expect(seen.warnings).toBe("Warning: Permanently added '[box]:2222' (ED25519) to the list of known hosts.");
    expect(seen.known).toBe(line('elsewhere', key) + line('[box]:2222', key));
    expect(seen.outcome).toEqual({ distrusted: false, mayUpdate: true });
  });

  it('shows eight other names, hides hashed ones, and shortens the home', async () => {
    const many = Array.from({ length: 10 }, (_, i) => line(`h${i}`, key)).join('');
    const seen = await judge({
      known: formatKnownHosts(['x'], key, true) + many,
      answers: ['no'],
      rules: { home: dir },
    });
    const [text] = seen.asked;
    expect(text).toMatch(/^ {4}~\/known-\d+:1: \[hashed name\]$/m);
    expect(text!.match(/^ {4}~/gm)).toHaveLength(8);
    expect(text).toContain('\n    (3 additional names omitted)\n');
  });

  it('takes the fingerprint for yes, asks again for anything else, and nobody for no', async () => {
    const way = { question: { address: undefined } };
    const again = await judge({ ...way, answers: ['what?', `  ${print} `] });
    expect(again.asked[0]).toContain("'box (<no hostip for proxy command>)'");
    expect(again.asked[1]).toBe("Please type 'yes', 'no' or the fingerprint: ");
    expect(again.outcome?.mayUpdate).toBe(true);
    for (const answers of [['no'], ['NO'], [''], []]) {
      const refused = await judge({ ...way, answers });
      expect(refused.error?.detail.reason).toBe('declined');
      expect(refused.known).toBe('');
    }
    expect((await judge({ ...way, answers: ['SHA256:wrong', 'no'] })).error?.code).toBe('host-key');
  });

  it('is learnt without a question by accept-new and no, and refused by yes', async () => {
    for (const mode of ['accept-new', 'no'] as const) {
      const seen = await judge({ rules: { mode, hash: true } });
      expect(seen.known).toMatch(/^\|1\|\S+ ssh-ed25519 /);
      expect(seen.outcome).toEqual({ distrusted: false, mayUpdate: false });
    }
    const strict = await judge({ rules: { mode: 'yes' } });
    expect(strict.error?.message).toBe('No ED25519 host key is known for box and you have requested strict checking.');
  });

  it('is refused where it could not be remembered', async () => {
    expect((await judge({ rules: { mode: 'no', userFiles: [] } })).error?.detail.reason).toBe('unknown');
    expect((await judge({ rules: { mode: 'no' }, question: { host: 'a*' } })).error?.detail.reason).toBe('unknown');
  });

  it('of another port is known by the bare name, and teaches nothing', async () => {
    const seen = await judge({ known: line('box', key), question: { port: 2222 } });
    expect(seen.log).toContain('found matching key w/out port');
    expect(seen.outcome).toEqual({ distrusted: false, mayUpdate: false });
  });
});

describe('a key that changed', () => {
  it('is refused with the place of the old one, in every mode but no', async () => {
    for (const mode of ['yes', 'accept-new', 'ask'] as const) {
      const seen = await judge({ known: `# first\n${line('box', other)}`, rules: { mode } });
      expect(seen.error?.message).toBe('Host key for box has changed and you have requested strict checking.');
      expect(seen.error?.detail).toMatchObject({ reason: 'changed', file: seen.path, line: 2 });
      expect(seen.warnings).toBe(
        [
          '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
          '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
          '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
          'IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!',
          'Someone could be eavesdropping on you right now (man-in-the-middle attack)!',
          'It is also possible that a host key has just been changed.',
          'The fingerprint for the ED25519 key sent by the remote host is',
          `${print}.`,
          'Please contact your system administrator.',
          `Add correct host key in ${seen.path} to get rid of this message.`,
          `Offending ECDSA key in ${seen.path}:2`,
        ].join('\n'),
      );
    }
  });

  it('passes in mode no, as a host that is not trusted', async () => {
    const seen = await judge({ known: line('box', other), rules: { mode: 'no' } });
    expect(seen.outcome).toEqual({ distrusted: true, mayUpdate: false });
    expect(seen.warnings).toMatch(/Password authentication is disabled to avoid man-in-the-middle attacks\./);
    expect(seen.known).toBe(line('box', other));
  });

  it('is refused in every mode when it is revoked', async () => {
    for (const mode of ['yes', 'accept-new', 'ask', 'no'] as const) {
      const seen = await judge({ known: `${line('box', key)}@revoked * ${line('', key).trim()}\n`, rules: { mode } });
      expect(seen.error?.detail.reason).toBe('revoked');
      expect(seen.warnings).toMatch(/The ED25519 host key for box is marked as revoked\./);
    }
  });
});

describe('a known key', () => {
  it('may be updated when it stands in a file of the user, not when it is the system that knows it', async () => {
    expect((await judge({ known: line('box', key) })).outcome?.mayUpdate).toBe(true);
    expect((await judge({ global: line('box', key) })).outcome).toEqual({ distrusted: false, mayUpdate: false });
  });

  it('is shown as a picture when that is wanted', async () => {
    const seen = await judge({ known: line('box', key), rules: { visual: true } });
    expect(seen.warnings).toBe(`Host key fingerprint is ${print}\n${randomart(crypto, key)}`);
    const asked = await judge({ rules: { visual: true }, answers: ['no'] });
    expect(asked.asked[0]).toContain(`is ${print}.\n${randomart(crypto, key)}\nThis key`);
  });

  it('is not looked up for this machine when that is skipped, unless an alias stands for it', async () => {
    for (const address of ['127.0.0.9', '::1']) {
      const skipped = await judge({ question: { address }, rules: { mode: 'yes', skipForLocalhost: true } });
      expect(skipped.outcome).toEqual({ distrusted: false, mayUpdate: false });
    }
    const alias = { mode: 'yes', skipForLocalhost: true, alias: 'it' } as const;
    expect((await judge({ question: { address: '::1' }, rules: alias })).error?.code).toBe('host-key');
    expect((await judge({ rules: { mode: 'yes', skipForLocalhost: true } })).error?.code).toBe('host-key');
  });
});

describe('the address (CheckHostIP)', () => {
  const checkIp = true;

  it('is learnt with the name, or later', async () => {
    const fresh = await judge({ rules: { checkIp, mode: 'accept-new' } });
    expect(fresh.known).toBe(line('box,192.0.2.7', key));
    expect(fresh.warnings).toContain("Permanently added 'box,192.0.2.7' (ED25519)");
    const later = await judge({ known: line('box', key), rules: { checkIp } });
    expect(later.known).toBe(line('box', key) + line('192.0.2.7', key));
    expect(later.warnings).toMatch(/^Warning: Permanently added the ED25519 host key for IP address '192\.0\.2\.7'/);
    const local = await judge({ known: line('box', key), rules: { checkIp }, question: { address: '127.0.0.1' } });
    expect(local.known).toBe(line('box', key));
  });

  it('that is known with another key is asked about, refused, or passes in mode no', async () => {
    const known = line('box', key) + line('192.0.2.7', other);
    const asked = await judge({ known, rules: { checkIp }, answers: ['yes'] });
    expect(asked.asked[0]).toBe(
      [
        "Warning: the ED25519 host key for 'box' differs from the key for the IP address '192.0.2.7'",
        `Offending key for IP in ${asked.path}:2`,
        `Matching host key in ${asked.path}:1`,
        'Are you sure you want to continue connecting (yes/no)? ',
      ].join('\n'),
    );
    expect(asked.outcome?.distrusted).toBe(false);
    expect((await judge({ known, rules: { checkIp }, answers: ['no'] })).error?.detail.reason).toBe('declined');
    const strict = await judge({ known, rules: { checkIp, mode: 'yes' } });
    expect(strict.error?.message).toBe('Exiting, you have requested strict checking.');
    expect((await judge({ known, rules: { checkIp, mode: 'no' } })).error).toBeUndefined();
  });

  it('that kept its key while the name changed smells of spoofing', async () => {
    const seen = await judge({ known: line('box', other) + line('192.0.2.7', key), rules: { checkIp } });
    expect(seen.warnings).toMatch(/POSSIBLE DNS SPOOFING DETECTED![\s\S]*\nis unchanged\. This could either mean/);
    expect(seen.error?.detail.reason).toBe('changed');
  });
});

describe('DNS (VerifyHostKeyDNS)', () => {
  const record = (of: PublicKey, algorithm = 4) => ({
    algorithm,
    digestType: 2,
    digest: crypto.hash('sha256').update(of.blob).digest(),
  });
  const dns = (mode: 'yes' | 'ask', answer: SshfpAnswer | { failure: string }): Partial<HostKeyRules> => ({
    dns: { mode, lookup: async () => answer },
  });

  it('is trusted by yes when it is secure', async () => {
    const seen = await judge({ rules: { ...dns('yes', { records: [record(key)], secure: true }), mode: 'yes' } });
    expect(seen.error).toBeUndefined();
    expect(seen.log).toContain('found 1 secure fingerprints in DNS');
    expect(seen.known).toBe('');
  });

  it('is only mentioned when it is not, or by ask', async () => {
    for (const rules of [
      dns('yes', { records: [record(key)], secure: false }),
      dns('ask', { records: [record(key)], secure: true }),
    ]) {
      const seen = await judge({ rules, answers: ['no'] });
      expect(seen.asked[0]).toMatch(/^Matching host key fingerprint found in DNS\.$/m);
    }
    for (const answer of [{ records: [], secure: true }, { failure: 'DNS lookup error: no answer in time' }]) {
      const seen = await judge({ rules: dns('yes', answer), answers: ['no'] });
      expect(seen.asked[0]).toMatch(/^No matching host key fingerprint found in DNS\.$/m);
      expect(seen.warnings).toBe('');
    }
  });

  it('warns of a record of another key, even beside one that agrees', async () => {
    const records = [record(other), record(key)];
    const seen = await judge({ rules: dns('yes', { records, secure: true }), answers: ['no'] });
    expect(seen.warnings).toMatch(/HAS CHANGED![\s\S]*Update the SSHFP RR in DNS with the new host key/);
    const unrelated = await judge({
      rules: { ...dns('yes', { records: [record(other, 3), record(key)], secure: true }), mode: 'yes' },
    });
    expect(unrelated.error).toBeUndefined();
  });
});

describe('the order of algorithms', () => {
  const names = ['ssh-ed25519-cert-v01@openssh.com', 'ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512'];
  const order = (known: string, list = names, port = 22): Promise<readonly string[]> =>
    orderHostKeyAlgorithms(
      list,
      { crypto, mode: 'ask', userFiles: [file(known)], globalFiles: [], command: async () => [] },
      'box',
      port,
    );

  it('stays when a key of the first type is known, or nothing is', async () => {
    expect(await order(line('box', key) + line('box', other))).toEqual(names);
    expect(await order(line('elsewhere', other))).toEqual(names);
  });

  it('puts known types first, in the order of the list, and certificates where there is an authority', async () => {
    expect(await order(line('box', other))).toEqual([names[2], names[0], names[1], names[3]]);
    const list = ['rsa-sha2-512', 'ecdsa-sha2-nistp256', 'ssh-ed25519', 'ssh-ed25519-cert-v01@openssh.com'];
    const known = `@cert-authority box ${line('', other).trim()}\n${line('box', key)}`;
    expect(await order(known, list)).toEqual([list[2], list[3], list[0], list[1]]);
  });
});
