/** Where payloads become packets: those of the wire (`Outbound`), or of a control socket. */
export interface PayloadSink {
  /** Begins a payload of `length` bytes; they are to be `put`, all of them, before anything else is done with the sink. */
  begin(length: number): void;
  put(bytes: Uint8Array): void;
  /** Makes a packet of it. */
  end(): void;
  /** Enough was formed for now. */
  readonly full: boolean;
}
