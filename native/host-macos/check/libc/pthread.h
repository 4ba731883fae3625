#ifndef CHECK_PTHREAD_H_
#define CHECK_PTHREAD_H_
#include <time.h>
typedef struct opaque_thread* pthread_t;
typedef struct {
  long signature;
  char opaque[56];
} pthread_mutex_t;
typedef struct {
  long signature;
  char opaque[40];
} pthread_cond_t;
typedef struct opaque_attributes pthread_attr_t;
typedef struct opaque_attributes pthread_mutexattr_t;
typedef struct opaque_attributes pthread_condattr_t;
#define PTHREAD_MUTEX_INITIALIZER \
  {                               \
    0x32AAABA7, {                 \
      0                           \
    }                             \
  }
#define PTHREAD_COND_INITIALIZER \
  {                              \
    0x3CB0B1BB, {                \
      0                          \
    }                            \
  }
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument);
int pthread_join(pthread_t thread, void** result);
int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes);
int pthread_mutex_destroy(pthread_mutex_t* mutex);
int pthread_mutex_lock(pthread_mutex_t* mutex);
int pthread_mutex_unlock(pthread_mutex_t* mutex);
int pthread_cond_init(pthread_cond_t* condition, const pthread_condattr_t* attributes);
int pthread_cond_destroy(pthread_cond_t* condition);
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex);
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const struct timespec* until);
int pthread_cond_broadcast(pthread_cond_t* condition);
#endif
