/**
 * The value types of ssh_config(5) that belong to one keyword each: RekeyLimit, ControlPersist, forwards, ProxyJump and
 * the like. The common ones stand in values.ts.
 */

import { type Destination, parseHops, parsePort } from './destination.ts';
import { type Forward, formatForward, parseForward, parsePermittedOpen } from './forward-spec.ts';
import { matchPattern } from './pattern.ts';
import { expandEnvironment } from './tokens.ts';
import { bad, type Line, parseTime, required, takeList, type ValueType } from './values.ts';

export const port: ValueType<number> = {
  parse: (line) => {
    const value = required(line);
    return parsePort(value) ?? bad(`Bad port '${value}'.`);
  },
  format: (value) => [String(value)],
};

/** DEBUG and DEBUG1 are one level. */
export const logLevels = ['QUIET', 'FATAL', 'ERROR', 'INFO', 'VERBOSE', 'DEBUG', 'DEBUG2', 'DEBUG3'] as const;
export type LogLevel = (typeof logLevels)[number];

export const logLevel: ValueType<LogLevel> = {
  parse: (line) => {
    const value = line.next() ?? '';
    const name = value.toUpperCase() === 'DEBUG1' ? 'DEBUG' : value.toUpperCase();
    return logLevels.find((level) => level === name) ?? bad(`unsupported log level '${value || '<NONE>'}'`);
  },
  format: (value) => [value],
};

const facilities = ['DAEMON', 'USER', 'AUTH', 'AUTHPRIV', ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `LOCAL${n}`)];

export const facility: ValueType<string> = {
  parse: (line) => {
    const value = line.next() ?? '';
    const name = value.toUpperCase();
    return facilities.includes(name) ? name : bad(`unsupported log facility '${value || '<NONE>'}'`);
  },
  format: (value) => [value],
};

/** A character code, or `none`. */
export type EscapeChar = number | 'none';

export const escapeChar: ValueType<EscapeChar> = {
  parse: (line) => {
    const value = required(line);
    if (value === 'none') return 'none';
    if (value.length === 1 && value.charCodeAt(0) < 256) return value.charCodeAt(0);
    if (value.length === 2 && value[0] === '^' && /[@-~]/.test(value[1]!)) return value.charCodeAt(1) & 31;
    return bad('Bad escape character.');
  },
  format: (value) => [
    value === 'none' ? 'none' : value < 32 ? `^${String.fromCharCode(value + 64)}` : String.fromCharCode(value),
  ],
};

export interface RekeyLimit {
  /** 0: what the cipher allows. Missing: not said. */
  readonly bytes?: number;
  /** 0: no limit by time. Missing: not said. */
  readonly seconds?: number;
}

const scale: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
  P: 2 ** 50,
};

function parseBytes(value: string): number {
  const parts = /^(\d{1,18})(\.\d{1,18})?([bkmgtp]?)$/i.exec(value);
  if (parts === null) return bad(`Bad number '${value}': Invalid argument`);
  const bytes = Math.floor(Number(`${parts[1]}${parts[2] ?? ''}`) * scale[parts[3]!.toUpperCase()]!);
  if (bytes > Number.MAX_SAFE_INTEGER) return bad(`Bad number '${value}': Numerical result out of range`);
  return bytes !== 0 && bytes < 16 ? bad('RekeyLimit too small') : bytes;
}

export const rekeyLimit: ValueType<RekeyLimit> = {
  parse: (line) => {
    const value = required(line);
    const bytes = value === 'default' ? 0 : parseBytes(value);
    const after = line.next();
    if (after === undefined || after === 'none') return { bytes };
    return { bytes, seconds: parseTime(after) ?? bad(after === '' ? 'missing time value.' : 'invalid time value.') };
  },
  initial: {},
  // The two halves are set apart: a line without a time leaves it to a later one.
  merge: (first, later) => ({ ...later, ...first }),
  format: (value) => [`${value.bytes ?? 0} ${value.seconds ?? 0}`],
};

export interface ControlPersist {
  readonly on: boolean;
  /** Seconds without a client before the master leaves; 0 = never. */
  readonly seconds: number;
}

