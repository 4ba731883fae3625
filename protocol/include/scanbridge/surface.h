/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
/* Surface protocol: a producer of pixels (QEMU, the guest agent on bare metal) serves surfaces to engine workers.
 *
 * Generated from schema/surface.json by generate.mjs: do not edit.
 */
#ifndef SCANBRIDGE_SB_H
#define SCANBRIDGE_SB_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this protocol is little-endian, and so must the machine be"
#endif

/* clang-format off */

/* "SBSF" in memory order; first field of both hellos. */
#define SB_SURFACE_MAGIC 1179861587u
/* A peer of another major version is refused. */
#define SB_SURFACE_VERSION_MAJOR 1u
/* Grows when messages or capabilities are added; peers use the lower of both. */
#define SB_SURFACE_VERSION_MINOR 1u
/* No message is longer, header included [bytes]. */
#define SB_MAX_MESSAGE 270336u
/* No message carries more file descriptors. */
#define SB_MAX_FDS 8u
/* Planes of a surface. */
#define SB_MAX_PLANES 4u
/* Damage rectangles of a frame; a producer merges what is more. */
#define SB_MAX_DAMAGE 16u
/* Largest width and height of a surface [pixels]. */
#define SB_MAX_DIMENSION 16384u
/* Largest width and height of a cursor [pixels]. */
#define SB_MAX_CURSOR_DIMENSION 256u
/* Streams of one connection. */
#define SB_MAX_STREAMS 32u
/* Surfaces of one stream that exist at a time. */
#define SB_MAX_SURFACES 64u
/* Largest stride of a plane [bytes]. */
#define SB_MAX_STRIDE 1048576u

/* What the descriptors of a SURFACE message are. */
enum sb_surface_kind {
  SB_SURFACE_KIND_MEMFD = 1, /* Shareable memory (memfd, POSIX shared memory, unlinked file): mmap it. */
  SB_SURFACE_KIND_DMABUF = 2, /* One dma-buf per plane, or one for several planes. */
  SB_SURFACE_KIND_IOSURFACE = 3, /* No descriptor: iosurface_id is a global IOSurfaceID (macOS). */
};

/* What a peer can do; a feature is used when both sides name it. */
enum sb_capability {
  SB_CAPABILITY_MEMFD = 1, /* Surfaces of kind MEMFD. */
  SB_CAPABILITY_DMABUF = 2, /* Surfaces of kind DMABUF. */
  SB_CAPABILITY_IOSURFACE = 4, /* Surfaces of kind IOSURFACE. */
  SB_CAPABILITY_EXPLICIT_SYNC = 8, /* DRM syncobj timelines with a surface. */
  SB_CAPABILITY_SCANOUT_INFO = 16, /* Client: send me SCANOUT_INFO. Server: has scanouts to describe and configure. */
  SB_CAPABILITY_RESOURCES = 32, /* SUBSCRIBE_RESOURCE is served. */
  SB_CAPABILITY_CAPTURES = 64, /* SUBSCRIBE_CAPTURE is served. */
  SB_CAPABILITY_REFRESH = 128, /* REFRESH is served. */
};
#define SB_CAPABILITY_ALL 255u

/* Options of a subscription. */
enum sb_subscribe_flag {
  SB_SUBSCRIBE_FLAG_CURSOR = 1, /* Send CURSOR messages; without it no cursor is sent. */
};
#define SB_SUBSCRIBE_FLAG_ALL 1u

/* Where the newest pixels of a refreshed picture are. */
enum sb_refresh_flag {
  SB_REFRESH_FLAG_BACKING = 1, /* In the guest's memory behind the resource: the guest has drawn there and transferred nothing. */
};
#define SB_REFRESH_FLAG_ALL 1u

/* Properties of a surface. */
enum sb_surface_flag {
  SB_SURFACE_FLAG_Y_INVERTED = 1, /* The first row in memory is the lowest row of the picture. */
  SB_SURFACE_FLAG_EXPLICIT_SYNC = 2, /* The last two descriptors are the acquire and the release DRM syncobj; frames carry timeline points. */
};
#define SB_SURFACE_FLAG_ALL 3u

/* Properties of a frame. */
enum sb_frame_flag {
  SB_FRAME_FLAG_DISCONTINUITY = 1, /* First frame after a reset, a resize or a pause: what came before is not related. */
};
#define SB_FRAME_FLAG_ALL 1u

/* What a CURSOR message says. */
enum sb_cursor_flag {
  SB_CURSOR_FLAG_VISIBLE = 1, /* The cursor is shown. */
  SB_CURSOR_FLAG_SHAPE = 2, /* The shape follows: width, height, hot spot and pixels replace the former ones. */
};
#define SB_CURSOR_FLAG_ALL 3u

/* State of a scanout. */
enum sb_scanout_flag {
  SB_SCANOUT_FLAG_ENABLED = 1, /* The host has connected a display to it. */
  SB_SCANOUT_FLAG_ACTIVE = 2, /* The guest shows a picture on it. */
};
#define SB_SCANOUT_FLAG_ALL 3u

