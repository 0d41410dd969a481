/** What the layers above may use of the SFTP codec. */

export { type FileKind, fileKind, fileTypes, type SftpAttrs } from './attrs.ts';
export { SftpClient, type SftpClientOptions, type SftpLimits } from './client.ts';
export type { ExtensionName, ExtensionReply, ExtensionRequest, VolumeStatus } from './extensions.ts';
export { type NameEntry, openFlags, sftpStatus } from './messages.ts';
export { decodeName, encodeName, isByteName } from './names.ts';
export { type SftpReply, statusName } from './replies.ts';
export { type SftpRequest, SftpServer, type SftpServerOptions } from './server.ts';
