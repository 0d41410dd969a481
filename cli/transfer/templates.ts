/** Words that differ from host to host: `{host}`, `{node}`, `{index}`, `{user}` and `{port}` in sources and destinations. */

export interface HostFacts {
  /** As the names of its files have it: no two hosts have the same. */
  readonly host: string;
  /** The same: a name that others have, too, would let one host's file take the place of another's. */
  readonly node: string;
  /** The place in the list, from 0 on. */
  readonly index: number;
  readonly user: string;
  readonly port: number;
}

const PLACES = /\{(host|node|index|user|port)\}/g;

export const isTemplate = (word: string): boolean => word.search(PLACES) >= 0;

/** Whether no two hosts get the same word. */
export const tellsHosts = (word: string): boolean => /\{(host|node|index)\}/.test(word);

export const fillIn = (word: string, facts: HostFacts): string =>
  word.replace(PLACES, (_, name: keyof HostFacts) => String(facts[name]));