export const controlPersist: ValueType<ControlPersist> = {
  parse: (line) => {
    const value = required(line, 'Missing ControlPersist argument.');
    if (value === 'no' || value === 'false') return { on: false, seconds: 0 };
    if (value === 'yes' || value === 'true') return { on: true, seconds: 0 };
    return { on: true, seconds: parseTime(value) ?? bad('Bad ControlPersist argument.') };
  },
  format: ({ on, seconds }) => [on && seconds > 0 ? String(seconds) : on ? 'yes' : 'no'],
};

export interface AddKeysToAgent {
  readonly mode: 'no' | 'yes' | 'ask' | 'confirm';
  /** Life of the key in the agent in seconds; 0 = unlimited. */
  readonly lifetime: number;
}

const addModes = new Map<string, AddKeysToAgent['mode']>([
  ['yes', 'yes'],
  ['true', 'yes'],
  ['no', 'no'],
  ['false', 'no'],
  ['ask', 'ask'],
  ['confirm', 'confirm'],
]);

export const addKeysToAgent: ValueType<AddKeysToAgent> = {
  parse: (line) => {
    const first = required(line, 'missing argument.');
    const second = line.next();
    const mode = addModes.get(first.toLowerCase());
    if (mode === 'confirm' && second !== undefined) {
      return { mode, lifetime: parseTime(second) ?? bad('invalid time value.') };
    }
    if (second !== undefined) return bad('unsupported option');
    if (mode !== undefined) return { mode, lifetime: 0 };
    return { mode: 'yes', lifetime: parseTime(first) ?? bad('unsupported option') };
  },
  format: ({ mode, lifetime }) => [
    lifetime > 0
      ? `${mode === 'confirm' ? 'confirm ' : ''}${lifetime}`
      : mode === 'yes'
        ? 'true'
        : mode === 'no'
          ? 'false'
          : mode,
  ],
};

/** `$NAME`, `${NAME}/x` or a path; checked here so that a typo is found before anything is sent to an agent. */
function agentPath(line: Line, value: string): string {
  try {
    expandEnvironment(value, line.context.env);
  } catch {
    return bad(`Invalid environment expansion ${value}.`);
  }
  if (value.startsWith('$') && value[1] !== '{' && !/^[A-Za-z0-9_]+$/.test(value.slice(1))) {
    return bad(`Invalid environment name ${value}.`);
  }
  return value;
}

export const identityAgent: ValueType<string> = {
  parse: (line) => agentPath(line, required(line)),
  format: (value) => [value],
};

export interface ForwardAgent {
  readonly on: boolean;
  /** Another agent than the one used for authentication: a path or `$NAME`. */
  readonly path?: string;
}

export const forwardAgent: ValueType<ForwardAgent> = {
  parse: (line) => {
    const value = required(line, 'missing argument.');
    const word = value.toLowerCase();
    if (word === 'yes' || word === 'true') return { on: true };
    if (word === 'no' || word === 'false') return { on: false };
    return { on: true, path: agentPath(line, value) };
  },
  format: ({ on, path }) => [path ?? (on ? 'yes' : 'no')],
};

const sameForward = (a: Forward, b: Forward): boolean => a.type === b.type && formatForward(a) === formatForward(b);

export const forward = (type: 'local' | 'remote' | 'dynamic'): ValueType<readonly Forward[]> => ({
  parse: (line) => {
    const listen = required(line);
    const connect = type === 'dynamic' ? undefined : line.next();
    if (type === 'local' && !connect) return bad('Missing target argument.');
    let spec = connect ? `${listen}:${connect}` : listen;
    try {
      // Before the fields are told apart: a variable may hold a socket path.
      spec = expandEnvironment(spec, line.context.env);
    } catch {
      return bad('Bad forwarding specification.');
    }
    return [parseForward(type, spec) ?? bad('Bad forwarding specification.')];
  },
  initial: [],
  merge: (first, later) => [...first, ...later.filter((next) => !first.some((known) => sameForward(known, next)))],
  format: (value) => value.map(formatForward),
});

