import { describe, expect, test } from 'vitest';
import { TransferSlots } from '../../../client/sftp/slots.ts';

const KIB = 1024;
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Files under way, each until it is told to end. */
class Files {
  readonly moving = new Map<string, () => void>();
  started = 0;
  readonly slots: TransferSlots;

  constructor(count: number) {
    this.slots = new TransferSlots(count);
  }

  async add(name: string, bytes: number): Promise<void> {
    await this.slots.take();
    this.started++;
    void this.#move(name, bytes);
  }

  async #move(name: string, bytes: number): Promise<void> {
    await this.slots.takeRoom(bytes);
    await new Promise<void>((resolve) => void this.moving.set(name, resolve));
    this.slots.giveRoom(bytes);
    this.slots.give();
  }

  async end(name: string): Promise<void> {
    this.moving.get(name)!();
    this.moving.delete(name);
    await turn();
  }
}

describe('the slots of a tree', () => {
  test('hold so many files', async () => {
    const files = new Files(2);
    await files.add('a', 0);
    await files.add('b', 0);
    let third = false;
    void files.add('c', 0).then(() => {
      third = true;
    });
    await turn();
    expect([files.started, third]).toEqual([2, false]);
    await files.end('a');
    expect([files.started, third]).toEqual([3, true]);
  });

  test('and so much of what is in them: 128 KiB each', async () => {
    const files = new Files(4);
    await files.add('a', 200 * KIB);
    await files.add('b', 200 * KIB);
    await files.add('c', 200 * KIB);
    await turn();
    expect([...files.moving.keys()]).toEqual(['a', 'b']);
    await files.end('a');
    expect([...files.moving.keys()]).toEqual(['b', 'c']);
  });

  test('and no more than 16 MiB of it, however many they are', async () => {
    const files = new Files(256);
    for (let n = 0; n < 40; n++) await files.add(`${n}`, 512 * KIB);
    await turn();
    expect(files.moving.size).toBe(32);
  });

  test('a file of any size moves, and no crowd of small ones keeps it waiting', async () => {
    const files = new Files(8);
    for (const name of ['a', 'b', 'c', 'd']) await files.add(name, 4 * KIB);
    await files.add('huge', 2 ** 50);
    await files.add('another', 2 ** 50);
    await turn();
    expect([...files.moving.keys()]).toEqual(['a', 'b', 'c', 'd', 'huge']);
    await files.end('huge');
    expect([...files.moving.keys()]).toEqual(['a', 'b', 'c', 'd', 'another']);
  });

  test('there is nothing to wait for while some are free, and all are in the end', async () => {
    const slots = new TransferSlots(1);
    expect([slots.take(), slots.takeRoom(2 ** 40)]).toEqual([undefined, undefined]);
    const order: string[] = [];
    const next = Promise.all([
      slots.take()?.then(() => order.push('slot')),
      slots.idle().then(() => order.push('idle')),
    ]);
    slots.giveRoom(2 ** 40);
    slots.give();
    await turn();
    expect(order).toEqual(['slot']);
    expect(slots.takeRoom(64 * KIB)).toBeUndefined();
    slots.give();
    await next;
    expect(order).toEqual(['slot', 'idle']);
  });
});
