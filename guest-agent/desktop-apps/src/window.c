#include "window.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "xdg-shell-client-protocol.h"

enum { DAMAGE_RECTS = 32, SEAT_VERSION = 5 };

// How early a frame may be painted when the rate is limited. The compositor's callbacks come on its
// own grid, so insisting on the exact time would skip every other one.
static const uint64_t kEarlyNs = 4000000;

struct window {
  struct window_options options;
  struct wl_display* display;
  struct wl_registry* registry;
  struct wl_compositor* compositor;
  struct wl_shm* shm;
  struct wl_seat* seat;
  struct xdg_wm_base* wm_base;
  struct wl_surface* surface;
  struct xdg_surface* xdg_surface;
  struct xdg_toplevel* toplevel;
  struct wl_callback* frame;  // pending frame callback, or NULL
  struct window_buffer buffers[WINDOW_BUFFERS];
  void* memory;
  size_t memory_size;
  int width, height;            // of the buffers, 0 before the first configure
  int next_width, next_height;  // asked for by the compositor, 0: our choice
  uint64_t due_ns;              // when the next frame may be painted
  bool announced;               // "shown" was printed
  bool closed;
  bool failed;
};

uint64_t window_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int window_width(const struct window* window) {
  return window->width;
}
int window_height(const struct window* window) {
  return window->height;
}

int window_buffer_index(const struct window* window, const struct window_buffer* buffer) {
  return (int)(buffer - window->buffers);
}

static void fail(struct window* window, const char* what) {
  fprintf(stderr, "%s: %s: %s\n", window->options.app_id, what, strerror(errno));
  window->failed = true;
}

static void buffer_released(void* data, struct wl_buffer* handle) {
  struct window_buffer* buffer = data;
  (void)handle;
  buffer->busy = false;
}

static const struct wl_buffer_listener kBufferListener = {.release = buffer_released};

static void free_buffers(struct window* window) {
  for (int i = 0; i < WINDOW_BUFFERS; i++) {
    if (window->buffers[i].handle != NULL) wl_buffer_destroy(window->buffers[i].handle);
    window->buffers[i] = (struct window_buffer){0};
  }
  if (window->memory != NULL) munmap(window->memory, window->memory_size);
  window->memory = NULL;
}

static void allocate_buffers(struct window* window, int width, int height) {
  free_buffers(window);
  size_t picture = (size_t)width * 4 * (size_t)height;
  window->memory_size = picture * WINDOW_BUFFERS;
  int fd = memfd_create(window->options.app_id, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  void* memory = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, (off_t)window->memory_size) == 0)
    memory = mmap(NULL, window->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    fail(window, "no memory for the pictures");
    if (fd >= 0) close(fd);
    return;
  }
  window->memory = memory;
  window->width = width;
  window->height = height;
  struct wl_shm_pool* pool = wl_shm_create_pool(window->shm, fd, (int32_t)window->memory_size);
  close(fd);
  for (int i = 0; i < WINDOW_BUFFERS; i++) {
    struct window_buffer* buffer = &window->buffers[i];
    buffer->pixels = (uint8_t*)memory + picture * (size_t)i;
    buffer->handle = wl_shm_pool_create_buffer(pool, (int32_t)(picture * (size_t)i), width, height,
                                               width * 4, WL_SHM_FORMAT_XRGB8888);
    wl_buffer_add_listener(buffer->handle, &kBufferListener, buffer);
  }
  wl_shm_pool_destroy(pool);
  if (window->options.resized != NULL) window->options.resized(window->options.data, width, height);
}

static void frame_done(void* data, struct wl_callback* callback, uint32_t time) {
  struct window* window = data;
  (void)time;
  wl_callback_destroy(callback);
  window->frame = NULL;
  if (!window->announced) {
    printf("shown %dx%d\n", window->width, window->height);
    fflush(stdout);
    window->announced = true;
  }
}

static const struct wl_callback_listener kFrameListener = {.done = frame_done};

static struct window_buffer* idle_buffer(struct window* window) {
  for (int i = 0; i < WINDOW_BUFFERS; i++)
    if (!window->buffers[i].busy) return &window->buffers[i];
  return NULL;
}

