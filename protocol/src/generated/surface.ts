// SPDX-License-Identifier: Apache-2.0
// Generated from schema/surface.json by generate.mjs: do not edit.

/** "SBSF" in memory order; first field of both hellos. */
export const SURFACE_MAGIC = 1179861587;
/** A peer of another major version is refused. */
export const SURFACE_VERSION_MAJOR = 1;
/** Grows when messages or capabilities are added; peers use the lower of both. */
export const SURFACE_VERSION_MINOR = 1;
/** No message is longer, header included [bytes]. */
export const MAX_MESSAGE = 270336;
/** No message carries more file descriptors. */
export const MAX_FDS = 8;
/** Planes of a surface. */
export const MAX_PLANES = 4;
/** Damage rectangles of a frame; a producer merges what is more. */
export const MAX_DAMAGE = 16;
/** Largest width and height of a surface [pixels]. */
export const MAX_DIMENSION = 16384;
/** Largest width and height of a cursor [pixels]. */
export const MAX_CURSOR_DIMENSION = 256;
/** Streams of one connection. */
export const MAX_STREAMS = 32;
/** Surfaces of one stream that exist at a time. */
export const MAX_SURFACES = 64;
/** Largest stride of a plane [bytes]. */
export const MAX_STRIDE = 1048576;

/** What the descriptors of a SURFACE message are. */
export const SurfaceKind = {
  /** Shareable memory (memfd, POSIX shared memory, unlinked file): mmap it. */
  MEMFD: 1,
  /** One dma-buf per plane, or one for several planes. */
  DMABUF: 2,
  /** No descriptor: iosurface_id is a global IOSurfaceID (macOS). */
  IOSURFACE: 3,
} as const;
export type SurfaceKind = (typeof SurfaceKind)[keyof typeof SurfaceKind];

/** What a peer can do; a feature is used when both sides name it. */
export const Capability = {
  /** Surfaces of kind MEMFD. */
  MEMFD: 1,
  /** Surfaces of kind DMABUF. */
  DMABUF: 2,
  /** Surfaces of kind IOSURFACE. */
  IOSURFACE: 4,
  /** DRM syncobj timelines with a surface. */
  EXPLICIT_SYNC: 8,
  /** Client: send me SCANOUT_INFO. Server: has scanouts to describe and configure. */
  SCANOUT_INFO: 16,
  /** SUBSCRIBE_RESOURCE is served. */
  RESOURCES: 32,
  /** SUBSCRIBE_CAPTURE is served. */
  CAPTURES: 64,
  /** REFRESH is served. */
  REFRESH: 128,
} as const;
export type Capability = (typeof Capability)[keyof typeof Capability];

/** Options of a subscription. */
export const SubscribeFlag = {
  /** Send CURSOR messages; without it no cursor is sent. */
  CURSOR: 1,
} as const;
export type SubscribeFlag = (typeof SubscribeFlag)[keyof typeof SubscribeFlag];

/** Where the newest pixels of a refreshed picture are. */
export const RefreshFlag = {
  /** In the guest's memory behind the resource: the guest has drawn there and transferred nothing. */
  BACKING: 1,
} as const;
export type RefreshFlag = (typeof RefreshFlag)[keyof typeof RefreshFlag];

/** Properties of a surface. */
export const SurfaceFlag = {
  /** The first row in memory is the lowest row of the picture. */
  Y_INVERTED: 1,
  /** The last two descriptors are the acquire and the release DRM syncobj; frames carry timeline points. */
  EXPLICIT_SYNC: 2,
} as const;
export type SurfaceFlag = (typeof SurfaceFlag)[keyof typeof SurfaceFlag];

/** Properties of a frame. */
export const FrameFlag = {
  /** First frame after a reset, a resize or a pause: what came before is not related. */
  DISCONTINUITY: 1,
} as const;
export type FrameFlag = (typeof FrameFlag)[keyof typeof FrameFlag];

/** What a CURSOR message says. */
export const CursorFlag = {
  /** The cursor is shown. */
  VISIBLE: 1,
  /** The shape follows: width, height, hot spot and pixels replace the former ones. */
  SHAPE: 2,
} as const;
export type CursorFlag = (typeof CursorFlag)[keyof typeof CursorFlag];

