/**
 * Judging a server's key (ssh_config(5) StrictHostKeyChecking and its kin): revocations, DNS, certificates of known
 * authorities, known_hosts by name and by address, and the four modes. The words are in host-key-texts.ts.
 */

import { isIPv4 } from 'node:net';
import {
  type Certificate,
  type CertificateFault,
  type CryptoProvider,
  checkCertificate,
  type FingerprintHash,
  fingerprint,
  keyBits,
  keyTypeLabel,
  randomart,
  SshError,
  signatureRow,
} from '../protocol/index.ts';
import { type HostKeyCheck, type HostQuery, type KnownHostLine, knownHostName } from './config/known-hosts.ts';
import { matchPattern } from './config/pattern.ts';
import type { HostKeyPolicy, HostKeyQuestion } from './connect.ts';
import * as texts from './host-key-texts.ts';
import { isFromCommand, type KnownHostsQuestion } from './known-hosts-command.ts';
import { KnownHosts } from './known-hosts-file.ts';
import type { Prompter } from './prompter.ts';
import { refuseRevoked } from './revoked-host-keys.ts';
import { type SshfpVerdict, verifySshfp } from './sshfp.ts';

export interface HostKeyRules {
  readonly crypto: CryptoProvider;
  readonly mode: 'yes' | 'accept-new' | 'ask' | 'no';
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  readonly alias?: string | undefined;
  readonly hash?: boolean;
  readonly fingerprintHash?: FingerprintHash;
  readonly caAlgorithms?: readonly string[];
  /** HostKeyAlgorithms: what a certificate is, when it does not hold, must be in here as a plain key. */
  readonly accepted?: readonly string[];
  readonly requiredRsaSize?: number;
  readonly revokedFile?: string | undefined;
  /** KnownHostsCommand. */
  readonly command?: ((question: KnownHostsQuestion) => Promise<readonly KnownHostLine[]>) | undefined;
  /** Look the key up by address too. Not for a way through a proxy, which has no address. */
  readonly checkIp?: boolean;
  readonly skipForLocalhost?: boolean;
  readonly visual?: boolean;
  /** VerifyHostKeyDNS: `yes` trusts a secure answer, `ask` only mentions it. */
  readonly dns?: { readonly mode: 'yes' | 'ask'; lookup(host: string): Promise<SshfpVerdict['answer']> } | undefined;
  /** Written as `~` in messages. */
  readonly home?: string | undefined;
  readonly prompter?: Prompter | undefined;
  /** Lines for the user, as ssh(1) words them. */
  readonly warn?: (text: string) => void;
  readonly log?: (level: 0 | 1 | 2 | 3, text: string) => void;
  /** The key was accepted, and this is what it is worth. */
  readonly onAccepted?: (outcome: HostKeyOutcome) => void;
}

export interface HostKeyOutcome {
  /** The key changed and was accepted all the same (mode `no`): passwords and forwarding must stay off. */
  readonly distrusted: boolean;
  /** Known in the user's own files, or confirmed by the user: the server may tell its other keys (UpdateHostKeys). */
  readonly mayUpdate: boolean;
}

/** The policy that ssh(1) has, over files of known hosts. */
export function knownHostsPolicy(rules: HostKeyRules): HostKeyPolicy {
  return async (question) => {
    // Judged first, told afterwards: whether anybody listens must not matter.
    const outcome = await new Judgement(rules, question).verdict();
    rules.onAccepted?.(outcome);
    return true;
  };
}

/**
 * Host-key algorithms with those first for which a key is known, so that a server shows a key we can check. The list
 * stays as it is when a key of its first type is known. A KnownHostsCommand that fails ends the attempt.
 */
