#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"

// Bytes; the keymap comes from the compositor, real ones are below 100 KiB.
enum { KEYMAP_MAX = 1 << 20 };

static void pointer_enter(void* data, struct wl_pointer* pointer, uint32_t serial,
                          struct wl_surface* surface, wl_fixed_t x, wl_fixed_t y) {
  struct scene_input* input = &((struct scene*)data)->input;
  (void)pointer;
  (void)serial;
  (void)surface;
  input->inside = true;
  input->x = wl_fixed_to_double(x);
  input->y = wl_fixed_to_double(y);
}

static void pointer_leave(void* data, struct wl_pointer* pointer, uint32_t serial,
                          struct wl_surface* surface) {
  (void)pointer;
  (void)serial;
  (void)surface;
  ((struct scene*)data)->input.inside = false;
}

static void pointer_motion(void* data, struct wl_pointer* pointer, uint32_t time, wl_fixed_t x,
                           wl_fixed_t y) {
  struct scene_input* input = &((struct scene*)data)->input;
  (void)pointer;
  (void)time;
  input->x = wl_fixed_to_double(x);
  input->y = wl_fixed_to_double(y);
}

static void pointer_button(void* data, struct wl_pointer* pointer, uint32_t serial, uint32_t time,
                           uint32_t button, uint32_t state) {
  struct scene_input* input = &((struct scene*)data)->input;
  (void)pointer;
  (void)serial;
  (void)time;
  (void)button;
  if (state != WL_POINTER_BUTTON_STATE_PRESSED) return;
  // The oldest ripple gives way; SCENE_RIPPLES at once are plenty.
  struct ripple* ripple = &input->ripples[input->clicks % SCENE_RIPPLES];
  *ripple = (struct ripple){input->x, input->y, window_now_ns(), input->clicks};
  input->clicks++;
}

static void pointer_axis(void* data, struct wl_pointer* pointer, uint32_t time, uint32_t axis,
                         wl_fixed_t value) {
  (void)data;
  (void)pointer;
  (void)time;
  (void)axis;
  (void)value;
}

static void pointer_frame(void* data, struct wl_pointer* pointer) {
  (void)data;
  (void)pointer;
}

static void pointer_axis_source(void* data, struct wl_pointer* pointer, uint32_t source) {
  (void)data;
  (void)pointer;
  (void)source;
}

static void pointer_axis_stop(void* data, struct wl_pointer* pointer, uint32_t time,
                              uint32_t axis) {
  (void)data;
  (void)pointer;
  (void)time;
  (void)axis;
}

static void pointer_axis_discrete(void* data, struct wl_pointer* pointer, uint32_t axis,
                                  int32_t discrete) {
  (void)data;
  (void)pointer;
  (void)axis;
  (void)discrete;
}

static const struct wl_pointer_listener kPointerListener = {
    .enter = pointer_enter,
    .leave = pointer_leave,
    .motion = pointer_motion,
    .button = pointer_button,
    .axis = pointer_axis,
    .frame = pointer_frame,
    .axis_source = pointer_axis_source,
    .axis_stop = pointer_axis_stop,
    .axis_discrete = pointer_axis_discrete,
};

static void keyboard_keymap(void* data, struct wl_keyboard* keyboard, uint32_t format, int32_t fd,
                            uint32_t size) {
  struct scene_input* input = &((struct scene*)data)->input;
  (void)keyboard;
  char* text = MAP_FAILED;
  if (format == WL_KEYBOARD_KEYMAP_FORMAT_XKB_V1 && size > 0 && size <= KEYMAP_MAX)
    text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (text == MAP_FAILED) return;
  struct xkb_keymap* keymap =
      xkb_keymap_new_from_buffer(input->xkb, text, strnlen(text, size), XKB_KEYMAP_FORMAT_TEXT_V1,
                                 XKB_KEYMAP_COMPILE_NO_FLAGS);
  munmap(text, size);
  if (keymap == NULL) return;
  xkb_state_unref(input->xkb_state);
  xkb_keymap_unref(input->keymap);
  input->keymap = keymap;
  input->xkb_state = xkb_state_new(keymap);
}

static void keyboard_enter(void* data, struct wl_keyboard* keyboard, uint32_t serial,
                           struct wl_surface* surface, struct wl_array* keys) {
  (void)data;
  (void)keyboard;
  (void)serial;
  (void)surface;
  (void)keys;
}

static void keyboard_leave(void* data, struct wl_keyboard* keyboard, uint32_t serial,
                           struct wl_surface* surface) {
  (void)data;
  (void)keyboard;
  (void)serial;
  (void)surface;
}

// Length in bytes of the UTF-8 character that `text` starts with.
static size_t first_character(const char* text) {
  size_t length = 1;
  while ((text[length] & 0xc0) == 0x80) length++;
  return length;
}