/** State of a scanout. */
export const ScanoutFlag = {
  /** The host has connected a display to it. */
  ENABLED: 1,
  /** The guest shows a picture on it. */
  ACTIVE: 2,
} as const;
export type ScanoutFlag = (typeof ScanoutFlag)[keyof typeof ScanoutFlag];

/** Whether a stream has a picture. */
export const StreamState = {
  /** Frames come when something changes. */
  ACTIVE: 1,
  /** The guest has switched the scanout off; the last picture is no longer shown. */
  BLANK: 2,
  /** The source is there but has not started or is paused. */
  WAITING: 3,
} as const;
export type StreamState = (typeof StreamState)[keyof typeof StreamState];

/** Why all surfaces of a stream are gone. */
export const ResetReason = {
  /** The guest rebooted or its driver was reset. */
  GUEST_RESET: 1,
  /** The source changed its format, size or buffers. */
  RENEGOTIATED: 2,
  /** The source went away and may come back. */
  SOURCE_LOST: 3,
} as const;
export type ResetReason = (typeof ResetReason)[keyof typeof ResetReason];

/** Codes of ERROR and STREAM_END. */
export const SurfaceError = {
  /** No error: an orderly end. */
  NONE: 0,
  /** The peer does not speak this protocol. Fatal. */
  BAD_MAGIC: 1,
  /** Another major version. Fatal. */
  BAD_VERSION: 2,
  /** Length out of the bounds of its type. Fatal. */
  BAD_LENGTH: 3,
  /** Unknown message type, or sent in the wrong direction. Fatal. */
  BAD_TYPE: 4,
  /** Number of descriptors is wrong for the type. Fatal. */
  BAD_FDS: 5,
  /** A field is out of its range. Fatal. */
  BAD_VALUE: 6,
  /** A message before the hello, or a second hello. Fatal. */
  BAD_STATE: 7,
  /** The stream id is zero, unknown, or in use. */
  BAD_STREAM: 8,
  /** A limit on clients, streams or surfaces is reached. */
  TOO_MANY: 9,
  /** The scanout's index is not below scanout_count. */
  NO_SUCH_SCANOUT: 10,
  /** No resource has this id. */
  NO_SUCH_RESOURCE: 11,
  /** Size, format, stride or offset do not fit the real resource. */
  RESOURCE_MISMATCH: 12,
  /** No capture has this id. */
  NO_SUCH_CAPTURE: 13,
  /** The two peers share no way to pass this surface. */
  UNSUPPORTED: 14,
  /** Memory or descriptors ran out. */
  NO_MEMORY: 15,
  /** The source failed for good; the text says how. */
  SOURCE_FAILED: 16,
  /** The peer's credentials do not allow this. */
  DENIED: 17,
  /** RELEASE names a frame that is not outstanding. Fatal. */
  BAD_RELEASE: 18,
} as const;
export type SurfaceError = (typeof SurfaceError)[keyof typeof SurfaceError];

/** A rectangle in pixels of the surface; the origin is the picture's upper left corner. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One plane of a surface. Unused planes are all zero. */
export interface Plane {
  /** First byte of the plane in its descriptor [bytes]. */
  readonly offset: bigint;
  /** Bytes of the plane from offset; offset + size fits the descriptor [bytes]. */
  readonly size: bigint;
  /** Distance of two rows [bytes]. */
  readonly stride: number;
  /** Which of the message's descriptors. */
  readonly fdIndex: number;
}

/** First message of a client. */
export interface Hello {
  readonly type: 'hello';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly magic: number;
  readonly versionMajor: number;
  readonly versionMinor: number;
  /** enum sb_capability. Unknown bits are ignored. */
  readonly capabilities: bigint;
  /** Who this is, for logs. UTF-8, ends with NUL. */
  readonly name: string;
}

/** Opens a stream of what a scanout shows. Answer: OK or ERROR. The present picture follows at once. */
export interface SubscribeScanout {
  readonly type: 'subscribe_scanout';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  /** Index, 0 is the console. */
  readonly scanout: number;
  readonly flags: number;
}

