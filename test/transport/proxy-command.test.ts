// What becomes of a proxy command when the program that started it does not wait for it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'rolldown';
import { afterAll, expect, it } from 'vitest';

const dir = mkdtempSync(join(tmpdir(), 'bssh-proxy-command-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

it('ends with the process, even one that exits at once', async () => {
  writeFileSync(
    join(dir, 'main.ts'),
    `import { proxyCommand } from ${JSON.stringify(new URL('../../transport/proxy-command.ts', import.meta.url).pathname)};
     const stream = proxyCommand('sh -c "echo $$; exec sleep 60"', { shell: '/bin/sh' });
     stream.start({ data: (chunk) => process.stdout.write(chunk, () => process.exit(0)), drain() {}, end() {}, error() {} });`,
  );
  const file = join(dir, 'main.mjs');
  await build({ input: join(dir, 'main.ts'), platform: 'node', output: { file }, logLevel: 'silent' });
  const { stdout, status } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(status).toBe(0);
  expect(Number(stdout)).toBeGreaterThan(1);
  await expect.poll(() => alive(Number(stdout)), { timeout: 5000 }).toBe(false);
});
