/**
 * Which keys are offered, and in what order (ssh_config(5) IdentityFile, CertificateFile, IdentitiesOnly):
 * certificates of the user's choice, then the user's keys that the agent holds, then the agent's other keys, then the
 * user's key files. A file is opened when its turn comes; an agent that fails never stops the rest.
 */

import {
  type AgentIdentity,
  type Certificate,
  type CryptoProvider,
  decodeUtf8,
  type PublicKey,
  Reader,
  SignFlags,
  SshError,
  sign,
  signatureAlgorithmsFor,
} from '../protocol/index.ts';
import type { AgentConnection } from '../transport/index.ts';
import type { Identity } from './auth.ts';
import type { KeyFile, KeyStore } from './key-store.ts';

export interface IdentitySources {
  readonly store: KeyStore;
  readonly crypto: CryptoProvider;
  readonly files: readonly { readonly path: string; readonly explicit: boolean }[];
  readonly certificates: readonly { readonly path: string; readonly explicit: boolean }[];
  /** Connects to the agent; undefined for none. */
  readonly agent?: (() => Promise<AgentConnection>) | undefined;
  /** Only keys named in `files`, wherever they live. */
  readonly only: boolean;
  readonly log?: ((level: 1 | 2 | 3, text: string) => void) | undefined;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The key type a blob shows, or undefined for one that does not parse. */
function typeOf(blob: Uint8Array): string | undefined {
  try {
    return decodeUtf8(new Reader(blob).string());
  } catch (error) {
    if (error instanceof SshError) return undefined;
    throw error;
  }
}

export async function* identities(sources: IdentitySources): AsyncGenerator<Identity> {
  const { store, log } = sources;
  const agent = await openAgent(sources);
  try {
    const held = agent === undefined ? [] : await agentKeys(agent, log);
    const files = sources.files.flatMap(({ path, explicit }) => store.file(path, explicit) ?? []);
    const used = new Set<AgentIdentity>();
    const inAgent = (key: PublicKey | undefined): AgentIdentity | undefined =>
      held.find((entry) => key !== undefined && same(entry.blob, key.blob));
    for (const { certificate, path } of certificatesFor(sources, files)) {
      const identity = certified(sources, certificate, path, files, agent, held);
      if (identity !== undefined) yield identity;
    }
    for (const file of files) {
      const entry = inAgent(file.publicKey);
      if (entry === undefined || used.has(entry)) continue;
      used.add(entry);
      yield fromAgent(agent!, entry, file.path);
    }
    for (const entry of held) {
      if (used.has(entry)) continue;
      if (sources.only && !files.some((file) => namesSameKey(file, entry))) continue;
      yield fromAgent(agent!, entry, entry.comment);
    }
    for (const file of files) {
      if (file.publicOnly || inAgent(file.publicKey) !== undefined) continue;
      const identity = await fromFile(sources, file);
      if (identity !== undefined) yield identity;
    }
  } finally {
    agent?.close();
  }
}

/** A certificate the agent holds for a key the user named counts as named. */
function namesSameKey(file: KeyFile, entry: AgentIdentity): boolean {
  return file.publicKey !== undefined && same(file.publicKey.blob, entry.blob);
}

async function openAgent({ agent, log }: IdentitySources): Promise<AgentConnection | undefined> {
  try {
    return await agent?.();
  } catch (error) {
    if (!(error instanceof SshError) || error.code === 'aborted') throw error;
    log?.(1, `get_agent_identities: ${error.message}`);
    return undefined;
  }
}

async function agentKeys(agent: AgentConnection, log: IdentitySources['log']): Promise<readonly AgentIdentity[]> {
  try {
    const keys = await agent.list();
    log?.(1, keys.length === 0 ? 'agent contains no identities' : `agent returned ${keys.length} keys`);
    return keys;
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    log?.(1, `get_agent_identities: ${error.message}`);
    return [];
  }
}

/** The user's certificates, and those that lie beside key files as KEY-cert.pub. */
function certificatesFor(
  { store, certificates, files }: IdentitySources,
  known: readonly KeyFile[],
): { certificate: Certificate; path: string }[] {
  const named = certificates.map(({ path, explicit }) => ({ path, certificate: store.certificate(path, explicit) }));
  const beside = files
    .filter(({ path }) => known.some((file) => file.path === path))
    .map(({ path }) => ({ path: `${path}-cert.pub`, certificate: store.certificate(`${path}-cert.pub`, false) }));
  return [...named, ...beside].flatMap(({ path, certificate }) =>
    certificate === undefined ? [] : [{ path, certificate }],
  );
}

function certified(
  sources: IdentitySources,
  certificate: Certificate,
  path: string,
  files: readonly KeyFile[],
  agent: AgentConnection | undefined,
  held: readonly AgentIdentity[],
): Identity | undefined {
  const shared = {
    label: path,
    blob: certificate.blob,
    type: certificate.type,
    algorithms: signatureAlgorithmsFor(certificate.type),
  };
  const file = files.find(
    (candidate) =>
      !candidate.publicOnly &&
      candidate.publicKey !== undefined &&
      same(candidate.publicKey.blob, certificate.key.blob),
  );
  // The plain key in the agent signs for the certificate as well.
  const entry =
    held.find((candidate) => same(candidate.blob, certificate.blob)) ??
    held.find((candidate) => same(candidate.blob, certificate.key.blob));
  if (entry !== undefined && agent !== undefined) {
    return {
      ...shared,
      source: 'agent',
      costly: true,
      sign: (algorithm, data) => signInAgent(agent, entry, algorithm, data),
    };
  }
  if (file === undefined) {
    sources.log?.(1, `no private key for certificate ${path}`);
    return undefined;
  }
  return {
    ...shared,
    source: 'file',
    costly: file.encrypted,
    sign: (algorithm, data) => signWithFile(sources, file, algorithm, data),
  };
}

function fromAgent(agent: AgentConnection, entry: AgentIdentity, label: string): Identity {
  const type = typeOf(entry.blob) ?? 'unknown';
  return {
    label,
    source: 'agent',
    blob: entry.blob,
    type,
    algorithms: signatureAlgorithmsFor(type),
    costly: true,
    sign: (algorithm, data) => signInAgent(agent, entry, algorithm, data),
  };
}

async function signInAgent(
  agent: AgentConnection,
  entry: AgentIdentity,
  algorithm: string,
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  const flags = algorithm.startsWith('rsa-sha2-512')
    ? SignFlags.rsaSha512
    : algorithm.startsWith('rsa-sha2-256')
      ? SignFlags.rsaSha256
      : 0;
  try {
    return await agent.sign(entry.blob, data, flags);
  } catch (error) {
    // An agent that refuses (locked, not confirmed, constrained) leaves the other keys their chance.
    if (error instanceof SshError && error.code === 'agent') return undefined;
    throw error;
  }
}

async function fromFile(sources: IdentitySources, file: KeyFile): Promise<Identity | undefined> {
  // A key whose public half is unknown has to be decrypted before it can be offered.
  const publicKey = file.publicKey ?? (await sources.store.privateKey(file.path))?.publicKey;
  if (publicKey === undefined) return undefined;
  return {
    label: file.path,
    source: 'file',
    blob: publicKey.blob,
    type: publicKey.type,
    algorithms: signatureAlgorithmsFor(publicKey.type),
    costly: file.encrypted,
    sign: (algorithm, data) => signWithFile(sources, file, algorithm, data),
  };
}

async function signWithFile(
  { store, crypto, log }: IdentitySources,
  file: KeyFile,
  algorithm: string,
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  const key = await store.privateKey(file.path);
  if (key === undefined) return undefined;
  if (key.secret.kind === 'sk') {
    log?.(1, `${file.path}: keys of a token sign through an agent only`);
    return undefined;
  }
  return sign(crypto, key, algorithm, data);
}