/** Opens a stream of a virtio-gpu resource. Every field is checked against the real resource. */
export interface SubscribeResource {
  readonly type: 'subscribe_resource';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  /** virtio-gpu resource id. */
  readonly resource: number;
  readonly flags: number;
  /** [pixels] */
  readonly width: number;
  /** [pixels] */
  readonly height: number;
  /** DRM fourcc (drm_fourcc.h). */
  readonly format: number;
  /** [bytes] */
  readonly stride: number;
  /** Of the first pixel in the resource [bytes]. */
  readonly offset: bigint;
  /** DRM format modifier; 0 is linear. */
  readonly modifier: bigint;
}

/** Opens a stream of a bare-metal agent's capture. */
export interface SubscribeCapture {
  readonly type: 'subscribe_capture';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  /** Id that the agent announced. */
  readonly capture: number;
  readonly flags: number;
}

/** Ends a stream. All its surfaces and frames count as released. Answer: OK; nothing about the stream follows it. */
export interface Unsubscribe {
  readonly type: 'unsubscribe';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
}

/** The client has finished reading a frame; the next one may be sent. */
export interface Release {
  readonly type: 'release';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  /** Of the frame. */
  readonly sequence: bigint;
}

/** Connects, sizes or disconnects the display of a scanout. Answer: OK or ERROR; SCANOUT_INFO goes to all who want it. */
export interface ConfigureScanout {
  readonly type: 'configure_scanout';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly scanout: number;
  readonly enabled: number;
  /** Preferred mode [pixels]; 0 when not enabled. */
  readonly width: number;
  /** [pixels] */
  readonly height: number;
  /** [mHz]; 0: the device's choice. */
  readonly refresh: number;
  /** [mm]; 0: unknown. */
  readonly widthMm: number;
  /** [mm] */
  readonly heightMm: number;
}

/** Answered by PONG after all that came before it was handled. */
export interface Ping {
  readonly type: 'ping';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly token: bigint;
}

/** The picture has changed, though nothing told the server: send it when the frame before it is released. Since 1.1, where the server names REFRESH. No answer but the frame. */
export interface Refresh {
  readonly type: 'refresh';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly flags: number;
  readonly damage: readonly Rect[];
}

/** Answer to a hello that is accepted. */
export interface HelloReply {
  readonly type: 'hello_reply';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly magic: number;
  readonly versionMajor: number;
  readonly versionMinor: number;
  /** enum sb_capability. */
  readonly capabilities: bigint;
  /** Scanouts of the device; 0 when it has none. */
  readonly scanoutCount: number;
  /** Streams that this client may have. */
  readonly maxStreams: number;
  /** Who this is, for logs. UTF-8, ends with NUL. */
  readonly name: string;
}

/** The request with this serial was done. */
export interface Ok {
  readonly type: 'ok';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
}

/** The request with this serial failed, or (serial 0) the connection did. */
export interface Error {
  readonly type: 'error';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly code: number;
  /** 1: the connection is closed after this message. */
  readonly fatal: number;
  /** What happened to whom, and what to do. UTF-8, ends with NUL. */
  readonly text: string;
}

/** Answer to PING. */
export interface Pong {
  readonly type: 'pong';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly token: bigint;
}

/** State of a scanout: after the hello for each of them, then on change. */
export interface ScanoutInfo {
  readonly type: 'scanout_info';
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly scanout: number;
  readonly flags: number;
  /** Of the picture [pixels]; 0 when there is none. */
  readonly width: number;
  /** [pixels] */
  readonly height: number;
  /** Of the connected display [pixels]. */
  readonly preferredWidth: number;
  /** [pixels] */
  readonly preferredHeight: number;
  /** [mHz]; 0: unknown. */
  readonly refresh: number;
  /** Grows with every guest reset. */
  readonly generation: number;
}

/** A memory that holds pictures. Sent once, before the first frame in it. */
export interface Surface {
  readonly type: 'surface';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  /** Descriptors that travel with it. */
  readonly fdCount?: number;
  /** Id within the stream. */
  readonly surface: number;
  readonly kind: number;
  /** [pixels] */
  readonly width: number;
  /** [pixels] */
  readonly height: number;
  /** DRM fourcc (drm_fourcc.h). */
  readonly format: number;
  readonly flags: number;
  /** DRM format modifier; 0 is linear. */
  readonly modifier: bigint;
  /** 0 for an IOSurface. */
  readonly planeCount: number;
  /** IOSurfaceID, or 0. */
  readonly iosurfaceId: number;
  readonly planes: readonly Plane[];
}

