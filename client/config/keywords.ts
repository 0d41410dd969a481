/**
 * Every keyword of ssh_config(5), OpenSSH 9.2 to 10.x with Debian's and Apple's additions: type, default, whether it
 * has an effect here. One row a keyword; the order of the rows is the order of `-G`. Rows without a default are
 * printed only when set.
 */

import * as special from './special-values.ts';
import {
  algorithms,
  choice,
  collected,
  command,
  flag,
  integer,
  text,
  time,
  type ValueType,
  words,
  yesNoAsk,
} from './values.ts';

export interface Keyword<T> {
  readonly type: ValueType<T>;
  readonly default?: T;
  /** `none`: read, checked and printed, but a program on Node cannot do it (or nobody could want it). */
  readonly effect: 'works' | 'none';
  readonly aliases?: readonly string[];
  /** How `-G` spells it, where that is not the plain lower case. */
  readonly spelled?: string;
}

type Extras<T> = Partial<Omit<Keyword<T>, 'type'>>;

type Filled<T> = Keyword<T> & { readonly default: T };

function row<T>(type: ValueType<T>, extras: Extras<NoInfer<T>> & { readonly default: NoInfer<T> }): Filled<T>;
function row<T>(type: ValueType<T>, extras?: Extras<NoInfer<T>>): Keyword<T>;
function row<T>(type: ValueType<T>, extras: Extras<T> = {}): Keyword<T> {
  return { type, effect: 'works', ...extras };
}
const no = (extras: Extras<boolean> = {}): Filled<boolean> => row(flag, { ...extras, default: false });
const yes = (extras: Extras<boolean> = {}): Filled<boolean> => row(flag, { ...extras, default: true });
const useless = { effect: 'none' } as const;

const addressFamily = choice({ inet: 'inet', inet6: 'inet6', any: 'any' });
const canonicalize = choice({ true: 'yes', false: 'no', yes: 'yes', no: 'no', always: 'always' });
const controlMaster = choice({
  true: 'yes',
  yes: 'yes',
  false: 'no',
  no: 'no',
  auto: 'auto',
  ask: 'ask',
  autoask: 'autoask',
});
const tunnel = choice({
  ethernet: 'ethernet',
  'point-to-point': 'point-to-point',
  true: 'point-to-point',
  yes: 'point-to-point',
  false: 'no',
  no: 'no',
});
const requestTty = choice({ true: 'yes', yes: 'yes', false: 'no', no: 'no', force: 'force', auto: 'auto' });
const sessionType = choice({ none: 'none', subsystem: 'subsystem', default: 'default' });
const strict = choice({
  true: 'yes',
  false: 'no',
  yes: 'yes',
  no: 'no',
  ask: 'ask',
  off: 'no',
  'accept-new': 'accept-new',
});
const pubkey = choice({
  true: 'yes',
  false: 'no',
  yes: 'yes',
  no: 'no',
  unbound: 'unbound',
  'host-bound': 'host-bound',
});
const weakCrypto = choice({ true: 'yes', false: 'no', yes: 'yes', no: 'no', 'no-pq-kex': 'no-pq-kex' });

/** ssh's bounds: SSH_MAX_IDENTITY_FILES and its like. */
const maxIdentityFiles = 100;
const maxHostFiles = 32;

