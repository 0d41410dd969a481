/**
 * Which keys are offered, and in what order (ssh_config(5) IdentityFile, CertificateFile, IdentitiesOnly, as ssh(1) has
 * it): the user's certificates, the user's keys that the agent holds, the agent's other keys, the remaining key files.
 * One difference: files the user named that cost no passphrase go before the agent's other keys, for a full agent would
 * use up the server's patience. A file's private part is opened when its turn comes; an agent that fails never stops the
 * rest.
 */

import {
  type AgentIdentity,
  type Binding,
  type Certificate,
  type CryptoProvider,
  type FingerprintHash,
  fingerprint,
  keyBits,
  keyTypeLabel,
  type PrivateKey,
  type PublicKey,
  parseKeyOrCertificate,
  SignFlags,
  SshError,
  sign,
  signatureAlgorithm,
  signatureAlgorithmsFor,
  signatureRow,
} from '../protocol/index.ts';
import type { AgentConnection } from '../transport/index.ts';
import { bindAgent } from './agent-binding.ts';
import type { Identity } from './auth.ts';
import type { KeyFile, KeyStore } from './key-store.ts';

export interface IdentitySources {
  readonly store: KeyStore;
  readonly crypto: CryptoProvider;
  readonly files: readonly { readonly path: string; readonly explicit: boolean }[];
  readonly certificates: readonly { readonly path: string; readonly explicit: boolean }[];
  /** Connects to the agent; undefined for none. */
  readonly agent?: (() => Promise<AgentConnection>) | undefined;
  /** What the agent is told of the server, so that restricted keys show themselves. */
  readonly binding?: Binding | undefined;
  /** Only keys named in `files`, wherever they live. */
  readonly only: boolean;
  /** PubkeyAcceptedAlgorithms; missing: all. */
  readonly accepted?: readonly string[];
  readonly requiredRsaSize?: number;
  readonly fingerprintHash?: FingerprintHash;
  /** False: no passphrase may be asked for. */
  readonly ask?: boolean;
  readonly passphrasePrompts?: number;
  /** A key file served for a log-in: AddKeysToAgent. */
  readonly onUsed?: ((key: PrivateKey, path: string) => Promise<void>) | undefined;
  readonly warn?: ((text: string) => void) | undefined;
  readonly log?: ((level: 0 | 1 | 2 | 3, text: string) => void) | undefined;
}

interface Held extends AgentIdentity {
  readonly key: PublicKey;
  readonly certificate: Certificate | undefined;
}