/* Whether a stream has a picture. */
enum sb_stream_state {
  SB_STREAM_STATE_ACTIVE = 1, /* Frames come when something changes. */
  SB_STREAM_STATE_BLANK = 2, /* The guest has switched the scanout off; the last picture is no longer shown. */
  SB_STREAM_STATE_WAITING = 3, /* The source is there but has not started or is paused. */
};

/* Why all surfaces of a stream are gone. */
enum sb_reset_reason {
  SB_RESET_REASON_GUEST_RESET = 1, /* The guest rebooted or its driver was reset. */
  SB_RESET_REASON_RENEGOTIATED = 2, /* The source changed its format, size or buffers. */
  SB_RESET_REASON_SOURCE_LOST = 3, /* The source went away and may come back. */
};

/* Codes of ERROR and STREAM_END. */
enum sb_surface_error {
  SB_SURFACE_ERROR_NONE = 0, /* No error: an orderly end. */
  SB_SURFACE_ERROR_BAD_MAGIC = 1, /* The peer does not speak this protocol. Fatal. */
  SB_SURFACE_ERROR_BAD_VERSION = 2, /* Another major version. Fatal. */
  SB_SURFACE_ERROR_BAD_LENGTH = 3, /* Length out of the bounds of its type. Fatal. */
  SB_SURFACE_ERROR_BAD_TYPE = 4, /* Unknown message type, or sent in the wrong direction. Fatal. */
  SB_SURFACE_ERROR_BAD_FDS = 5, /* Number of descriptors is wrong for the type. Fatal. */
  SB_SURFACE_ERROR_BAD_VALUE = 6, /* A field is out of its range. Fatal. */
  SB_SURFACE_ERROR_BAD_STATE = 7, /* A message before the hello, or a second hello. Fatal. */
  SB_SURFACE_ERROR_BAD_STREAM = 8, /* The stream id is zero, unknown, or in use. */
  SB_SURFACE_ERROR_TOO_MANY = 9, /* A limit on clients, streams or surfaces is reached. */
  SB_SURFACE_ERROR_NO_SUCH_SCANOUT = 10, /* The scanout's index is not below scanout_count. */
  SB_SURFACE_ERROR_NO_SUCH_RESOURCE = 11, /* No resource has this id. */
  SB_SURFACE_ERROR_RESOURCE_MISMATCH = 12, /* Size, format, stride or offset do not fit the real resource. */
  SB_SURFACE_ERROR_NO_SUCH_CAPTURE = 13, /* No capture has this id. */
  SB_SURFACE_ERROR_UNSUPPORTED = 14, /* The two peers share no way to pass this surface. */
  SB_SURFACE_ERROR_NO_MEMORY = 15, /* Memory or descriptors ran out. */
  SB_SURFACE_ERROR_SOURCE_FAILED = 16, /* The source failed for good; the text says how. */
  SB_SURFACE_ERROR_DENIED = 17, /* The peer's credentials do not allow this. */
  SB_SURFACE_ERROR_BAD_RELEASE = 18, /* RELEASE names a frame that is not outstanding. Fatal. */
};

/* A rectangle in pixels of the surface; the origin is the picture's upper left corner. */
struct sb_rect {
  uint32_t x;
  uint32_t y;
  uint32_t width;
  uint32_t height;
};
static_assert(sizeof(struct sb_rect) == 16, "sb_rect: size");
static_assert(offsetof(struct sb_rect, x) == 0, "sb_rect.x: offset");
static_assert(offsetof(struct sb_rect, y) == 4, "sb_rect.y: offset");
static_assert(offsetof(struct sb_rect, width) == 8, "sb_rect.width: offset");
static_assert(offsetof(struct sb_rect, height) == 12, "sb_rect.height: offset");

/* One plane of a surface. Unused planes are all zero. */
struct sb_plane {
  uint64_t offset; /* First byte of the plane in its descriptor [bytes]. */
  uint64_t size; /* Bytes of the plane from offset; offset + size fits the descriptor [bytes]. */
  uint32_t stride; /* Distance of two rows [bytes]. */
  uint32_t fd_index; /* Which of the message's descriptors. */
};
static_assert(sizeof(struct sb_plane) == 24, "sb_plane: size");
static_assert(offsetof(struct sb_plane, offset) == 0, "sb_plane.offset: offset");
static_assert(offsetof(struct sb_plane, size) == 8, "sb_plane.size: offset");
static_assert(offsetof(struct sb_plane, stride) == 16, "sb_plane.stride: offset");
static_assert(offsetof(struct sb_plane, fd_index) == 20, "sb_plane.fd_index: offset");