/** `any`, `none` or a list of `host:port`. */
export const permitRemoteOpen: ValueType<readonly string[]> = {
  parse: (line) => {
    const list = line.takeAll();
    if (!list[0]) return bad(`missing ${line.keyword} specification`);
    if (list[0] === 'any' || list[0] === 'none') {
      return list.length > 1 ? bad(`keyword ${line.keyword} extra arguments at end of line`) : list;
    }
    for (const entry of list) {
      const open = parsePermittedOpen(entry);
      if (open === 'no-host') bad(`missing host in ${line.keyword}`);
      if (open === 'bad-port') bad(`bad port number in ${line.keyword}`);
    }
    return list;
  },
  format: (value) => [value.join(' ')],
};

/** Names and patterns of variables; `-pattern` takes back what stands before it. */
export const sendEnv: ValueType<readonly string[]> = {
  parse: (line) => {
    const list = line.takeAll();
    return list.some((name) => name === '' || name.includes('=')) ? bad('Invalid environment name.') : list;
  },
  initial: [],
  merge: (first, later) => {
    let names = [...first];
    for (const name of later) {
      if (name.startsWith('-')) names = names.filter((known) => !matchPattern(known, name.slice(1)));
      else if (!names.includes(name)) names.push(name);
    }
    return names;
  },
  format: (value) => [...value],
};

