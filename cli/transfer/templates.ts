/** Words that differ from host to host: `{host}`, `{user}` and `{port}` in sources and destinations. */

export interface HostFacts {
  /** As the names of its files have it: no two hosts have the same. */
  readonly host: string;
  readonly user: string;
  readonly port: number;
}

const PLACES = /\{(host|user|port)\}/g;

export const isTemplate = (word: string): boolean => word.search(PLACES) >= 0;

/** Whether no two hosts get the same word. */
export const tellsHosts = (word: string): boolean => word.includes('{host}');

export const fillIn = (word: string, facts: HostFacts): string =>
  word.replace(PLACES, (_, name: keyof HostFacts) => String(facts[name]));
