/**
 * SSHFP records (RFC 4255, RFC 6594, RFC 7479, RFC 8709 section 5): what DNS says about a host's keys, asked of the
 * system's resolvers. Node's resolver knows no such record, so the question is put here: UDP first, TCP for an answer
 * that was cut off, each bounded in time.
 *
 * Nothing is validated here: an answer is secure when a resolver we have reason to trust says so with its AD bit
 * (RFC 4035 section 4.9.3), which is one on this machine, or any when resolv.conf has `options trust-ad`.
 */

import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { readFileSync } from 'node:fs';
import { connect, isIP } from 'node:net';
import { type CryptoProvider, equalBytes, type PublicKey, platformRandom } from '../protocol/index.ts';
import { splitHostPort } from './config/destination.ts';

export interface SshfpRecord {
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
}

export interface SshfpAnswer {
  readonly records: readonly SshfpRecord[];
  readonly secure: boolean;
}

export interface SshfpVerdict {
  /** What was looked up; a reason when there is no answer. */
  readonly answer: SshfpAnswer | { readonly failure: string };
  readonly found: boolean;
  readonly match: boolean;
  readonly secure: boolean;
  /** For the debug log. */
  readonly notes: readonly string[];
}

const algorithmNumbers: Readonly<Record<string, number>> = { rsa: 1, dsa: 2, ecdsa: 3, ed25519: 4 };
const digestNames: Readonly<Record<number, 'sha1' | 'sha256'>> = { 1: 'sha1', 2: 'sha256' };

/** A record of the key's own algorithm that differs outweighs any that agrees. */
export function verifySshfp(crypto: CryptoProvider, key: PublicKey, answer: SshfpVerdict['answer']): SshfpVerdict {
  if ('failure' in answer) {
    return { answer, found: false, match: false, secure: false, notes: [answer.failure] };
  }
  const { records, secure } = answer;
  const algorithm = algorithmNumbers[key.material.kind];
  const judged = records.flatMap((record) => {
    const hash = digestNames[record.digestType];
    if (hash === undefined || record.algorithm !== algorithm) return [];
    return [equalBytes(crypto.hash(hash).update(key.blob).digest(), record.digest)];
  });
  const found = records.length > 0;
  const match = judged.length > 0 && judged.every((agrees) => agrees);
  const outcome = !found ? 'no' : match ? 'matching' : 'mismatching';
  const notes = [
    `found ${records.length} ${secure ? 'secure' : 'insecure'} fingerprints in DNS`,
    `${outcome} host key fingerprint found in DNS`,
  ];
  return { answer, found, match, secure, notes };
}

// ---- the question

const TYPE_SSHFP = 44;
const TYPE_OPT = 41;
const CLASS_IN = 1;
/** Recursion desired, and AD: we understand the bit (RFC 6840 section 5.7). */
const QUERY_FLAGS = 0x0120;
/** What fits through most networks without fragments (RFC 6891 section 6.2.5 and DNS flag day 2020). */
const UDP_PAYLOAD = 1232;
/** Records of one host: four algorithms, two digests, and as much again while keys are changed; the rest is ignored. */
const MAX_RECORDS = 64;

export interface LookupOptions {
  /** As node:dns has them: an address, with `:port` when it is not 53. */
  readonly servers?: readonly string[];
  /** Milliseconds for each server. */
  readonly timeout?: number;
  /** The AD bit of any server counts. */
  readonly trustAd?: boolean;
}

const defaultTimeout = 3000;
const maxServers = 3;

/** Never rejects: without an answer the host key is judged as if nobody had asked. */
export async function lookUpSshfp(host: string, options: LookupOptions = {}): Promise<SshfpVerdict['answer']> {
  if (isIP(host) !== 0) return { failure: 'skipped DNS lookup for numerical hostname' };
  const query = encodeQuery(host);
  if (query === undefined) return { failure: `DNS lookup error: ${host} is no domain name` };
  const { servers = getServers(), timeout = defaultTimeout } = options;
  let failure = 'no resolver';
  for (const server of servers.slice(0, maxServers)) {
    const { host: address, port = 53 } = splitServer(server);
    try {
      const first = await overUdp(query, address, port, timeout);
      const whole = isTruncated(first) ? await overTcp(query, address, port, timeout) : first;
      const { records, authentic } = readAnswer(whole, query);
      const trusted = options.trustAd ?? (isLoopback(address) || resolvConfTrusts());
      return { records, secure: authentic && trusted };
    } catch (error) {
      failure = (error as Error).message;
    }
  }
  return { failure: `DNS lookup error: ${failure}` };
}

