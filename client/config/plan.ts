/**
 * HostPlan: everything `connect` needs to know about one host, as plain data that can be printed and compared. Made by
 * resolve.ts and by nothing else.
 */

import type { Canonicalization } from './canonical.ts';
import type { Destination } from './destination.ts';
import type { Note } from './evaluate.ts';
import type { Forward } from './forward-spec.ts';
import type { KeywordName, ValueOf } from './keywords.ts';
import type { AddKeysToAgent, ChannelTimeout, ControlPersist, EscapeChar, LogLevel } from './special-values.ts';
import type { Tokens } from './tokens.ts';

/** Effective values of all keywords, expanded as far as `-G` shows them. */
export type Effective = { readonly [K in KeywordName]?: ValueOf<K> };

export interface PlannedFile {
  readonly path: string;
  /** Named by the user, not one of the usual places. */
  readonly explicit: boolean;
}

export interface HostPlan {
  /** As given. */
  readonly host: string;
  /** To dial. */
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  readonly addressFamily: 'any' | 'inet' | 'inet6';
  readonly bindAddress?: string;
  readonly bindInterface?: string;
  /** Seconds; missing: as long as the system tries. */
  readonly connectTimeout?: number;
  readonly connectionAttempts: number;
  readonly tcpKeepAlive: boolean;
  /** Interval in seconds (0 = off) and how many may stay unanswered. */
  readonly serverAlive: { readonly interval: number; readonly countMax: number };
  /** Through a shell, tokens expanded. Never together with proxyJump. */
  readonly proxyCommand?: string;
  /** Nearest hop first; empty: direct. */
  readonly proxyJump: readonly Destination[];
  readonly canonicalize: Canonicalization;
  /** A reason not to connect at all (RefuseConnection). */
  readonly refuse?: string;

  readonly hostKey: {
    /** Lower case; stands for the host name in known_hosts and certificates. */
    readonly alias?: string;
    readonly mode: 'yes' | 'accept-new' | 'ask' | 'no';
    readonly userFiles: readonly string[];
    readonly globalFiles: readonly string[];
    /** Tokens `%H %I %K %t %f` are still to be expanded. */
    readonly command?: string;
    readonly checkIp: boolean;
    readonly hash: boolean;
    readonly update: 'yes' | 'no' | 'ask';
    readonly revokedFile?: string;
    readonly skipForLocalhost: boolean;
    readonly visual: boolean;
    /** VerifyHostKeyDNS. */
    readonly dns: 'yes' | 'no' | 'ask';
    readonly fingerprintHash: 'md5' | 'sha256';
  };

  readonly algorithms: {
    readonly kex: readonly string[];
    readonly ciphers: readonly string[];
    readonly macs: readonly string[];
    readonly hostKey: readonly string[];
    /** The user chose the order, not only added or removed some: it is not rearranged by what known_hosts holds. */
    readonly hostKeyChosen: boolean;
    readonly pubkeyAccepted: readonly string[];
    readonly hostbasedAccepted: readonly string[];
    readonly caSignature: readonly string[];
    readonly requiredRsaSize: number;
    readonly compression: boolean;
    readonly warnWeak: 'yes' | 'no' | 'no-pq-kex';
  };
  readonly rekey: { readonly bytes: number; readonly seconds: number };

  readonly auth: {
    /** In order of preference; missing: the usual order. */
    readonly preferred?: readonly string[];
    readonly pubkey: 'yes' | 'no' | 'unbound' | 'host-bound';
    readonly hostbased: boolean;
    readonly password: boolean;
    readonly keyboardInteractive: boolean;
    readonly kbdInteractiveDevices?: string;
    readonly passwordPrompts: number;
    readonly batch: boolean;
    readonly identityFiles: readonly PlannedFile[];
    readonly certificateFiles: readonly PlannedFile[];
    readonly identitiesOnly: boolean;
    /** PKCS11Provider: a library whose keys only an agent can use. */
    readonly pkcs11Provider?: string;
    /** Path of the socket; missing: no agent. */
    readonly agentSocket?: string;
    readonly addKeysToAgent: AddKeysToAgent;
  };

  readonly session: {
    readonly type: 'none' | 'subsystem' | 'default';
    readonly requestTty: 'yes' | 'no' | 'force' | 'auto';
    readonly remoteCommand?: string;
    readonly sendEnv: readonly string[];
    readonly setEnv: readonly string[];
    readonly stdinNull: boolean;
    readonly fork: boolean;
    readonly escapeChar: EscapeChar;
    readonly escapeCommandLine: boolean;
    /** Only when PermitLocalCommand allows it; `%T` and the others are still to be expanded. */
    readonly localCommand?: string;
    readonly permitLocalCommand: boolean;
    /** Milliseconds between packets while keys are typed; 0 = off. */
    readonly obscureKeystrokes: number;
    readonly channelTimeouts: readonly ChannelTimeout[];
  };

  readonly forwards: {
    readonly list: readonly Forward[];
    readonly exitOnFailure: boolean;
    readonly gatewayPorts: boolean;
    readonly permitRemoteOpen: readonly string[];
    readonly bindMask: number;
    readonly bindUnlink: boolean;
    /** `on` with a path: another agent than ours. */
    readonly agent: { readonly on: boolean; readonly path?: string };
    readonly x11: boolean;
    readonly x11Trusted: boolean;
    readonly x11Timeout: number;
    readonly xauth: string;
  };

  readonly control: {
    readonly path?: string;
    readonly master: 'yes' | 'no' | 'auto' | 'ask' | 'autoask';
    readonly persist: ControlPersist;
  };

  readonly logLevel: LogLevel;
  readonly versionAddendum?: string;
  /** For what is expanded late: `expandTokens(text, { ...tokens, T })`. */
  readonly tokens: Tokens;
  /** Which source set each keyword that is not at its default. */
  readonly origins: Readonly<Partial<Record<KeywordName, string>>>;
  /** Keywords that were set and have no effect here. */
  readonly withoutEffect: readonly KeywordName[];
  readonly notes: readonly Note[];
  readonly options: Effective;
}