export async function orderHostKeyAlgorithms(
  names: readonly string[],
  rules: HostKeyRules,
  host: string,
  port: number,
): Promise<readonly string[]> {
  const extra = await rules.command?.({ reason: 'ORDER', name: host });
  let known: { types: string[]; authority: boolean };
  try {
    known = open(rules, extra).keyTypes({ host, port, alias: rules.alias });
  } catch (error) {
    // An unusable file is refused when the key is judged, with its reason.
    if (error instanceof SshError) return names;
    throw error;
  }
  const isKnown = (name: string): boolean => known.types.includes(signatureRow(name)?.keyType ?? '');
  const [best] = names;
  if (best !== undefined && isKnown(best)) return names;
  const first = names.filter((name) => isKnown(name) || (known.authority && signatureRow(name)?.certificate));
  if (first.length > 0) rules.log?.(3, `order_hostkeyalgs: prefer hostkeyalgs: ${first.join(',')}`);
  return [...first, ...names.filter((name) => !first.includes(name))];
}

const open = ({ userFiles, globalFiles, mode, hash }: HostKeyRules, extra: readonly KnownHostLine[] = []): KnownHosts =>
  new KnownHosts({ userFiles, globalFiles, mode, extra, ...(hash !== undefined && { hash }) });

const refusal = (message: string, detail: Record<string, unknown>): SshError =>
  new SshError('host-key', message, { by: 'peer', detail });

const isLocal = (address: string): boolean =>
  (isIPv4(address) && address.startsWith('127.')) || address === '::1' || address.startsWith('::ffff:127.');

/** ssh(1)'s reasons; the others are put as the check puts them. */
const certificateFaults: Partial<Record<CertificateFault, string>> = {
  role: 'Certificate invalid: not a host certificate',
  'not-yet-valid': 'Certificate invalid: not yet valid',
  expired: 'Certificate invalid: expired',
  principal: 'Certificate invalid: name is not a listed principal',
  'critical-option': 'Certificate contains unsupported critical options',
  'signature-algorithm': 'Certificate signed with disallowed algorithm',
};

class Judgement {
  readonly #rules: HostKeyRules;
  readonly #question: HostKeyQuestion;
  readonly #key: { readonly type: string; readonly blob: Uint8Array };
  readonly #query: HostQuery;
  readonly #shown: texts.ShownKey;
  /** The lines for the name, and those for the address when that is looked up too. */
  #known!: KnownHosts;
  #knownByIp: KnownHosts | undefined;
  #inDns: boolean | undefined;

  constructor(rules: HostKeyRules, question: HostKeyQuestion) {
    this.#rules = rules;
    this.#question = question;
    const { host, port, hostKey } = question;
    this.#key = { type: hostKey.key.type, blob: hostKey.key.blob };
    this.#query = { host, port, alias: rules.alias };
    this.#shown = {
      name: knownHostName(this.#query),
      label: keyTypeLabel(hostKey.key),
      // Asked for by messages alone.
      get fingerprint() {
        return fingerprint(rules.crypto, hostKey.key.blob, rules.fingerprintHash ?? 'sha256');
      },
    };
  }

