/**
 * The only merge of settings: flags > YAML node > cluster > defaults > ssh_config > built-in. One request becomes one
 * HostPlan. Everything outside (files, environment, commands, addresses) is handed in; no name is resolved here.
 */

import { SshError } from '../../protocol/index.ts';
import { canonicalizeHost, type Lookup } from './canonical.ts';
import { type Destination, parseDestination, validHostName, validUserName } from './destination.ts';
import { effectiveOptions } from './effective.ts';
import { type ConfigReader, Evaluation, type Loaded, type MatchFacts, type Pass } from './evaluate.ts';
import { type Forward, parseForward } from './forward-spec.ts';
import { type KeywordName, keywords } from './keywords.ts';
import { makePlan } from './make-plan.ts';
import type { HostPlan } from './plan.ts';
import { Settings } from './settings.ts';
import { parseOption, parseSetting } from './ssh-config.ts';
import {
  type ConnectionFacts,
  connectionTokens,
  expandEnvironment,
  expandPath,
  expandTokens,
  pickTokens,
} from './tokens.ts';
import type { ParseContext } from './values.ts';

/** One option of a command line, in the order given; the first one counts unless `force` says otherwise. */
export type Override =
  /** The text of `-o`. */
  | string
  /** `-l`: taken literally, refused with characters a shell would act on. */
  | { readonly user: string }
  /** `-L`, `-R`, `-D`. */
  | { readonly forward: 'local' | 'remote' | 'dynamic'; readonly spec: string }
  /** Any other flag as the keyword it stands for; `force` replaces an earlier value (`-C`, `-4`, `-A`). */
  | { readonly keyword: KeywordName; readonly args: readonly string[]; readonly force?: boolean };

/** Settings of one YAML level: keyword to argument or arguments (for lists that grow: one entry each). */
export interface Layer {
  /** For people: `cluster production`. */
  readonly name: string;
  readonly settings: { readonly [K in KeywordName]?: string | readonly string[] };
}

export interface ResolveRequest {
  /** `[user@]host` or `ssh://[user@]host[:port]`. */
  readonly destination: string;
  /** Options before the destination, and after it: the user in the destination counts between them. */
  readonly overrides?: readonly Override[];
  readonly laterOverrides?: readonly Override[];
  /** Nearest first: node, cluster, defaults. Of one keyword only the nearest level counts. */
  readonly layers?: readonly Layer[];
  /** Below ssh_config, above the built-in defaults. */
  readonly fallback?: Layer;
  /** `-F`: replaces both files; `none` reads no file. */
  readonly configFile?: string;
  /** The remote command of the command line. */
  readonly command?: string;
  readonly session?: MatchFacts['session'];
  /** `-W` is in use: other defaults for two keywords. */
  readonly stdioForward?: boolean;
  /** What canonicalization made of the host name, when it ran. */
  readonly canonicalHost?: string;
}

export interface ResolveEnv {
  readonly home: string;
  readonly user: string;
  readonly uid: number;
  /** The local host name. */
  readonly hostName: string;
  readonly context: ParseContext;
  readonly files: ConfigReader;
  /** `~/.ssh/config` and `/etc/ssh/ssh_config` when missing. */
  readonly userConfig?: string;
  readonly systemConfig?: string;
  /** What `Match version` is compared with. */
  readonly version?: string;
  run?(command: string): number;
  addresses?(): readonly string[];
  homeOf?(user: string): string | undefined;
}

const flags = 'command-line';

interface ConfigPath {
  readonly path: string;
  readonly user: boolean;
  /** Of `-F`: it has to be there. */
  readonly given: boolean;
}

/** The files that are read: that of `-F` alone (none for `none`), else the user's and the system's. */
export function configPaths(env: ResolveEnv, configFile?: string): ConfigPath[] {
  if (configFile?.toLowerCase() === 'none') return [];
  if (configFile !== undefined) return [{ path: configFile, user: true, given: true }];
  return [
    { path: env.userConfig ?? `${env.home.replace(/\/$/, '')}/.ssh/config`, user: true, given: false },
    { path: env.systemConfig ?? '/etc/ssh/ssh_config', user: false, given: false },
  ];
}