/* Starts every message. */
struct sb_header {
  uint32_t length; /* Of the whole message, this header included [bytes]. */
  uint16_t type; /* enum sb_msg_type. */
  uint8_t fd_count; /* Descriptors that travel with the first byte of this message. */
  uint8_t reserved;
  uint32_t stream; /* Stream that this is about, chosen by the client; 0 for the connection. */
  uint32_t serial; /* Chosen by the client for a request and repeated in its answer; 0 in events. */
};
static_assert(sizeof(struct sb_header) == 16, "sb_header: size");
static_assert(offsetof(struct sb_header, length) == 0, "sb_header.length: offset");
static_assert(offsetof(struct sb_header, type) == 4, "sb_header.type: offset");
static_assert(offsetof(struct sb_header, fd_count) == 6, "sb_header.fd_count: offset");
static_assert(offsetof(struct sb_header, reserved) == 7, "sb_header.reserved: offset");
static_assert(offsetof(struct sb_header, stream) == 8, "sb_header.stream: offset");
static_assert(offsetof(struct sb_header, serial) == 12, "sb_header.serial: offset");

/* Who sends a message. */
enum sb_direction { SB_FROM_CLIENT, SB_FROM_SERVER };

enum sb_msg_type {
  SB_MSG_HELLO = 1,
  SB_MSG_SUBSCRIBE_SCANOUT = 2,
  SB_MSG_SUBSCRIBE_RESOURCE = 3,
  SB_MSG_SUBSCRIBE_CAPTURE = 4,
  SB_MSG_UNSUBSCRIBE = 5,
  SB_MSG_RELEASE = 6,
  SB_MSG_CONFIGURE_SCANOUT = 7,
  SB_MSG_PING = 8,
  SB_MSG_REFRESH = 9,
  SB_MSG_HELLO_REPLY = 129,
  SB_MSG_OK = 130,
  SB_MSG_ERROR = 131,
  SB_MSG_PONG = 132,
  SB_MSG_SCANOUT_INFO = 133,
  SB_MSG_SURFACE = 134,
  SB_MSG_SURFACE_GONE = 135,
  SB_MSG_FRAME = 136,
  SB_MSG_CURSOR = 137,
  SB_MSG_RESET = 138,
  SB_MSG_STATE = 139,
  SB_MSG_STREAM_END = 140,
};

/* From the client: First message of a client. */
struct sb_hello {
  struct sb_header header;
  uint32_t magic;
  uint16_t version_major;
  uint16_t version_minor;
  uint64_t capabilities; /* enum sb_capability. Unknown bits are ignored. */
  char name[32]; /* Who this is, for logs. UTF-8, ends with NUL. */
};
static_assert(sizeof(struct sb_hello) == 64, "sb_hello: size");
static_assert(offsetof(struct sb_hello, magic) == 16, "sb_hello.magic: offset");
static_assert(offsetof(struct sb_hello, version_major) == 20, "sb_hello.version_major: offset");
static_assert(offsetof(struct sb_hello, version_minor) == 22, "sb_hello.version_minor: offset");
static_assert(offsetof(struct sb_hello, capabilities) == 24, "sb_hello.capabilities: offset");
static_assert(offsetof(struct sb_hello, name) == 32, "sb_hello.name: offset");

/* From the client: Opens a stream of what a scanout shows. Answer: OK or ERROR. The present picture follows at once. */
struct sb_subscribe_scanout {
  struct sb_header header;
  uint32_t scanout; /* Index, 0 is the console. */
  uint32_t flags;
};
static_assert(sizeof(struct sb_subscribe_scanout) == 24, "sb_subscribe_scanout: size");
static_assert(offsetof(struct sb_subscribe_scanout, scanout) == 16, "sb_subscribe_scanout.scanout: offset");
static_assert(offsetof(struct sb_subscribe_scanout, flags) == 20, "sb_subscribe_scanout.flags: offset");

/* From the client: Opens a stream of a virtio-gpu resource. Every field is checked against the real resource. */
struct sb_subscribe_resource {
  struct sb_header header;
  uint32_t resource; /* virtio-gpu resource id. */
  uint32_t flags;
  uint32_t width; /* [pixels] */
  uint32_t height; /* [pixels] */
  uint32_t format; /* DRM fourcc (drm_fourcc.h). */
  uint32_t stride; /* [bytes] */
  uint64_t offset; /* Of the first pixel in the resource [bytes]. */
  uint64_t modifier; /* DRM format modifier; 0 is linear. */
};
static_assert(sizeof(struct sb_subscribe_resource) == 56, "sb_subscribe_resource: size");
static_assert(offsetof(struct sb_subscribe_resource, resource) == 16, "sb_subscribe_resource.resource: offset");
static_assert(offsetof(struct sb_subscribe_resource, flags) == 20, "sb_subscribe_resource.flags: offset");
static_assert(offsetof(struct sb_subscribe_resource, width) == 24, "sb_subscribe_resource.width: offset");
static_assert(offsetof(struct sb_subscribe_resource, height) == 28, "sb_subscribe_resource.height: offset");
static_assert(offsetof(struct sb_subscribe_resource, format) == 32, "sb_subscribe_resource.format: offset");
static_assert(offsetof(struct sb_subscribe_resource, stride) == 36, "sb_subscribe_resource.stride: offset");
static_assert(offsetof(struct sb_subscribe_resource, offset) == 40, "sb_subscribe_resource.offset: offset");
static_assert(offsetof(struct sb_subscribe_resource, modifier) == 48, "sb_subscribe_resource.modifier: offset");