const quoteIfNeeded = (value: string): string =>
  /[\s"'#\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;

/** `NAME=value` pairs of one line; of one name the first counts. */
export const setEnv: ValueType<readonly string[]> = {
  parse: (line) => {
    const pairs = new Map<string, string>();
    for (const pair of line.takeAll()) {
      const equals = pair.indexOf('=');
      if (equals < 0) return bad('Invalid SetEnv.');
      const name = pair.slice(0, equals);
      if (!pairs.has(name)) pairs.set(name, pair);
    }
    return pairs.size === 0 ? undefined : [...pairs.values()];
  },
  // All on one line: only the first line that sets them counts.
  format: (value) => [value.map(quoteIfNeeded).join(' ')],
};

const qosNames = new Map<string, number>([
  ...[1, 2, 3, 4].flatMap((c) => [1, 2, 3].map((d): [string, number] => [`af${c}${d}`, (c << 5) | (d << 3)])),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((c): [string, number] => [`cs${c}`, c << 5]),
  ['ef', 0xb8],
  ['le', 0x04],
  ['lowdelay', 0x10],
  ['throughput', 0x08],
  ['reliability', 0x04],
]);

function qosName(value: string): string {
  const name = value.toLowerCase();
  if (name === 'none' || qosNames.has(name)) return name;
  const number = /^(0x[0-9a-f]{1,2}|\d{1,3})$/.test(name) ? Number(name) : -1;
  if (number < 0 || number > 255) return bad(`Bad IPQoS value: ${value}`);
  const known = [...qosNames].find(([, code]) => code === number);
  return known?.[0] ?? `0x${number.toString(16).padStart(2, '0')}`;
}

/** For interactive sessions, for the rest. */
export const ipQos: ValueType<readonly [string, string]> = {
  parse: (line) => {
    const interactive = qosName(line.next() ?? '');
    const bulk = line.next();
    return [interactive, bulk === undefined ? interactive : qosName(bulk)];
  },
  format: (value) => [value.join(' ')],
};

export const bindMask: ValueType<number> = {
  parse: (line) => {
    const value = required(line, 'Missing StreamLocalBindMask argument.');
    const mask = /^[0-7]{1,6}$/.test(value) ? Number.parseInt(value, 8) : -1;
    return mask < 0 || mask > 0o777 ? bad('Bad mask.') : mask;
  },
  format: (value) => [`0${value.toString(8)}`],
};

export const tunnelDevice: ValueType<string> = {
  parse: (line) => {
    const value = required(line);
    const parts = value.toLowerCase().split(':');
    const ok =
      parts.length <= 2 && parts.every((id) => id === 'any' || (/^\d{1,10}$/.test(id) && Number(id) <= 0x7ffffffd));
    return ok ? `${parts[0]}:${parts[1] ?? 'any'}` : bad('Bad tun device.');
  },
  format: (value) => [value],
};

export const fingerprintHash: ValueType<'md5' | 'sha256'> = {
  parse: (line) => {
    const value = required(line);
    const name = value.toLowerCase();
    return name === 'md5' || name === 'sha256' ? name : bad(`Invalid hash algorithm "${value}".`);
  },
  format: (value) => [value.toUpperCase()],
};

function checkDomain(name: string): void {
  const plain = name.endsWith('.') ? name.slice(0, -1) : name;
  if (name === '') bad('empty domain name');
  if (!/^[a-z0-9.]/i.test(name)) bad(`domain name "${name}" starts with invalid character`);
  if (!/^[a-z0-9._-]+$/i.test(plain)) bad(`domain name "${name}" contains invalid characters`);
  if (plain.includes('..')) bad(`domain name "${name}" contains consecutive separators`);
}

export const canonicalDomains: ValueType<readonly string[]> = {
  parse: (line) => {
    const list = takeList(line, 32, 'too many hostname suffixes.');
    list.forEach(checkDomain);
    return list.length === 0 ? undefined : list.map((name) => name.replace(/\.$/, '').toLowerCase());
  },
  format: (value) => [value.join(' ')],
};

/** Which CNAMEs may be followed: pattern list of sources, pattern list of targets. */
export interface PermittedCname {
  readonly sources: string;
  readonly targets: string;
}

export const permittedCnames: ValueType<readonly PermittedCname[]> = {
  parse: (line) => {
    const list = takeList(line, 32, 'too many permitted CNAMEs.').map((entry): PermittedCname => {
      if (entry.toLowerCase() === 'none') return { sources: 'none', targets: '' };
      if (entry === '*') return { sources: '*', targets: '*' };
      const colon = entry.indexOf(':');
      if (colon < 0 || colon === entry.length - 1) return bad(`Invalid permitted CNAME "${entry}"`);
      return { sources: entry.slice(0, colon).toLowerCase(), targets: entry.slice(colon + 1).toLowerCase() };
    });
    return list.length === 0 ? undefined : list;
  },
  format: (value) => [
    value.map(({ sources, targets }) => (targets === '' ? 'none' : `${sources}:${targets}`)).join(' '),
  ],
};

/** The hops, the one we dial first in front. `none` switches a later setting off. */
export type ProxyJump = readonly Destination[] | 'none';

export const proxyJump: ValueType<ProxyJump> = {
  parse: (line) => {
    line.takeAll();
    const value = line.rest
      .replace(/^[\s=]+/, '')
      .split('#', 1)[0]!
      .trim();
    if (value.toLowerCase() === 'none') return 'none';
    return parseHops(value) ?? bad(`Invalid ProxyJump "${value}"`);
  },
  format: (value) => (value === 'none' ? [] : [formatHops(value)]),
};

const formatHop = ({ user, host, port: number }: Destination): string => {
  const name = host.includes(':') || /^[\d.]+$/.test(host) ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${name}${number === undefined ? '' : `:${number}`}`;
};

/** As it would be written in a file. */
export const formatHops = (hops: readonly Destination[]): string => hops.map(formatHop).join(',');

export interface ChannelTimeout {
  /** Pattern of channel types: `session`, `direct-*`, `global`. */
  readonly type: string;
  readonly seconds: number;
}

export const channelTimeout: ValueType<readonly ChannelTimeout[]> = {
  parse: (line) => {
    const list = takeList(line, 64, `too many ${line.keyword} entries.`);
    if (list.length === 0) return undefined;
    if (list[0]!.toLowerCase() === 'none') return [];
    return list.map((entry) => {
      const [type, after] = entry.split('=', 2);
      const seconds = parseTime(after ?? '');
      return type && seconds !== undefined ? { type, seconds } : bad(`unsupported ${line.keyword} "${entry}"`);
    });
  },
  format: (value) => [value.length === 0 ? 'none' : value.map(({ type, seconds }) => `${type}=${seconds}`).join(' ')],
};

/** Milliseconds between packets while keys are typed; 0 = off. */
export const obscureKeystrokes: ValueType<number> = {
  parse: (line) => {
    const value = required(line, 'missing argument.');
    const word = value.toLowerCase();
    if (word === 'yes' || word === 'true') return 20;
    if (word === 'no' || word === 'false') return 0;
    const match = /^interval:(\d{1,6})$/.exec(word);
    const interval = match === null ? 0 : Number(match[1]);
    return interval >= 1 && interval <= 1000 ? interval : bad(`unsupported option "${value}".`);
  },
  format: (value) => [value === 0 ? 'no' : value === 20 ? 'yes' : `interval:${value}`],
};