/** Throws when a file that has to be there is not. */
export function checkLoaded({ path, given }: ConfigPath, loaded: Loaded): void {
  if (given && loaded.file === undefined)
    throw new SshError('config', `Can't open user config file ${path}: ${loaded.reason}`, { detail: { file: path } });
}

class Resolution {
  readonly request: ResolveRequest;
  readonly env: ResolveEnv;
  readonly destination: Destination;
  readonly settings = new Settings();
  readonly evaluation: Evaluation;
  /** The user came from a flag or the destination: never expanded. */
  literalUser = false;

  constructor(request: ResolveRequest, env: ResolveEnv) {
    this.request = request;
    this.env = env;
    this.destination = parseDestination(request.destination);
    const facts: MatchFacts = {
      originalHost: this.destination.host,
      localHost: env.hostName,
      localUser: env.user,
      uid: env.uid,
      home: env.home,
      version: env.version ?? '',
      command: request.command ?? '',
      session: request.session ?? (request.command ? 'exec' : 'shell'),
      run: (command) => env.run?.(command) ?? 1,
      addresses: () => env.addresses?.() ?? [],
    };
    this.evaluation = new Evaluation(this.settings, facts, env.files, this.homes());
  }

  homes(): { home: string; of(user: string): string | undefined } {
    return { home: this.env.home, of: (user) => this.env.homeOf?.(user) };
  }

  flags(): void {
    if (!validHostName(this.destination.host)) throw new SshError('usage', 'hostname contains invalid characters');
    for (const override of this.request.overrides ?? []) this.#override(override);
    if (this.destination.user !== undefined) this.#user(this.destination.user);
    if (this.destination.port !== undefined) this.settings.add('port', this.destination.port, flags);
    for (const override of this.request.laterOverrides ?? []) this.#override(override);
  }

  #override(override: Override): void {
    if (typeof override === 'string') {
      const entry = parseOption(override, this.env.context);
      if (entry !== undefined) this.evaluation.option(entry);
    } else if ('user' in override) {
      this.#user(override.user);
    } else if ('forward' in override) {
      const { forward, spec } = override;
      this.settings.add(`${forward}forward`, [this.#forward(forward, spec)], flags);
    } else {
      const value = parseSetting(override.keyword, override.args, this.env.context);
      if (value === undefined) return;
      if (override.force) this.settings.put(override.keyword, value, flags);
      else this.settings.add(override.keyword, value, flags);
    }
  }

  #forward(type: Forward['type'] & ('local' | 'remote' | 'dynamic'), spec: string): Forward {
    const forward = parseForward(type, expandEnvironment(spec, this.env.context.env));
    if (forward === undefined) throw new SshError('usage', `Bad ${type} forwarding specification '${spec}'`);
    return forward;
  }

