/** Where payloads become packets: those of the wire (`Outbound`), or of a control socket. */
export interface PayloadSink {
  /** Where the next payload must be written; `commit` has to be the next call. */
  reserve(length: number): Uint8Array;
  /** Makes a packet of it. */
  commit(): void;
  /** Enough was formed for now. */
  readonly full: boolean;
}
