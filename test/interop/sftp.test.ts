/** Files over real SSH: sizes around every border, many files, names of every kind, far servers and cut connections. */

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { download } from '../../client/sftp/download.ts';
import { openLanes, openSftp } from '../../client/sftp/open.ts';
import { RateLimit } from '../../client/sftp/rate.ts';
import { toLocal } from '../../client/sftp/safe-names.ts';
import { type Lanes, MAX_LANES } from '../../client/sftp/transfer.ts';
import { downloadTree } from '../../client/sftp/tree-download.ts';
import { uploadTree } from '../../client/sftp/tree-upload.ts';
import { upload } from '../../client/sftp/upload.ts';
import { type Opening, open, testData, testDigest } from './client.ts';
import { requireAsyncssh, requireProftpd, startAsyncssh, startProftpd } from './more-servers.ts';
import { startProxy } from './proxy.ts';
import { freshDir, isRoot, requireServer, type Server, startDropbear, startSshd } from './servers.ts';

const MiB = 1024 * 1024;

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: MiB }), hash);
  return hash.digest('hex');
}

function makeFile(path: string, size: number, seed = 1): void {
  writeFileSync(path, '', { mode: 0o644 });
  for (const chunk of testData(size, seed)) writeFileSync(path, chunk, { flag: 'a' });
}

/** A folder that the server's user may write as well. */
async function sharedDir(): Promise<string> {
  const dir = freshDir('sftp');
  await chmod(dir, 0o777);
  return dir;
}

const kinds: readonly (readonly [string, boolean, () => Promise<Server>])[] = [
  ['sshd', requireServer('sshd'), () => startSshd()],
  [
    'sshd that rekeys often, and the sftp-server program',
    requireServer('sshd', 'sftp-server'),
    () => startSshd({ config: ['ForceCommand /usr/lib/openssh/sftp-server', 'RekeyLimit 4M'] }),
  ],
  [
    'Dropbear',
    isRoot && requireServer('dropbear', 'dropbearconvert') && existsSync('/usr/lib/sftp-server'),
    () => startDropbear(),
  ],
  ['ProFTPD', requireProftpd(), () => startProftpd()],
  ['AsyncSSH', requireAsyncssh(), () => startAsyncssh()],
];

describe.each(kinds)('%s', (_, isHere, start) => {
  describe.skipIf(!isHere)('is here', () => {
    let server: Server;
    let opening: Opening;
    let lanes: Lanes;
    let dir: string;

    beforeAll(async () => {
      server = await start();
      opening = await open(server);
      lanes = await openLanes(opening.connection);
    });
    afterAll(async () => {
      await opening?.[Symbol.asyncDispose]();
      await server?.stop();
    });
    beforeEach(async () => {
      dir = await sharedDir();
    });

    test.each([0, 1, 32_767, 32_768, 32_769, 261_121, 3_000_001, 40 * MiB + 1])(
      '%d bytes there and back',
      async (size) => {
        const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
        makeFile(a, size);
        expect(await upload(lanes, a, b)).toEqual({ moved: size, size, attributesKept: true });
        expect(await download(lanes.first, b, c)).toEqual({ moved: size, size, attributesKept: true });
        const sum = testDigest(size);
        expect([await hashOf(b), await hashOf(c)]).toEqual([sum, sum]);
        expect(readdirSync(dir).sort()).toEqual(['a', 'b', 'c']);
      },
    );

    test('a tree of some hundred files', async () => {
      const paths: string[] = [];
      for (let d = 0; d < 20; d++) {
        const folder = join(`d${d % 4}`, `d${d}`);
        await mkdir(join(dir, 'from', folder), { recursive: true });
        for (let f = 0; f < 20; f++) paths.push(join(folder, `f${f}`));
      }
      for (const [index, path] of paths.entries()) makeFile(join(dir, 'from', path), index * 37, (index % 200) + 1);
      const counts = { files: 400, directories: 25, failed: 0, skipped: 0 };
      expect(await uploadTree(lanes, join(dir, 'from'), join(dir, 'up'))).toMatchObject(counts);
      expect(await downloadTree(lanes.first, join(dir, 'up'), join(dir, 'down'))).toMatchObject(counts);
      for (const path of paths) {
        const wanted = await hashOf(join(dir, 'from', path));
        expect([path, await hashOf(join(dir, 'up', path)), await hashOf(join(dir, 'down', path))]).toEqual([
          path,
          wanted,
          wanted,
        ]);
      }
    }, 60_000);

    test('names of every kind in trees', async () => {
      const names = ['-rf', ' lead', 'new\nline', `q'"`, 'é\u{1f600}', 'b\udcff\udc80d', '*?[x]', '\\b', '~', '...'];
      await mkdir(join(dir, 'from'));
      for (const name of names) writeFileSync(toLocal(join(dir, 'from', name)), name);
      const up = await uploadTree(lanes, join(dir, 'from'), join(dir, 'up'));
      const down = await downloadTree(lanes.first, join(dir, 'up'), join(dir, 'down'));
      for (const result of [up, down]) expect(result).toMatchObject({ files: names.length, failed: 0, skipped: 0 });
      const list = (name: string) =>
        readdirSync(join(dir, name), 'buffer')
          .map((entry) => entry.toString('hex'))
          .sort();
      expect(list('down')).toEqual(list('from'));
    });
  });
});

