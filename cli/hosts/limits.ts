/** Bounds of host lists: a typing slip such as node[1-1000000000] must not eat the machine. */

export const hostLimits = {
  /** Hosts one expression, file or selection may grow to: ten times the largest fleets we know of. */
  expandedHosts: 100_000,
  /** Characters of one expression: a list of that many long names. */
  expressionLength: 16 * 1024 * 1024,
  /** Brackets in one word: two or three are real. */
  brackets: 16,
  /** Digits of a number in a range: stays exact in a double. */
  rangeDigits: 15,
  /** Bytes of a host file. */
  hostfileBytes: 16 * 1024 * 1024,
  /** Files naming files with ^file. */
  fileDepth: 8,
} as const;
