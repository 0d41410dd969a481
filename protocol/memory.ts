/** Memory that is given back before the collector comes for it. */

/** `ArrayBuffer.prototype.transfer`. */
export type Transfer = (this: ArrayBuffer, length: number) => ArrayBuffer;

/** Less is not worth the call. */
const WORTH_BYTES = 4096;
/** Views that are all of their memory but a head and padding: what shares its memory with other things is never one. */
const SLACK_BYTES = 512;

let transfer: Transfer | undefined = (ArrayBuffer.prototype as { transfer?: Transfer }).transfer;

/** For engines that have the method but do not show it (Node.js 20). */
export function transferBy(found: Transfer): void {
  transfer = found;
}

/**
 * Frees what `bytes` lies in: call it when it is yours and nothing refers to it. What a cipher makes of each packet would
 * otherwise wait for a collection, tens of megabytes of it, and the memory of the next packets be cold: files take 2 to 15 %
 * longer. Does nothing for little, for a part of something larger, and where there is no `transfer`.
 */
export function release(bytes: Uint8Array): void {
  const { buffer, length } = bytes;
  if (transfer === undefined || length < WORTH_BYTES || buffer.byteLength - length > SLACK_BYTES) return;
  transfer.call(buffer as ArrayBuffer, 0);
}
