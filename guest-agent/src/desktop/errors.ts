/** What went wrong with a desktop of our own; `code` is stable, the message is for people. */
export type DesktopErrorCode =
  | 'program-missing'
  | 'program-failed'
  | 'not-ready'
  | 'no-runtime-dir'
  | 'invalid-size';

/** A desktop could not be started, or one of its programs ended although it should not have. */
export class DesktopError extends Error {
  override readonly name = 'DesktopError';

  /**
   * @param program the program that failed, as started ("mutter"), or "desktop" for the whole.
   * @param logTail the last lines the program wrote, at most 4 KiB.
   */
  constructor(
    readonly code: DesktopErrorCode,
    readonly program: string,
    message: string,
    readonly logTail = '',
  ) {
    super(
      logTail === '' ? message : `${message}\n  last output of ${program}:\n${indent(logTail)}`,
    );
  }
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '    ');
}
