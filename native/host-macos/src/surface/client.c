// SPDX-License-Identifier: Apache-2.0
#include "surface/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"

enum {
  STREAM = 1,
  SUBSCRIBE_SERIAL = 1,
  /// Hello, subscription, and a release: nothing else is sent, one at a time.
  OUTPUT_SIZE = 512,
  /// Messages handled by one dispatch, so that a flood does not keep the thread from its other
  /// work.
  MAX_MESSAGES = 64,
};

struct sbm_client {
  sbm_target target;
  sbm_client_observer observer;
  int fd;
  bool greeted, open, send_failed;
  uint8_t input[SB_MAX_MESSAGE];
  size_t input_begin, input_end;
  uint8_t output[OUTPUT_SIZE];
  size_t output_size;
  struct {
    uint32_t id;
    sbm_picture* picture;
  } surfaces[SB_MAX_SURFACES];
  bool outstanding;
  sbm_frame frame;
  uint64_t last_sequence, last_pts;
};

static bool broken(sbm_error* error, const char* code, const char* what) {
  sbm_error_set(error, code,
                "Check that producer and client are of the same release; look at the producer's "
                "log.",
                "The producer of surfaces broke the protocol: %s.", what);
  return false;
}

static bool lost(sbm_error* error, const char* code, const char* why) {
  sbm_error_set(error, code, "It ended or was stopped; start it again and connect anew.",
                "The connection to the producer of surfaces is over: %s.", why);
  return false;
}

/* Sending ------------------------------------------------------------------------------------- */

static void flush(sbm_client* client) {
  while (client->output_size > 0 && !client->send_failed) {
    const ssize_t sent = send(client->fd, client->output, client->output_size,
#ifdef MSG_NOSIGNAL
                              MSG_NOSIGNAL
#else
                              0  // SO_NOSIGPIPE is set
#endif
    );
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      client->send_failed = errno != EAGAIN && errno != EWOULDBLOCK;
      return;
    }
    client->output_size -= (size_t)sent;
    memmove(client->output, client->output + sent, client->output_size);
  }
}

/// Queues a message whose header says its length. A producer that does not read is of no use.
static void send_message(sbm_client* client, const void* message, size_t size) {
  if (size > sizeof client->output - client->output_size) {
    client->send_failed = true;
    return;
  }
  memcpy(client->output + client->output_size, message, size);
  client->output_size += size;
  flush(client);
}

static struct sb_header header_of(enum sb_msg_type type, size_t size, uint32_t serial) {
  return (struct sb_header){.length = (uint32_t)size,
                            .type = (uint16_t)type,
                            .stream = type == SB_MSG_HELLO ? 0 : STREAM,
                            .serial = serial};
}

static void say_hello(sbm_client* client) {
  struct sb_hello hello = {
      .header = header_of(SB_MSG_HELLO, sizeof hello, 0),
      .magic = SB_SURFACE_MAGIC,
      .version_major = SB_SURFACE_VERSION_MAJOR,
      .version_minor = SB_SURFACE_VERSION_MINOR,
      .capabilities = SB_CAPABILITY_IOSURFACE | SB_CAPABILITY_RESOURCES | SB_CAPABILITY_CAPTURES,
      .name = "scanbridge engine"};
  send_message(client, &hello, sizeof hello);
}

static void subscribe(sbm_client* client) {
  const sbm_target* const target = &client->target;
  const uint32_t flags = target->cursor ? SB_SUBSCRIBE_FLAG_CURSOR : 0;
  if (target->subscribe == SB_MSG_SUBSCRIBE_RESOURCE) {
    struct sb_subscribe_resource message = target->resource;
    message.header = header_of(target->subscribe, sizeof message, SUBSCRIBE_SERIAL);
    message.flags = flags;
    send_message(client, &message, sizeof message);
    return;
  }
  // The two others are of the same shape.
  struct sb_subscribe_scanout message = {.scanout = target->number, .flags = flags};
  message.header = header_of(target->subscribe, sizeof message, SUBSCRIBE_SERIAL);
  send_message(client, &message, sizeof message);
}

/* Receiving ----------------------------------------------------------------------------------- */

static void forget_frame(sbm_client* client) {
  client->outstanding = false;
  sbm_picture_unref(client->frame.picture);
  client->frame.picture = NULL;
}

