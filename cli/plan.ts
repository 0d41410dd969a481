/** From what the command line says about a host to its HostPlan: settings become overrides and layers, the merge is the client's. */

import {
  type Destination,
  type HostPlan,
  type Layer,
  type Override,
  type ResolveEnv,
  type ResolveRequest,
  resolveHost,
} from '../client/index.ts';
import type { SshIntent } from './grammar.ts';
import type { SelectedHost } from './hosts/select.ts';
import type { Invocation, Setting } from './options/settings.ts';

/** What the built-in default is when neither grammar nor configuration says otherwise: behaviour of the cluster tool. */
const lenient: Layer = { name: 'default', settings: { stricthostkeychecking: 'accept-new' } };

const forwards: Readonly<Record<string, 'local' | 'remote' | 'dynamic'>> = {
  localforward: 'local',
  remoteforward: 'remote',
  dynamicforward: 'dynamic',
};

function toOverride({ keyword, value, line }: Setting): Override {
  if (line === true) return `${keyword} ${value}`;
  const name = keyword.toLowerCase();
  const forward = forwards[name];
  if (forward !== undefined) return { forward, spec: value };
  if (name === 'user') return { user: value };
  return { keyword: name as never, args: [value] };
}

function toLayer(name: string, settings: readonly Setting[]): Layer {
  const merged: Record<string, string | string[]> = {};
  for (const { keyword, value } of settings) {
    const key = keyword.toLowerCase();
    const before = merged[key];
    merged[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return { name, settings: merged };
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function common(invocation: Invocation): Partial<ResolveRequest> {
  return {
    ...(invocation.sshConfig !== undefined && { configFile: invocation.sshConfig }),
    ...(invocation.stdioForward !== undefined && { stdioForward: true }),
  };
}

/** The plan for one host of the ssh grammar. */
export function planOne(intent: SshIntent, env: ResolveEnv): HostPlan {
  const { invocation, command } = intent;
  return resolveHost(
    {
      ...common(invocation),
      destination: intent.host,
      overrides: invocation.settings.map(toOverride),
      ...(command.length > 0 && { command: command.join(' ') }),
      ...(intent.strict ? {} : { fallback: lenient }),
    },
    env,
  );
}

/** Settings of the command line that are about the target alone, not about the way to it. */
const targetOnly =
  /^(user|port|hostname|hostkeyalias|proxyjump|proxycommand|remotecommand|requesttty|sessiontype|.*forward|forwardagent|forwardx11.*|control.*|localcommand)$/i;

/**
 * The plan of a jump host. As in ssh(1) it is a host of its own with its own configuration; in a run on many hosts the
 * flags that say who we are and whom we trust hold for it too.
 */
export function planHop(
  hop: Destination,
  invocation: Invocation,
  habits: 'strict' | 'one' | 'many',
  env: ResolveEnv,
): HostPlan {
  const write = ({ user, host, port }: Destination): string =>
    `${user === undefined ? '' : `${user}@`}${bracketed(host)}${port === undefined ? '' : `:${port}`}`;
  const flags =
    habits === 'many' ? invocation.settings.filter(({ keyword }) => !targetOnly.test(keyword)).map(toOverride) : [];
  return resolveHost(
    {
      ...(invocation.sshConfig !== undefined && { configFile: invocation.sshConfig }),
      destination: `ssh://${write(hop)}`,
      overrides: [{ keyword: 'clearallforwardings', args: ['yes'] }, ...flags],
      ...(habits !== 'strict' && { fallback: lenient }),
    },
    env,
  );
}

/** The plan for one host of a selection. */
export function planMany(
  host: SelectedHost,
  invocation: Invocation,
  command: string | undefined,
  env: ResolveEnv,
): HostPlan {
  const typed = host.layers.filter(({ source }) => source === 'typed' || source === 'flags');
  const rest = host.layers.filter(({ source }) => source !== 'typed' && source !== 'flags');
  return resolveHost(
    {
      ...common(invocation),
      destination: bracketed(host.host),
      overrides: typed.flatMap(({ settings }) => settings.map(toOverride)),
      layers: rest.map(({ source, settings }) => toLayer(source, settings)),
      fallback: lenient,
      ...(command !== undefined && { command }),
    },
    env,
  );
}