/** No further frame uses this surface. The client drops it when its frames are released; the id may be used anew. */
export interface SurfaceGone {
  readonly type: 'surface_gone';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly surface: number;
}

/** A picture is ready in a surface. At most one per stream is not released. */
export interface Frame {
  readonly type: 'frame';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  /** Grows by at least 1; a gap counts pictures that were replaced by newer ones. */
  readonly sequence: bigint;
  /** When the picture was made: CLOCK_MONOTONIC (macOS: CLOCK_UPTIME_RAW) of the sender's machine [ns]. */
  readonly pts: bigint;
  readonly surface: number;
  readonly flags: number;
  /** The picture within the surface. */
  readonly crop: Rect;
  /** Timeline point to wait for before reading; 0 without explicit sync. */
  readonly acquirePoint: bigint;
  /** Timeline point that the client signals before RELEASE; 0 without explicit sync. */
  readonly releasePoint: bigint;
  /** Serial of the newest REFRESH that this picture is not older than; 0: none came since the frame before. */
  readonly refresh: number;
  readonly damage: readonly Rect[];
}

/** Position, visibility and shape of the hardware cursor. */
export interface Cursor {
  readonly type: 'cursor';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly flags: number;
  /** Of the hot spot, in pixels of the crop. */
  readonly x: number;
  readonly y: number;
  /** Of the shape [pixels]. */
  readonly hotX: number;
  readonly hotY: number;
  /** [pixels]; 0 without a shape. */
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** All surfaces of the stream are gone, an unreleased frame counts as released. The stream stays. */
export interface Reset {
  readonly type: 'reset';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly reason: number;
}

/** Whether the stream has a picture: after SUBSCRIBE, then on change. */
export interface State {
  readonly type: 'state';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly state: number;
}

/** The stream is over; its id is free. */
export interface StreamEnd {
  readonly type: 'stream_end';
  /** Stream that this is about. */
  readonly stream: number;
  /** Of the request; 0 or absent in events. */
  readonly serial?: number;
  readonly code: number;
  /** Why. UTF-8, ends with NUL. */
  readonly text: string;
}

/** What a client sends. */
export type FromClient =
  | Hello
  | SubscribeScanout
  | SubscribeResource
  | SubscribeCapture
  | Unsubscribe
  | Release
  | ConfigureScanout
  | Ping
  | Refresh;

/** What a server sends. */
export type FromServer =
  | HelloReply
  | Ok
  | Error
  | Pong
  | ScanoutInfo
  | Surface
  | SurfaceGone
  | Frame
  | Cursor
  | Reset
  | State
  | StreamEnd;

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
  "rect": {
    "size": 16,
    "fields": [
      {
        "name": "x",
        "type": "u32",
        "offset": 0,
        "max": 16384
      },
      {
        "name": "y",
        "type": "u32",
        "offset": 4,
        "max": 16384
      },
      {
        "name": "width",
        "type": "u32",
        "offset": 8,
        "min": 1,
        "max": 16384
      },
      {
        "name": "height",
        "type": "u32",
        "offset": 12,
        "min": 1,
        "max": 16384
      }
    ]
  },
  "plane": {
    "size": 24,
    "fields": [
      {
        "name": "offset",
        "type": "u64",
        "offset": 0
      },
      {
        "name": "size",
        "type": "u64",
        "offset": 8
      },
      {
        "name": "stride",
        "type": "u32",
        "offset": 16,
        "max": 1048576
      },
      {
        "name": "fdIndex",
        "type": "u32",
        "offset": 20,
        "max": 3
      }
    ]
  },
  "header": {
    "size": 16,
    "fields": [
      {
        "name": "length",
        "type": "u32",
        "offset": 0
      },
      {
        "name": "type",
        "type": "u16",
        "offset": 4
      },
      {
        "name": "fdCount",
        "type": "u8",
        "offset": 6
      },
      {
        "name": "reserved",
        "type": "u8",
        "offset": 7,
        "max": 0
      },
      {
        "name": "stream",
        "type": "u32",
        "offset": 8
      },
      {
        "name": "serial",
        "type": "u32",
        "offset": 12
      }
    ]
  }
};

