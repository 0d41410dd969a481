/**
 * Judging a server's key (ssh_config(5) StrictHostKeyChecking): known_hosts, certificates of its authorities, and the
 * four modes. What a person is told, and how, is decided above: this file returns facts and asks through a Prompter.
 */

import {
  type CryptoProvider,
  checkCertificate,
  type FingerprintHash,
  fingerprint,
  keyTypeLabel,
  SshError,
  signatureRow,
} from '../protocol/index.ts';
import type { HostKeyCheck } from './config/known-hosts.ts';
import { matchPattern } from './config/pattern.ts';
import type { HostKeyPolicy, HostKeyQuestion } from './connect.ts';
import { KnownHosts } from './known-hosts-file.ts';
import type { Prompter } from './prompter.ts';

export interface HostKeyRules {
  readonly crypto: CryptoProvider;
  readonly mode: 'yes' | 'accept-new' | 'ask' | 'no';
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  readonly alias?: string | undefined;
  readonly hash?: boolean;
  readonly fingerprintHash?: FingerprintHash;
  readonly caAlgorithms?: readonly string[];
  readonly prompter?: Prompter | undefined;
  /** Lines for the user, as ssh(1) words them. */
  readonly warn?: (text: string) => void;
  readonly log?: (level: 1 | 2 | 3, text: string) => void;
  /** The key changed and was accepted all the same (mode `no`): passwords and forwarding must stay off. */
  readonly onDistrusted?: () => void;
}

/** The policy that ssh(1) has, over files of known hosts. */
export function knownHostsPolicy(rules: HostKeyRules): HostKeyPolicy {
  return (question) => new Judgement(rules, question).verdict();
}

/** Host-key algorithms with those first for which a key is known, so that a server shows a key we can check. */
export function orderHostKeyAlgorithms(
  names: readonly string[],
  rules: HostKeyRules,
  host: string,
  port: number,
): string[] {
  let known: { types: string[]; authority: boolean };
  try {
    known = open(rules).keyTypes({ host, port, alias: rules.alias });
  } catch (error) {
    // An unusable file is refused when the key is judged, with its reason.
    if (error instanceof SshError) return [...names];
    throw error;
  }
  const rank = (name: string): number => {
    const row = signatureRow(name);
    if (row?.certificate) return known.authority ? 0 : 2;
    return row !== undefined && known.types.includes(row.keyType) ? 1 : 3;
  };
  if (known.types.length === 0 && !known.authority) return [...names];
  return [...names].sort((a, b) => rank(a) - rank(b));
}

const open = ({ userFiles, globalFiles, mode, hash }: HostKeyRules): KnownHosts =>
  new KnownHosts({ userFiles, globalFiles, mode, ...(hash !== undefined && { hash }) });

const refusal = (message: string, detail: Record<string, unknown>): SshError =>
  new SshError('host-key', message, { by: 'peer', detail });

class Judgement {
  readonly #rules: HostKeyRules;
  readonly #question: HostKeyQuestion;
  readonly #known: KnownHosts;
  readonly #key: { readonly type: string; readonly blob: Uint8Array };
  readonly #label: string;
  readonly #print: string;

  constructor(rules: HostKeyRules, question: HostKeyQuestion) {
    this.#rules = rules;
    this.#question = question;
    this.#known = open(rules);
    const { key } = question.hostKey;
    this.#key = { type: key.type, blob: key.blob };
    this.#label = keyTypeLabel(key);
    this.#print = fingerprint(rules.crypto, key.blob, rules.fingerprintHash ?? 'sha256');
  }

