/** The public face of the client layer. */

export {
  type AlgorithmPreferences,
  algorithms,
  type CryptoProvider,
  Disconnect,
  defaultAlgorithms,
  type ErrorCode,
  fingerprint,
  type Negotiated,
  nobleCrypto,
  SshError,
  supportedAlgorithms,
  type TerminalMode,
} from '../protocol/index.ts';
export { ChannelIo, ChannelStream, nodeCrypto, type Sink } from '../transport/index.ts';
export { type AuthPlan, authenticate, type Identity } from './auth.ts';
export type { Destination } from './config/destination.ts';
export { dumpOptions } from './config/dump.ts';
export { type Forward, type ForwardEnd, parseForward, parseStdioForward } from './config/forward-spec.ts';
export { configuredHosts, isConfiguredHost } from './config/host-names.ts';
export { algorithmSets, localResolveEnv } from './config/local-env.ts';
export { matchPattern } from './config/pattern.ts';
export type { HostPlan } from './config/plan.ts';
export { type Layer, type Override, type ResolveEnv, type ResolveRequest, resolveHost } from './config/resolve.ts';
export { expandTokens } from './config/tokens.ts';
export { type ConnectOptions, connect, type HostKeyPolicy, type HostKeyQuestion, type Log } from './connect.ts';
export { Connection, type GlobalHandler, type OpenHandler, type OpenRefusal } from './connection.ts';
export { ControlClient, connectControl } from './control/client.ts';
export { ControlMaster, type ControlMasterOptions, listenControl } from './control/master.ts';
export { collectAtOnce, manyShortRuns, muchData, stayYoung } from './engine.ts';
export { ExecHandle, type ExecOptions, type Exit, type PtyOptions } from './exec.ts';
export { type BatchSize, batchEnds } from './fleet/batches.ts';
export { classify, isFailure } from './fleet/classify.ts';
export { systemClock } from './fleet/clock.ts';
export { runOnHosts } from './fleet/run.ts';
export type {
  BatchReport,
  FleetClock,
  FleetHost,
  FleetOptions,
  FleetOutcome,
  HostClass,
  HostContext,
  HostEvent,
  HostResult,
  HostSink,
  HostTask,
  OutputStream,
  Phase,
  Steering,
  StopCause,
  TaskOutcome,
} from './fleet/types.ts';
export { type AgentForwarding, forwardAgent, forwardedAgent } from './forward/agent.ts';
export { dynamicForward } from './forward/dynamic.ts';
export {
  type ForwardFailure,
  Forwards,
  type SetUpOptions,
  setUpForwards,
  withoutForwarding,
} from './forward/forwards.ts';
export { localForward } from './forward/local.ts';
export { remoteForward } from './forward/remote.ts';
export { type StdioForwardOptions, stdioForward } from './forward/stdio.ts';
export type { ForwardHandle, ForwardOptions } from './forward/types.ts';
export { forwardX11, requestHoldersX11, type X11Forwarding, type X11Options } from './forward/x11.ts';
export { type HostKeyOutcome, type HostKeyRules, knownHostsPolicy } from './host-key.ts';
export { type IdentitySources, identities } from './identities.ts';
export { JumpPool, type JumpPoolOptions } from './jump.ts';
export { type KeyFile, KeyStore, type KeyStoreOptions } from './key-store.ts';
export { KnownHosts, type KnownHostsOptions } from './known-hosts-file.ts';
export { type OpenContext, type Opened, openHost } from './open.ts';
export type { Prompter, PromptRequest } from './prompter.ts';
export { type ScpArrival, type ScpDownloadOptions, scpDownload } from './scp/download.ts';
export { type CommandOpener, remotePath, shellPattern, shellWord } from './scp/session.ts';
export { RemoteShell } from './scp/shell.ts';
export { ScpUpload, type ScpUploadOptions } from './scp/upload.ts';
export type { DirectoryEntry } from './sftp/directory.ts';
export { type DownloadOptions, download } from './sftp/download.ts';
export { type GlobEntry, glob, hasWildcard, type ListDirectory, matches } from './sftp/glob.ts';
export { localEntries } from './sftp/local-directory.ts';
export { type LocalReadOptions, type LocalWriteOptions, localReadable, localWritable } from './sftp/local-streams.ts';
export { lacksSftp, openLanes, openSftp } from './sftp/open.ts';
export { RateLimit } from './sftp/rate.ts';
export { RemoteFile } from './sftp/remote-file.ts';
export { baseName, fromLocal, joinRemote, safeName, toLocal } from './sftp/safe-names.ts';
export { Sftp, type SftpCallOptions, type SftpOpenMode } from './sftp/sftp.ts';
export { SharedFile } from './sftp/shared-file.ts';
export { SharedFiles } from './sftp/shared-files.ts';
export type { FileStat, StatChange } from './sftp/stat.ts';
export { hasStatus, Lanes, type TransferOptions, type TransferProgress, type TransferResult } from './sftp/transfer.ts';
export type { SyncOptions, TreeAction, TreeFailure, TreeOptions, TreeResult } from './sftp/tree.ts';
export { downloadTree } from './sftp/tree-download.ts';
export { uploadTree } from './sftp/tree-upload.ts';
export { type UploadOptions, upload } from './sftp/upload.ts';
export { systemError } from './system-error.ts';