/* From the client: Opens a stream of a bare-metal agent's capture. */
struct sb_subscribe_capture {
  struct sb_header header;
  uint32_t capture; /* Id that the agent announced. */
  uint32_t flags;
};
static_assert(sizeof(struct sb_subscribe_capture) == 24, "sb_subscribe_capture: size");
static_assert(offsetof(struct sb_subscribe_capture, capture) == 16, "sb_subscribe_capture.capture: offset");
static_assert(offsetof(struct sb_subscribe_capture, flags) == 20, "sb_subscribe_capture.flags: offset");

/* From the client: Ends a stream. All its surfaces and frames count as released. Answer: OK; nothing about the stream follows it. */
struct sb_unsubscribe {
  struct sb_header header;
};
static_assert(sizeof(struct sb_unsubscribe) == 16, "sb_unsubscribe: size");

/* From the client: The client has finished reading a frame; the next one may be sent. */
struct sb_release {
  struct sb_header header;
  uint64_t sequence; /* Of the frame. */
};
static_assert(sizeof(struct sb_release) == 24, "sb_release: size");
static_assert(offsetof(struct sb_release, sequence) == 16, "sb_release.sequence: offset");

/* From the client: Connects, sizes or disconnects the display of a scanout. Answer: OK or ERROR; SCANOUT_INFO goes to all who want it. */
struct sb_configure_scanout {
  struct sb_header header;
  uint32_t scanout;
  uint32_t enabled;
  uint32_t width; /* Preferred mode [pixels]; 0 when not enabled. */
  uint32_t height; /* [pixels] */
  uint32_t refresh; /* [mHz]; 0: the device's choice. */
  uint32_t width_mm; /* [mm]; 0: unknown. */
  uint32_t height_mm; /* [mm] */
  uint32_t reserved;
};
static_assert(sizeof(struct sb_configure_scanout) == 48, "sb_configure_scanout: size");
static_assert(offsetof(struct sb_configure_scanout, scanout) == 16, "sb_configure_scanout.scanout: offset");
static_assert(offsetof(struct sb_configure_scanout, enabled) == 20, "sb_configure_scanout.enabled: offset");
static_assert(offsetof(struct sb_configure_scanout, width) == 24, "sb_configure_scanout.width: offset");
static_assert(offsetof(struct sb_configure_scanout, height) == 28, "sb_configure_scanout.height: offset");
static_assert(offsetof(struct sb_configure_scanout, refresh) == 32, "sb_configure_scanout.refresh: offset");
static_assert(offsetof(struct sb_configure_scanout, width_mm) == 36, "sb_configure_scanout.width_mm: offset");
static_assert(offsetof(struct sb_configure_scanout, height_mm) == 40, "sb_configure_scanout.height_mm: offset");
static_assert(offsetof(struct sb_configure_scanout, reserved) == 44, "sb_configure_scanout.reserved: offset");

/* From the client: Answered by PONG after all that came before it was handled. */
struct sb_ping {
  struct sb_header header;
  uint64_t token;
};
static_assert(sizeof(struct sb_ping) == 24, "sb_ping: size");
static_assert(offsetof(struct sb_ping, token) == 16, "sb_ping.token: offset");

/* From the client: The picture has changed, though nothing told the server: send it when the frame before it is released. Since 1.1, where the server names REFRESH. No answer but the frame. Followed by damage_count struct sb_rect. */
struct sb_refresh {
  struct sb_header header;
  uint32_t flags;
  uint32_t damage_count; /* Rectangles that follow, in pixels of the surface; 0: the whole picture has changed. */
};
static_assert(sizeof(struct sb_refresh) == 24, "sb_refresh: size");
static_assert(offsetof(struct sb_refresh, flags) == 16, "sb_refresh.flags: offset");
static_assert(offsetof(struct sb_refresh, damage_count) == 20, "sb_refresh.damage_count: offset");

/* From the server: Answer to a hello that is accepted. */
struct sb_hello_reply {
  struct sb_header header;
  uint32_t magic;
  uint16_t version_major;
  uint16_t version_minor;
  uint64_t capabilities; /* enum sb_capability. */
  uint32_t scanout_count; /* Scanouts of the device; 0 when it has none. */
  uint32_t max_streams; /* Streams that this client may have. */
  char name[32]; /* Who this is, for logs. UTF-8, ends with NUL. */
};
static_assert(sizeof(struct sb_hello_reply) == 72, "sb_hello_reply: size");
static_assert(offsetof(struct sb_hello_reply, magic) == 16, "sb_hello_reply.magic: offset");
static_assert(offsetof(struct sb_hello_reply, version_major) == 20, "sb_hello_reply.version_major: offset");
static_assert(offsetof(struct sb_hello_reply, version_minor) == 22, "sb_hello_reply.version_minor: offset");
static_assert(offsetof(struct sb_hello_reply, capabilities) == 24, "sb_hello_reply.capabilities: offset");
static_assert(offsetof(struct sb_hello_reply, scanout_count) == 32, "sb_hello_reply.scanout_count: offset");
static_assert(offsetof(struct sb_hello_reply, max_streams) == 36, "sb_hello_reply.max_streams: offset");
static_assert(offsetof(struct sb_hello_reply, name) == 40, "sb_hello_reply.name: offset");

