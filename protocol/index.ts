/** What the layers above may use of the protocol core. Named exports only. */

// The agent protocol.
export { type AddConstraints, AgentClient, type AgentEvent, type AgentIdentity } from './agent/client.ts';
export { SignFlags, sessionBind, sessionBindName } from './agent/messages.ts';
export { type AgentKey, AgentServer, AgentStore } from './agent/server.ts';
// The session.
export { type AlgorithmPreferences, algorithms, defaultAlgorithms, supportedAlgorithms } from './algorithms.ts';
export { ClientAuth, type ClientAuthEvent, type Prompt } from './auth/client.ts';
export { type AuthRequest, ServerAuth, type ServerAuthEvent } from './auth/server.ts';
export type { HostbasedInputs } from './auth/signed-data.ts';
export { Channel, type ChannelOptions, type ChannelSignal, channelDefaults, STDERR } from './connection/channel.ts';
export { StreamlocalForward, TcpipForward, TcpipForwardReply } from './connection/globals.ts';
export { type IncomingOpen, Mux, type MuxEvent } from './connection/mux.ts';
export { DirectStreamlocal, DirectTcpip, ForwardedStreamlocal, ForwardedTcpip, X11Open } from './connection/opens.ts';
export type { Relay, RelayPort } from './connection/relay.ts';
export {
  Env,
  Exec,
  ExitSignal,
  ExitStatus,
  encodeTerminalModes,
  PtyReq,
  Signal,
  Subsystem,
  type TerminalMode,
  terminalModes,
  WindowChange,
  X11Req,
} from './connection/requests.ts';
// The control socket of a shared connection.
export {
  Alive,
  AliveCheck,
  CloseForward,
  ControlDenied,
  ControlFailure,
  ControlFramer,
  ControlHello,
  type ControlMessage,
  ControlOk,
  controlNumber,
  controlRequestId,
  controlVersion,
  encodeExtensions,
  extensionNames,
  ForwardKind,
  InfoReply,
  InfoRequest,
  NewSession,
  NewStdioForward,
  OpenForward,
  ProxyReply,
  ProxyRequest,
  RemotePort,
  STREAMLOCAL_PORT,
  StopListening,
  Terminate,
  X11_EXTENSION,
} from './control/messages.ts';
export { ProxySession, proxiedHead, proxiedPayload } from './control/proxy-session.ts';
// Crypto: what a provider on a platform's own crypto is made of.
export { argon2 } from './crypto/argon2.ts';
export { fromBigInt, toBigInt } from './crypto/bignum.ts';
export { usableDsa } from './crypto/dsa.ts';
export { checkGroup, checkPublic, privateExponent, publicNumber } from './crypto/ffdh.ts';
export { type ModpGroup, modpGroups } from './crypto/groups.ts';
export { createMlkem768 } from './crypto/mlkem768.ts';
export { nobleCrypto } from './crypto/noble.ts';
export { poly1305 } from './crypto/poly1305.ts';
export type {
  Aead,
  ChaCha20,
  Cipher,
  CryptoProvider,
  CurveName,
  Dsa,
  DsaPublic,
  DsaSecret,
  Ecdsa,
  Ed25519,
  Hash,
  HashName,
  Kem,
  KeyPair,
  Mac,
  Rsa,
  RsaPublic,
  RsaSecret,
} from './crypto/provider.ts';
export { equalBytes, platformRandom, type Random } from './crypto/random.ts';
export { crtExponents, padSignature, usableRsa } from './crypto/rsa.ts';
export { hasSmallOrder } from './crypto/small-order.ts';
export { createSntrup761 } from './crypto/sntrup761.ts';
export { type Umac, umac } from './crypto/umac.ts';
export { Disconnect, type ErrorCode, SshError, type SshErrorOptions } from './errors.ts';
export type { Binding, HostKeySigner } from './kex/machine.ts';
export type { RekeyLimits } from './kex/policy.ts';
export { decodeBase64, encodeBase64 } from './keys/base64.ts';
// Keys.
export { encodePublicMaterial, keyBits, parsePublicBlob, publicFromSecret } from './keys/blob.ts';
export {
  type CertificateCheck,
  type CertificateFault,
  type CertificateVerdict,
  checkCertificate,
  isCertificateType,
  parseCertificate,
} from './keys/cert.ts';
export { type FingerprintHash, fingerprint, keyTypeLabel, randomart } from './keys/fingerprint.ts';
export { type GenerateType, generateKey } from './keys/generate.ts';
export type { HostKey } from './keys/host-key.ts';
export { isRevoked, type Krl, parseRevocations } from './keys/krl.ts';
export { type FormatPrivateKeyOptions, formatPrivateKey } from './keys/openssh.ts';
export { type ParsePrivateKeyOptions, parsePrivateKey, peekPublicKey } from './keys/parse.ts';
export {
  formatPublicKeyLine,
  formatRfc4716,
  type PublicKeyLine,
  parseKeyOrCertificate,
  parsePublicKeyFile,
  parsePublicKeyLine,
  parseRfc4716,
} from './keys/public-line.ts';
export {
  type SignatureRow,
  sign,
  signatureAlgorithm,
  signatureAlgorithmsFor,
  signatureRow,
  signatureRows,
  verify,
} from './keys/sign.ts';
export type { Certificate, PrivateKey, PublicKey, PublicMaterial, SecretMaterial } from './keys/types.ts';
export { limits } from './limits.ts';
export { release, type Transfer, transferBy } from './memory.ts';
export { OpenFailure, RequestFailure, RequestSuccess } from './messages/connection.ts';
export type { DirectionAlgorithms, Negotiated, Role } from './negotiate.ts';
export { LineInput, type ScpAnswer } from './scp/lines.ts';
export { encodeRecord, GO_ON, type ScpEntry, type ScpRecord, type ScpTimes } from './scp/records.ts';
export { ScpSink, type ScpSinkEvent } from './scp/sink.ts';
export { Session, type SessionEvent, type SessionOptions } from './session.ts';
export type { SessionCore } from './session-core.ts';
export { type FileKind, fileKind, fileTypes, type SftpAttrs } from './sftp/attrs.ts';
export { SftpClient, type SftpClientOptions, type SftpLimits } from './sftp/client.ts';
export type {
  AnsweredExtension,
  ExtensionName,
  ExtensionReply,
  ExtensionRequest,
  VolumeStatus,
} from './sftp/extensions.ts';
export { type NameEntry, openFlags, sftpStatus } from './sftp/messages.ts';
export { decodeName, encodeName, isByteName } from './sftp/names.ts';
export { type ReadTarget, type SftpReply, statusName } from './sftp/replies.ts';
export { type SftpRequest, SftpServer, type SftpServerOptions } from './sftp/server.ts';
export type { PeerVersion } from './version.ts';
export { Reader } from './wire/reader.ts';
export { decodeUtf8, encodeUtf8 } from './wire/text.ts';
export { Writer } from './wire/writer.ts';