  get #name(): string {
    const { host, port } = this.#question;
    const name = this.#rules.alias ?? host;
    return this.#rules.alias === undefined && port !== 22 ? `[${name}]:${port}` : name;
  }

  async verdict(): Promise<boolean> {
    const { host, port, hostKey } = this.#question;
    const { certificate } = hostKey;
    this.#rules.log?.(1, `Server host key: ${certificate?.type ?? this.#key.type} ${this.#print}`);
    const query = { host, port, alias: this.#rules.alias };
    const authority =
      certificate === undefined
        ? undefined
        : { type: certificate.signatureKey.type, blob: certificate.signatureKey.blob };
    const check = this.#known.check(query, this.#key, authority);
    switch (check.status) {
      case 'ok':
        return this.#trusted(check);
      case 'revoked':
        throw this.#revoked(check);
      case 'changed':
        return this.#changed(check);
      case 'unknown':
        return this.#unknown();
    }
  }

  #trusted(check: HostKeyCheck): boolean | Promise<boolean> {
    const { log, crypto, caAlgorithms } = this.#rules;
    const { certificate } = this.#question.hostKey;
    if (check.byAuthority && certificate !== undefined) {
      const verdict = checkCertificate(crypto, certificate, {
        role: 'host',
        principal: this.#rules.alias ?? this.#question.host,
        matches: (pattern, name) => matchPattern(pattern, name),
        now: BigInt(Math.floor(Date.now() / 1000)),
        ...(caAlgorithms && { allowedSignatureAlgorithms: caAlgorithms }),
      });
      if (!verdict.ok) {
        this.#rules.warn?.(`Host certificate of ${this.#name} is not valid: ${verdict.text}.`);
        return this.#withoutCertificate();
      }
    }
    log?.(
      1,
      `Host '${this.#name}' is known and matches the ${this.#label} host ${check.byAuthority ? 'certificate' : 'key'}.`,
    );
    if (check.line !== undefined)
      log?.(1, `Found ${check.byAuthority ? 'CA ' : ''}key in ${check.line.file}:${check.line.line}`);
    return true;
  }

  /** A certificate that does not hold counts for nothing: the key under it is judged as a plain key. */
  #withoutCertificate(): boolean | Promise<boolean> {
    const { host, port } = this.#question;
    const check = this.#known.check({ host, port, alias: this.#rules.alias }, this.#key);
    if (check.status === 'ok') return this.#trusted({ ...check, byAuthority: false });
    if (check.status === 'revoked') throw this.#revoked(check);
    return check.status === 'changed' ? this.#changed(check) : this.#unknown();
  }

  #revoked(check: HostKeyCheck): SshError {
    const text = `The ${this.#label} host key for ${this.#name} is marked as revoked.`;
    this.#rules.warn?.(
      [
        '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
        '@       WARNING: REVOKED HOST KEY DETECTED!               @',
        '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
        text,
        'This could mean that a stolen key is being used to impersonate this host.',
      ].join('\n'),
    );
    return refusal(text, {
      reason: 'revoked',
      name: this.#name,
      file: check.line?.file,
      line: check.line?.line,
      fingerprint: this.#print,
    });
  }

  #changed(check: HostKeyCheck): boolean {
    const { mode, warn } = this.#rules;
    const { line } = check;
    warn?.(
      [
        '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
        '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
        '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@',
        'IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!',
        'Someone could be eavesdropping on you right now (man-in-the-middle attack)!',
        'It is also possible that a host key has just been changed.',
        `The fingerprint for the ${this.#label} key sent by the remote host is\n${this.#print}.`,
        'Please contact your system administrator.',
        ...(line === undefined
          ? []
          : [
              `Add correct host key in ${this.#known.file ?? line.file} to get rid of this message.`,
              `Offending ${line.keyType} key in ${line.file}:${line.line}`,
            ]),
      ].join('\n'),
    );
    const text = `Host key for ${this.#name} has changed and you have requested strict checking.`;
    if (mode !== 'no') {
      throw refusal(text, {
        reason: 'changed',
        name: this.#name,
        file: line?.file,
        line: line?.line,
        fingerprint: this.#print,
      });
    }
    warn?.('Password authentication is disabled to avoid man-in-the-middle attacks.');
    warn?.('Keyboard-interactive authentication is disabled to avoid man-in-the-middle attacks.');
    this.#rules.onDistrusted?.();
    return true;
  }

  async #unknown(): Promise<boolean> {
    const { mode, warn } = this.#rules;
    const detail = { reason: 'unknown', name: this.#name, fingerprint: this.#print, type: this.#label };
    if (mode === 'yes') {
      throw refusal(
        `No ${this.#label} host key is known for ${this.#name} and you have requested strict checking.`,
        detail,
      );
    }
    if (mode === 'ask' && !(await this.#ask()))
      throw refusal('Host key verification failed.', { ...detail, reason: 'declined' });
    try {
      this.#known.add([this.#name], this.#key);
      if (this.#known.file !== undefined)
        warn?.(`Warning: Permanently added '${this.#name}' (${this.#label}) to the list of known hosts.`);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      warn?.(`Failed to add the host to the list of known hosts (${this.#known.file ?? 'none'}).`);
    }
    return true;
  }

  async #ask(): Promise<boolean> {
    const { prompter } = this.#rules;
    const { address, host } = this.#question;
    const where = address === undefined || address === host ? '' : ` (${address})`;
    const question = [
      `The authenticity of host '${this.#name}${where}' can't be established.`,
      `${this.#label} key fingerprint is ${this.#print}.`,
      'This key is not known by any other names.',
      'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
    ].join('\n');
    let text = question;
    for (;;) {
      const answer = (await prompter?.ask({ text, echo: true, purpose: `host key ${this.#name}` }))?.trim();
      if (answer === undefined || answer === '' || /^no$/i.test(answer)) return false;
      if (/^yes$/i.test(answer) || answer === this.#print) return true;
      text = "Please type 'yes', 'no' or the fingerprint: ";
    }
  }
}