/* From the server: The request with this serial was done. */
struct sb_ok {
  struct sb_header header;
};
static_assert(sizeof(struct sb_ok) == 16, "sb_ok: size");

/* From the server: The request with this serial failed, or (serial 0) the connection did. */
struct sb_error {
  struct sb_header header;
  uint32_t code;
  uint32_t fatal; /* 1: the connection is closed after this message. */
  char text[232]; /* What happened to whom, and what to do. UTF-8, ends with NUL. */
};
static_assert(sizeof(struct sb_error) == 256, "sb_error: size");
static_assert(offsetof(struct sb_error, code) == 16, "sb_error.code: offset");
static_assert(offsetof(struct sb_error, fatal) == 20, "sb_error.fatal: offset");
static_assert(offsetof(struct sb_error, text) == 24, "sb_error.text: offset");

/* From the server: Answer to PING. */
struct sb_pong {
  struct sb_header header;
  uint64_t token;
};
static_assert(sizeof(struct sb_pong) == 24, "sb_pong: size");
static_assert(offsetof(struct sb_pong, token) == 16, "sb_pong.token: offset");

/* From the server: State of a scanout: after the hello for each of them, then on change. */
struct sb_scanout_info {
  struct sb_header header;
  uint32_t scanout;
  uint32_t flags;
  uint32_t width; /* Of the picture [pixels]; 0 when there is none. */
  uint32_t height; /* [pixels] */
  uint32_t preferred_width; /* Of the connected display [pixels]. */
  uint32_t preferred_height; /* [pixels] */
  uint32_t refresh; /* [mHz]; 0: unknown. */
  uint32_t generation; /* Grows with every guest reset. */
};
static_assert(sizeof(struct sb_scanout_info) == 48, "sb_scanout_info: size");
static_assert(offsetof(struct sb_scanout_info, scanout) == 16, "sb_scanout_info.scanout: offset");
static_assert(offsetof(struct sb_scanout_info, flags) == 20, "sb_scanout_info.flags: offset");
static_assert(offsetof(struct sb_scanout_info, width) == 24, "sb_scanout_info.width: offset");
static_assert(offsetof(struct sb_scanout_info, height) == 28, "sb_scanout_info.height: offset");
static_assert(offsetof(struct sb_scanout_info, preferred_width) == 32, "sb_scanout_info.preferred_width: offset");
static_assert(offsetof(struct sb_scanout_info, preferred_height) == 36, "sb_scanout_info.preferred_height: offset");
static_assert(offsetof(struct sb_scanout_info, refresh) == 40, "sb_scanout_info.refresh: offset");
static_assert(offsetof(struct sb_scanout_info, generation) == 44, "sb_scanout_info.generation: offset");

/* From the server: A memory that holds pictures. Sent once, before the first frame in it. */
struct sb_surface {
  struct sb_header header;
  uint32_t surface; /* Id within the stream. */
  uint32_t kind;
  uint32_t width; /* [pixels] */
  uint32_t height; /* [pixels] */
  uint32_t format; /* DRM fourcc (drm_fourcc.h). */
  uint32_t flags;
  uint64_t modifier; /* DRM format modifier; 0 is linear. */
  uint32_t plane_count; /* 0 for an IOSurface. */
  uint32_t iosurface_id; /* IOSurfaceID, or 0. */
  struct sb_plane planes[4];
};
static_assert(sizeof(struct sb_surface) == 152, "sb_surface: size");
static_assert(offsetof(struct sb_surface, surface) == 16, "sb_surface.surface: offset");
static_assert(offsetof(struct sb_surface, kind) == 20, "sb_surface.kind: offset");
static_assert(offsetof(struct sb_surface, width) == 24, "sb_surface.width: offset");
static_assert(offsetof(struct sb_surface, height) == 28, "sb_surface.height: offset");
static_assert(offsetof(struct sb_surface, format) == 32, "sb_surface.format: offset");
static_assert(offsetof(struct sb_surface, flags) == 36, "sb_surface.flags: offset");
static_assert(offsetof(struct sb_surface, modifier) == 40, "sb_surface.modifier: offset");
static_assert(offsetof(struct sb_surface, plane_count) == 48, "sb_surface.plane_count: offset");
static_assert(offsetof(struct sb_surface, iosurface_id) == 52, "sb_surface.iosurface_id: offset");
static_assert(offsetof(struct sb_surface, planes) == 56, "sb_surface.planes: offset");

