#ifndef CHECK_STDLIB_H_
#define CHECK_STDLIB_H_
#include <stddef.h>
void* malloc(size_t size);
void* calloc(size_t count, size_t size);
void* realloc(void* memory, size_t size);
void free(void* memory);
_Noreturn void abort(void);
void qsort(void* base, size_t count, size_t size, int (*compare)(const void*, const void*));
#endif
