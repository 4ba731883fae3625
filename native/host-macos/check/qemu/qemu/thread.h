#ifndef CHECK_QEMU_THREAD_H_
#define CHECK_QEMU_THREAD_H_
typedef struct {
  int unused;
} QemuMutex, QemuThread;
#endif