/* From the server: No further frame uses this surface. The client drops it when its frames are released; the id may be used anew. */
struct sb_surface_gone {
  struct sb_header header;
  uint32_t surface;
  uint32_t reserved;
};
static_assert(sizeof(struct sb_surface_gone) == 24, "sb_surface_gone: size");
static_assert(offsetof(struct sb_surface_gone, surface) == 16, "sb_surface_gone.surface: offset");
static_assert(offsetof(struct sb_surface_gone, reserved) == 20, "sb_surface_gone.reserved: offset");

/* From the server: A picture is ready in a surface. At most one per stream is not released. Followed by damage_count struct sb_rect. */
struct sb_frame {
  struct sb_header header;
  uint64_t sequence; /* Grows by at least 1; a gap counts pictures that were replaced by newer ones. */
  uint64_t pts; /* When the picture was made: CLOCK_MONOTONIC (macOS: CLOCK_UPTIME_RAW) of the sender's machine [ns]. */
  uint32_t surface;
  uint32_t flags;
  struct sb_rect crop; /* The picture within the surface. */
  uint64_t acquire_point; /* Timeline point to wait for before reading; 0 without explicit sync. */
  uint64_t release_point; /* Timeline point that the client signals before RELEASE; 0 without explicit sync. */
  uint32_t damage_count; /* Rectangles that follow; 0: the whole crop has changed. */
  uint32_t refresh; /* Serial of the newest REFRESH that this picture is not older than; 0: none came since the frame before. */
};
static_assert(sizeof(struct sb_frame) == 80, "sb_frame: size");
static_assert(offsetof(struct sb_frame, sequence) == 16, "sb_frame.sequence: offset");
static_assert(offsetof(struct sb_frame, pts) == 24, "sb_frame.pts: offset");
static_assert(offsetof(struct sb_frame, surface) == 32, "sb_frame.surface: offset");
static_assert(offsetof(struct sb_frame, flags) == 36, "sb_frame.flags: offset");
static_assert(offsetof(struct sb_frame, crop) == 40, "sb_frame.crop: offset");
static_assert(offsetof(struct sb_frame, acquire_point) == 56, "sb_frame.acquire_point: offset");
static_assert(offsetof(struct sb_frame, release_point) == 64, "sb_frame.release_point: offset");
static_assert(offsetof(struct sb_frame, damage_count) == 72, "sb_frame.damage_count: offset");
static_assert(offsetof(struct sb_frame, refresh) == 76, "sb_frame.refresh: offset");

/* From the server: Position, visibility and shape of the hardware cursor. Followed by pixel_bytes bytes. */
struct sb_cursor {
  struct sb_header header;
  uint32_t flags;
  int32_t x; /* Of the hot spot, in pixels of the crop. */
  int32_t y;
  uint32_t hot_x; /* Of the shape [pixels]. */
  uint32_t hot_y;
  uint32_t width; /* [pixels]; 0 without a shape. */
  uint32_t height;
  uint32_t pixel_bytes; /* Bytes that follow: width * height * 4, DRM AR24, premultiplied, no padding between rows. */
};
static_assert(sizeof(struct sb_cursor) == 48, "sb_cursor: size");
static_assert(offsetof(struct sb_cursor, flags) == 16, "sb_cursor.flags: offset");
static_assert(offsetof(struct sb_cursor, x) == 20, "sb_cursor.x: offset");
static_assert(offsetof(struct sb_cursor, y) == 24, "sb_cursor.y: offset");
static_assert(offsetof(struct sb_cursor, hot_x) == 28, "sb_cursor.hot_x: offset");
static_assert(offsetof(struct sb_cursor, hot_y) == 32, "sb_cursor.hot_y: offset");
static_assert(offsetof(struct sb_cursor, width) == 36, "sb_cursor.width: offset");
static_assert(offsetof(struct sb_cursor, height) == 40, "sb_cursor.height: offset");
static_assert(offsetof(struct sb_cursor, pixel_bytes) == 44, "sb_cursor.pixel_bytes: offset");

/* From the server: All surfaces of the stream are gone, an unreleased frame counts as released. The stream stays. */
struct sb_reset {
  struct sb_header header;
  uint32_t reason;
  uint32_t reserved;
};
static_assert(sizeof(struct sb_reset) == 24, "sb_reset: size");
static_assert(offsetof(struct sb_reset, reason) == 16, "sb_reset.reason: offset");
static_assert(offsetof(struct sb_reset, reserved) == 20, "sb_reset.reserved: offset");

/* From the server: Whether the stream has a picture: after SUBSCRIBE, then on change. */
struct sb_state {
  struct sb_header header;
  uint32_t state;
  uint32_t reserved;
};
static_assert(sizeof(struct sb_state) == 24, "sb_state: size");
static_assert(offsetof(struct sb_state, state) == 16, "sb_state.state: offset");
static_assert(offsetof(struct sb_state, reserved) == 20, "sb_state.reserved: offset");

/* From the server: The stream is over; its id is free. */
struct sb_stream_end {
  struct sb_header header;
  uint32_t code;
  uint32_t reserved;
  char text[232]; /* Why. UTF-8, ends with NUL. */
};
static_assert(sizeof(struct sb_stream_end) == 256, "sb_stream_end: size");
static_assert(offsetof(struct sb_stream_end, code) == 16, "sb_stream_end.code: offset");
static_assert(offsetof(struct sb_stream_end, reserved) == 20, "sb_stream_end.reserved: offset");
static_assert(offsetof(struct sb_stream_end, text) == 24, "sb_stream_end.text: offset");

