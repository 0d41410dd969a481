/** Node's side of the stack: bytes in and out of a session, dialling, and the platform's crypto. Named exports only. */

export { abortable, abortError, offAbort, onAbort } from './abort.ts';
export { type AgentConnection, type ConnectAgentOptions, connectAgent } from './agent-socket.ts';
export type { ByteStream, ByteStreamHandlers } from './byte-stream.ts';
export { channelBytes } from './channel-bytes.ts';
export { ChannelIo, type ChannelRequestEvent, type Sink } from './channel-io.ts';
export { ChannelStream } from './channel-stream.ts';
export { Driver, monotonicNow } from './driver.ts';
export { type Listening, listen, socketStream } from './listener.ts';
export { type MemoryPairOptions, memoryPair } from './memory-pair.ts';
export { nodeCrypto } from './node-crypto.ts';
export { type ProxyCommandOptions, proxyCommand } from './proxy-command.ts';
export { byteStream } from './socket-stream.ts';
export { type DialOptions, dial, type TcpStream } from './tcp.ts';
