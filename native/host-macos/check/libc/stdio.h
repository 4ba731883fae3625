#ifndef CHECK_STDIO_H_
#define CHECK_STDIO_H_
#include <stdarg.h>
#include <stddef.h>
int snprintf(char* to, size_t size, const char* format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char* to, size_t size, const char* format, va_list arguments);
#endif
