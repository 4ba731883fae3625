#ifndef CHECK_QEMU_EVENT_NOTIFIER_H_
#define CHECK_QEMU_EVENT_NOTIFIER_H_
typedef struct {
  int unused;
} EventNotifier;
#endif
