/** `~`, `$VAR` and `${VAR}` in hosts, users and paths of the configuration. A variable that is not set is an error. */

export interface ExpandSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

export interface Unset {
  readonly unset: string;
}

export const expandVariables = (text: string, { env }: ExpandSources): string | Unset => {
  let unset: string | undefined;
  const expanded = text.replace(/\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g, (_, braced?: string, bare?: string) => {
    const name = (braced ?? bare) as string;
    const value = env[name];
    if (value === undefined) unset ??= name;
    return value ?? '';
  });
  return unset === undefined ? expanded : { unset };
};

/** As above, and a leading `~` or `~/` is the home directory; `~name` stays for ssh, which knows other homes. */
export const expandPath = (text: string, sources: ExpandSources): string | Unset => {
  const expanded = expandVariables(text, sources);
  if (typeof expanded !== 'string') return expanded;
  return expanded === '~' || expanded.startsWith('~/') ? sources.home + expanded.slice(1) : expanded;
};
