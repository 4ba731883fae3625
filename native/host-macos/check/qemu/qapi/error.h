#ifndef CHECK_QAPI_ERROR_H_
#define CHECK_QAPI_ERROR_H_
void error_set_text(Error** errp, const char* format, ...) __attribute__((format(printf, 2, 3)));
#define error_setg(errp, ...) error_set_text(errp, __VA_ARGS__)
#endif
