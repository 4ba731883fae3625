#ifndef CHECK_QEMU_QUEUE_H_
#define CHECK_QEMU_QUEUE_H_
#define QTAILQ_ENTRY(type) \
  struct {                 \
    struct type* next;     \
  }
#define QTAILQ_HEAD(name, type) \
  struct {                      \
    struct type* first;         \
  }
#define QSIMPLEQ_ENTRY(type) \
  struct {                   \
    struct type* next;       \
  }
#define QSIMPLEQ_HEAD(name, type) \
  struct {                        \
    struct type* first;           \
  }
#define QLIST_ENTRY(type) \
  struct {                \
    struct type* next;    \
  }
#define QLIST_HEAD(name, type) \
  struct {                     \
    struct type* first;        \
  }
#endif