static inline int sb_check_rect_(const struct sb_rect *v) {
  if (v->x > SB_MAX_DIMENSION) return 0;
  if (v->y > SB_MAX_DIMENSION) return 0;
  if (v->width < 1u) return 0;
  if (v->width > SB_MAX_DIMENSION) return 0;
  if (v->height < 1u) return 0;
  if (v->height > SB_MAX_DIMENSION) return 0;
  return 1;
}

static inline int sb_check_plane_(const struct sb_plane *v) {
  if (v->stride > SB_MAX_STRIDE) return 0;
  if (v->fd_index > 3u) return 0;
  return 1;
}

/*
 * Checks a header as soon as its 16 bytes are there: type and direction, bounds of
 * the length, number of descriptors, stream. Nothing may be allocated for a message before.
 * Returns an enum sb_surface_error, 0 when the rest of the message may be read.
 */
static inline uint32_t sb_check_header(const struct sb_header *h, enum sb_direction from) {
  uint32_t min = 0, max = 0, fds = 0, needs_stream = 0;
  if (h->reserved != 0) return SB_SURFACE_ERROR_BAD_VALUE;
  switch (h->type) {
    case SB_MSG_HELLO:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 64u; max = 64u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_SUBSCRIBE_SCANOUT:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_SUBSCRIBE_RESOURCE:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 56u; max = 56u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_SUBSCRIBE_CAPTURE:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_UNSUBSCRIBE:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 16u; max = 16u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_RELEASE:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_CONFIGURE_SCANOUT:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 48u; max = 48u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_PING:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_REFRESH:
      if (from != SB_FROM_CLIENT) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 280u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_HELLO_REPLY:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 72u; max = 72u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_OK:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 16u; max = 16u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_ERROR:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 256u; max = 256u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_PONG:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_SCANOUT_INFO:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 48u; max = 48u; fds = 0u; needs_stream = 0u;
      break;
    case SB_MSG_SURFACE:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 152u; max = 152u; fds = 6u; needs_stream = 1u;
      break;
    case SB_MSG_SURFACE_GONE:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_FRAME:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 80u; max = 336u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_CURSOR:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 48u; max = 262192u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_RESET:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_STATE:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 24u; max = 24u; fds = 0u; needs_stream = 1u;
      break;
    case SB_MSG_STREAM_END:
      if (from != SB_FROM_SERVER) return SB_SURFACE_ERROR_BAD_TYPE;
      min = 256u; max = 256u; fds = 0u; needs_stream = 1u;
      break;
    default:
      return SB_SURFACE_ERROR_BAD_TYPE;
  }
  if (h->length < min || h->length > max) return SB_SURFACE_ERROR_BAD_LENGTH;
  if (h->fd_count > fds) return SB_SURFACE_ERROR_BAD_FDS;
  if (needs_stream && h->stream == 0) return SB_SURFACE_ERROR_BAD_STREAM;
  return 0;
}

/*
 * Checks a whole message (header.length bytes, any alignment): header, ranges of all fields, and that
 * what follows the fixed part is as long as the fixed part says.
 * Returns an enum sb_surface_error, 0 when every field can be used.
 */