export interface MessageLayout extends StructLayout {
  readonly name: (FromClient | FromServer)['type'];
  readonly type: number;
  readonly from: 'client' | 'server';
  readonly stream: boolean;
  readonly maxFds: number;
  readonly maxSize: number;
  readonly tail?: {
    readonly name: string;
    readonly type: string;
    readonly count: string;
    readonly unit: number;
    readonly product?: readonly (string | number)[];
  };
}

export const messages: readonly MessageLayout[] = [
  {
    "name": "hello",
    "type": 1,
    "from": "client",
    "stream": false,
    "maxFds": 0,
    "size": 64,
    "maxSize": 64,
    "fields": [
      {
        "name": "magic",
        "type": "u32",
        "offset": 16
      },
      {
        "name": "versionMajor",
        "type": "u16",
        "offset": 20
      },
      {
        "name": "versionMinor",
        "type": "u16",
        "offset": 22
      },
      {
        "name": "capabilities",
        "type": "u64",
        "offset": 24
      },
      {
        "name": "name",
        "type": "char",
        "offset": 32,
        "count": 32
      }
    ]
  },
  {
    "name": "subscribe_scanout",
    "type": 2,
    "from": "client",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "scanout",
        "type": "u32",
        "offset": 16
      },
      {
        "name": "flags",
        "type": "u32",
        "offset": 20,
        "flags": 1
      }
    ]
  },
  {
    "name": "subscribe_resource",
    "type": 3,
    "from": "client",
    "stream": true,
    "maxFds": 0,
    "size": 56,
    "maxSize": 56,
    "fields": [
      {
        "name": "resource",
        "type": "u32",
        "offset": 16,
        "min": 1
      },
      {
        "name": "flags",
        "type": "u32",
        "offset": 20,
        "flags": 1
      },
      {
        "name": "width",
        "type": "u32",
        "offset": 24,
        "min": 1,
        "max": 16384
      },
      {
        "name": "height",
        "type": "u32",
        "offset": 28,
        "min": 1,
        "max": 16384
      },
      {
        "name": "format",
        "type": "u32",
        "offset": 32
      },
      {
        "name": "stride",
        "type": "u32",
        "offset": 36,
        "min": 1,
        "max": 1048576
      },
      {
        "name": "offset",
        "type": "u64",
        "offset": 40
      },
      {
        "name": "modifier",
        "type": "u64",
        "offset": 48
      }
    ]
  },
  {
    "name": "subscribe_capture",
    "type": 4,
    "from": "client",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "capture",
        "type": "u32",
        "offset": 16,
        "min": 1
      },
      {
        "name": "flags",
        "type": "u32",
        "offset": 20,
        "flags": 1
      }
    ]
  },
  {
    "name": "unsubscribe",
    "type": 5,
    "from": "client",
    "stream": true,
    "maxFds": 0,
    "size": 16,
    "maxSize": 16,
    "fields": []
  },
  {
    "name": "release",
    "type": 6,
    "from": "client",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "sequence",
        "type": "u64",
        "offset": 16
      }
    ]
  },
  {
    "name": "configure_scanout",
    "type": 7,
    "from": "client",
    "stream": false,
    "maxFds": 0,
    "size": 48,
    "maxSize": 48,
    "fields": [
      {
        "name": "scanout",
        "type": "u32",
        "offset": 16
      },
      {
        "name": "enabled",
        "type": "u32",
        "offset": 20,
        "max": 1
      },
      {
        "name": "width",
        "type": "u32",
        "offset": 24,
        "max": 16384
      },
      {
        "name": "height",
        "type": "u32",
        "offset": 28,
        "max": 16384
      },
      {
        "name": "refresh",
        "type": "u32",
        "offset": 32,
        "max": 1000000
      },
      {
        "name": "widthMm",
        "type": "u32",
        "offset": 36,
        "max": 65535
      },
      {
        "name": "heightMm",
        "type": "u32",
        "offset": 40,
        "max": 65535
      },
      {
        "name": "reserved",
        "type": "u32",
        "offset": 44,
        "max": 0
      }
    ]
  },
  {
    "name": "ping",
    "type": 8,
    "from": "client",
    "stream": false,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "token",
        "type": "u64",
        "offset": 16
      }
    ]
  },
  {
    "name": "refresh",
    "type": 9,
    "from": "client",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 280,
    "fields": [
      {
        "name": "flags",
        "type": "u32",
        "offset": 16,
        "flags": 1
      },
      {
        "name": "damageCount",
        "type": "u32",
        "offset": 20,
        "max": 16
      }
    ],
    "tail": {
      "name": "damage",
      "type": "rect",
      "count": "damageCount",
      "unit": 16
    }
  },
  {
    "name": "hello_reply",
    "type": 129,
    "from": "server",
    "stream": false,
    "maxFds": 0,
    "size": 72,
    "maxSize": 72,
    "fields": [
      {
        "name": "magic",
        "type": "u32",
        "offset": 16
      },
      {
        "name": "versionMajor",
        "type": "u16",
        "offset": 20
      },
      {
        "name": "versionMinor",
        "type": "u16",
        "offset": 22
      },
      {
        "name": "capabilities",
        "type": "u64",
        "offset": 24
      },
      {
        "name": "scanoutCount",
        "type": "u32",
        "offset": 32,
        "max": 64
      },
      {
        "name": "maxStreams",
        "type": "u32",
        "offset": 36,
        "max": 32
      },
      {
        "name": "name",
        "type": "char",
        "offset": 40,
        "count": 32
      }
    ]
  },
  {
    "name": "ok",
    "type": 130,
    "from": "server",
    "stream": false,
    "maxFds": 0,
    "size": 16,
    "maxSize": 16,
    "fields": []
  },
  {
    "name": "error",
    "type": 131,
    "from": "server",
    "stream": false,
    "maxFds": 0,
    "size": 256,
    "maxSize": 256,
    "fields": [
      {
        "name": "code",
        "type": "u32",
        "offset": 16,
        "values": [
          0,
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
          9,
          10,
          11,
          12,
          13,
          14,
          15,
          16,
          17,
          18
        ]
      },
      {
        "name": "fatal",
        "type": "u32",
        "offset": 20,
        "max": 1
      },
      {
        "name": "text",
        "type": "char",
        "offset": 24,
        "count": 232
      }
    ]
  },
  {
    "name": "pong",
    "type": 132,
    "from": "server",
    "stream": false,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "token",
        "type": "u64",
        "offset": 16
      }
    ]
  },
  {
    "name": "scanout_info",
    "type": 133,
    "from": "server",
    "stream": false,
    "maxFds": 0,
    "size": 48,
    "maxSize": 48,
    "fields": [
      {
        "name": "scanout",
        "type": "u32",
        "offset": 16,
        "max": 63
      },
      {
        "name": "flags",
        "type": "u32",
        "offset": 20,
        "flags": 3
      },
      {
        "name": "width",
        "type": "u32",
        "offset": 24,
        "max": 16384
      },
      {
        "name": "height",
        "type": "u32",
        "offset": 28,
        "max": 16384
      },
      {
        "name": "preferredWidth",
        "type": "u32",
        "offset": 32,
        "max": 16384
      },
      {
        "name": "preferredHeight",
        "type": "u32",
        "offset": 36,
        "max": 16384
      },
      {
        "name": "refresh",
        "type": "u32",
        "offset": 40,
        "max": 1000000
      },
      {
        "name": "generation",
        "type": "u32",
        "offset": 44
      }
    ]
  },
  {
    "name": "surface",
    "type": 134,
    "from": "server",
    "stream": true,
    "maxFds": 6,
    "size": 152,
    "maxSize": 152,
    "fields": [
      {
        "name": "surface",
        "type": "u32",
        "offset": 16,
        "min": 1
      },
      {
        "name": "kind",
        "type": "u32",
        "offset": 20,
        "values": [
          1,
          2,
          3
        ]
      },
      {
        "name": "width",
        "type": "u32",
        "offset": 24,
        "min": 1,
        "max": 16384
      },
      {
        "name": "height",
        "type": "u32",
        "offset": 28,
        "min": 1,
        "max": 16384
      },
      {
        "name": "format",
        "type": "u32",
        "offset": 32
      },
      {
        "name": "flags",
        "type": "u32",
        "offset": 36,
        "flags": 3
      },
      {
        "name": "modifier",
        "type": "u64",
        "offset": 40
      },
      {
        "name": "planeCount",
        "type": "u32",
        "offset": 48,
        "max": 4
      },
      {
        "name": "iosurfaceId",
        "type": "u32",
        "offset": 52
      },
      {
        "name": "planes",
        "type": "plane",
        "offset": 56,
        "count": 4
      }
    ]
  },
  {
    "name": "surface_gone",
    "type": 135,
    "from": "server",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "surface",
        "type": "u32",
        "offset": 16,
        "min": 1
      },
      {
        "name": "reserved",
        "type": "u32",
        "offset": 20,
        "max": 0
      }
    ]
  },
  {
    "name": "frame",
    "type": 136,
    "from": "server",
    "stream": true,
    "maxFds": 0,
    "size": 80,
    "maxSize": 336,
    "fields": [
      {
        "name": "sequence",
        "type": "u64",
        "offset": 16
      },
      {
        "name": "pts",
        "type": "u64",
        "offset": 24
      },
      {
        "name": "surface",
        "type": "u32",
        "offset": 32,
        "min": 1
      },
      {
        "name": "flags",
        "type": "u32",
        "offset": 36,
        "flags": 1
      },
      {
        "name": "crop",
        "type": "rect",
        "offset": 40
      },
      {
        "name": "acquirePoint",
        "type": "u64",
        "offset": 56
      },
      {
        "name": "releasePoint",
        "type": "u64",
        "offset": 64
      },
      {
        "name": "damageCount",
        "type": "u32",
        "offset": 72,
        "max": 16
      },
      {
        "name": "refresh",
        "type": "u32",
        "offset": 76
      }
    ],
    "tail": {
      "name": "damage",
      "type": "rect",
      "count": "damageCount",
      "unit": 16
    }
  },
  {
    "name": "cursor",
    "type": 137,
    "from": "server",
    "stream": true,
    "maxFds": 0,
    "size": 48,
    "maxSize": 262192,
    "fields": [
      {
        "name": "flags",
        "type": "u32",
        "offset": 16,
        "flags": 3
      },
      {
        "name": "x",
        "type": "i32",
        "offset": 20
      },
      {
        "name": "y",
        "type": "i32",
        "offset": 24
      },
      {
        "name": "hotX",
        "type": "u32",
        "offset": 28,
        "max": 256
      },
      {
        "name": "hotY",
        "type": "u32",
        "offset": 32,
        "max": 256
      },
      {
        "name": "width",
        "type": "u32",
        "offset": 36,
        "max": 256
      },
      {
        "name": "height",
        "type": "u32",
        "offset": 40,
        "max": 256
      },
      {
        "name": "pixelBytes",
        "type": "u32",
        "offset": 44,
        "max": 262144
      }
    ],
    "tail": {
      "name": "pixels",
      "type": "bytes",
      "count": "pixelBytes",
      "product": [
        "width",
        "height",
        4
      ],
      "unit": 1
    }
  },
  {
    "name": "reset",
    "type": 138,
    "from": "server",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "reason",
        "type": "u32",
        "offset": 16,
        "values": [
          1,
          2,
          3
        ]
      },
      {
        "name": "reserved",
        "type": "u32",
        "offset": 20,
        "max": 0
      }
    ]
  },
  {
    "name": "state",
    "type": 139,
    "from": "server",
    "stream": true,
    "maxFds": 0,
    "size": 24,
    "maxSize": 24,
    "fields": [
      {
        "name": "state",
        "type": "u32",
        "offset": 16,
        "values": [
          1,
          2,
          3
        ]
      },
      {
        "name": "reserved",
        "type": "u32",
        "offset": 20,
        "max": 0
      }
    ]
  },
  {
    "name": "stream_end",
    "type": 140,
    "from": "server",
    "stream": true,
    "maxFds": 0,
    "size": 256,
    "maxSize": 256,
    "fields": [
      {
        "name": "code",
        "type": "u32",
        "offset": 16,
        "values": [
          0,
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
          9,
          10,
          11,
          12,
          13,
          14,
          15,
          16,
          17,
          18
        ]
      },
      {
        "name": "reserved",
        "type": "u32",
        "offset": 20,
        "max": 0
      },
      {
        "name": "text",
        "type": "char",
        "offset": 24,
        "count": 232
      }
    ]
  }
];
