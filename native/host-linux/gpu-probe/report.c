// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 8 };

static struct {
  /// What report_end prints; stages go out meanwhile.
  FILE* out;
  char* bytes;
  size_t size;
  bool filled[MAX_DEPTH];
  char closing[MAX_DEPTH];
  int depth;
} state;

static void text(FILE* out, const char* value) {
  putc('"', out);
  for (const unsigned char* at = (const unsigned char*)value; *at != 0; at++) {
    if (*at == '"' || *at == '\\') {
      fprintf(out, "\\%c", *at);
    } else if (*at < 0x20 || *at >= 0x7f) {
      // Drivers' strings are of no known encoding.
      fprintf(out, "\\u%04x", *at);
    } else {
      putc(*at, out);
    }
  }
  putc('"', out);
}

static void item(const char* name) {
  if (state.filled[state.depth - 1]) putc(',', state.out);
  state.filled[state.depth - 1] = true;
  if (name == NULL) return;
  text(state.out, name);
  putc(':', state.out);
}

static void open_with(char opening, char closing) {
  if (state.depth == MAX_DEPTH) __builtin_trap();
  putc(opening, state.out);
  state.filled[state.depth] = false;
  state.closing[state.depth++] = closing;
}

void report_begin(void) {
  state.out = open_memstream(&state.bytes, &state.size);
  if (state.out == NULL) abort();
  open_with('{', '}');
}

void report_end(void) {
  while (state.depth > 0) report_close();
  fclose(state.out);
  printf("%s\n", state.bytes);
  fflush(stdout);
  free(state.bytes);
}

void report_object(const char* name) {
  item(name);
  open_with('{', '}');
}

void report_array(const char* name) {
  item(name);
  open_with('[', ']');
}

void report_close(void) {
  putc(state.closing[--state.depth], state.out);
}

void report_text(const char* name, const char* value) {
  item(name);
  text(state.out, value);
}

void report_number(const char* name, uint64_t value) {
  item(name);
  fprintf(state.out, "%llu", (unsigned long long)value);
}

void report_bool(const char* name, bool value) {
  item(name);
  fputs(value ? "true" : "false", state.out);
}

void report_stage(const char* stage) {
  fputs("{\"stage\":", stdout);
  text(stdout, stage);
  fputs("}\n", stdout);
  fflush(stdout);
}

void report_format(const char* name, const char* format, ...) {
  char buffer[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  report_text(name, buffer);
}
