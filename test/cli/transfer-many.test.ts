/** One file to many hosts, some of which fail, in bounded memory; and the calls of the README as they stand there. */

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { testData } from '../interop/client.ts';
import { freshDir, requireServer } from '../interop/servers.ts';
import { Bssh, served } from './e2e/bssh.ts';

const HOSTS = 20;
const SIZE = 12 * 2 ** 20;
/** The whole process may grow to this (MiB); holding the file once for each host would not fit. */
const PEAK = 200;

describe.skipIf(!requireServer('sshd'))('files to and from many hosts', () => {
  const bssh = served(new Bssh());
  let dir: string;
  beforeEach(() => {
    dir = freshDir('many');
    chmodSync(dir, 0o777);
  });

  it(`sends a file to ${HOSTS} hosts at once, and says which of them failed`, async () => {
    const fails = (n: number): boolean => n % 5 === 0;
    const source = join(dir, 'source');
    for (const chunk of testData(SIZE)) writeFileSync(source, chunk, { flag: 'a' });
    const places = Array.from({ length: HOSTS }, (_, index) => index + 1);
    for (const n of places.filter((each) => !fails(each))) {
      mkdirSync(join(dir, `127.0.0.${n}`));
      chmodSync(join(dir, `127.0.0.${n}`), 0o777);
    }
    let peak = 0;
    const hosts = ['-H', `127.0.0.[1-${HOSTS}]`, '--parallel', '0'];
    const { code, err } = await bssh.run([...bssh.common, ...hosts, 'upload', 'source', `${dir}/{host}/target`], {
      cwd: dir,
      started(child) {
        const look = setInterval(() => {
          try {
            const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
            peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
          } catch {
            // Gone, or no Linux.
          }
        }, 50);
        child.once('exit', () => clearInterval(look));
      },
    });
    expect(code).toBe(1);
    const wanted = readFileSync(source);
    for (const n of places) {
      const path = join(dir, `127.0.0.${n}`, 'target');
      if (fails(n)) expect(err).toContain(`127.0.0.${n}: ${path}: No such file or directory\n`);
      else expect(readFileSync(path).equals(wanted)).toBe(true);
    }
    expect(err).toMatch(/^16 ok {2,}/m);
    expect(err).toMatch(/^ 4 exit 1 {2}127\.0\.0\.\[5,10,15,20\]$/m);
    expect(peak).toBeLessThan(PEAK);
  }, 120_000);

  it('does what the README says: a cluster gets a file, files come under the names of their hosts', async () => {
    const local = join(dir, `${basename(dir)}-local.txt`);
    writeFileSync(local, 'hello\n');
    const port = bssh.common[bssh.common.indexOf('-p') + 1];
    const config = join(dir, 'config.yaml');
    writeFileSync(
      config,
      `clusters:\n  production:\n    nodes:\n      - 127.0.0.2:${port}\n      - 127.0.0.3:${port}\n`,
    );
    const up = await bssh.run(
      [...bssh.common, '--config', config, '-C', 'production', 'upload', basename(local), '/tmp/'],
      {
        cwd: dir,
      },
    );
    try {
      expect([up.code, up.err]).toEqual([0, expect.stringMatching(/^2 ok /m)]);
      expect(readFileSync(join('/tmp', basename(local)), 'utf8')).toBe('hello\n');
    } finally {
      rmSync(join('/tmp', basename(local)), { force: true });
    }
    const words = ['-H', '127.0.0.2,127.0.0.3', 'download', '/etc/hosts', './backups/'];
    expect((await bssh.run([...bssh.common, ...words], { cwd: dir })).code).toBe(0);
    expect(readdirSync(join(dir, 'backups')).sort()).toEqual(['127.0.0.2_hosts', '127.0.0.3_hosts']);
    expect(readFileSync(join(dir, 'backups/127.0.0.3_hosts'))).toEqual(readFileSync('/etc/hosts'));
    expect(existsSync(join(dir, 'hosts'))).toBe(false);
  });
});