static void forget_surfaces(sbm_client* client) {
  for (size_t i = 0; i < SB_MAX_SURFACES; i++) {
    sbm_picture_unref(client->surfaces[i].picture);
    client->surfaces[i].picture = NULL;
  }
}

/// The place of a surface, or of none with id 0.
static size_t find_surface(const sbm_client* client, uint32_t id) {
  for (size_t i = 0; i < SB_MAX_SURFACES; i++) {
    const bool used = client->surfaces[i].picture != NULL;
    if (id == 0 ? !used : used && client->surfaces[i].id == id) return i;
  }
  return SB_MAX_SURFACES;
}

/// What the producer itself reported. The text is checked to end with NUL.
static bool reported(sbm_error* error, uint32_t code, const char* text) {
  static const char* const names[] = {"SURFACE_CLOSED",
                                      "SURFACE_BAD_MAGIC",
                                      "SURFACE_BAD_VERSION",
                                      "SURFACE_BAD_LENGTH",
                                      "SURFACE_BAD_TYPE",
                                      "SURFACE_BAD_FDS",
                                      "SURFACE_BAD_VALUE",
                                      "SURFACE_BAD_STATE",
                                      "SURFACE_BAD_STREAM",
                                      "SURFACE_TOO_MANY",
                                      "SURFACE_NO_SUCH_SCANOUT",
                                      "SURFACE_NO_SUCH_RESOURCE",
                                      "SURFACE_RESOURCE_MISMATCH",
                                      "SURFACE_NO_SUCH_CAPTURE",
                                      "SURFACE_UNSUPPORTED",
                                      "SURFACE_NO_MEMORY",
                                      "SURFACE_SOURCE_FAILED",
                                      "SURFACE_DENIED",
                                      "SURFACE_BAD_RELEASE"};
  const char* const name =
      code < sizeof names / sizeof *names ? names[code] : "SURFACE_SOURCE_FAILED";
  sbm_error_set(error, name, "Look at the producer's log, and start the stream again.", "%s",
                text[0] != '\0' ? text : "The producer of surfaces reported an error.");
  return false;
}

static bool handle_hello(sbm_client* client, const struct sb_hello_reply* hello, sbm_error* error) {
  if (client->greeted) return broken(error, "SURFACE_BAD_STATE", "it sent a second hello");
  if (hello->magic != SB_SURFACE_MAGIC)
    return broken(error, "SURFACE_BAD_MAGIC", "its hello has another magic number");
  if (hello->version_major != SB_SURFACE_VERSION_MAJOR)
    return broken(error, "SURFACE_BAD_VERSION", "it speaks another version");
  if ((hello->capabilities & SB_CAPABILITY_IOSURFACE) == 0) {
    sbm_error_set(error, "SURFACE_UNSUPPORTED",
                  "Use a QEMU with all patches of qemu-patches, built on macOS.",
                  "The producer of surfaces passes no IOSurfaces.");
    return false;
  }
  client->greeted = true;
  subscribe(client);
  return true;
}

static bool handle_surface(sbm_client* client, const struct sb_surface* message, sbm_error* error) {
  if (find_surface(client, message->surface) != SB_MAX_SURFACES)
    return broken(error, "SURFACE_BAD_VALUE", "it used the id of a surface twice");
  const size_t place = find_surface(client, 0);
  if (place == SB_MAX_SURFACES)
    return broken(error, "SURFACE_TOO_MANY", "it sent more than 64 surfaces");
  sbm_picture* const picture = sbm_picture_lookup(message, error);
  if (picture == NULL) return false;
  client->surfaces[place].id = message->surface;
  client->surfaces[place].picture = picture;
  return true;
}

static bool inside(const struct sb_rect* rect, const sbm_picture* picture) {
  const uint32_t width = sbm_picture_width(picture), height = sbm_picture_height(picture);
  return rect->x <= width && rect->width <= width - rect->x && rect->y <= height &&
         rect->height <= height - rect->y;
}

