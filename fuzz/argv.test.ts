/** Any argv gives an intent or an SshError, and nothing that was typed gets lost on the way. */

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { readCluster, readSsh } from '../cli/argv.ts';
import { parseCommandLine, parseSsh } from '../cli/grammar.ts';
import { nearest } from '../cli/options/usage.ts';
import { options } from '../cli/options.ts';
import { SshError } from '../client/index.ts';

const letters = options.flatMap((row) => [...(row.ssh ?? ''), ...(row.cluster ?? '')]);
const word = fc.oneof(
  fc.constantFrom(
    'h',
    'user@h',
    'ls',
    '--',
    '-',
    '',
    'list',
    'ping',
    'upload',
    'a,b',
    '@c',
    '[::1]:22',
    'ssh://u@h',
    '22',
    'x=y',
  ),
  fc.array(fc.constantFrom(...letters), { minLength: 1, maxLength: 4 }).map((cluster) => `-${cluster.join('')}`),
  fc.constantFrom(...options).map(({ id }) => `--${id}`),
  fc
    .constantFrom(...options)
    .chain(({ id, choices }) => fc.constantFrom(...(choices ?? ['1', 'x', ''])).map((value) => `--${id}=${value}`)),
  fc.string({ maxLength: 6 }),
);
const argv = fc.array(word, { maxLength: 7 });

const context = {
  program: 'bssh',
  env: {},
  cwd: '/nonexistent',
  home: '/nonexistent',
  readHostfile: () => 'a b',
};

describe('argv', () => {
  it('gives an intent or an SshError under the ssh grammar', () => {
    fc.assert(
      fc.property(argv, fc.boolean(), (words, strict) => {
        try {
          parseSsh(words, strict);
          return true;
        } catch (error) {
          return error instanceof SshError && error.code === 'usage' && [2, 255].includes(error.detail.exit as number);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('gives an intent or an SshError under both', async () => {
    await fc.assert(
      fc.asyncProperty(argv, fc.constantFrom([], ['-H', 'a,b'], ['--hostfile', '-']), async (words, selector) => {
        try {
          await parseCommandLine([...selector, ...words], context);
          return true;
        } catch (error) {
          return error instanceof SshError;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is read completely: the words are its end, what stands before is options', () => {
    fc.assert(
      fc.property(argv, (words) => {
        for (const reading of [readSsh(words, true), readSsh(words, false), readCluster(words)]) {
          const { words: rest } = reading;
          if (reading.problem !== undefined || reading.subcommand !== undefined) continue;
          if (JSON.stringify(words.slice(words.length - rest.length)) !== JSON.stringify(rest)) return false;
        }
        return true;
      }),
      { numRuns: 3000 },
    );
  });

  it('suggests only names that are known, and itself for itself', () => {
    const names = options.map(({ id }) => id);
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...names), fc.string({ maxLength: 80 })), (typed) => {
        const suggestion = nearest(typed, names);
        return names.includes(typed) ? suggestion === typed : suggestion === undefined || names.includes(suggestion);
      }),
    );
  });
});
