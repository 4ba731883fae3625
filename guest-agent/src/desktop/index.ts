export { desktopOptions, runDesktop } from './command.js';
export { type Desktop, type DesktopOptions, startDesktop } from './desktop.js';
export { DesktopError, type DesktopErrorCode } from './errors.js';
export { MediaSession } from './media-session.js';
export type { OwnProgram } from './own-programs.js';
export type { Program, ProgramExit } from './program.js';