describe.skipIf(!requireServer('sshd'))('sshd', () => {
  let server: Server;
  let dir: string;

  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    dir = await sharedDir();
  });

  test('ten thousand small files there and back', async () => {
    await using opening = await open(server);
    const lanes = await openLanes(opening.connection);
    const from = join(dir, 'from');
    for (let d = 0; d < 100; d++) {
      await mkdir(join(from, `d${d}`), { recursive: true });
      for (let f = 0; f < 100; f++) writeFileSync(join(from, `d${d}`, `f${f}`), `${d} ${f}`);
    }
    const counts = { files: 10_000, directories: 101, failed: 0 };
    expect(await uploadTree(lanes, from, join(dir, 'up'))).toMatchObject(counts);
    expect(await downloadTree(lanes.first, join(dir, 'up'), join(dir, 'down'))).toMatchObject(counts);
    for (const [d, f] of [
      [0, 0],
      [57, 99],
      [99, 99],
    ])
      expect(readFileSync(join(dir, 'down', `d${d}`, `f${f}`), 'utf8')).toBe(`${d} ${f}`);
  }, 120_000);

  test('a file larger than 32 bits of window, over rekeys', async () => {
    await using opening = await open(server, { options: ['RekeyLimit=64M'] });
    const lanes = await openLanes(opening.connection);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
    const size = 256 * MiB;
    makeFile(a, size);
    await upload(lanes, a, b);
    await download(lanes.first, b, c);
    const sum = testDigest(size);
    expect([await hashOf(b), await hashOf(c)]).toEqual([sum, sum]);
    expect(opening.negotiated.length).toBeGreaterThan(4);
    rmSync(dir, { recursive: true });
  }, 120_000);

  test('a far server: more lanes, all bytes', async () => {
    await using proxy = await startProxy({ target: server, up: { delay: 25 }, down: { delay: 25 } });
    await using opening = await open(
      { ...server, port: proxy.port },
      { options: [`HostKeyAlias=[127.0.0.1]:${server.port}`] },
    );
    const lanes = await openLanes(opening.connection);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
    const size = 64 * MiB + 12_345;
    makeFile(a, size);
    const started = performance.now();
    await upload(lanes, a, b);
    // One channel of 2 MiB takes at least 1.6 s for this at 50 ms.
    expect((await lanes.more()).length).toBe(MAX_LANES - 1);
    await download(lanes.first, b, c);
    expect(performance.now() - started).toBeLessThan(20_000);
    const sum = testDigest(size);
    expect([await hashOf(b), await hashOf(c)]).toEqual([sum, sum]);
    await lanes.close();
  }, 60_000);

  test('a limit holds either way', async () => {
    await using opening = await open(server);
    const lanes = await openLanes(opening.connection);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
    makeFile(a, MiB);
    for (const move of [
      () => upload(lanes, a, b, { rate: new RateLimit(MiB) }),
      () => download(lanes.first, b, c, { rate: new RateLimit(MiB) }),
    ]) {
      const started = performance.now();
      await move();
      expect(performance.now() - started).toBeGreaterThan(800);
    }
    expect(await hashOf(c)).toBe(testDigest(MiB));
  });

  test.each([0.03, 0.2, 0.5, 0.8, 0.97])(
    'cut off at %f of the way: nothing looks whole, resuming finishes',
    async (part) => {
      const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
      const size = 48 * MiB + 7;
      makeFile(a, size);
      for (const [way, target] of [
        ['up', b],
        ['down', c],
      ] as const) {
        const move = async (port: number) => {
          await using opening = await open(
            { ...server, port },
            { options: [`HostKeyAlias=[127.0.0.1]:${server.port}`] },
          );
          const lanes = await openLanes(opening.connection);
          const options = { resume: true };
          return way === 'up' ? await upload(lanes, a, b, options) : await download(lanes.first, b, c, options);
        };
        await using proxy = await startProxy({ target: server, [way]: { cutAt: Math.floor(size * part) } });
        const error = await move(proxy.port).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toMatchObject({ code: 'lost' });
        expect(existsSync(target)).toBe(false);
        expect(await move(server.port)).toMatchObject({ size });
        expect(await hashOf(target)).toBe(testDigest(size));
      }
      expect(readdirSync(dir).sort()).toEqual(['a', 'b', 'c']);
    },
    60_000,
  );

  test('without resuming nothing is left behind here', async () => {
    const [a, b] = ['a', 'b'].map((name) => join(dir, name)) as [string, string];
    makeFile(a, 8 * MiB);
    await using proxy = await startProxy({ target: server, down: { cutAt: 3 * MiB } });
    await using opening = await open(
      { ...server, port: proxy.port },
      { options: [`HostKeyAlias=[127.0.0.1]:${server.port}`] },
    );
    const sftp = await openSftp(opening.connection);
    await expect(download(sftp, a, b)).rejects.toMatchObject({ code: 'lost' });
    expect(readdirSync(dir)).toEqual(['a']);
  });

  test('what is kept: permissions, times; a read-only source', async () => {
    await using opening = await open(server);
    const lanes = await openLanes(opening.connection);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [string, string, string];
    writeFileSync(a, 'x', { mode: 0o444 });
    await upload(lanes, a, b, { preserve: true });
    await download(lanes.first, b, c, { preserve: true });
    for (const path of [b, c]) {
      expect(statSync(path).mode & 0o777).toBe(0o444);
      expect(Math.floor(statSync(path).mtimeMs / 1000)).toBe(Math.floor(statSync(a).mtimeMs / 1000));
    }
  });
});

describe.skipIf(!requireServer('sshd'))('servers that have no SFTP', () => {
  test.each([
    [
      'a program that ends',
      'ForceCommand /bin/false',
      { code: 'unsupported', message: 'the server has no SFTP: the SFTP session ended with status 1' },
    ],
    ['a program that chats', 'ForceCommand echo Welcome to this server', { code: 'sftp' }],
    ['no sessions at all', 'MaxSessions 0', { code: 'channel-open' }],
  ])('%s', async (_, line, wanted) => {
    const server = await startSshd({ config: [line] });
    try {
      await using opening = await open(server);
      await expect(openSftp(opening.connection)).rejects.toMatchObject(wanted);
    } finally {
      await server.stop();
    }
  });
});
