export { Agent, type AgentOptions } from './agent.js';
export { OptionError, SourceError } from './errors.js';
export { MutterSource, type MutterSourceOptions } from './sources/mutter.js';
export { type NodeOptions, NodeSource } from './sources/node.js';
export { PortalSource, type PortalSourceOptions } from './sources/portal.js';
export type { OpenSource, Source } from './sources/source.js';
