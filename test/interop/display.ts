// A display of its own: Xvfb with an Xauthority file that nobody else reads.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram, freshDir, Program } from './process.ts';

/** What the display's real cookie is. */
export const COOKIE = '00112233445566778899aabbccddeeff';

export interface Display {
  /** $DISPLAY. */
  readonly name: string;
  /** $XAUTHORITY. */
  readonly authority: string;
  stop(): Promise<unknown>;
}

/** 640 by 480, with the security extension that untrusted forwarding wants. */
export async function startDisplay(): Promise<Display> {
  const dir = freshDir('x11');
  const authority = join(dir, 'Xauthority');
  let number = 50;
  while (existsSync(`/tmp/.X11-unix/X${number}`) || existsSync(`/tmp/.X${number}-lock`)) number++;
  const name = `:${number}`;
  execFileSync('xauth', ['-q', '-f', authority, 'add', name, '.', COOKIE], { stdio: 'ignore' });
  const options = ['-nolisten', 'tcp', '-noreset', '-screen', '0', '640x480x8', '+extension', 'SECURITY'];
  const x = new Program(dir, findProgram('Xvfb')!, [name, '-auth', authority, ...options]);
  for (let i = 0; i < 500 && !existsSync(`/tmp/.X11-unix/X${number}`); i++) await sleep(20);
  return { name, authority, stop: () => x.stop() };
}
