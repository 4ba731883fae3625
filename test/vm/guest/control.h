/*
 * The control channel between the test VM's host side (../channel.ts) and its PID 1 (control.c).
 *
 * A byte stream over one virtio-serial port. Each message is this header and `length` bytes of
 * payload; all integers are little-endian. The channel is private to one build of the test VM: both
 * ends come from the same commit, so there is a version only to say clearly that they do not.
 *
 * After a reset of the guest the stream may break off inside a message. The host then throws away
 * everything until the next HELLO, which begins with CTL_MAGIC for that reason.
 */
#ifndef SCANBRIDGE_TEST_VM_CONTROL_H
#define SCANBRIDGE_TEST_VM_CONTROL_H

#include <stdint.h>

#define CTL_MAGIC "\x7fSCANBRIDGE-VM\r\n" /* 16 bytes */
#define CTL_MAGIC_SIZE 16
#define CTL_VERSION 1u

/* No message has more payload than this. */
#define CTL_MAX_PAYLOAD 65536u
/* Bytes of standard input that the host may send to a process before it gets CREDIT. */
#define CTL_STDIN_WINDOW 262144u
/* Processes that run at the same time; one more is answered with FAILED EAGAIN. */
#define CTL_MAX_PROCESSES 32u

struct ctl_header {
  uint32_t length; /* of the payload in bytes */
  uint16_t type;   /* enum ctl_type */
  uint16_t reserved;
  uint32_t process; /* chosen by the host, not 0; 0 in HELLO */
};
_Static_assert(sizeof(struct ctl_header) == 12, "ctl_header is part of the wire format");

enum ctl_type {
  /* Host to guest. */
  CTL_START = 1,  /* struct ctl_start, then its strings */
  CTL_STDIN = 2,  /* bytes; an empty one is the end of the input */
  CTL_SIGNAL = 3, /* u32 signal number, for the whole process group */
  CTL_RESIZE = 4, /* u16 rows, u16 columns of the terminal */

  /* Guest to host. */
  CTL_HELLO = 16,  /* CTL_MAGIC, u32 version, u32 milliseconds since the kernel started */
  CTL_STDOUT = 17, /* bytes */
  CTL_STDERR = 18, /* bytes */
  CTL_CREDIT = 19, /* u32 bytes of input that were consumed */
  CTL_EXITED = 20, /* u32 exit status, u32 signal (0 if it ended by itself) */
  CTL_FAILED = 21, /* u32 errno: the command could not be started */
};

enum ctl_start_flags {
  CTL_START_TTY = 1, /* a terminal as standard input, output and error; all output is STDOUT */
};

struct ctl_start {
  uint32_t flags;
  uint16_t rows, columns; /* of the terminal */
  uint16_t argc, envc;
  /*
   * Then NUL-terminated strings: the working directory, argc arguments (at least one), and envc
   * assignments "NAME=value" that are added to the default environment.
   */
};
_Static_assert(sizeof(struct ctl_start) == 12, "ctl_start is part of the wire format");

#endif