const isLoopback = (address: string): boolean => address === '::1' || /^127\./.test(address);

function splitServer(server: string): { host: string; port?: number } {
  const parts = isIP(server) === 0 ? splitHostPort(server) : undefined;
  return parts?.port === undefined ? { host: parts?.host ?? server } : { host: parts.host, port: Number(parts.port) };
}

function resolvConfTrusts(): boolean {
  try {
    return /^options\b.*\btrust-ad\b/m.test(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    return false;
  }
}

/** RFC 1035 section 4; undefined for a name that has no encoding. */
export function encodeQuery(host: string): Buffer | undefined {
  const labels = host.replace(/\.$/, '').split('.');
  if (!/^[\x21-\x7e]+$/.test(host) || host.length > 253 || labels.some(({ length }) => length === 0 || length > 63))
    return undefined;
  const header = Buffer.alloc(12);
  header.set(platformRandom(2), 0);
  header.writeUInt16BE(QUERY_FLAGS, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const name = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const question = Buffer.from([0, 0, TYPE_SSHFP, 0, CLASS_IN]);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(TYPE_OPT, 1);
  opt.writeUInt16BE(UDP_PAYLOAD, 3);
  return Buffer.concat([header, ...name, question, opt]);
}

const isTruncated = (message: Buffer): boolean => message.length > 2 && (message[2]! & 0x02) !== 0;

const broken = (): Error => new Error('the resolver talks nonsense');

function skipName(message: Buffer, from: number): number {
  for (let at = from; at < message.length; ) {
    const length = message[at]!;
    if (length === 0) return at + 1;
    // A pointer ends the name (RFC 1035 section 4.1.4).
    if (length >= 0xc0) return at + 2;
    at += length + 1;
  }
  throw broken();
}

/** Throws Error for what is no answer to `query`; the names along a chain of aliases are the resolver's affair. */
export function readAnswer(message: Buffer, query: Buffer): { records: SshfpRecord[]; authentic: boolean } {
  const questionEnd = query.length - 11;
  const question = query.subarray(12, questionEnd).toString('latin1').toLowerCase();
  const sameQuestion =
    message.length >= questionEnd &&
    message.readUInt16BE(0) === query.readUInt16BE(0) &&
    (message[2]! & 0x80) !== 0 &&
    message.readUInt16BE(4) === 1 &&
    message.subarray(12, questionEnd).toString('latin1').toLowerCase() === question;
  if (!sameQuestion) throw broken();
  const rcode = message[3]! & 0x0f;
  if (rcode !== 0) throw new Error(rcode === 3 ? 'name does not exist' : `the resolver answers ${rcode}`);
  const records: SshfpRecord[] = [];
  let at = questionEnd;
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    at = skipName(message, at);
    if (at + 10 > message.length) throw broken();
    const type = message.readUInt16BE(at);
    const kind = message.readUInt16BE(at + 2);
    const length = message.readUInt16BE(at + 8);
    const data = message.subarray(at + 10, at + 10 + length);
    if (data.length < length) throw broken();
    if (type === TYPE_SSHFP && kind === CLASS_IN && length > 2 && records.length < MAX_RECORDS) {
      records.push({ algorithm: data[0]!, digestType: data[1]!, digest: new Uint8Array(data.subarray(2)) });
    }
    at += 10 + length;
  }
  return { records, authentic: (message[3]! & 0x20) !== 0 };
}

function overUdp(query: Buffer, address: string, port: number, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error('no answer in time'))), timeout);
    socket.once('error', (error) => end(() => reject(error)));
    socket.on('message', (message) => {
      // Somebody else's answer: the right one may still come.
      if (message.length < 12 || message.readUInt16BE(0) !== query.readUInt16BE(0)) return;
      end(() => resolve(message));
    });
    // Connected: the system drops what comes from elsewhere.
    socket.connect(port, address, () => socket.send(query));
  });
}

function overTcp(query: Buffer, address: string, port: number, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, address);
    let held = Buffer.alloc(0);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error('no answer in time'))), timeout);
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('close', () => end(() => reject(broken())));
    socket.once('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    // The length field bounds what is held: 64 KiB.
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 2) return;
      const length = held.readUInt16BE(0);
      if (held.length >= 2 + length) end(() => resolve(held.subarray(2, 2 + length)));
    });
  });
}
