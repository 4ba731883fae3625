// SPDX-License-Identifier: Apache-2.0
#include <fakes/control.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

const CFAllocatorRef kCFAllocatorDefault = NULL;
FAKE_CONSTANT(CFBooleanRef, kCFBooleanTrue);
FAKE_CONSTANT(CFBooleanRef, kCFBooleanFalse);

static pthread_mutex_t alive_lock = PTHREAD_MUTEX_INITIALIZER;
static fake_object* alive;

void* fake_new(const char* kind, size_t size, void (*destroy)(fake_object* self)) {
  fake_object* const object = calloc(1, size);
  if (object == NULL) abort();
  object->kind = kind;
  object->destroy = destroy;
  atomic_init(&object->references, 1);
  pthread_mutex_lock(&alive_lock);
  object->next = alive;
  if (alive != NULL) alive->previous = object;
  alive = object;
  pthread_mutex_unlock(&alive_lock);
  return object;
}

static void forget(fake_object* object) {
  pthread_mutex_lock(&alive_lock);
  if (object->previous != NULL) object->previous->next = object->next;
  if (object->next != NULL) object->next->previous = object->previous;
  if (alive == object) alive = object->next;
  pthread_mutex_unlock(&alive_lock);
}

size_t fake_live_objects(void) {
  size_t count = 0;
  pthread_mutex_lock(&alive_lock);
  for (const fake_object* object = alive; object != NULL; object = object->next) count++;
  pthread_mutex_unlock(&alive_lock);
  return count;
}

void fake_print_live(void) {
  pthread_mutex_lock(&alive_lock);
  for (const fake_object* object = alive; object != NULL; object = object->next)
    fprintf(stderr, "alive: %s, %ld references\n", object->kind, atomic_load(&object->references));
  pthread_mutex_unlock(&alive_lock);
}

CFTypeRef CFRetain(CFTypeRef cf) {
  // The real one ends the process, too.
  if (cf == NULL) abort();
  fake_object* const object = (fake_object*)(uintptr_t)cf;
  if (atomic_load(&object->references) >= 0) atomic_fetch_add(&object->references, 1);
  return cf;
}

void CFRelease(CFTypeRef cf) {
  if (cf == NULL) abort();
  fake_object* const object = (fake_object*)(uintptr_t)cf;
  if (atomic_load(&object->references) < 0) return;
  const long before = atomic_fetch_sub(&object->references, 1);
  if (before <= 0) {
    fprintf(stderr, "fakes: a %s was released too often\n", object->kind);
    abort();
  }
  if (before > 1) return;
  forget(object);
  if (object->destroy != NULL) object->destroy(object);
  free(object);
}

CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFNumberType type, const void* value) {
  (void)allocator;
  struct fake_number* const number = fake_new("CFNumber", sizeof *number, NULL);
  if (type == kCFNumberSInt32Type) number->value = *(const int32_t*)value;
  if (type == kCFNumberSInt64Type) number->value = (double)*(const int64_t*)value;
  if (type == kCFNumberFloat64Type) number->value = *(const double*)value;
  return (CFNumberRef)number;
}

Boolean CFBooleanGetValue(CFBooleanRef boolean) {
  return boolean == kCFBooleanTrue;
}

struct fake_array {
  fake_object object;
  CFIndex count;
  const void* values[4];
};

static void destroy_array(fake_object* self) {
  struct fake_array* const array = (struct fake_array*)self;
  for (CFIndex i = 0; i < array->count; i++) CFRelease(array->values[i]);
}

CFArrayRef fake_array(const void** values, CFIndex count) {
  struct fake_array* const array = fake_new("CFArray", sizeof *array, destroy_array);
  array->count = count;
  memcpy(array->values, values, (size_t)count * sizeof *values);
  return (CFArrayRef)array;
}

CFIndex CFArrayGetCount(CFArrayRef array) {
  return ((const struct fake_array*)array)->count;
}

const void* CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index) {
  const struct fake_array* const self = (const struct fake_array*)array;
  if (index < 0 || index >= self->count) abort();
  return self->values[index];
}

/// Keys are compared by their address: all that are used are constants.
struct fake_dictionary {
  fake_object object;
  size_t count;
  const void* keys[16];
  const void* values[16];
  bool retains;
};

static void destroy_dictionary(fake_object* self) {
  struct fake_dictionary* const dictionary = (struct fake_dictionary*)self;
  for (size_t i = 0; i < dictionary->count && dictionary->retains; i++)
    CFRelease(dictionary->values[i]);
}

const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks = {0};
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks = {0};

CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
                                                 const CFDictionaryKeyCallBacks* keys,
                                                 const CFDictionaryValueCallBacks* values) {
  (void)allocator;
  (void)capacity;
  (void)keys;
  struct fake_dictionary* const dictionary =
      fake_new("CFDictionary", sizeof *dictionary, destroy_dictionary);
  // Without call-backs values are neither retained nor released.
  dictionary->retains = values != NULL;
  return (CFMutableDictionaryRef)dictionary;
}

void CFDictionarySetValue(CFMutableDictionaryRef ref, const void* key, const void* value) {
  struct fake_dictionary* const dictionary = (struct fake_dictionary*)ref;
  if (dictionary->count == sizeof dictionary->keys / sizeof *dictionary->keys) abort();
  if (dictionary->retains) CFRetain(value);
  dictionary->keys[dictionary->count] = key;
  dictionary->values[dictionary->count++] = value;
}

const void* CFDictionaryGetValue(CFDictionaryRef ref, const void* key) {
  const struct fake_dictionary* const dictionary = (const struct fake_dictionary*)ref;
  for (size_t i = 0; i < dictionary->count; i++)
    if (dictionary->keys[i] == key) return dictionary->values[i];
  return NULL;
}
