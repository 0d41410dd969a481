/**
 * Sources of hosts: whatever stands in an inventory, a batch job's list or a pdsh command line gives hosts that are host
 * names, or an SshError.
 */

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { hostProblem } from '../cli/hosts/spec.ts';
import { readPdsh } from '../cli/pdsh/options.ts';
import { pdshTargets } from '../cli/pdsh/targets.ts';
import { pbsHosts, slurmHosts } from '../cli/sources/batch-job.ts';
import { Inventory } from '../cli/sources/inventory.ts';
import { inventoryNodes } from '../cli/sources/inventory-hosts.ts';
import { readIni } from '../cli/sources/inventory-ini.ts';
import { readYaml } from '../cli/sources/inventory-yaml.ts';
import { shellWords } from '../cli/sources/shell-words.ts';
import { SshError } from '../client/index.ts';

/** The names that come out, or undefined for an SshError; anything else goes through. */
const attempt = (action: () => readonly string[]): readonly string[] | undefined => {
  try {
    return action();
  } catch (error) {
    if (error instanceof SshError) return undefined;
    throw error;
  }
};
const areNames = (names: readonly string[] | undefined): boolean =>
  names === undefined || names.every((name) => hostProblem(name) === undefined);

const soup = (alphabet: string, maxLength: number) => fc.string({ unit: fc.constantFrom(...alphabet), maxLength });
const piece = fc.constantFrom(
  '[a]\n',
  '[b:children]\n',
  '[a:vars]\n',
  '[b]\n',
  'h[1:3]',
  'h[a:c]:22',
  'x',
  'b\n',
  'a\n',
  ' ansible_host=10.0.0.1',
  ' ansible_port=',
  '22',
  ' ansible_user="',
  '"',
  "'",
  ' #',
  '\n',
  ';',
  '=',
  '[',
  ']',
  ':',
  '{{ x }}',
  ' ansible_ssh_common_args=',
  "'-o ProxyJump=j'",
  ' ansible_connection=local',
);
const ini = fc.oneof(
  fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join('')),
  soup('ab01[]:=#;"\' \n\\{}$', 80),
);
const yaml = fc.oneof(
  fc
    .array(
      fc.constantFrom(
        'all:\n',
        '  hosts:\n',
        '    h[1:3]:\n',
        '    x: { ansible_port: 1 }\n',
        '  children:\n',
        '    b:\n',
        '      hosts: { y: }\n',
        '  vars: { ansible_user: u }\n',
        '    b: *a\n',
        '&a ',
        '- ',
        '<<: ',
        '{',
        '}',
        'null\n',
      ),
      { maxLength: 16 },
    )
    .map((lines) => lines.join('')),
  soup('ah:{}[]&*<-!|\n ', 60),
);
const sources = { env: {}, home: '/h' };
const everything = (inventory: Inventory): string[] =>
  inventory.groupNames.flatMap((group) =>
    inventoryNodes(inventory, group, sources).nodes.flatMap(({ host, address, problem }) =>
      problem === undefined ? [host, address ?? host] : [host],
    ),
  );

describe('sources of hosts', () => {
  it.each([
    ['INI', ini, readIni],
    ['YAML', yaml, readYaml],
  ] as const)('an inventory in %s', (_, text, read) => {
    fc.assert(
      fc.property(text, (given) =>
        areNames(
          attempt(() => {
            const inventory = new Inventory('f');
            read(inventory, given);
            return everything(inventory);
          }),
        ),
      ),
      { numRuns: 2000 },
    );
  });

  it('a batch job', () => {
    const list = soup('an019[]-,:@!^&/ \n.', 40);
    fc.assert(
      fc.property(list, (given) => {
        const hosts = (read: () => readonly { readonly host: string }[]) => () => read().map(({ host }) => host);
        return (
          areNames(attempt(hosts(() => slurmHosts({ SLURM_JOB_NODELIST: given })))) &&
          areNames(attempt(hosts(() => pbsHosts({ PBS_NODEFILE: '/f' }, () => given))))
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('a command line of pdsh', () => {
    const words = fc.array(soup('-wxgXaSN1a,^/[]:@ ', 8), { maxLength: 6 });
    const config = { file: undefined, settings: [], clusters: new Map(), interactive: {}, notes: [] };
    fc.assert(
      fc.property(words, (given) => {
        attempt(() => [pdshTargets(readPdsh(given).options, { env: { WCOLL: '/f' }, home: '/h', config }).expression]);
      }),
      { numRuns: 2000 },
    );
  });

  it('words of a shell come back from their quoted form', () => {
    const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 6 }), (words) => {
        const again = shellWords(words.map(quote).join(' '));
        return Array.isArray(again) && again.length === words.length && again.every((word, i) => word === words[i]);
      }),
    );
  });
});