/** A key that may be offered, before it is known who signs. */
interface Candidate {
  readonly label: string;
  readonly explicit: boolean;
  /** Undefined when only the private part tells. */
  readonly key: PublicKey | undefined;
  readonly certificate?: Certificate | undefined;
  /** Where the private part should be. */
  readonly file?: KeyFile | undefined;
  /** What the agent signs with. */
  readonly entry?: Held | undefined;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const blobOf = ({ key, certificate }: Candidate): Uint8Array | undefined => certificate?.blob ?? key?.blob;

export async function* identities(sources: IdentitySources): AsyncGenerator<Identity> {
  const agent = await openAgent(sources);
  try {
    const held = agent === undefined ? [] : await agentKeys(agent, sources);
    const candidates = arrange(sources, held).filter((candidate) => isWelcome(sources, candidate));
    for (const candidate of candidates) sources.log?.(1, `Will attempt key: ${describe(sources, candidate)}`);
    for (const candidate of candidates) {
      const identity = await toIdentity(sources, candidate, agent);
      if (identity !== undefined) yield identity;
    }
  } finally {
    agent?.close();
  }
}

// ---- the agent

async function openAgent({ agent, binding, log }: IdentitySources): Promise<AgentConnection | undefined> {
  try {
    const connection = await agent?.();
    if (connection !== undefined && binding !== undefined) await bindAgent(connection, binding, log);
    return connection;
  } catch (error) {
    if (!(error instanceof SshError) || error.code === 'aborted') throw error;
    log?.(1, `get_agent_identities: ssh_get_authentication_socket: ${error.message}`);
    return undefined;
  }
}

/** What the agent shows us; keys of types we do not know cannot be used. */
async function agentKeys(agent: AgentConnection, { log }: IdentitySources): Promise<Held[]> {
  try {
    const keys = await agent.list();
    log?.(
      1,
      keys.length === 0
        ? 'get_agent_identities: agent contains no identities'
        : `get_agent_identities: agent returned ${keys.length} keys`,
    );
    return keys.flatMap((entry) => readHeld(entry) ?? []);
  } catch (error) {
    if (!(error instanceof SshError) || error.code === 'aborted') throw error;
    log?.(1, `get_agent_identities: ssh_fetch_identitylist: ${error.message}`);
    return [];
  }
}

function readHeld(entry: AgentIdentity): Held | undefined {
  try {
    const { key, certificate } = parseKeyOrCertificate(entry.blob);
    return { ...entry, key, certificate };
  } catch (error) {
    if (error instanceof SshError) return undefined;
    throw error;
  }
}

// ---- the order

function arrange(sources: IdentitySources, held: readonly Held[]): Candidate[] {
  const files = fileCandidates(sources);
  const inAgent: Candidate[] = [];
  const others: Candidate[] = [];
  const left = new Set(files);
  for (const entry of held) {
    const named = [...left].find((candidate) => {
      const blob = blobOf(candidate);
      return blob !== undefined && same(blob, entry.blob);
    });
    if (named !== undefined) {
      left.delete(named);
      inAgent.push({ ...named, entry });
    } else if (!sources.only) {
      others.push({ label: entry.comment, explicit: false, key: entry.key, certificate: entry.certificate, entry });
    }
  }
  const free = [...left].filter(
    ({ explicit, key, file }) =>
      others.length > 0 && explicit && key !== undefined && file !== undefined && !file.encrypted,
  );
  const rest = [...left].filter((candidate) => !free.includes(candidate));
  const certificates = named(sources);
  const all = [...certificates, ...inAgent, ...free, ...others, ...rest];
  return all.map((candidate) => withSigner(candidate, files, held));
}

/** CertificateFile. */
function named({ store, certificates, log }: IdentitySources): Candidate[] {
  return certificates.flatMap(({ path, explicit }) => {
    const certificate = store.certificate(path, explicit);
    if (certificate === undefined) return [];
    if (certificate.role !== 'user') {
      log?.(1, `ignoring certificate ${path}: not a user certificate`);
      return [];
    }
    return [{ label: path, explicit, key: certificate.key, certificate }];
  });
}

/** Each key file, followed by KEY-cert.pub beside it unless the user named certificates. */
function fileCandidates(sources: IdentitySources): Candidate[] {
  const { store, files, certificates } = sources;
  return files.flatMap(({ path, explicit }) => {
    const file = store.file(path, explicit);
    const beside = certificates.length === 0 ? store.certificate(`${path}-cert.pub`, false) : undefined;
    const key = file?.publicKey ?? beside?.key;
    const plain: Candidate = { label: path, explicit, key: file?.publicKey, certificate: file?.certificate, file };
    return [plain, ...(beside?.role === 'user' ? [{ label: path, explicit, key, certificate: beside, file }] : [])];
  });
}

/** A certificate is signed for by the plain key it certifies, wherever that is. */
function withSigner(candidate: Candidate, files: readonly Candidate[], held: readonly Held[]): Candidate {
  const { certificate, entry, file } = candidate;
  if (certificate === undefined || entry !== undefined) return candidate;
  const inAgent =
    held.find(({ blob }) => same(blob, certificate.blob)) ?? held.find(({ blob }) => same(blob, certificate.key.blob));
  if (inAgent !== undefined) return { ...candidate, entry: inAgent };
  if (file !== undefined && !file.publicOnly) return candidate;
  const holder = files.find(
    (other) =>
      other.file !== undefined &&
      !other.file.publicOnly &&
      other.file.publicKey !== undefined &&
      same(other.file.publicKey.blob, certificate.key.blob),
  );
  return { ...candidate, file: holder?.file };
}

// ---- what is left out

const labelOf = (key: PublicKey, certificate: Certificate | undefined): string =>
  `${keyTypeLabel(key)}${certificate === undefined ? '' : '-CERT'}`;

/** `PATH TYPE FINGERPRINT explicit agent`, as ssh(1) lists a key. */
function describe({ crypto, fingerprintHash = 'sha256' }: IdentitySources, candidate: Candidate): string {
  const { label, key, certificate, explicit, entry } = candidate;
  const facts =
    key === undefined ? '' : `${labelOf(key, certificate)} ${fingerprint(crypto, key.blob, fingerprintHash)}`;
  const notes = [
    explicit ? ' explicit' : '',
    key?.type.startsWith('sk-') ? ' authenticator' : '',
    entry === undefined ? '' : ' agent',
  ];
  return `${label} ${facts}${notes.join('')}`;
}

function isWelcome({ accepted, requiredRsaSize = 0, log }: IdentitySources, candidate: Candidate): boolean {
  const { key, certificate, label, entry, file } = candidate;
  if (key === undefined) return true;
  const type = certificate?.type ?? key.type;
  if (accepted !== undefined && !signatureAlgorithmsFor(type).some((name) => accepted.includes(name))) {
    log?.(1, `Skipping ${type} key ${label} - corresponding algorithm not in PubkeyAcceptedAlgorithms`);
    return false;
  }
  if (key.material.kind === 'rsa' && keyBits(key) < requiredRsaSize) {
    log?.(1, entry === undefined ? `Skipping key ${label}: Invalid key length` : `ignoring RSA agent key ${label}`);
    return false;
  }
  if (entry !== undefined) return true;
  if (key.type.startsWith('sk-')) return true;
  if (file === undefined || file.publicOnly) {
    log?.(1, certificate === undefined ? `no private key for ${label}` : `no private key for certificate ${label}`);
    return false;
  }
  return true;
}

// ---- signing

async function toIdentity(
  sources: IdentitySources,
  candidate: Candidate,
  agent: AgentConnection | undefined,
): Promise<Identity | undefined> {
  const { label, file, entry } = candidate;
  const key = candidate.key ?? (await untold(sources, candidate));
  if (key === undefined) return undefined;
  const { certificate } = candidate;
  const type = certificate?.type ?? key.type;
  const shared = {
    label,
    blob: certificate?.blob ?? key.blob,
    type,
    ...(sources.log && { description: describe(sources, { ...candidate, key }) }),
    algorithms: signatureAlgorithmsFor(type),
  };
  if (entry !== undefined && agent !== undefined) {
    const signer = (algorithm: string, data: Uint8Array): Promise<Uint8Array | undefined> =>
      signInAgent(sources, agent, candidate, algorithm, data);
    return { ...shared, source: 'agent', costly: true, sign: signer };
  }
  if (key.type.startsWith('sk-')) {
    const what = `${labelOf(key, certificate)} key "${label}"`;
    sources.store.warn(
      label,
      `The ${what} is kept in a token, which signs through an agent only: add it to one (ssh-add).`,
    );
    return undefined;
  }
  if (file === undefined) return undefined;
  return {
    ...shared,
    source: 'file',
    costly: file.encrypted && candidate.key !== undefined,
    sign: (algorithm, data) => signWithFile(sources, file, algorithm, data),
    used: () => used(sources, file),
  };
}

/** A key whose public half is unknown has to be decrypted before it can be offered. */
async function untold(sources: IdentitySources, { label, file }: Candidate): Promise<PublicKey | undefined> {
  const { log } = sources;
  log?.(1, `Trying private key: ${label}`);
  if (file === undefined) {
    log?.(3, `no such identity: ${label}: No such file or directory`);
    return undefined;
  }
  const key = await load(sources, file);
  return key !== undefined && isWelcome(sources, { label, explicit: false, key: key.publicKey, file })
    ? key.publicKey
    : undefined;
}

const load = ({ store, ask, passphrasePrompts, log }: IdentitySources, { path }: KeyFile) =>
  store.privateKey(path, {
    log,
    ...(ask !== undefined && { ask }),
    ...(passphrasePrompts !== undefined && { attempts: passphrasePrompts }),
  });

async function used(sources: IdentitySources, file: KeyFile): Promise<void> {
  if (sources.onUsed === undefined) return;
  const key = await load(sources, file);
  if (key !== undefined) await sources.onUsed(key, file.path);
}

const flagsFor: Readonly<Record<string, number>> = {
  'rsa-sha2-512': SignFlags.rsaSha512,
  'rsa-sha2-256': SignFlags.rsaSha256,
};

async function signInAgent(
  { warn }: IdentitySources,
  agent: AgentConnection,
  { key, label, entry, certificate }: Candidate,
  algorithm: string,
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  const plain = signatureRow(algorithm)?.plain ?? algorithm;
  const failed = (why: string): undefined => {
    const what = key === undefined ? label : `${labelOf(key, certificate)} "${label}"`;
    warn?.(`sign_and_send_pubkey: signing failed for ${what} from agent: ${why}`);
    return undefined;
  };
  try {
    const signature = await agent.sign(entry!.blob, data, flagsFor[plain] ?? 0);
    // An agent that does not know the flags signs with SHA-1: the server would only refuse that.
    return signatureAlgorithm(signature) === plain ? signature : failed('signature algorithm not supported');
  } catch (error) {
    // An agent that refuses (locked, not confirmed, restricted) or dies leaves the other keys their chance.
    if (!(error instanceof SshError) || error.code === 'aborted') throw error;
    return failed(error.by === 'peer' && error.code === 'agent' ? 'agent refused operation' : error.message);
  }
}

async function signWithFile(
  sources: IdentitySources,
  file: KeyFile,
  algorithm: string,
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  const key = await load(sources, file);
  if (key === undefined) return undefined;
  if (file.publicKey !== undefined && !same(key.publicKey.blob, file.publicKey.blob)) {
    sources.warn?.(`identity_sign: private key ${file.path} contents do not match public`);
    return undefined;
  }
  return sign(sources.crypto, key, algorithm, data);
}