static bool handle_frame(sbm_client* client, const struct sb_frame* message, sbm_error* error) {
  const size_t place = find_surface(client, message->surface);
  if (place == SB_MAX_SURFACES)
    return broken(error, "SURFACE_BAD_VALUE", "a frame names a surface that is not there");
  if (client->outstanding)
    return broken(error, "SURFACE_BAD_STATE", "it sent a frame before the last was released");
  if (message->sequence <= client->last_sequence)
    return broken(error, "SURFACE_BAD_VALUE", "the sequence of its frames does not grow");
  if (message->pts < client->last_pts)
    return broken(error, "SURFACE_BAD_VALUE", "the time of its frames goes backwards");
  sbm_picture* const picture = client->surfaces[place].picture;
  if (message->crop.width == 0 || message->crop.height == 0 || !inside(&message->crop, picture))
    return broken(error, "SURFACE_BAD_VALUE", "a frame's crop exceeds its surface");
  client->frame = (sbm_frame){
      .picture = sbm_picture_ref(picture),
      .crop = message->crop,
      .sequence = message->sequence,
      .pts = message->pts,
      .arrival = sbm_now(),
      .replaced = client->last_sequence == 0 ? 0 : message->sequence - client->last_sequence - 1,
  };
  client->last_sequence = message->sequence;
  client->last_pts = message->pts;
  client->outstanding = true;
  return true;
}

static bool handle_stream(sbm_client* client, const uint8_t* bytes, const struct sb_header* header,
                          sbm_error* error) {
  void* const context = client->observer.context;
  if (header->stream != STREAM || !client->open)
    return broken(error, "SURFACE_BAD_STREAM", "it sent a message about an unknown stream");
  switch (header->type) {
    case SB_MSG_SURFACE: {
      struct sb_surface message;
      memcpy(&message, bytes, sizeof message);
      return handle_surface(client, &message, error);
    }
    case SB_MSG_SURFACE_GONE: {
      struct sb_surface_gone message;
      memcpy(&message, bytes, sizeof message);
      const size_t place = find_surface(client, message.surface);
      if (place == SB_MAX_SURFACES)
        return broken(error, "SURFACE_BAD_VALUE", "it took back a surface that is not there");
      sbm_picture_unref(client->surfaces[place].picture);
      client->surfaces[place].picture = NULL;
      return true;
    }
    case SB_MSG_FRAME: {
      struct sb_frame message;
      memcpy(&message, bytes, sizeof message);
      return handle_frame(client, &message, error);
    }
    case SB_MSG_CURSOR: {
      struct sb_cursor message;
      memcpy(&message, bytes, sizeof message);
      client->observer.cursor(context, &message, bytes + sizeof message);
      return true;
    }
    case SB_MSG_RESET: {
      struct sb_reset message;
      memcpy(&message, bytes, sizeof message);
      forget_frame(client);
      forget_surfaces(client);
      client->observer.reset(context, (enum sb_reset_reason)message.reason);
      return true;
    }
    case SB_MSG_STATE: {
      struct sb_state message;
      memcpy(&message, bytes, sizeof message);
      client->observer.state(context, (enum sb_stream_state)message.state);
      return true;
    }
    case SB_MSG_STREAM_END: {
      struct sb_stream_end message;
      memcpy(&message, bytes, sizeof message);
      if (message.code != SB_SURFACE_ERROR_NONE) reported(error, message.code, message.text);
      return false;
    }
    default:
      return broken(error, "SURFACE_BAD_TYPE", "it sent an unexpected message");
  }
}

static bool handle(sbm_client* client, const uint8_t* bytes, const struct sb_header* header,
                   sbm_error* error) {
  switch (header->type) {
    case SB_MSG_ERROR: {
      struct sb_error message;
      memcpy(&message, bytes, sizeof message);
      // There is one request, and without it nothing is left to do.
      return reported(error, message.code, message.text);
    }
    case SB_MSG_HELLO_REPLY: {
      struct sb_hello_reply hello;
      memcpy(&hello, bytes, sizeof hello);
      return handle_hello(client, &hello, error);
    }
    case SB_MSG_OK:
      if (!client->greeted || client->open || header->serial != SUBSCRIBE_SERIAL)
        return broken(error, "SURFACE_BAD_STATE", "it answered what was not asked");
      client->open = true;
      return true;
    default:
      return handle_stream(client, bytes, header, error);
  }
}

