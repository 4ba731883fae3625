// clang-format off
/*
 * kms-paint: shows pictures of which every pixel is known (pattern.h) on the heads of a DRM device, and in
 * resources that no head shows. Reads commands from standard input, one a line, and answers each with
 * one line, a JSON object; {"error": "..."} if it failed. ../painter.ts drives it.
 *
 *   heads                 the connectors
 *   show HEAD WxH FORMAT [SWxSH+X+Y]
 *                         sets a mode of any size and shows sequence 1; 0x0 is the size that the host
 *                         prefers. FORMAT: XR24 (a dumb buffer), AR24, XB24 or AB24. The last argument makes the
 *                         buffers larger than the picture: their size, and its place
 *   flip HEAD             one page flip; answers when it is done
 *   run HEAD RATE         flips RATE times a second until `stop`; 0: as fast as it goes
 *   stop HEAD             answers what `run` did: flips, seconds, worst gap between two flips
 *   off HEAD              switches the head off and frees its buffers
 *   cursor HEAD X Y HOTX HOTY
 *                         shows a 64x64 cursor, or moves it
 *   hide HEAD             hides the cursor
 *   follow                from now on heads take the sizes that the host prefers, and are off when it
 *                         disconnects them; each change is told by a line {"event": "shown" or "off", ...}
 *   resource WxH FORMAT PAINTER
 *                         paints a resource that no head shows and brings it to the host
 *   touch RESOURCE        paints its mark with the next sequence number and brings it to the host
 *   drop RESOURCE         frees it
 *
 * HEAD counts from 0, as scanouts do; a RESOURCE is the host's id. The environment's CARD is the device.
 */
// clang-format on
#define _GNU_SOURCE
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "head.h"

#define MAX_HEADS 16
#define MAX_RESOURCES 64

struct off_screen {
  struct buffer buffer; /* buffer.resource 0: this slot is free */
  uint8_t painter;
  uint32_t sequence;
};

static int card;
static struct head heads[MAX_HEADS];
static uint32_t head_count;
static struct off_screen off_screens[MAX_RESOURCES];
static bool following;