export const keywords = {
  user: row(text),
  hostname: row(text),
  port: row(special.port),
  addressfamily: row(addressFamily, { default: 'any' }),
  batchmode: no(),
  canonicalizefallbacklocal: yes(),
  canonicalizehostname: row(canonicalize, { default: 'no' }),
  checkhostip: no(),
  compression: row(choice({ yes: true, no: false }), { default: false }),
  controlmaster: row(controlMaster, { default: 'no' }),
  enablesshkeysign: no(useless),
  clearallforwardings: no(),
  exitonforwardfailure: no(),
  fingerprinthash: row(special.fingerprintHash, { default: 'sha256' }),
  forwardx11: no(),
  forwardx11trusted: yes(),
  gatewayports: no(),
  gssapiauthentication: no(useless),
  gssapikeyexchange: no(useless),
  gssapidelegatecredentials: no(useless),
  gssapitrustdns: no(useless),
  gssapirenewalforcesrekey: no(useless),
  gssapiclientidentity: row(text, useless),
  gssapiserveridentity: row(text, useless),
  gssapikexalgorithms: row(text, {
    ...useless,
    default:
      'gss-group14-sha256-,gss-group16-sha512-,gss-nistp256-sha256-,gss-curve25519-sha256-,gss-group14-sha1-,gss-gex-sha1-',
  }),
  hashknownhosts: no(),
  hostbasedauthentication: no(),
  identitiesonly: no(),
  kbdinteractiveauthentication: yes({
    aliases: ['challengeresponseauthentication', 'skeyauthentication', 'tisauthentication'],
  }),
  nohostauthenticationforlocalhost: no(),
  passwordauthentication: yes(),
  permitlocalcommand: no(),
  proxyusefdpass: no(useless),
  pubkeyauthentication: row(pubkey, { default: 'yes', aliases: ['dsaauthentication'] }),
  requesttty: row(requestTty, { default: 'auto' }),
  sessiontype: row(sessionType, { default: 'default' }),
  stdinnull: no(),
  forkafterauthentication: no(),
  streamlocalbindunlink: no(),
  stricthostkeychecking: row(strict, { default: 'ask' }),
  tcpkeepalive: yes({ aliases: ['keepalive'] }),
  tunnel: row(tunnel, { ...useless, default: 'no' }),
  verifyhostkeydns: row(yesNoAsk, { default: 'no' }),
  visualhostkey: no(),
  updatehostkeys: row(yesNoAsk, { default: 'yes' }),
  enableescapecommandline: no(),
  warnweakcrypto: row(weakCrypto, { default: 'yes' }),
  canonicalizemaxdots: row(integer, { default: 1 }),
  connectionattempts: row(integer, { default: 1 }),
  forwardx11timeout: row(time, { default: 1200 }),
  numberofpasswordprompts: row(integer, { default: 3 }),
  serveralivecountmax: row(integer, { default: 3 }),
  serveraliveinterval: row(time, { default: 0, aliases: ['protocolkeepalives', 'setuptimeout'] }),
  requiredrsasize: row(integer, { default: 1024 }),
  obscurekeystroketiming: row(special.obscureKeystrokes, { default: 20 }),
  bindaddress: row(text),
  bindinterface: row(text),
  ciphers: row(algorithms('cipher')),
  controlpath: row(text),
  hostkeyalgorithms: row(algorithms('key')),
  hostkeyalias: row(text),
  hostbasedacceptedalgorithms: row(algorithms('key'), { aliases: ['hostbasedkeytypes'] }),
  identityagent: row(special.identityAgent),
  ignoreunknown: row(text),
  kbdinteractivedevices: row(text),
  kexalgorithms: row(algorithms('kex')),
  casignaturealgorithms: row(algorithms('signature')),
  localcommand: row(command),
  remotecommand: row(command),
  loglevel: row(special.logLevel, { default: 'INFO' }),
  macs: row(algorithms('mac')),
  pkcs11provider: row(text, { aliases: ['smartcarddevice'] }),
  securitykeyprovider: row(text, { ...useless, default: 'internal' }),
  preferredauthentications: row(text),
  pubkeyacceptedalgorithms: row(algorithms('key'), { aliases: ['pubkeyacceptedkeytypes'] }),
  revokedhostkeys: row(text),
  xauthlocation: row(text, { default: '/usr/bin/xauth' }),
  knownhostscommand: row(command),
  tag: row(text),
  versionaddendum: row(command),
  refuseconnection: row(text),
  dynamicforward: row(special.forward('dynamic')),
  localforward: row(special.forward('local')),
  remoteforward: row(special.forward('remote')),
  identityfile: row(collected(maxIdentityFiles, 'identity'), { aliases: ['identityfile2'] }),
  canonicaldomains: row(special.canonicalDomains, { default: ['none'] }),
  certificatefile: row(collected(maxIdentityFiles, 'certificate')),
  globalknownhostsfile: row(words(maxHostFiles), {
    default: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
  }),
  userknownhostsfile: row(words(maxHostFiles), { default: ['~/.ssh/known_hosts', '~/.ssh/known_hosts2'] }),
  sendenv: row(special.sendEnv),
  setenv: row(special.setEnv),
  logverbose: row(words(), { ...useless, default: ['none'] }),
  channeltimeout: row(special.channelTimeout, { default: [] }),
  permitremoteopen: row(special.permitRemoteOpen, { default: ['any'] }),
  addkeystoagent: row(special.addKeysToAgent, { default: { mode: 'no', lifetime: 0 } }),
  forwardagent: row(special.forwardAgent, { default: { on: false } }),
  connecttimeout: row(time),
  tunneldevice: row(special.tunnelDevice, { ...useless, default: 'any:any' }),
  canonicalizepermittedcnames: row(special.permittedCnames, {
    default: [{ sources: 'none', targets: '' }],
    spelled: 'canonicalizePermittedcnames',
  }),
  controlpersist: row(special.controlPersist, { default: { on: false, seconds: 0 } }),
  escapechar: row(special.escapeChar, { default: 0x7e }),
  ipqos: row(special.ipQos, { ...useless, default: ['lowdelay', 'throughput'] }),
  rekeylimit: row(special.rekeyLimit, { default: {} }),
  streamlocalbindmask: row(special.bindMask, { default: 0o177 }),
  syslogfacility: row(special.facility, { default: 'USER' }),
  proxycommand: row(command),
  proxyjump: row(special.proxyJump),
} satisfies Record<string, Keyword<unknown>>;