/// The next whole message that is in the buffer. False, without a code, when there is none.
static bool next_message(sbm_client* client, const uint8_t** bytes, struct sb_header* header,
                         sbm_error* error) {
  const size_t have = client->input_end - client->input_begin;
  const uint8_t* const at = client->input + client->input_begin;
  if (have < sizeof *header) return false;
  memcpy(header, at, sizeof *header);
  // Before the length is used for anything.
  if (sb_check_header(header, SB_FROM_SERVER) != 0)
    return broken(error, "SURFACE_BAD_LENGTH", "a header is damaged");
  if (have < header->length) return false;
  if (sb_check_message(at, SB_FROM_SERVER) != 0)
    return broken(error, "SURFACE_BAD_VALUE", "a message has a field out of its range");
  *bytes = at;
  client->input_begin += header->length;
  return true;
}

/// Reads once. False: nothing came, and `error` tells if nothing will.
static bool receive(sbm_client* client, sbm_error* error) {
  if (client->input_begin > 0) {
    client->input_end -= client->input_begin;
    memmove(client->input, client->input + client->input_begin, client->input_end);
    client->input_begin = 0;
  }
  for (;;) {
    const ssize_t got = recv(client->fd, client->input + client->input_end,
                             sizeof client->input - client->input_end, 0);
    if (got > 0) {
      client->input_end += (size_t)got;
      return true;
    }
    if (got == 0) return lost(error, "SURFACE_CLOSED", "it was closed");
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // What the producer said before it closed is read first, so this is the last resort.
      return client->send_failed ? lost(error, "SURFACE_IO", "the producer does not read") : false;
    }
    return lost(error, "SURFACE_IO", strerror(errno));
  }
}

bool sbm_client_dispatch(sbm_client* client, sbm_error* error) {
  error->code[0] = '\0';
  flush(client);
  for (int i = 0; i < MAX_MESSAGES;) {
    const uint8_t* bytes = NULL;
    struct sb_header header;
    if (next_message(client, &bytes, &header, error)) {
      if (!handle(client, bytes, &header, error)) return false;
      i++;
      continue;
    }
    if (error->code[0] != '\0') return false;
    if (!receive(client, error)) return error->code[0] == '\0';
  }
  return true;
}

/* Life ---------------------------------------------------------------------------------------- */

static int connect_to(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return -1;
#ifdef SO_NOSIGPIPE
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  int done = -1;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) {
    do {
      done = connect(fd, (const struct sockaddr*)&address, sizeof address);
    } while (done < 0 && errno == EINTR);
  }
  if (done == 0) return fd;
  const int why = errno;
  (void)close(fd);
  errno = why;
  return -1;
}

sbm_client* sbm_client_open(const sbm_target* target, const sbm_client_observer* observer,
                            sbm_error* error) {
  sbm_client* const client = calloc(1, sizeof *client);
  if (client == NULL) {
    sbm_error_set(error, "INTERNAL", "Close other programs.", "Memory ran out.");
    return NULL;
  }
  client->target = *target;
  client->target.socket = NULL;
  client->observer = *observer;
  client->fd = connect_to(target->socket);
  if (client->fd < 0) {
    sbm_error_set(error, "SURFACE_CONNECT", "Start the producer (QEMU with frame-export) first.",
                  "No producer of surfaces at %s: %s.", target->socket, strerror(errno));
    free(client);
    return NULL;
  }
  say_hello(client);
  return client;
}

void sbm_client_close(sbm_client* client) {
  if (client == NULL) return;
  forget_frame(client);
  forget_surfaces(client);
  (void)close(client->fd);
  free(client);
}

int sbm_client_fd(const sbm_client* client) {
  return client->fd;
}

bool sbm_client_wants_write(const sbm_client* client) {
  return client->output_size > 0 && !client->send_failed;
}

bool sbm_client_has_buffered(const sbm_client* client) {
  struct sb_header header;
  const size_t have = client->input_end - client->input_begin;
  if (have < sizeof header) return false;
  memcpy(&header, client->input + client->input_begin, sizeof header);
  return have >= header.length;
}

const sbm_frame* sbm_client_pending(const sbm_client* client) {
  return client->outstanding ? &client->frame : NULL;
}

void sbm_client_release(sbm_client* client) {
  if (!client->outstanding) return;
  struct sb_release message = {.header = header_of(SB_MSG_RELEASE, sizeof message, 0),
                               .sequence = client->frame.sequence};
  forget_frame(client);
  send_message(client, &message, sizeof message);
}