static void paint(struct window* window) {
  struct window_buffer* buffer = idle_buffer(window);
  if (buffer == NULL) return;  // a release event wakes the loop
  uint64_t now = window_now_ns();
  if (window->options.fps > 0) {
    uint64_t interval = 1000000000u / (uint64_t)window->options.fps;
    window->due_ns = window->due_ns + interval > now ? window->due_ns + interval : now + interval;
  }
  struct window_rect damage[DAMAGE_RECTS];
  int count = window->options.paint(window->options.data, buffer, damage, DAMAGE_RECTS);
  if (count > 0) {
    wl_surface_attach(window->surface, buffer->handle, 0, 0);
    for (int i = 0; i < count; i++)
      wl_surface_damage_buffer(window->surface, damage[i].x, damage[i].y, damage[i].width,
                               damage[i].height);
    buffer->busy = true;
  }
  window->frame = wl_surface_frame(window->surface);
  wl_callback_add_listener(window->frame, &kFrameListener, window);
  wl_surface_commit(window->surface);
}

static void surface_configure(void* data, struct xdg_surface* xdg_surface, uint32_t serial) {
  struct window* window = data;
  xdg_surface_ack_configure(xdg_surface, serial);
  int width = window->next_width > 0 ? window->next_width : window->options.width;
  int height = window->next_height > 0 ? window->next_height : window->options.height;
  if (width == window->width && height == window->height) return;
  allocate_buffers(window, width, height);
  // The old frame callback belongs to the old size: paint the new one at once.
  if (window->frame != NULL) wl_callback_destroy(window->frame);
  window->frame = NULL;
  window->due_ns = 0;
}

static const struct xdg_surface_listener kSurfaceListener = {.configure = surface_configure};

static void toplevel_configure(void* data, struct xdg_toplevel* toplevel, int32_t width,
                               int32_t height, struct wl_array* states) {
  struct window* window = data;
  (void)toplevel;
  (void)states;
  bool fixed = window->options.state == WINDOW_NORMAL;
  window->next_width = fixed ? 0 : width;
  window->next_height = fixed ? 0 : height;
}

static void toplevel_close(void* data, struct xdg_toplevel* toplevel) {
  struct window* window = data;
  (void)toplevel;
  window->closed = true;
}

static const struct xdg_toplevel_listener kToplevelListener = {.configure = toplevel_configure,
                                                               .close = toplevel_close};

static void wm_ping(void* data, struct xdg_wm_base* wm_base, uint32_t serial) {
  (void)data;
  xdg_wm_base_pong(wm_base, serial);
}

static const struct xdg_wm_base_listener kWmListener = {.ping = wm_ping};

static void global_added(void* data, struct wl_registry* registry, uint32_t name,
                         const char* interface, uint32_t version) {
  struct window* window = data;
  if (strcmp(interface, wl_compositor_interface.name) == 0 && version >= 4) {
    window->compositor = wl_registry_bind(registry, name, &wl_compositor_interface, 4);
  } else if (strcmp(interface, wl_shm_interface.name) == 0) {
    window->shm = wl_registry_bind(registry, name, &wl_shm_interface, 1);
  } else if (strcmp(interface, xdg_wm_base_interface.name) == 0) {
    window->wm_base = wl_registry_bind(registry, name, &xdg_wm_base_interface, 1);
    xdg_wm_base_add_listener(window->wm_base, &kWmListener, window);
  } else if (strcmp(interface, wl_seat_interface.name) == 0 && window->options.seat != NULL &&
             window->seat == NULL && version >= SEAT_VERSION) {
    window->seat = wl_registry_bind(registry, name, &wl_seat_interface, SEAT_VERSION);
    window->options.seat(window->options.data, window->seat);
  }
}

static void global_removed(void* data, struct wl_registry* registry, uint32_t name) {
  (void)data;
  (void)registry;
  (void)name;
}

static const struct wl_registry_listener kRegistryListener = {.global = global_added,
                                                              .global_remove = global_removed};

