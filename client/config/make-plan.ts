/** From effective options to the HostPlan that `connect` reads: typed, grouped, paths expanded to the end. */

import { SshError } from '../../protocol/index.ts';
import type { Destination } from './destination.ts';
import type { Note } from './evaluate.ts';
import { type FilledName, type KeywordName, keywords } from './keywords.ts';
import type { Effective, HostPlan, PlannedFile } from './plan.ts';
import {
  type ConnectionFacts,
  type Environment,
  expandPath,
  expandTilde,
  expandTokens,
  type Homes,
  pickTokens,
  type Tokens,
} from './tokens.ts';

export interface PlanInput {
  readonly host: string;
  readonly facts: ConnectionFacts;
  readonly tokens: Tokens;
  readonly effective: Effective;
  /** HostKeyAlgorithms as it was written; missing: the default. */
  readonly hostKeyAlgorithms: string | undefined;
  readonly origins: HostPlan['origins'];
  readonly notes: readonly Note[];
  readonly homes: Homes;
  readonly env: Environment;
  readonly command: string;
}

/** Effective options with the defaults known to be there. */
type Options = Effective & Required<Pick<Effective, FilledName>>;

const isNone = (list: readonly string[]): boolean => list.length === 1 && list[0]!.toLowerCase() === 'none';

/** Lists of names are few, and the same for every host of a run: made once, and by their identity known again later. */
const lists = new Map<string, readonly string[]>();
const MAX_LISTS = 256;

function names(list: string): readonly string[] {
  let made = lists.get(list);
  if (made === undefined) {
    if (lists.size >= MAX_LISTS) lists.clear();
    made = list.split(',').filter((name) => name !== '');
    lists.set(list, made);
  }
  return made;
}

/** Only what is set: a plan prints without `undefined`. */
function given<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const set: Record<string, unknown> = {};
  for (const key in object) if (object[key] !== undefined) set[key] = object[key];
  return set as { [K in keyof T]: Exclude<T[K], undefined> };
}

class PlanMaker {
  readonly input: PlanInput;
  readonly options: Options;
  readonly tokens: Tokens;

  constructor(input: PlanInput) {
    this.input = input;
    this.options = input.effective as Options;
    this.tokens = input.tokens;
  }

  path(text: string): string {
    return expandPath(expandTilde(text, this.input.homes), this.tokens, this.input.env);
  }

  files(name: 'identityfile' | 'certificatefile'): PlannedFile[] {
    const explicit = this.input.origins[name] !== undefined;
    return (this.options[name] ?? [])
      .filter((file) => file.toLowerCase() !== 'none')
      .map((file) => ({ path: this.path(file), explicit }));
  }

  /** The value is a path, `$NAME`, `SSH_AUTH_SOCK` or `none`; missing means the variable. */
  agentSocket(): string | undefined {
    const { env } = this.input;
    const value = this.options.identityagent ?? 'SSH_AUTH_SOCK';
    if (value.toLowerCase() === 'none') return undefined;
    const socket = value === 'SSH_AUTH_SOCK' ? env.SSH_AUTH_SOCK : value.startsWith('$') ? env[value.slice(1)] : value;
    return socket === '' ? undefined : socket;
  }

  forwardAgent(): HostPlan['forwards']['agent'] {
    const { on, path } = this.options.forwardagent;
    if (path === undefined) return { on };
    const socket = path.startsWith('$') ? this.input.env[path.slice(1)] : path;
    return socket === undefined || socket === '' ? { on: false } : { on, path: socket };
  }

  proxyJump(): Destination[] {
    const { proxyjump } = this.options;
    if (proxyjump === undefined || proxyjump === 'none') return [];
    const some = pickTokens(this.tokens, 'hnpr');
    return proxyjump.map((hop) => ({
      ...hop,
      host: expandTokens(hop.host, some),
      ...(hop.user === undefined ? {} : { user: expandTokens(hop.user, some) }),
    }));
  }

  proxyCommand(): string | undefined {
    const { proxycommand, proxyjump } = this.options;
    if (proxycommand === undefined || proxyjump !== undefined) return undefined;
    return proxycommand.includes('%') ? expandTokens(proxycommand, pickTokens(this.tokens, 'hnpr')) : proxycommand;
  }

  network(): Pick<
    HostPlan,
    'addressFamily' | 'connectionAttempts' | 'tcpKeepAlive' | 'serverAlive' | 'proxyJump' | 'canonicalize'
  > {
    const { options } = this;
    const proxyJump = this.proxyJump();
    return {
      ...given({
        bindAddress: options.bindaddress,
        bindInterface: options.bindinterface,
        connectTimeout: options.connecttimeout,
        proxyCommand: this.proxyCommand(),
        refuse: options.refuseconnection,
      }),
      addressFamily: options.addressfamily,
      connectionAttempts: options.connectionattempts,
      tcpKeepAlive: options.tcpkeepalive,
      serverAlive: { interval: options.serveraliveinterval, countMax: options.serveralivecountmax },
      proxyJump,
      canonicalize: {
        mode: options.canonicalizehostname,
        domains: isNone(options.canonicaldomains) ? [] : options.canonicaldomains,
        maxDots: options.canonicalizemaxdots,
        fallbackLocal: options.canonicalizefallbacklocal,
        permittedCnames: options.canonicalizepermittedcnames.filter(({ targets }) => targets !== ''),
        direct: proxyJump.length === 0 && options.proxycommand === undefined,
      },
    };
  }