__attribute__((format(printf, 1, 2))) static void say(const char* text, ...) {
  va_list arguments;

  va_start(arguments, text);
  vprintf(text, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}

static void say_error(const char* what) {
  say("{\"error\":\"%s: %s\"}", what, strerror(errno));
}

static void flip_done(struct head* h) {
  uint64_t at = now();

  h->flip_pending = false;
  if (h->answer_flip) {
    h->answer_flip = false;
    say("{\"head\":%u,\"sequence\":%u}", h->number, h->sequence);
  }
  if (h->running) {
    h->flips++;
    h->worst_gap = at - h->last > h->worst_gap ? at - h->last : h->worst_gap;
    h->last = at;
  }
}

static void say_shown(const struct head* h, const char* before) {
  say("{%s\"head\":%u,\"width\":%u,\"height\":%u,\"format\":\"%s\",\"stride\":%u,"
      "\"resources\":[%u,%u]}",
      before, h->number, h->width, h->height, h->format->name, h->buffers[0].canvas.stride,
      h->buffers[0].resource, h->buffers[1].resource);
}

static void follow_host(void) {
  for (struct head* h = heads; h < heads + head_count; h++) {
    uint32_t width, height;
    if (!preferred_size(h, &width, &height)) {
      if (h->shown) {
        switch_off(h);
        say("{\"event\":\"off\",\"head\":%u}", h->number);
      }
    } else if (width && (!h->shown || width != h->width || height != h->height)) {
      bool running = h->running;
      h->flip_pending = false; /* its event is dropped: the mode set waits for the flip */
      if (show(h, width, height, h->format ? h->format : find_format("XR24"), 0, 0, 0, 0) < 0) {
        say_error("follow");
      } else {
        h->running = running;
        say_shown(h, "\"event\":\"shown\",");
      }
    }
  }
}

static int off_screen_command(char** words, int count) {
  uint32_t width, height;

  if (count == 4 && strcmp(words[0], "resource") == 0 &&
      sscanf(words[1], "%ux%u", &width, &height) == 2) {
    const struct format* format = find_format(words[2]);
    struct off_screen* slot = off_screens;
    while (slot < off_screens + MAX_RESOURCES && slot->buffer.resource) {
      slot++;
    }
    if (!format || slot == off_screens + MAX_RESOURCES ||
        make_buffer(&slot->buffer, width, height, format, false) < 0) {
      return -1;
    }
    slot->painter = (uint8_t)strtoul(words[3], NULL, 10);
    slot->sequence = 0;
    paint_background(&slot->buffer.canvas, slot->painter);
    if (transfer(&slot->buffer, 0, height) < 0) {
      free_buffer(&slot->buffer);
      return -1;
    }
    say("{\"resource\":%u,\"width\":%u,\"height\":%u,\"format\":\"%s\",\"stride\":%u}",
        slot->buffer.resource, width, height, format->name, slot->buffer.canvas.stride);
    return 0;
  }
  uint32_t id = count == 2 ? (uint32_t)strtoul(words[1], NULL, 10) : 0;
  for (struct off_screen* o = off_screens; id && o < off_screens + MAX_RESOURCES; o++) {
    if (o->buffer.resource != id) {
      continue;
    }
    if (strcmp(words[0], "drop") == 0) {
      free_buffer(&o->buffer);
      say("{\"resource\":%u}", id);
      return 0;
    }
    if (!has_room_for_mark(o->buffer.canvas.width, o->buffer.canvas.height)) {
      break;
    }
    paint_mark(&o->buffer.canvas, 0, 0, o->painter, ++o->sequence, now() / 1000);
    if (transfer(&o->buffer, 0, MARK_HEIGHT) < 0) {
      return -1;
    }
    say("{\"resource\":%u,\"sequence\":%u}", id, o->sequence);
    return 0;
  }
  errno = EINVAL;
  return -1;
}

static int head_command(struct head* h, char** words, int count) {
  const char* name = words[0];

  if (strcmp(name, "show") == 0 && count >= 4) {
    uint32_t width, height, surface[4] = {0};
    const struct format* format = find_format(words[3]);
    if (!format || sscanf(words[2], "%ux%u", &width, &height) != 2 ||
        (count > 4 && sscanf(words[4], "%ux%u+%u+%u", &surface[0], &surface[1], &surface[2],
                             &surface[3]) != 4)) {
      errno = EINVAL;
      return -1;
    }
    if (width == 0 && (!preferred_size(h, &width, &height) || width == 0)) {
      errno = ENODEV;
      return -1;
    }
    if (show(h, width, height, format, surface[0], surface[1], surface[2], surface[3]) < 0) {
      return -1;
    }
    say_shown(h, "");
    return 0;
  }
  if (strcmp(name, "cursor") == 0 && count == 6) {
    if (set_cursor(h, atoi(words[2]), atoi(words[3]), atoi(words[4]), atoi(words[5])) < 0) {
      return -1;
    }
  } else if (strcmp(name, "hide") == 0) {
    if (hide_cursor(h) < 0) {
      return -1;
    }
  } else if (!h->shown || h->answer_flip) {
    errno = h->shown ? EBUSY : ENODEV;
    return -1;
  } else if (strcmp(name, "flip") == 0 && !h->running && !h->flip_pending) {
    h->answer_flip = true;
    if (flip(h) < 0) {
      h->answer_flip = false;
      return -1;
    }
    return 0; /* flip_done answers */
  } else if (strcmp(name, "run") == 0 && count == 3) {
    double rate = atof(words[2]);
    h->period = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
    h->started = h->last = h->next = now();
    h->flips = h->worst_gap = 0;
    h->running = true;
  } else if (strcmp(name, "stop") == 0 && h->running) {
    h->running = false;
    say("{\"head\":%u,\"flips\":%llu,\"seconds\":%.6f,\"worstGapMs\":%.3f,\"sequence\":%u}",
        h->number, (unsigned long long)h->flips, (double)(now() - h->started) / 1e9,
        (double)h->worst_gap / 1e6, h->sequence);
    return 0;
  } else if (strcmp(name, "off") == 0) {
    switch_off(h);
  } else {
    errno = EINVAL;
    return -1;
  }
  say("{\"head\":%u}", h->number);
  return 0;
}

static void say_heads(void) {
  printf("{\"heads\":[");
  for (uint32_t i = 0; i < head_count; i++) {
    uint32_t width, height;
    bool connected = preferred_size(&heads[i], &width, &height);
    printf("%s{\"head\":%u,\"connected\":%s,\"width\":%u,\"height\":%u}", i ? "," : "", i,
           connected ? "true" : "false", width, height);
  }
  say("]}");
}

static void command(char* line) {
  char *words[8], *rest = line;
  int count = 0;

  while (count < 8 && (words[count] = strsep(&rest, " ")) != NULL) {
    count++;
  }
  if (strcmp(words[0], "heads") == 0) {
    say_heads();
  } else if (strcmp(words[0], "follow") == 0) {
    following = true;
    say("{}");
    follow_host();
  } else if (strcmp(words[0], "resource") == 0 || strcmp(words[0], "touch") == 0 ||
             strcmp(words[0], "drop") == 0) {
    if (off_screen_command(words, count) < 0) {
      say_error(words[0]);
    }
  } else {
    unsigned long head = count >= 2 ? strtoul(words[1], NULL, 10) : head_count;
    errno = EINVAL;
    if (head >= head_count || head_command(&heads[head], words, count) < 0) {
      say_error(words[0]);
    }
  }
}

static int find_heads(void) {
  uint32_t connectors[64], crtcs[64], encoders[64];
  struct drm_mode_card_res get = {0};

  if (drm(DRM_IOCTL_MODE_GETRESOURCES, &get) < 0) {
    return -1;
  }
  if (get.count_connectors > MAX_HEADS || get.count_crtcs != get.count_connectors) {
    errno = ENOTSUP;
    return -1;
  }
  get = (struct drm_mode_card_res){
      .count_connectors = get.count_connectors,
      .count_crtcs = get.count_crtcs,
      .count_encoders = 64,
      .connector_id_ptr = (uintptr_t)connectors,
      .crtc_id_ptr = (uintptr_t)crtcs,
      .encoder_id_ptr = (uintptr_t)encoders,
  };
  if (drm(DRM_IOCTL_MODE_GETRESOURCES, &get) < 0) {
    return -1;
  }
  head_count = get.count_connectors;
  for (uint32_t i = 0; i < head_count; i++) {
    /* virtio-gpu makes connector and CRTC of each scanout together, in the order of scanouts. */
    heads[i].number = (uint8_t)i;
    heads[i].connector = connectors[i];
    heads[i].crtc = crtcs[i];
  }
  return 0;
}

static int open_uevents(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
  int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

  if (fd >= 0 && bind(fd, (struct sockaddr*)&address, sizeof address) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

static void read_flip_events(void) {
  char data[1024];
  ssize_t size = read(card, data, sizeof data);

  for (ssize_t at = 0; at + (ssize_t)sizeof(struct drm_event) <= size;) {
    struct drm_event event;
    struct drm_event_vblank flipped;
    memcpy(&event, data + at, sizeof event);
    if (event.type == DRM_EVENT_FLIP_COMPLETE) {
      memcpy(&flipped, data + at, sizeof flipped);
      if (flipped.user_data < head_count && heads[flipped.user_data].flip_pending) {
        flip_done(&heads[flipped.user_data]);
      }
    }
    at += event.length;
  }
}

/* Starts the flips that are due; returns how long to sleep, in milliseconds, or -1. */
static int start_due_flips(void) {
  uint64_t at = now(), soonest = UINT64_MAX;

  for (struct head* h = heads; h < heads + head_count; h++) {
    if (!h->running || h->flip_pending) {
      continue;
    }
    if (h->next <= at) {
      if (flip(h) < 0) {
        say_error("run");
        h->running = false;
        continue;
      }
      /* A late flip is not made up for: the rate is a ceiling. */
      h->next += h->period;
      h->next = h->next < at ? at : h->next;
    } else if (h->next < soonest) {
      soonest = h->next;
    }
  }
  return soonest == UINT64_MAX ? -1 : (int)((soonest - at + 999999) / 1000000);
}

int main(void) {
  static char line[4096];
  size_t used = 0;
  const char* path = getenv("CARD") ? getenv("CARD") : "/dev/dri/card0";
  int uevents = open_uevents();

  card = drm_open(path);
  if (card < 0 || uevents < 0 || find_heads() < 0) {
    fprintf(stderr, "kms-paint: %s: %s\n", path, strerror(errno));
    return 1;
  }
  for (;;) {
    int timeout = start_due_flips();
    struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
                           {.fd = card, .events = POLLIN},
                           {.fd = uevents, .events = POLLIN}};
    if (poll(fds, 3, timeout) < 0 && errno != EINTR) {
      perror("kms-paint: poll");
      return 1;
    }
    if (fds[1].revents) {
      read_flip_events();
    }
    if (fds[2].revents) {
      char event[8192];
      bool hotplug = false;
      for (ssize_t size; (size = recv(uevents, event, sizeof event, 0)) > 0;) {
        hotplug |= memmem(event, (size_t)size, "HOTPLUG=1", 9) != NULL;
      }
      if (hotplug && following) {
        follow_host();
      }
    }
    if (fds[0].revents) {
      ssize_t size = read(0, line + used, sizeof line - 1 - used);
      if (size <= 0) {
        return 0; /* the kernel frees what is ours */
      }
      used += (size_t)size;
      for (char* end; (end = memchr(line, '\n', used)) != NULL;) {
        *end = 0;
        command(line);
        used -= (size_t)(end + 1 - line);
        memmove(line, end + 1, used);
      }
      if (used == sizeof line - 1) {
        fprintf(stderr, "kms-paint: a command is too long\n");
        return 1;
      }
    }
  }
}