  #user(user: string): void {
    if (this.settings.has('user')) return;
    if (!validUserName(user)) throw new SshError('usage', 'remote username contains invalid characters');
    this.settings.add('user', user, flags);
    this.literalUser = true;
  }

  layers(): void {
    const decided = new Set<string>();
    for (const layer of this.request.layers ?? []) {
      this.#layer(layer, (name) => !decided.has(name));
      for (const name of Object.keys(layer.settings)) decided.add(name);
    }
  }

  #layer({ name, settings }: Layer, wanted: (keyword: KeywordName) => boolean): void {
    for (const [key, given] of Object.entries(settings)) {
      const keyword = key as KeywordName;
      if (given === undefined || !wanted(keyword)) continue;
      const args: readonly string[] = typeof given === 'string' ? [given] : given;
      const grows = keywords[keyword].type.merge !== undefined && keyword !== 'sendenv';
      for (const one of grows ? args.map((argument) => [argument]) : [args]) {
        const value = parseSetting(keyword, one, this.env.context);
        if (value !== undefined) this.settings.add(keyword, value, name);
      }
    }
  }

  files(pass: Pass): void {
    for (const each of configPaths(this.env, this.request.configFile)) {
      const { path, user, given } = each;
      checkLoaded(each, this.evaluation.file(path, { user, checked: user && !given }, pass));
    }
  }

  /** The name to dial, as far as the settings go. */
  hostName(): string {
    const given = this.destination.host;
    const name = this.settings.get('hostname');
    return (name === undefined ? given : expandTokens(name, { h: given })).toLowerCase();
  }

  fallback(): void {
    if (this.request.fallback !== undefined) this.#layer(this.request.fallback, (name) => !this.settings.has(name));
  }

  /** Facts for tokens; the user may itself hold tokens, all but `%r` and `%C`. */
  facts(host: string): ConnectionFacts {
    const { env, settings } = this;
    const jump = settings.get('proxyjump');
    const facts: ConnectionFacts = {
      localHost: env.hostName,
      localUser: env.user,
      uid: env.uid,
      home: env.home,
      originalHost: this.destination.host,
      host,
      hostKeyAlias: settings.get('hostkeyalias')?.toLowerCase(),
      port: settings.get('port') ?? 22,
      user: settings.get('user') ?? env.user,
      jump: jump === undefined || jump === 'none' ? undefined : keywords.proxyjump.type.format(jump).join(''),
    };
    if (this.literalUser || !/%|\$\{/.test(facts.user)) return facts;
    const letters = pickTokens(connectionTokens(facts), 'dhijkLlnpu');
    return { ...facts, user: expandPath(facts.user, letters, env.context.env) };
  }
}

/** First reading: flags, layers, files. */
function firstPass(request: ResolveRequest, env: ResolveEnv): Resolution {
  const resolution = new Resolution(request, env);
  resolution.flags();
  resolution.layers();
  resolution.files({ host: resolution.destination.host, final: false });
  return resolution;
}

function secondPass(resolution: Resolution, canonicalHost: string | undefined): HostPlan {
  const { settings, evaluation, request, env } = resolution;
  const host = canonicalHost ?? resolution.hostName();
  const canonical = (settings.get('canonicalizehostname') ?? 'no') !== 'no';
  if (canonical || evaluation.wantsFinal) {
    settings.put('hostname', host, settings.origins().hostname ?? 'canonical host name');
    resolution.files({ host, final: true });
  }
  resolution.fallback();
  const facts = resolution.facts(host);
  const tokens = connectionTokens(facts);
  const effective = effectiveOptions(settings, {
    facts,
    tokens,
    homes: resolution.homes(),
    context: env.context,
    stdioForward: request.stdioForward === true,
  });
  return makePlan({
    host: resolution.destination.host,
    facts,
    tokens,
    effective,
    hostKeyAlgorithms: settings.get('hostkeyalgorithms'),
    origins: settings.origins(),
    notes: evaluation.notes,
    homes: resolution.homes(),
    env: env.context.env,
    command: request.command ?? '',
  });
}

/** Without a resolver: a host name that asks to be canonicalized stays as it is, unless the request says what it became. */
export function resolveHost(request: ResolveRequest, env: ResolveEnv): HostPlan {
  return secondPass(firstPass(request, env), request.canonicalHost);
}

/** The same with CanonicalizeHostname and CNAMEs followed. */
export async function resolveHostCanonical(
  request: ResolveRequest,
  env: ResolveEnv,
  lookup: Lookup,
): Promise<HostPlan> {
  const resolution = firstPass(request, env);
  const { settings } = resolution;
  const jump = settings.get('proxyjump');
  const command = settings.get('proxycommand');
  const host = await canonicalizeHost(
    resolution.hostName(),
    {
      mode: settings.get('canonicalizehostname') ?? 'no',
      domains: settings.get('canonicaldomains') ?? [],
      maxDots: settings.get('canonicalizemaxdots') ?? 1,
      fallbackLocal: settings.get('canonicalizefallbacklocal') ?? true,
      permittedCnames: settings.get('canonicalizepermittedcnames') ?? [],
      direct: (jump === undefined || jump === 'none') && (command === undefined || command.toLowerCase() === 'none'),
    },
    lookup,
  );
  return secondPass(resolution, host);
}