  hostKey(): HostPlan['hostKey'] {
    const { options } = this;
    const userFiles = options.userknownhostsfile;
    const globalFiles = options.globalknownhostsfile;
    return {
      ...given({
        alias: options.hostkeyalias,
        command: options.knownhostscommand,
        revokedFile: options.revokedhostkeys === undefined ? undefined : this.path(options.revokedhostkeys),
      }),
      mode: options.stricthostkeychecking,
      userFiles: isNone(userFiles) ? [] : userFiles,
      globalFiles: isNone(globalFiles) ? [] : globalFiles.map((file) => expandTilde(file, this.input.homes)),
      checkIp: options.checkhostip,
      hash: options.hashknownhosts,
      update: options.updatehostkeys,
      skipForLocalhost: options.nohostauthenticationforlocalhost,
      visual: options.visualhostkey,
      dns: options.verifyhostkeydns,
      fingerprintHash: options.fingerprinthash,
    };
  }

  algorithms(): HostPlan['algorithms'] {
    const { options } = this;
    return {
      kex: names(options.kexalgorithms ?? ''),
      ciphers: names(options.ciphers ?? ''),
      macs: names(options.macs ?? ''),
      hostKey: names(options.hostkeyalgorithms ?? ''),
      hostKeyChosen: this.input.hostKeyAlgorithms !== undefined && !/^[+-]/.test(this.input.hostKeyAlgorithms),
      pubkeyAccepted: names(options.pubkeyacceptedalgorithms ?? ''),
      hostbasedAccepted: names(options.hostbasedacceptedalgorithms ?? ''),
      caSignature: names(options.casignaturealgorithms ?? ''),
      requiredRsaSize: options.requiredrsasize,
      compression: options.compression,
      warnWeak: options.warnweakcrypto,
    };
  }

  auth(): HostPlan['auth'] {
    const { options } = this;
    const preferred = options.preferredauthentications;
    return {
      ...given({
        preferred: preferred === undefined ? undefined : names(preferred),
        kbdInteractiveDevices: options.kbdinteractivedevices,
        pkcs11Provider: options.pkcs11provider,
        agentSocket: this.agentSocket(),
      }),
      pubkey: options.pubkeyauthentication,
      hostbased: options.hostbasedauthentication,
      password: options.passwordauthentication,
      keyboardInteractive: options.kbdinteractiveauthentication,
      passwordPrompts: options.numberofpasswordprompts,
      batch: options.batchmode,
      identityFiles: this.files('identityfile'),
      certificateFiles: this.files('certificatefile'),
      identitiesOnly: options.identitiesonly,
      addKeysToAgent: options.addkeystoagent,
    };
  }

  session(): HostPlan['session'] {
    const { options } = this;
    return {
      ...given({
        remoteCommand: options.remotecommand,
        localCommand: options.permitlocalcommand ? options.localcommand : undefined,
      }),
      type: options.sessiontype,
      requestTty: options.requesttty,
      sendEnv: options.sendenv ?? [],
      setEnv: options.setenv ?? [],
      stdinNull: options.stdinnull || options.forkafterauthentication,
      fork: options.forkafterauthentication,
      escapeChar: options.escapechar,
      escapeCommandLine: options.enableescapecommandline,
      permitLocalCommand: options.permitlocalcommand,
      obscureKeystrokes: options.obscurekeystroketiming,
      channelTimeouts: options.channeltimeout,
    };
  }

  forwards(): HostPlan['forwards'] {
    const { options } = this;
    return {
      list: [...(options.dynamicforward ?? []), ...(options.localforward ?? []), ...(options.remoteforward ?? [])],
      exitOnFailure: options.exitonforwardfailure,
      gatewayPorts: options.gatewayports,
      permitRemoteOpen: options.permitremoteopen,
      bindMask: options.streamlocalbindmask,
      bindUnlink: options.streamlocalbindunlink,
      agent: this.forwardAgent(),
      x11: options.forwardx11,
      x11Trusted: options.forwardx11trusted,
      x11Timeout: options.forwardx11timeout,
      xauth: options.xauthlocation,
    };
  }

  check(): void {
    const { options, input } = this;
    if (input.command !== '' && options.remotecommand !== undefined) {
      throw new SshError('usage', 'Cannot execute command-line and remote command.');
    }
    if (input.command === '' && options.remotecommand === undefined && options.sessiontype === 'subsystem') {
      throw new SshError('usage', 'You must specify a subsystem to invoke.');
    }
    const nothing = input.command === '' && options.remotecommand === undefined && options.sessiontype !== 'none';
    if (options.forkafterauthentication && nothing) {
      throw new SshError('usage', 'Cannot fork into background without a command to execute.');
    }
  }

  plan(): HostPlan {
    const { input, options } = this;
    this.check();
    return {
      host: input.host,
      hostName: input.facts.host,
      port: input.facts.port,
      user: input.facts.user,
      ...this.network(),
      hostKey: this.hostKey(),
      algorithms: this.algorithms(),
      rekey: { bytes: options.rekeylimit.bytes ?? 0, seconds: options.rekeylimit.seconds ?? 0 },
      auth: this.auth(),
      session: this.session(),
      forwards: this.forwards(),
      control: {
        ...given({ path: options.controlpath }),
        master: options.controlmaster,
        persist: options.controlpersist,
      },
      logLevel: options.loglevel,
      ...given({ versionAddendum: options.versionaddendum }),
      tokens: this.tokens,
      origins: input.origins,
      withoutEffect: (Object.keys(input.origins) as KeywordName[]).filter((name) => keywords[name].effect === 'none'),
      notes: input.notes,
      options: input.effective,
    };
  }
}

export const makePlan = (input: PlanInput): HostPlan => new PlanMaker(input).plan();
