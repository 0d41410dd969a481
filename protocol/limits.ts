/** Every bound that keeps a peer from growing our memory or time, each with its reason. */

export const limits = {
  /** Identification line: RFC 4253 section 4.2 allows 255 with CR LF; OpenSSH reads up to 8192 for lenience. */
  identLine: 255,
  /** Lines a server may send before its identification (RFC 4253 section 4.2 sets none; OpenSSH takes 1024). */
  preIdentLines: 1024,
  preIdentLineLength: 8192,
  /** packet_length we accept: RFC 4253 section 6.1 asks for 35000, OpenSSH takes 256 KiB. */
  packetLength: 256 * 1024,
  /** Smallest packet_length: padding_length byte, at least 4 bytes of padding (RFC 4253 section 6). */
  packetLengthMin: 5,
  /** Plaintext of one packet after decompression: a bomb ends here. */
  inflatedPayload: 256 * 1024,
  /** Bytes held while an exchange waits for an outside verdict; the driver stops reading long before. */
  parkedInput: 1024 * 1024,
  /** Names in one name-list and bytes of one list: generous next to the 30 names OpenSSH sends. */
  nameListEntries: 512,
  nameListBytes: 64 * 1024,
  /** mpint: 16384-bit numbers are the largest OpenSSH takes; one byte for the sign. */
  mpintBytes: 16384 / 8 + 1,
  /** Channels one connection may have at once. */
  channels: 4096,
  /** Of these, channels of one client that shares it: half, so that no client takes them all. */
  relayedChannels: 2048,
  /** Unanswered requests we may owe or be owed on one connection: a flood is refused. */
  pendingRequests: 4096,
  /** Memory of replies to a peer that asks and does not read (pongs, refusals, window adjusts). */
  queuedReplies: 16 * 1024 * 1024,
  /** Bytes of one PING; OpenSSH sends a handful. Its echo has to fit one packet of ours. */
  pingData: 32 * 1024,
  /** Characters of a DISCONNECT's description that we send. */
  disconnectText: 1024,
  /** Log-in requests a client may send ahead of our answers (RFC 4252 section 5 allows it, hardly anyone does). */
  pendingAuthRequests: 16,
  /** Events the outside has not taken yet. */
  pendingEvents: 65_536,
  /** Banners before log-in, and the bytes of one (OpenSSH sends any file; 1 MiB is far past every real one). */
  banners: 64,
  bannerBytes: 1024 * 1024,
  /** Prompts in one keyboard-interactive request; RFC 4256 sets no limit, OpenSSH's PAM sends a handful. */
  keyboardInteractivePrompts: 64,
  /** Rounds of keyboard-interactive in one attempt. */
  keyboardInteractiveRounds: 64,
  /** EXT_INFO entries (RFC 8308 section 2.3 leaves it open; OpenSSH knows about five). */
  extInfoEntries: 256,
  /** Key files and agent messages: the largest real ones are below 64 KiB; OpenSSH's agent takes 256 KiB. */
  keyFileBytes: 1024 * 1024,
  agentMessage: 256 * 1024,
  agentKeys: 2048,
  /** KDF rounds of an encrypted key we will spend time on (ssh-keygen -a defaults to 16 or 24). */
  bcryptRounds: 10_000,
  pbkdf2Iterations: 50_000_000,
  argon2MemoryKib: 1024 * 1024,
  /** Passes times KiB: minutes at the speed of the slowest provider. PuTTY's own default is some hundred MiB. */
  argon2Work: 64 * 1024 * 1024,
  /** One SFTP packet: OpenSSH's SFTP_MAX_MSG_LENGTH is 256 KiB; some servers answer readdir with as much. */
  sftpPacket: 256 * 1024 + 1024,
  /** Handles: draft-ietf-secsh-filexfer-02 section 6.2. */
  sftpHandleBytes: 256,
  /** SFTP requests without an answer on one channel; sftp(1) keeps 64 in flight. */
  sftpPending: 4096,
  /** Extensions in VERSION (OpenSSH lists ten), extended attributes of one file, bytes kept of a status text. */
  sftpExtensions: 256,
  sftpExtendedAttrs: 256,
  sftpStatusText: 4096,
  /** A remote tree that is copied: depth (PATH_MAX allows 2048 at most) and entries, so that an endless one ends. */
  sftpTreeDepth: 256,
  sftpTreeEntries: 10_000_000,
  /** One line of SCP: a name of 255 bytes and what goes with it, or a message; OpenSSH's sink takes 2048. */
  scpLine: 16 * 1024,
  /** RSA public exponent: real ones are 65537, 35 or 3; verifying costs in proportion to its length. */
  rsaExponentBytes: 8,
  /** An algorithm or key type name: RFC 4251 section 6 allows 64 characters. */
  algorithmName: 64,
  /** RSA moduli we compute with, as OpenSSH; exponents of moduli past 3072 bits, as OpenSSL. */
  rsaBitsMin: 1024,
  rsaBitsMax: 16384,
  rsaExponentBits: 64,
  /** Principals of one certificate, as OpenSSH; options and extensions (about ten are known). */
  certificatePrincipals: 256,
  certificateOptions: 256,
  /** A revocation list file; a million revoked serials fit in 8 MiB. */
  krlBytes: 64 * 1024 * 1024,
  /** One packet on a control socket: OpenSSH takes 256 KiB; a proxied payload of that size has a little in front. */
  controlPacket: 256 * 1024 + 64,
} as const;
