// SPDX-License-Identifier: Apache-2.0
// Generated from schema/viewer-video.json by generate.mjs: do not edit.

/** First byte of a binary message that holds an access unit. */
export const VIDEO_MESSAGE = 1;
/** No access unit is longer [bytes]. */
export const MAX_ACCESS_UNIT = 16777216;

/** Properties of an access unit. */
export const VideoFlag = {
  /** Decoding can start here; parameter sets are in the access unit. */
  KEY: 1,
  /** Nothing has changed in the picture; it was encoded anew so that a viewer can start or see that the stream lives. */
  KEEPALIVE: 2,
} as const;
export type VideoFlag = (typeof VideoFlag)[keyof typeof VideoFlag];

/** Header of a binary video message; the access unit (Annex B for H.264 and HEVC, OBUs for AV1, a frame for VP9) follows. All durations are taken on one clock of one machine. */
export interface VideoHeader {
  /** VIDEO_MESSAGE. */
  readonly message: number;
  readonly flags: number;
  /** Id of the config message that describes this access unit. */
  readonly config: number;
  /** Counts encoded access units of the session, modulo 2^32; a gap means this viewer was moved to a key frame. */
  readonly sequence: number;
  /** When the picture was made, on the source's clock [us]. */
  readonly pts: bigint;
  /** Stage 1: picture made until it reached the engine worker [us]. */
  readonly capture: number;
  /** Stage 2: reached the engine worker until the access unit came out [us]. */
  readonly encode: number;
  /** Stage 3: access unit out until it was handed to the WebSocket [us]. */
  readonly bridge: number;
}

/** Where a field lies and what it may hold. */
export interface FieldLayout {
  readonly name: string;
  readonly type: string;
  readonly offset: number;
  readonly count?: number;
  readonly min?: number;
  readonly max?: number;
  readonly flags?: number;
  readonly values?: readonly number[];
}

export interface StructLayout {
  readonly size: number;
  readonly fields: readonly FieldLayout[];
}

export const structs: Readonly<Record<string, StructLayout>> = {
  "video_header": {
    "size": 32,
    "fields": [
      {
        "name": "message",
        "type": "u8",
        "offset": 0,
        "min": 1,
        "max": 1
      },
      {
        "name": "flags",
        "type": "u8",
        "offset": 1,
        "flags": 3
      },
      {
        "name": "config",
        "type": "u16",
        "offset": 2
      },
      {
        "name": "sequence",
        "type": "u32",
        "offset": 4
      },
      {
        "name": "pts",
        "type": "u64",
        "offset": 8
      },
      {
        "name": "capture",
        "type": "u32",
        "offset": 16
      },
      {
        "name": "encode",
        "type": "u32",
        "offset": 20
      },
      {
        "name": "bridge",
        "type": "u32",
        "offset": 24
      },
      {
        "name": "reserved",
        "type": "u32",
        "offset": 28,
        "max": 0
      }
    ]
  }
};