export type KeywordName = keyof typeof keywords;
/** Keywords that have a value even when nobody sets them. */
export type FilledName = {
  [K in KeywordName]: (typeof keywords)[K] extends { readonly default: unknown } ? K : never;
}[KeywordName];
export type ValueOf<K extends KeywordName> = (typeof keywords)[K] extends Keyword<infer T> ? T : never;

/** Keywords that are not settings, and those that once were. */
export type Word = KeywordName | 'host' | 'match' | 'include' | 'ignored' | 'deprecated' | 'unsupported' | 'apple';

const retired: Readonly<Record<'ignored' | 'deprecated' | 'unsupported' | 'apple', readonly string[]>> = {
  ignored: ['protocol'],
  deprecated: [
    'cipher',
    'fallbacktorsh',
    'globalknownhostsfile2',
    'rhostsauthentication',
    'useblacklistedkeys',
    'useprivilegedport',
    'userknownhostsfile2',
    'useroaming',
    'usersh',
  ],
  unsupported: [
    'afstokenpassing',
    'compressionlevel',
    'kerberosauthentication',
    'kerberostgtpassing',
    'rhostsrsaauthentication',
    'rsaauthentication',
  ],
  apple: ['usekeychain'],
};

const table = new Map<string, Word>([
  ['host', 'host'],
  ['match', 'match'],
  ['include', 'include'],
]);
for (const [name, { aliases }] of Object.entries<Keyword<unknown>>(keywords)) {
  for (const word of [name, ...(aliases ?? [])]) table.set(word, name as KeywordName);
}
for (const [word, names] of Object.entries(retired)) for (const name of names) table.set(name, word as Word);

/** What a keyword (lower case) is; undefined when nobody knows it. */
export const lookUpKeyword = (name: string): Word | undefined => table.get(name);

/** All settings in the order of `-G`. */
export const keywordNames = Object.keys(keywords) as KeywordName[];
