/** Against OpenSSH's sftp-server, over pipes. */

import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { download } from '../../../client/sftp/download.ts';
import type { Sftp } from '../../../client/sftp/sftp.ts';
import { SharedFile } from '../../../client/sftp/shared-file.ts';
import { Lanes } from '../../../client/sftp/transfer.ts';
import { downloadTree } from '../../../client/sftp/tree-download.ts';
import { uploadTree } from '../../../client/sftp/tree-upload.ts';
import { upload } from '../../../client/sftp/upload.ts';
import { encodeName } from '../../../protocol/sftp/names.ts';
import { type RealServer, realServer, SERVER } from './servers.ts';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const odd = [
  '-rf',
  ' lead',
  'new\nline',
  `quo'"te`,
  'sp ace',
  '\u00e9\u{1f600}',
  'b\udcff\udc80d',
  '*?[x]',
  '\\back',
  '~',
  '...',
];
const bytesOf = (path: string): Buffer => Buffer.from(encodeName(path));

describe.skipIf(!SERVER)('sftp-server', () => {
  let server: RealServer;
  let sftp: Sftp;
  let dir: string;
  const inside = (name: string): string => join(dir, name);

  beforeAll(async () => {
    server = await realServer();
    sftp = server.sftp;
  });
  afterAll(() => server.kill());
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sftp-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test.each([0, 1, 32767, 32768, 32769, 261119, 261121, 522240, 522241, 3_000_001])(
    '%d bytes there and back',
    async (size) => {
      const content = randomBytes(size);
      writeFileSync(inside('a'), content, { mode: 0o640 });
      expect(await upload(sftp, inside('a'), inside('b'))).toEqual({ moved: size, size, attributesKept: true });
      expect(await download(sftp, inside('b'), inside('c'))).toEqual({ moved: size, size, attributesKept: true });
      expect(hash(readFileSync(inside('b')))).toBe(hash(content));
      expect(hash(readFileSync(inside('c')))).toBe(hash(content));
      expect(statSync(inside('c')).mode & 0o777).toBe(0o640);
      expect(readdirSync(dir).sort()).toEqual(['a', 'b', 'c']);
    },
  );

  test('64 MiB, over several sessions, and through streams', async () => {
    const content = randomBytes(64 * 1024 * 1024);
    const sum = hash(content);
    writeFileSync(inside('a'), content);
    const more: RealServer[] = [];
    const lanes = new Lanes(sftp, async () => {
      const next = await realServer();
      more.push(next);
      return next.sftp;
    });
    await lanes.more();
    await upload(lanes, inside('a'), inside('b'));
    expect(hash(readFileSync(inside('b')))).toBe(sum);
    await download(sftp, inside('b'), inside('c'));
    expect(hash(readFileSync(inside('c')))).toBe(sum);
    await lanes.close();
    await Promise.all(more.map((each) => each.gone));

    const from = await sftp.open(inside('b'));
    const to = await sftp.open(inside('d'), 'wx');
    await pipeline(from.readable(), to.writable());
    await Promise.all([from.close(), to.close()]);
    expect(hash(readFileSync(inside('d')))).toBe(sum);
    const part = await sftp.open(inside('b'));
    const some = await Readable.from(part.readable({ start: 300_000, end: 900_001 })).toArray();
    expect(Buffer.compare(Buffer.concat(some), content.subarray(300_000, 900_001))).toBe(0);
    await part.close();
  });

  test('every operation', async () => {
    writeFileSync(inside('f'), 'hello');
    expect(await sftp.stat(inside('f'))).toMatchObject({ kind: 'file', size: 5 });
    expect(sftp.extensions.get('limits@openssh.com')).toBe('1');
    expect((await sftp.limits()).read).toBeGreaterThan(200_000);
    await sftp.mkdir(inside('d'), { permissions: 0o711 });
    expect((await sftp.stat(inside('d'))).mode).toBe(0o711);
    await sftp.symlink('f', inside('l'));
    expect(readlinkSync(inside('l'))).toBe('f');
    expect(await sftp.readlink(inside('l'))).toBe('f');
    expect((await sftp.lstat(inside('l'))).kind).toBe('link');
    expect((await sftp.stat(inside('l'))).kind).toBe('file');
    await sftp.setStat(inside('f'), { mode: 0o604, atime: 1000, mtime: 2000 });
    expect(await sftp.stat(inside('f'))).toMatchObject({ mode: 0o604, atime: 1000, mtime: 2000 });
    await sftp.setLinkStat(inside('l'), { atime: 5, mtime: 6 });
    expect(lstatSync(inside('l')).mtimeMs).toBe(6000);
    expect(statSync(inside('f')).mtimeMs).toBe(2_000_000);
    await sftp.hardlink(inside('f'), inside('h'));
    expect(statSync(inside('h')).nlink).toBe(2);
    await sftp.rename(inside('h'), inside('f'));
    expect(await sftp.realpath(`${dir}/d/../f`)).toBe(inside('f'));
    expect(await sftp.expandPath('~root')).toMatch(/\/root$/);
    expect((await sftp.statvfs(dir)).maxName).toBe(255n);
    if (sftp.supports('usersGroupsById')) {
      expect(await sftp.namesById([0, 4_000_000], [0])).toEqual({ users: ['root', ''], groups: ['root'] });
    }

    const file = await sftp.open(inside('f'), 'r+');
    expect(Buffer.from(await file.read(1, 100)).toString()).toBe('ello');
    expect((await file.read(5, 100)).length).toBe(0);
    await file.write(5, Buffer.from(' world'));
    await file.sync();
    expect(await file.stat()).toMatchObject({ size: 11 });
    expect((await file.statvfs()).blockSize).toBeGreaterThan(0n);
    await file.setStat({ size: 4 });
    const copy = await sftp.open(inside('g'), 'w');
    if (sftp.supports('copyData')) {
      await sftp.copyData(file, 0, 0, copy, 2);
      expect(readFileSync(inside('g'), 'latin1')).toBe('\0\0hell');
    }
    await Promise.all([file.close(), copy.close()]);
    await sftp.remove(inside('l'));
    await sftp.rmdir(inside('d'));
    expect(existsSync(inside('d'))).toBe(false);
  });

  test('errors say what, where and why', async () => {
    const path = inside('nowhere');
    const detail = { status: 2, text: 'No such file', path };
    await expect(sftp.stat(path)).rejects.toMatchObject({ code: 'sftp', detail: { ...detail, operation: 'stat' } });
    await expect(sftp.open(path)).rejects.toMatchObject({ code: 'sftp', detail: { ...detail, operation: 'open' } });
    await expect(download(sftp, path, inside('x'))).rejects.toMatchObject({ code: 'sftp' });
    await expect(upload(sftp, path, inside('x'))).rejects.toMatchObject({
      code: 'file',
      detail: { errno: 'ENOENT', path },
    });
    await expect(upload(sftp, dir, inside('x'))).rejects.toMatchObject({ code: 'file' });
    await expect(download(sftp, dir, inside('x'))).rejects.toMatchObject({
      code: 'sftp',
      detail: { kind: 'directory' },
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('names of every kind, both ways in trees', async () => {
    mkdirSync(inside('src/deep/er'), { recursive: true });
    for (const name of odd) writeFileSync(bytesOf(inside(`src/deep/${name}`)), name);
    writeFileSync(inside('src/run'), 'x', { mode: 0o755 });
    utimesSync(inside('src/deep/er'), 11, 22);
    symlinkSync('/etc/passwd', inside('src/link'));
    const up = await uploadTree(sftp, inside('src'), inside('up'), { preserve: true });
    expect(up).toMatchObject({ files: odd.length + 1, directories: 3, skipped: 1, failed: 0 });
    const down = await downloadTree(sftp, inside('up'), inside('down'), { preserve: true });
    expect(down).toMatchObject({ files: odd.length + 1, directories: 3, skipped: 0, failed: 0, bytes: up.bytes });
    const list = (at: string): string[] =>
      readdirSync(at, { encoding: 'buffer' })
        .map((name) => name.toString('latin1'))
        .sort();
    expect(list(inside('down/deep'))).toEqual(list(inside('src/deep')));
    for (const name of odd) expect(readFileSync(bytesOf(inside(`down/deep/${name}`)))).toEqual(Buffer.from(name));
    expect(statSync(inside('down/deep/er')).mtimeMs).toBe(22_000);
    expect(statSync(inside('down/run')).mode & 0o777).toBe(0o755);
    const followed = await uploadTree(sftp, inside('src'), inside('up2'), { links: 'follow' });
    expect(followed).toMatchObject({ files: odd.length + 2, skipped: 0 });
    expect(lstatSync(inside('up2/link')).isFile()).toBe(true);
  });

  test('a directory of 5000 is listed in full', async () => {
    for (let i = 0; i < 5000; i++) writeFileSync(inside(`f${i}`), '');
    const seen = new Set<string>();
    for await (const entry of sftp.readdir(dir)) seen.add(entry.name);
    expect(seen.size).toBe(5000);
    for await (const entry of sftp.readdir(dir)) {
      expect(entry.stat.kind).toBe('file');
      break;
    }
  });

  test('one file for many receivers is read once', async () => {
    const content = randomBytes(5_000_000);
    writeFileSync(inside('a'), content);
    const source = SharedFile.open(inside('a'), { keep: 32 });
    const targets = Array.from({ length: 8 }, (_, i) => inside(`to${i}`));
    await Promise.all(targets.map((target) => upload(sftp, source, target)));
    expect(source.reads).toBe(source.blocks);
    await source.close();
    for (const target of targets) expect(hash(readFileSync(target))).toBe(hash(content));
  });

  test('a target that is there: content replaced, permissions and links kept', async () => {
    writeFileSync(inside('new'), 'new', { mode: 0o644 });
    writeFileSync(inside('old'), 'old', { mode: 0o604 });
    linkSync(inside('old'), inside('witness'));
    symlinkSync('old', inside('link'));
    await upload(sftp, inside('new'), inside('link'));
    expect(readlinkSync(inside('link'))).toBe('old');
    expect(readFileSync(inside('old'), 'utf8')).toBe('new');
    expect(readFileSync(inside('witness'), 'utf8')).toBe('old');
    expect(statSync(inside('old')).mode & 0o777).toBe(0o604);
    await download(sftp, inside('witness'), inside('link'));
    expect(readFileSync(inside('old'), 'utf8')).toBe('old');
    await upload(sftp, inside('new'), inside('witness'), { atomic: false });
    expect(readFileSync(inside('witness'), 'utf8')).toBe('new');
    expect((await download(sftp, inside('new'), '/dev/null')).size).toBe(3);
  });

  test('files of /proc, which say that they are empty', async () => {
    await download(sftp, '/proc/self/cmdline', inside('cmdline'));
    expect(readFileSync(inside('cmdline'), 'latin1')).toContain('sftp-server');
  });
});
