/**
 * From the settings that were found to the options in effect: built-in defaults, defaults that depend on other options,
 * `none` that clears, algorithm expressions applied, tokens expanded as far as `-G` shows them.
 */

import { SshError } from '../../protocol/index.ts';
import type { Forward, ForwardEnd } from './forward-spec.ts';
import { type Keyword, type KeywordName, keywordNames, keywords, type ValueOf } from './keywords.ts';
import { type AlgorithmSet, expandAlgorithms } from './pattern.ts';
import type { Effective } from './plan.ts';
import type { Settings } from './settings.ts';
import { type ConnectionFacts, expandPath, expandTilde, expandTokens, type Homes, type Tokens } from './tokens.ts';
import type { AlgorithmKind, ParseContext } from './values.ts';

export interface EffectiveInput {
  readonly facts: ConnectionFacts;
  readonly tokens: Tokens;
  readonly homes: Homes;
  readonly context: ParseContext;
  readonly stdioForward: boolean;
}

type Draft = { -readonly [K in KeywordName]?: ValueOf<K> };

/** `id_dsa` only helps where the old algorithm is allowed. */
const identityNames = ['id_ed25519', 'id_ed25519_sk', 'id_rsa', 'id_ecdsa', 'id_ecdsa_sk', 'id_dsa'];

const algorithmKeywords: readonly (readonly [KeywordName & `${string}s`, AlgorithmKind])[] = [
  ['kexalgorithms', 'kex'],
  ['ciphers', 'cipher'],
  ['macs', 'mac'],
  ['hostkeyalgorithms', 'key'],
  ['pubkeyacceptedalgorithms', 'key'],
  ['hostbasedacceptedalgorithms', 'key'],
  ['casignaturealgorithms', 'signature'],
];

const clearable = [
  'localcommand',
  'remotecommand',
  'proxycommand',
  'controlpath',
  'revokedhostkeys',
  'pkcs11provider',
  'securitykeyprovider',
  'knownhostscommand',
] as const;

const expanded = new WeakMap<AlgorithmSet, Map<string, string>>();

/** The list as text; remembered, since a thousand hosts share a handful of expressions. */
function algorithmList(expression: string | undefined, set: AlgorithmSet): string {
  let known = expanded.get(set);
  if (known === undefined) {
    known = new Map();
    expanded.set(set, known);
  }
  const key = expression ?? '';
  let list = known.get(key);
  if (list === undefined) {
    list = expandAlgorithms(expression, set).join(',');
    known.set(key, list);
  }
  return list;
}

const defaults: Readonly<Record<string, unknown>> = Object.fromEntries(
  keywordNames.flatMap((name) => {
    const { default: value }: Keyword<unknown> = keywords[name];
    return value === undefined ? [] : [[name, value] as const];
  }),
);

function withDefaults(settings: Settings): Draft {
  const draft: Record<string, unknown> = { ...defaults };
  for (const [name, value] of settings.entries()) draft[name] = value;
  return draft as Draft;
}

/** Defaults that look at other options. */
function dependentDefaults(draft: Draft, settings: Settings, input: EffectiveInput): void {
  if (!settings.has('exitonforwardfailure')) draft.exitonforwardfailure = input.stdioForward;
  if (!settings.has('clearallforwardings')) draft.clearallforwardings = input.stdioForward;
  if (draft.clearallforwardings) {
    delete draft.localforward;
    delete draft.remoteforward;
    delete draft.dynamicforward;
    draft.tunnel = 'no';
  }
  // Debian: a batch job shall notice a dead network.
  if (!settings.has('serveraliveinterval') && draft.batchmode) draft.serveraliveinterval = 300;
  const userFiles = settings.get('userknownhostsfile');
  const usualFiles = userFiles === undefined || (userFiles.length === 1 && userFiles[0] === '~/.ssh/known_hosts');
  if (!settings.has('updatehostkeys') && (draft.verifyhostkeydns !== 'no' || !usualFiles)) draft.updatehostkeys = 'no';
  if (draft.updatehostkeys === 'ask' && draft.controlpersist?.on && draft.controlpath !== undefined) {
    draft.updatehostkeys = 'no';
  }
}

function expandForwards(
  list: readonly Forward[] | undefined,
  expand: (path: string) => string,
): readonly Forward[] | undefined {
  if (list === undefined) return undefined;
  const end = (side: ForwardEnd): ForwardEnd => (side.kind === 'unix' ? { ...side, path: expand(side.path) } : side);
  return list.map((forward) => ({
    ...forward,
    listen: end(forward.listen),
    ...(forward.connect === undefined ? {} : { connect: end(forward.connect) }),
  }));
}

function expandValues(draft: Draft, { tokens, homes, context }: EffectiveInput): void {
  const path = (text: string): string => expandPath(expandTilde(text, homes), tokens, context.env);
  const bare = (text: string): string => expandTokens(text, tokens);
  if (draft.controlpath !== undefined) draft.controlpath = path(draft.controlpath);
  if (draft.identityagent !== undefined) draft.identityagent = path(draft.identityagent);
  if (draft.remotecommand !== undefined) draft.remotecommand = bare(draft.remotecommand);
  if (draft.setenv !== undefined) draft.setenv = draft.setenv.map(bare);
  const agent = draft.forwardagent;
  if (agent?.path !== undefined) draft.forwardagent = { ...agent, path: path(agent.path) };
  draft.userknownhostsfile = draft.userknownhostsfile?.map(path) ?? [];
  for (const name of ['localforward', 'remoteforward', 'dynamicforward'] as const) {
    const list = expandForwards(draft[name], bare);
    if (list !== undefined) draft[name] = list;
  }
}

/** Every keyword with the value it has for this host. */
export function effectiveOptions(settings: Settings, input: EffectiveInput): Effective {
  const draft = withDefaults(settings);
  dependentDefaults(draft, settings, input);
  for (const name of clearable) if (draft[name]?.toLowerCase() === 'none') delete draft[name];
  if (draft.proxyjump === 'none') delete draft.proxyjump;
  for (const [name, kind] of algorithmKeywords) {
    (draft as Record<string, unknown>)[name] = algorithmList(
      settings.get(name) as string | undefined,
      input.context.algorithms[kind],
    );
  }
  draft.user = input.facts.user;
  draft.hostname = input.facts.host;
  draft.port = input.facts.port;
  if (draft.hostkeyalias !== undefined) draft.hostkeyalias = draft.hostkeyalias.toLowerCase();
  draft.identityfile ??= identityNames
    .filter((name) => name !== 'id_dsa' || /(^|,)ssh-dss/.test(draft.pubkeyacceptedalgorithms ?? ''))
    .map((name) => `~/.ssh/${name}`);
  expandValues(draft, input);
  if (draft.connectionattempts === 0) throw new SshError('config', 'Invalid number of ConnectionAttempts');
  return draft;
}