static void erase_last(char* text) {
  size_t length = strlen(text);
  while (length > 0 && (text[length - 1] & 0xc0) == 0x80) length--;
  if (length > 0) length--;
  text[length] = 0;
}

static void append(char* text, const char* typed) {
  enum { SHOWN = 28 };  // bytes; more would not fit the line
  while (text[0] != 0 && strlen(text) + strlen(typed) > SHOWN) {
    size_t first = first_character(text);
    memmove(text, text + first, strlen(text + first) + 1);
  }
  strcat(text, typed);
}

static void keyboard_key(void* data, struct wl_keyboard* keyboard, uint32_t serial, uint32_t time,
                         uint32_t key, uint32_t state) {
  struct scene_input* input = &((struct scene*)data)->input;
  (void)keyboard;
  (void)serial;
  (void)time;
  if (state != WL_KEYBOARD_KEY_STATE_PRESSED || input->xkb_state == NULL) return;
  xkb_keycode_t code = key + 8;  // evdev to xkb
  xkb_keysym_t symbol = xkb_state_key_get_one_sym(input->xkb_state, code);
  char typed[16];
  int length = xkb_state_key_get_utf8(input->xkb_state, code, typed, sizeof(typed));
  if (symbol == XKB_KEY_BackSpace) {
    erase_last(input->text);
  } else if (symbol == XKB_KEY_Return || symbol == XKB_KEY_Escape) {
    input->text[0] = 0;
  } else if (length > 0 && length < (int)sizeof(typed) && (unsigned char)typed[0] >= ' ' &&
             typed[0] != 0x7f) {
    append(input->text, typed);
  } else {
    return;
  }
  input->text_version++;
}

static void keyboard_modifiers(void* data, struct wl_keyboard* keyboard, uint32_t serial,
                               uint32_t depressed, uint32_t latched, uint32_t locked,
                               uint32_t group) {
  struct scene_input* input = &((struct scene*)data)->input;
  (void)keyboard;
  (void)serial;
  if (input->xkb_state != NULL)
    xkb_state_update_mask(input->xkb_state, depressed, latched, locked, 0, 0, group);
}

static void keyboard_repeat(void* data, struct wl_keyboard* keyboard, int32_t rate, int32_t delay) {
  (void)data;
  (void)keyboard;
  (void)rate;
  (void)delay;
}

static const struct wl_keyboard_listener kKeyboardListener = {
    .keymap = keyboard_keymap,
    .enter = keyboard_enter,
    .leave = keyboard_leave,
    .key = keyboard_key,
    .modifiers = keyboard_modifiers,
    .repeat_info = keyboard_repeat,
};

// Devices come and go: headless compositors have none until a remote session injects input.
static void seat_capabilities(void* data, struct wl_seat* seat, uint32_t capabilities) {
  struct scene_input* input = &((struct scene*)data)->input;
  bool has_pointer = (capabilities & WL_SEAT_CAPABILITY_POINTER) != 0;
  bool has_keyboard = (capabilities & WL_SEAT_CAPABILITY_KEYBOARD) != 0;
  if (has_pointer && input->pointer == NULL) {
    input->pointer = wl_seat_get_pointer(seat);
    wl_pointer_add_listener(input->pointer, &kPointerListener, data);
  } else if (!has_pointer && input->pointer != NULL) {
    wl_pointer_release(input->pointer);
    input->pointer = NULL;
    input->inside = false;
  }
  if (has_keyboard && input->keyboard == NULL) {
    input->keyboard = wl_seat_get_keyboard(seat);
    wl_keyboard_add_listener(input->keyboard, &kKeyboardListener, data);
  } else if (!has_keyboard && input->keyboard != NULL) {
    wl_keyboard_release(input->keyboard);
    input->keyboard = NULL;
  }
}

static void seat_name(void* data, struct wl_seat* seat, const char* name) {
  (void)data;
  (void)seat;
  (void)name;
}

static const struct wl_seat_listener kSeatListener = {.capabilities = seat_capabilities,
                                                      .name = seat_name};

void scene_input_seat(void* data, struct wl_seat* seat) {
  struct scene* scene = data;
  scene->input.xkb = xkb_context_new(XKB_CONTEXT_NO_FLAGS);
  wl_seat_add_listener(seat, &kSeatListener, scene);
}

void scene_input_destroy(struct scene_input* input) {
  if (input->pointer != NULL) wl_pointer_release(input->pointer);
  if (input->keyboard != NULL) wl_keyboard_release(input->keyboard);
  xkb_state_unref(input->xkb_state);
  xkb_keymap_unref(input->keymap);
  xkb_context_unref(input->xkb);
}
