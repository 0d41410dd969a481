/** How a run is cut into batches: sizes as numbers or shares of all hosts, the last of them for all that follow. */

export type BatchSize = number | { readonly percent: number };

/** The place after the last host of each batch; at least one host in each, and one batch for all without sizes. */
export function batchEnds(hosts: number, sizes: readonly BatchSize[]): number[] {
  const ends: number[] = [];
  for (let end = 0; end < hosts; ends.push(end)) {
    const size = sizes[Math.min(ends.length, sizes.length - 1)] ?? hosts;
    const count = typeof size === 'number' ? size : Math.ceil((hosts * size.percent) / 100);
    end = count < 1 ? hosts : Math.min(end + count, hosts);
  }
  return ends;
}
