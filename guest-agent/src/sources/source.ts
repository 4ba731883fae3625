// What every kind of source has in common.
import type { Capture, CaptureHost } from '@scanbridge/native-guest';
import type { InputEvent } from '@scanbridge/protocol/viewer';

/** How a desktop is found. It can be opened again and again, once at a time. */
export interface Source {
  /** Unique among the agent's sessions: [a-z0-9._-]. */
  readonly id: string;
  /** For people. */
  readonly title: string;
  /**
   * Opens it and begins to capture.
   * @throws {Error} with a message for a person
   */
  open(host: CaptureHost, signal: AbortSignal): Promise<OpenSource>;
}

/** A desktop that is being captured. */
export interface OpenSource {
  readonly capture: Capture;
  /** Applies input in order, without waiting. Absent: it takes none. */
  readonly input?: (events: readonly InputEvent[]) => void;
  /** Absent: its size is its own [pixels]. */
  readonly resize?: (width: number, height: number) => void;
  /** Resolves with the reason when it is gone, whatever was the cause; never when it was closed. */
  readonly lost: Promise<Error>;
  /** Ends the capture and the cast. */
  close(): Promise<void>;
}

/** Resolves with what ended the capture. */
export function captureLost(capture: Capture): Promise<Error> {
  return new Promise((resolve) => {
    capture.once('error', resolve);
    capture.once('end', () => resolve(new Error('The capture has ended.')));
  });
}

/**
 * Waits until the source's buffers are there.
 * @throws {CaptureError} when the capture fails before
 */
export function captureReady(capture: Capture, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      capture.off('format', succeed);
      capture.off('error', fail);
      signal.removeEventListener('abort', abort);
    };
    const succeed = () => {
      done();
      resolve();
    };
    const fail = (error: Error) => {
      done();
      reject(error);
    };
    const abort = () => fail(new Error('The agent is shutting down.'));
    capture.on('format', succeed);
    capture.on('error', fail);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
}