struct window* window_open(const struct window_options* options) {
  struct window* window = calloc(1, sizeof(*window));
  if (window == NULL) return NULL;
  window->options = *options;
  window->display = wl_display_connect(NULL);
  if (window->display == NULL) {
    fail(window, "cannot connect to a Wayland compositor (WAYLAND_DISPLAY)");
    window_destroy(window);
    return NULL;
  }
  window->registry = wl_display_get_registry(window->display);
  wl_registry_add_listener(window->registry, &kRegistryListener, window);
  wl_display_roundtrip(window->display);
  if (window->compositor == NULL || window->shm == NULL || window->wm_base == NULL) {
    fprintf(stderr, "%s: the compositor lacks wl_compositor 4, wl_shm or xdg_wm_base\n",
            options->app_id);
    window_destroy(window);
    return NULL;
  }
  window->surface = wl_compositor_create_surface(window->compositor);
  window->xdg_surface = xdg_wm_base_get_xdg_surface(window->wm_base, window->surface);
  xdg_surface_add_listener(window->xdg_surface, &kSurfaceListener, window);
  window->toplevel = xdg_surface_get_toplevel(window->xdg_surface);
  xdg_toplevel_add_listener(window->toplevel, &kToplevelListener, window);
  xdg_toplevel_set_title(window->toplevel, options->title);
  xdg_toplevel_set_app_id(window->toplevel, options->app_id);
  if (options->state == WINDOW_MAXIMIZED) xdg_toplevel_set_maximized(window->toplevel);
  if (options->state == WINDOW_FULLSCREEN) xdg_toplevel_set_fullscreen(window->toplevel, NULL);
  wl_surface_commit(window->surface);
  return window;
}

// Milliseconds until the next frame is due: -1 when an event has to come first.
static int timeout_ms(const struct window* window) {
  if (window->width == 0 || window->frame != NULL) return -1;
  uint64_t now = window_now_ns();
  if (window->due_ns <= now + kEarlyNs) return 0;
  return (int)((window->due_ns - now) / 1000000u);
}

static bool may_paint(struct window* window) {
  return window->width > 0 && window->frame == NULL && idle_buffer(window) != NULL &&
         window->due_ns <= window_now_ns() + kEarlyNs;
}

// Waits for events of the compositor, a signal or the time of the next frame.
static void wait_for_events(struct window* window, int signals) {
  while (wl_display_prepare_read(window->display) != 0)
    wl_display_dispatch_pending(window->display);
  wl_display_flush(window->display);
  struct pollfd polled[2] = {{.fd = wl_display_get_fd(window->display), .events = POLLIN},
                             {.fd = signals, .events = POLLIN}};
  int timeout = idle_buffer(window) != NULL ? timeout_ms(window) : -1;
  int ready = poll(polled, 2, timeout);
  if (ready > 0 && polled[0].revents != 0) {
    if (wl_display_read_events(window->display) != 0) window->closed = true;
  } else {
    wl_display_cancel_read(window->display);
  }
  if (ready < 0 && errno != EINTR) fail(window, "poll");
  if (ready > 0 && polled[1].revents != 0) window->closed = true;
  if (wl_display_dispatch_pending(window->display) < 0) window->closed = true;
}

int window_run(struct window* window) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) fail(window, "signalfd");
  while (!window->closed && !window->failed) {
    if (may_paint(window)) paint(window);
    wait_for_events(window, signals);
  }
  if (signals >= 0) close(signals);
  return window->failed ? 1 : 0;
}

void window_destroy(struct window* window) {
  if (window->frame != NULL) wl_callback_destroy(window->frame);
  free_buffers(window);
  if (window->toplevel != NULL) xdg_toplevel_destroy(window->toplevel);
  if (window->xdg_surface != NULL) xdg_surface_destroy(window->xdg_surface);
  if (window->surface != NULL) wl_surface_destroy(window->surface);
  if (window->seat != NULL) wl_seat_destroy(window->seat);
  if (window->wm_base != NULL) xdg_wm_base_destroy(window->wm_base);
  if (window->shm != NULL) wl_shm_destroy(window->shm);
  if (window->compositor != NULL) wl_compositor_destroy(window->compositor);
  if (window->registry != NULL) wl_registry_destroy(window->registry);
  if (window->display != NULL) wl_display_disconnect(window->display);
  free(window);
}
