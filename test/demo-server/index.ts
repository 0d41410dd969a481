/** What tests take from here. */

export type * from './options.ts';
export { type DemoServer, startDemoServer } from './server.ts';
export { DemoSession } from './session.ts';