  get #certificateLabel(): string {
    return `${this.#shown.label}${this.#question.hostKey.certificate === undefined ? '' : '-CERT'}`;
  }

  get #ipQuery(): HostQuery | undefined {
    const { checkIp } = this.#rules;
    const { address, host, port } = this.#question;
    if (!checkIp || address === undefined || address === host || isLocal(address)) return undefined;
    return { host: address, port };
  }

  #log(level: 0 | 1 | 2 | 3, text: string): void {
    this.#rules.log?.(level, text);
  }

  async verdict(): Promise<HostKeyOutcome> {
    const { crypto, revokedFile, requiredRsaSize = 0 } = this.#rules;
    const { key, certificate } = this.#question.hostKey;
    this.#announce();
    if (key.material.kind === 'rsa' && keyBits(key) < requiredRsaSize)
      throw refusal('Bad server host key: Invalid key length', { reason: 'rsa-size', bits: keyBits(key) });
    if (revokedFile !== undefined) {
      refuseRevoked(crypto, revokedFile, certificate ?? key, { ...this.#shown, label: this.#certificateLabel });
    }
    if (await this.#trustedByDns()) return { distrusted: false, mayUpdate: false };
    const { address } = this.#question;
    if (this.#rules.skipForLocalhost && this.#rules.alias === undefined && address !== undefined && isLocal(address)) {
      this.#log(1, 'Forcing accepting of host key for loopback/localhost.');
      return { distrusted: false, mayUpdate: false };
    }
    await this.#load();
    if (certificate !== undefined && this.#certified(certificate)) return { distrusted: false, mayUpdate: false };
    return this.#plain();
  }

  #announce(): void {
    if (this.#rules.log === undefined) return;
    const { certificate } = this.#question.hostKey;
    const print = this.#shown.fingerprint;
    if (certificate === undefined) return this.#log(1, `Server host key: ${this.#key.type} ${print}`);
    const authority = fingerprint(
      this.#rules.crypto,
      certificate.signatureKey.blob,
      this.#rules.fingerprintHash ?? 'sha256',
    );
    this.#log(
      1,
      `Server host certificate: ${certificate.type} ${print}, serial ${certificate.serial} ID "${certificate.keyId}" CA ${certificate.signatureKey.type} ${authority}`,
    );
    for (const name of certificate.principals) this.#log(2, `Server host certificate hostname: ${name}`);
  }

  /** True when a secure answer vouches for the key and that is enough. */
  async #trustedByDns(): Promise<boolean> {
    const { dns, crypto, warn } = this.#rules;
    if (dns === undefined) return false;
    const { host, hostKey } = this.#question;
    const verdict = verifySshfp(crypto, hostKey.key, await dns.lookup(host));
    for (const line of verdict.notes) this.#log(1, line);
    if (verdict.match && verdict.secure && dns.mode === 'yes') return true;
    this.#inDns = verdict.match;
    if (verdict.found && !verdict.match) {
      warn?.(texts.changedKeyText(this.#shown));
      warn?.('Update the SSHFP RR in DNS with the new host key to get rid of this message.');
    }
    return false;
  }

  async #load(): Promise<void> {
    const { command } = this.#rules;
    const { hostKey } = this.#question;
    const shown = {
      type: hostKey.certificate?.type ?? this.#key.type,
      blob: hostKey.blob,
      keyBlob: this.#key.blob,
    };
    this.#known = open(this.#rules, await command?.({ reason: 'HOSTNAME', name: this.#shown.name, shown }));
    const query = this.#ipQuery;
    if (query === undefined || hostKey.certificate !== undefined) return;
    const extra = await command?.({ reason: 'ADDRESS', name: knownHostName(query), shown });
    this.#knownByIp = open(this.#rules, extra);
  }

  /** Whether an authority that we know for this host vouches for the key; a certificate that does not hold counts for nothing. */
  #certified(certificate: Certificate): boolean {
    const { type, blob } = certificate.signatureKey;
    const check = this.#known.check(this.#query, this.#key, { type, blob });
    if (check.status === 'revoked') throw this.#revoked(check, this.#certificateLabel);
    if (check.status === 'ok' && check.byAuthority) {
      const fault = this.#fault(certificate);
      if (fault === undefined) {
        this.#found(check, `${this.#shown.label}-CERT`, 'certificate');
        this.#picture();
        return true;
      }
      this.#rules.warn?.(fault);
    }
    this.#log(1, 'No matching CA found. Retry with plain key');
    const { accepted } = this.#rules;
    if (accepted !== undefined && !accepted.some((name) => signatureRow(name)?.blobType === this.#key.type)) {
      throw refusal(`Server host key ${this.#key.type} not in HostKeyAlgorithms`, { reason: 'algorithm' });
    }
    return false;
  }

  #fault(certificate: Certificate): string | undefined {
    const { crypto, caAlgorithms, alias } = this.#rules;
    if (certificate.principals.length === 0) return 'Certificate lacks principal list';
    const verdict = checkCertificate(crypto, certificate, {
      role: 'host',
      principal: (alias ?? this.#question.host).toLowerCase(),
      matches: (pattern, name) => matchPattern(name, pattern),
      now: BigInt(Math.floor(Date.now() / 1000)),
      ...(caAlgorithms && { allowedSignatureAlgorithms: caAlgorithms }),
    });
    return verdict.ok ? undefined : (certificateFaults[verdict.reason] ?? `Certificate invalid: ${verdict.text}`);
  }

  #found({ line, withoutPort }: HostKeyCheck, label: string, what: 'key' | 'certificate'): void {
    if (withoutPort) this.#log(1, 'found matching key w/out port');
    this.#log(1, `Host '${this.#shown.name}' is known and matches the ${label} host ${what}.`);
    if (line !== undefined) this.#log(1, `Found ${what === 'key' ? 'key' : 'CA key'} in ${line.file}:${line.line}`);
  }

  #picture(): void {
    const { visual, crypto, fingerprintHash, warn } = this.#rules;
    if (visual)
      warn?.(
        `Host key fingerprint is ${this.#shown.fingerprint}\n${randomart(crypto, this.#question.hostKey.key, fingerprintHash)}`,
      );
  }

  async #plain(): Promise<HostKeyOutcome> {
    const check = this.#known.check(this.#query, this.#key);
    const ipQuery = this.#ipQuery;
    const byIp = ipQuery && (this.#knownByIp ?? this.#known).check(ipQuery, this.#key);
    const outcome = await this.#outcome(check, byIp);
    if (byIp?.status === 'changed' && check.status !== 'changed') await this.#addressDiffers(check, byIp);
    return outcome;
  }

  #outcome(check: HostKeyCheck, byIp: HostKeyCheck | undefined): HostKeyOutcome | Promise<HostKeyOutcome> {
    switch (check.status) {
      case 'ok':
        return this.#trusted(check, byIp);
      case 'revoked':
        throw this.#revoked(check, this.#shown.label);
      case 'changed':
        return this.#changed(check, byIp);
      case 'unknown':
        return this.#unknown(byIp);
    }
  }

  #trusted(check: HostKeyCheck, byIp: HostKeyCheck | undefined): HostKeyOutcome {
    const { line } = check;
    this.#found(check, this.#shown.label, 'key');
    const isOurs = (found: KnownHostLine | undefined): boolean =>
      found !== undefined && this.#rules.userFiles.includes(found.file);
    if (byIp?.status === 'unknown') this.#addAddress(line);
    else this.#picture();
    const mayUpdate = isOurs(line) && !check.withoutPort && (byIp?.status !== 'ok' || isOurs(byIp.line));
    return { distrusted: false, mayUpdate };
  }

  /** The name is known and the address is not. */
  #addAddress(line: KnownHostLine | undefined): void {
    const { warn } = this.#rules;
    const { label } = this.#shown;
    const ip = knownHostName(this.#ipQuery!);
    if (this.#known.file === undefined || (line !== undefined && isFromCommand(line))) {
      return warn?.(`${label} host key for IP address '${ip}' not in list of known hosts.`);
    }
    try {
      this.#known.add([ip], this.#key);
      warn?.(`Warning: Permanently added the ${label} host key for IP address '${ip}' to the list of known hosts.`);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      warn?.(
        `Failed to add the ${label} host key for IP address '${ip}' to the list of known hosts (${this.#known.file}).`,
      );
    }
  }

  #revoked({ line }: HostKeyCheck, label: string): SshError {
    const { name, fingerprint: print } = this.#shown;
    this.#rules.warn?.(texts.revokedKeyText({ ...this.#shown, label }));
    return refusal(`${label} host key for ${name} was revoked and you have requested strict checking.`, {
      reason: 'revoked',
      name,
      file: line?.file,
      line: line?.line,
      fingerprint: print,
    });
  }

  #changed({ line }: HostKeyCheck, byIp: HostKeyCheck | undefined): HostKeyOutcome {
    const { mode, warn, userFiles, globalFiles } = this.#rules;
    const { name, fingerprint: print } = this.#shown;
    if (byIp !== undefined && (byIp.status !== 'changed' || byIp.line?.line !== line?.line)) {
      warn?.(texts.spoofingText(this.#shown, knownHostName(this.#ipQuery!), byIp.status, byIp.line));
    }
    warn?.(texts.changedKeyText(this.#shown));
    const file = userFiles[0] ?? globalFiles[0];
    if (line !== undefined) warn?.(texts.offendingText(line, labelOfType(line.keyType), file ?? line.file));
    if (mode !== 'no') {
      throw refusal(`Host key for ${name} has changed and you have requested strict checking.`, {
        reason: 'changed',
        name,
        file: line?.file,
        line: line?.line,
        fingerprint: print,
      });
    }
    warn?.('Password authentication is disabled to avoid man-in-the-middle attacks.');
    warn?.('Keyboard-interactive authentication is disabled to avoid man-in-the-middle attacks.');
    return { distrusted: true, mayUpdate: false };
  }

  async #unknown(byIp: HostKeyCheck | undefined): Promise<HostKeyOutcome> {
    const { mode, warn } = this.#rules;
    const { name, label, fingerprint: print } = this.#shown;
    const detail = { reason: 'unknown', name, fingerprint: print, type: label };
    if (mode === 'yes')
      throw refusal(`No ${label} host key is known for ${name} and you have requested strict checking.`, detail);
    // As ssh has it: where nothing can be remembered, nothing is learnt.
    if (this.#known.file === undefined || /[@?*#[\]|'"\\]/.test(this.#rules.alias ?? this.#question.host))
      throw refusal(`No ${label} host key is known for ${name} and it cannot be remembered.`, detail);
    if (mode === 'ask' && !(await this.#confirm(this.#unknownQuestion(), true)))
      throw refusal('The host key was not accepted.', { ...detail, reason: 'declined' });
    const names = [name, ...(byIp?.status === 'unknown' ? [knownHostName(this.#ipQuery!)] : [])];
    try {
      this.#known.add(names, this.#key);
      warn?.(`Warning: Permanently added '${names.join(',')}' (${label}) to the list of known hosts.`);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      warn?.(`Failed to add the host to the list of known hosts (${this.#known.file}).`);
    }
    return { distrusted: false, mayUpdate: mode === 'ask' };
  }

  #unknownQuestion(): string {
    const { visual, crypto, fingerprintHash, home } = this.#rules;
    const { address, port, hostKey } = this.#question;
    const others = this.#known.all.filter(
      (line) => line.marker === 'none' && !isFromCommand(line) && Buffer.compare(line.blob, this.#key.blob) === 0,
    );
    return texts.unknownKeyQuestion({
      ...this.#shown,
      where: address === undefined ? '<no hostip for proxy command>' : knownHostName({ host: address, port }),
      randomart: visual ? randomart(crypto, hostKey.key, fingerprintHash) : undefined,
      inDns: this.#inDns,
      otherNames: texts.otherNamesText(others, home),
    });
  }

  async #addressDiffers(check: HostKeyCheck, byIp: HostKeyCheck): Promise<void> {
    const { mode, warn } = this.#rules;
    const ip = knownHostName(this.#ipQuery!);
    const text = texts.addressDiffersText(this.#shown, ip, byIp.line, check.status === 'ok' ? check.line : undefined);
    if (mode === 'ask') {
      if (await this.#confirm(`${text}\nAre you sure you want to continue connecting (yes/no)? `, false)) return;
      throw refusal('The host key was not accepted.', { reason: 'declined', name: this.#shown.name });
    }
    warn?.(text);
    if (mode !== 'no')
      throw refusal('Exiting, you have requested strict checking.', { reason: 'address', name: this.#shown.name, ip });
  }

  async #confirm(question: string, withFingerprint: boolean): Promise<boolean> {
    const { prompter } = this.#rules;
    const again = withFingerprint ? "Please type 'yes', 'no' or the fingerprint: " : "Please type 'yes' or 'no': ";
    for (let text = question; ; text = again) {
      const given = await prompter?.ask({ text, echo: true, purpose: `host key ${this.#shown.name}` });
      const answer = given?.trim().split(/\s/, 1)[0];
      if (answer === undefined || answer === '' || /^no$/i.test(answer)) return false;
      if (/^yes$/i.test(answer) || (withFingerprint && answer === this.#shown.fingerprint)) return true;
    }
  }
}

/** The short name of a type in known_hosts, where any word may stand. */
const labelOfType = (type: string): string =>
  /^sk-ssh-ed25519/.test(type)
    ? 'ED25519-SK'
    : /^sk-ecdsa/.test(type)
      ? 'ECDSA-SK'
      : /^ecdsa/.test(type)
        ? 'ECDSA'
        : type.replace(/^ssh-/, '').replace('dss', 'dsa').toUpperCase();
