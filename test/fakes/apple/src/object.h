// SPDX-License-Identifier: Apache-2.0
// What all objects of the fakes have in common: a count of references, and a place in the list of
// what is alive.
#ifndef SCANBRIDGE_FAKES_OBJECT_H_
#define SCANBRIDGE_FAKES_OBJECT_H_

#include <CoreFoundation/CoreFoundation.h>
#include <stdatomic.h>

typedef struct fake_object {
  const char* kind;
  /// Immortal objects, the constants, have a negative count.
  _Atomic long references;
  void (*destroy)(struct fake_object* self);
  struct fake_object* next;
  struct fake_object* previous;
} fake_object;

/// Zeroed memory of `size` bytes that begins with a fake_object; one reference is the caller's.
void* fake_new(const char* kind, size_t size, void (*destroy)(fake_object* self));

/// A constant with a name of its own, for keys and their values.
#define FAKE_CONSTANT(type, name)                                       \
  static fake_object name##_object = {.kind = #name, .references = -1}; \
  const type name = (const type)&name##_object

struct fake_number {
  fake_object object;
  double value;
};

/// An array takes over its values.
CFArrayRef fake_array(const void** values, CFIndex count);

#endif
