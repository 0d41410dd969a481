/** Connection-layer messages: RFC 4254. Channel data is hand-coded in `connection/channel.ts`; the definitions here are its slow twin. */

import { bool, rest, string, text, u32 } from '../wire/fields.ts';
import { defineMessage, type MessageOf } from '../wire/message.ts';

/** RFC 4254 section 4 */
export const GlobalRequest = defineMessage(80, 'GLOBAL_REQUEST', { request: text, wantReply: bool, body: rest });
export const RequestSuccess = defineMessage(81, 'REQUEST_SUCCESS', { body: rest });
export const RequestFailure = defineMessage(82, 'REQUEST_FAILURE', {});
/** RFC 4254 section 5.1 */
export const ChannelOpen = defineMessage(90, 'CHANNEL_OPEN', {
  channelType: text,
  sender: u32,
  window: u32,
  maxPacket: u32,
  body: rest,
});
export type ChannelOpen = MessageOf<typeof ChannelOpen>;
export const ChannelOpenConfirmation = defineMessage(91, 'CHANNEL_OPEN_CONFIRMATION', {
  recipient: u32,
  sender: u32,
  window: u32,
  maxPacket: u32,
  body: rest,
});
export const ChannelOpenFailure = defineMessage(92, 'CHANNEL_OPEN_FAILURE', {
  recipient: u32,
  reason: u32,
  description: text,
  language: rest,
});
/** RFC 4254 section 5.2 */
export const ChannelWindowAdjust = defineMessage(93, 'CHANNEL_WINDOW_ADJUST', { recipient: u32, bytes: u32 });
export const ChannelData = defineMessage(94, 'CHANNEL_DATA', { recipient: u32, data: string });
export const ChannelExtendedData = defineMessage(95, 'CHANNEL_EXTENDED_DATA', {
  recipient: u32,
  dataType: u32,
  data: string,
});
/** RFC 4254 section 5.3 */
export const ChannelEof = defineMessage(96, 'CHANNEL_EOF', { recipient: u32 });
export const ChannelClose = defineMessage(97, 'CHANNEL_CLOSE', { recipient: u32 });
/** RFC 4254 section 5.4 */
export const ChannelRequest = defineMessage(98, 'CHANNEL_REQUEST', {
  recipient: u32,
  request: text,
  wantReply: bool,
  body: rest,
});
export const ChannelSuccess = defineMessage(99, 'CHANNEL_SUCCESS', { recipient: u32 });
export const ChannelFailure = defineMessage(100, 'CHANNEL_FAILURE', { recipient: u32 });

export const connectionMessages = [
  GlobalRequest,
  RequestSuccess,
  RequestFailure,
  ChannelOpen,
  ChannelOpenConfirmation,
  ChannelOpenFailure,
  ChannelWindowAdjust,
  ChannelData,
  ChannelExtendedData,
  ChannelEof,
  ChannelClose,
  ChannelRequest,
  ChannelSuccess,
  ChannelFailure,
] as const;

/** RFC 4254 section 5.1 */
export const OpenFailure = {
  administrativelyProhibited: 1,
  connectFailed: 2,
  unknownChannelType: 3,
  resourceShortage: 4,
} as const;