static inline uint32_t sb_check_message(const void *message, enum sb_direction from) {
  struct sb_header h;
  memcpy(&h, message, sizeof h);
  uint32_t error = sb_check_header(&h, from);
  if (error != 0) return error;
  switch (h.type) {
    case SB_MSG_HELLO: {
      struct sb_hello m;
      memcpy(&m, message, sizeof m);
      if (m.name[31] != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_SUBSCRIBE_SCANOUT: {
      struct sb_subscribe_scanout m;
      memcpy(&m, message, sizeof m);
      if ((m.flags & ~SB_SUBSCRIBE_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_SUBSCRIBE_RESOURCE: {
      struct sb_subscribe_resource m;
      memcpy(&m, message, sizeof m);
      if (m.resource < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if ((m.flags & ~SB_SUBSCRIBE_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.stride < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.stride > SB_MAX_STRIDE) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_SUBSCRIBE_CAPTURE: {
      struct sb_subscribe_capture m;
      memcpy(&m, message, sizeof m);
      if (m.capture < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if ((m.flags & ~SB_SUBSCRIBE_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_CONFIGURE_SCANOUT: {
      struct sb_configure_scanout m;
      memcpy(&m, message, sizeof m);
      if (m.enabled > 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.refresh > 1000000u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width_mm > 65535u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height_mm > 65535u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.reserved > 0u) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_REFRESH: {
      struct sb_refresh m;
      memcpy(&m, message, sizeof m);
      if ((m.flags & ~SB_REFRESH_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.damage_count > SB_MAX_DAMAGE) return SB_SURFACE_ERROR_BAD_VALUE;
      if (h.length != 24u + m.damage_count * 16u) return SB_SURFACE_ERROR_BAD_LENGTH;
      for (uint32_t i = 0; i < m.damage_count; i++) {
        struct sb_rect v;
        memcpy(&v, (const uint8_t *)message + 24u + i * 16u, sizeof v);
        if (!sb_check_rect_(&v)) return SB_SURFACE_ERROR_BAD_VALUE;
      }
      break;
    }
    case SB_MSG_HELLO_REPLY: {
      struct sb_hello_reply m;
      memcpy(&m, message, sizeof m);
      if (m.scanout_count > 64u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.max_streams > SB_MAX_STREAMS) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.name[31] != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_ERROR: {
      struct sb_error m;
      memcpy(&m, message, sizeof m);
      if (m.code != 0u && m.code != 1u && m.code != 2u && m.code != 3u && m.code != 4u && m.code != 5u && m.code != 6u && m.code != 7u && m.code != 8u && m.code != 9u && m.code != 10u && m.code != 11u && m.code != 12u && m.code != 13u && m.code != 14u && m.code != 15u && m.code != 16u && m.code != 17u && m.code != 18u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.fatal > 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.text[231] != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_SCANOUT_INFO: {
      struct sb_scanout_info m;
      memcpy(&m, message, sizeof m);
      if (m.scanout > 63u) return SB_SURFACE_ERROR_BAD_VALUE;
      if ((m.flags & ~SB_SCANOUT_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.preferred_width > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.preferred_height > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.refresh > 1000000u) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_SURFACE: {
      struct sb_surface m;
      memcpy(&m, message, sizeof m);
      if (m.surface < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.kind != 1u && m.kind != 2u && m.kind != 3u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height > SB_MAX_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if ((m.flags & ~SB_SURFACE_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.plane_count > SB_MAX_PLANES) return SB_SURFACE_ERROR_BAD_VALUE;
      for (unsigned i = 0; i < 4u; i++) {
        if (!sb_check_plane_(&m.planes[i])) return SB_SURFACE_ERROR_BAD_VALUE;
      }
      break;
    }
    case SB_MSG_SURFACE_GONE: {
      struct sb_surface_gone m;
      memcpy(&m, message, sizeof m);
      if (m.surface < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.reserved > 0u) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_FRAME: {
      struct sb_frame m;
      memcpy(&m, message, sizeof m);
      if (m.surface < 1u) return SB_SURFACE_ERROR_BAD_VALUE;
      if ((m.flags & ~SB_FRAME_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      if (!sb_check_rect_(&m.crop)) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.damage_count > SB_MAX_DAMAGE) return SB_SURFACE_ERROR_BAD_VALUE;
      if (h.length != 80u + m.damage_count * 16u) return SB_SURFACE_ERROR_BAD_LENGTH;
      for (uint32_t i = 0; i < m.damage_count; i++) {
        struct sb_rect v;
        memcpy(&v, (const uint8_t *)message + 80u + i * 16u, sizeof v);
        if (!sb_check_rect_(&v)) return SB_SURFACE_ERROR_BAD_VALUE;
      }
      break;
    }
    case SB_MSG_CURSOR: {
      struct sb_cursor m;
      memcpy(&m, message, sizeof m);
      if ((m.flags & ~SB_CURSOR_FLAG_ALL) != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.hot_x > SB_MAX_CURSOR_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.hot_y > SB_MAX_CURSOR_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.width > SB_MAX_CURSOR_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.height > SB_MAX_CURSOR_DIMENSION) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.pixel_bytes > 262144u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.pixel_bytes != (uint64_t)m.width * (uint64_t)m.height * 4u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (h.length != 48u + m.pixel_bytes * 1u) return SB_SURFACE_ERROR_BAD_LENGTH;
      break;
    }
    case SB_MSG_RESET: {
      struct sb_reset m;
      memcpy(&m, message, sizeof m);
      if (m.reason != 1u && m.reason != 2u && m.reason != 3u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.reserved > 0u) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_STATE: {
      struct sb_state m;
      memcpy(&m, message, sizeof m);
      if (m.state != 1u && m.state != 2u && m.state != 3u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.reserved > 0u) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    case SB_MSG_STREAM_END: {
      struct sb_stream_end m;
      memcpy(&m, message, sizeof m);
      if (m.code != 0u && m.code != 1u && m.code != 2u && m.code != 3u && m.code != 4u && m.code != 5u && m.code != 6u && m.code != 7u && m.code != 8u && m.code != 9u && m.code != 10u && m.code != 11u && m.code != 12u && m.code != 13u && m.code != 14u && m.code != 15u && m.code != 16u && m.code != 17u && m.code != 18u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.reserved > 0u) return SB_SURFACE_ERROR_BAD_VALUE;
      if (m.text[231] != 0) return SB_SURFACE_ERROR_BAD_VALUE;
      break;
    }
    default:
      break;
  }
  return 0;
}

/* clang-format on */
#endif /* SCANBRIDGE_SB_H */
