/*
 * PID 1 of the test VM: runs commands for the host over the control channel (control.h).
 *
 * One thread, one poll loop. Output is made from state only when there is room for it, so a host
 * that reads slowly stops the commands that write, and nothing is queued without a limit:
 * one outgoing buffer, and CTL_STDIN_WINDOW bytes of input a process.
 *
 * When the host closes the channel, because it ended or was killed, the VM powers itself off: a
 * test VM must not outlive its test.
 */
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUT_SIZE (2 * (sizeof(struct ctl_header) + CTL_MAX_PAYLOAD))
#define MAX_ARGUMENTS 1024

struct process {
  uint32_t id; /* 0: this slot is free */
  pid_t pid;   /* 0: reaped */
  int wait_status;
  int in, out, err; /* -1: closed. With a terminal `in` and `out` are the same descriptor. */
  bool tty;
  bool in_ended;    /* the host sent the end of the input */
  uint32_t in_used; /* bytes in in_data */
  uint32_t credit;  /* bytes consumed, not yet told to the host */
  uint8_t* in_data; /* CTL_STDIN_WINDOW bytes */
};

static struct process processes[CTL_MAX_PROCESSES];
static int port = -1;

/* Outgoing bytes [out_start, out_end). */
static uint8_t out_data[OUT_SIZE];
static size_t out_start, out_end;

/* The incoming message, as far as it has arrived. */
static uint8_t in_message[sizeof(struct ctl_header) + CTL_MAX_PAYLOAD];
static size_t in_got;

static char* const default_environment[] = {
    "PATH=/opt/scanbridge/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "USER=root",
    "SHELL=/bin/bash",
    "LANG=C.UTF-8",
    "XDG_RUNTIME_DIR=/run/user/0",
};

_Noreturn static void power_off(void) {
  sync();
  reboot(RB_POWER_OFF);
  for (;;) {
    pause();
  }
}

/* Prints on the console, which the host keeps for its error messages, and gives up. */
_Noreturn static void die(const char* what) {
  fprintf(stderr, "control: %s: %s; powering off\n", what, strerror(errno));
  power_off();
}

static void close_descriptor(int* fd) {
  if (*fd >= 0) {
    close(*fd);
    *fd = -1;
  }
}

static void close_input(struct process* p) {
  /* The terminal's one descriptor belongs to `out`. */
  if (p->tty) {
    p->in = -1;
  } else {
    close_descriptor(&p->in);
  }
}

static size_t out_room(void) {
  if (out_start == out_end) {
    out_start = out_end = 0;
  } else if (out_start > 0) {
    memmove(out_data, out_data + out_start, out_end - out_start);
    out_end -= out_start;
    out_start = 0;
  }
  return OUT_SIZE - out_end;
}

/* The caller has made sure that there is room. */
static void put(enum ctl_type type, uint32_t process, const void* payload, uint32_t length) {
  struct ctl_header header = {.length = length, .type = (uint16_t)type, .process = process};

  memcpy(out_data + out_end, &header, sizeof header);
  out_end += sizeof header;
  memcpy(out_data + out_end, payload, length);
  out_end += length;
}

static bool flush_out(void) {
  while (out_start < out_end) {
    ssize_t n = write(port, out_data + out_start, out_end - out_start);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno == EAGAIN;
    }
    out_start += (size_t)n;
  }
  return true;
}

static struct process* find(uint32_t id) {
  for (size_t i = 0; i < CTL_MAX_PROCESSES; i++) {
    if (processes[i].id == id) {
      return &processes[i];
    }
  }
  return NULL;
}

static void release(struct process* p) {
  close_input(p);
  close_descriptor(&p->out);
  close_descriptor(&p->err);
  free(p->in_data);
  *p = (struct process){.in = -1, .out = -1, .err = -1};
}

/* Runs in the child: becomes the command or reports why not through `failure`. */
_Noreturn static void become(char** argv, char** environment, const char* directory, int in,
                             int out, int err, bool tty, int failure) {
  sigset_t none;

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
    goto fail;
  }
  if (tty && ioctl(0, TIOCSCTTY, 0) < 0) {
    goto fail;
  }
  if (chdir(directory) < 0) {
    goto fail;
  }
  environ = environment;
  execvp(argv[0], argv);
fail:;
  int error = errno;
  if (write(failure, &error, sizeof error) < 0) {
    _exit(125);
  }
  _exit(127);
}

static int open_terminal(int* master, int* slave, uint16_t rows, uint16_t columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  int number, unlock = 0;

  *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) < 0 ||
      ioctl(*master, TIOCGPTN, &number) < 0) {
    return -1;
  }
  char path[32];
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  *slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return *slave < 0 ? -1 : ioctl(*slave, TIOCSWINSZ, &size);
}

/* Returns 0 or an errno value. */
static int start_process(uint32_t id, bool tty, uint16_t rows, uint16_t columns, char** argv,
                         char** environment, const char* directory) {
  struct process* p = find(0);
  int child[3] = {-1, -1, -1}, failure[2] = {-1, -1}, error = 0;

  if (!p) {
    return EAGAIN;
  }
  *p = (struct process){.id = id, .in = -1, .out = -1, .err = -1, .tty = tty};
  p->in_data = malloc(CTL_STDIN_WINDOW);
  if (!p->in_data || pipe2(failure, O_CLOEXEC) < 0) {
    goto fail;
  }
  if (tty) {
    if (open_terminal(&p->out, &child[0], rows, columns) < 0) {
      goto fail;
    }
    p->in = p->out;
    child[1] = child[2] = child[0];
  } else {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) < 0) {
      goto fail;
    }
    child[0] = in[0], p->in = in[1];
    if (pipe2(out, O_CLOEXEC) < 0) {
      goto fail;
    }
    child[1] = out[1], p->out = out[0];
    if (pipe2(err, O_CLOEXEC) < 0) {
      goto fail;
    }
    child[2] = err[1], p->err = err[0];
    fcntl(p->in, F_SETFL, O_NONBLOCK);
    fcntl(p->err, F_SETFL, O_NONBLOCK);
  }
  fcntl(p->out, F_SETFL, O_NONBLOCK);

  p->pid = fork();
  if (p->pid < 0) {
    goto fail;
  }
  if (p->pid == 0) {
    become(argv, environment, directory, child[0], child[1], child[2], tty, failure[1]);
  }
  close_descriptor(&failure[1]);
  if (read(failure[0], &error, sizeof error) == sizeof error) {
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
  } else {
    error = 0;
  }
  goto out;

fail:
  error = errno;
out:
  close_descriptor(&failure[0]);
  close_descriptor(&failure[1]);
  close_descriptor(&child[0]);
  if (!tty) {
    close_descriptor(&child[1]);
    close_descriptor(&child[2]);
  }
  if (error) {
    release(p);
  }
  return error;
}

/* Takes the next NUL-terminated string out of [*at, end), or NULL. */
static char* next_string(char** at, char* end) {
  char* string = *at;
  char* nul = string < end ? memchr(string, 0, (size_t)(end - string)) : NULL;

  if (!nul) {
    return NULL;
  }
  *at = nul + 1;
  return string;
}

static int handle_start(uint32_t id, uint8_t* payload, uint32_t length) {
  struct ctl_start start;
  static char* argv[MAX_ARGUMENTS + 1];
  static char* environment[MAX_ARGUMENTS + 8];
  size_t defaults = sizeof default_environment / sizeof default_environment[0];

  if (length < sizeof start || id == 0 || find(id)) {
    return EPROTO;
  }
  memcpy(&start, payload, sizeof start);
  if (start.argc < 1 || start.argc > MAX_ARGUMENTS || start.envc > MAX_ARGUMENTS + 7 - defaults) {
    return E2BIG;
  }
  char* at = (char*)payload + sizeof start;
  char* end = (char*)payload + length;
  char* directory = next_string(&at, end);
  for (size_t i = 0; i < start.argc; i++) {
    argv[i] = next_string(&at, end);
  }
  argv[start.argc] = NULL;
  /* The last assignment of a name wins for exec'd programs only by luck: replace the default. */
  size_t n = 0;
  for (; n < defaults; n++) {
    environment[n] = default_environment[n];
  }
  for (size_t i = 0; i < start.envc; i++) {
    char* assignment = next_string(&at, end);
    char* equals = assignment ? strchr(assignment, '=') : NULL;
    if (!equals) {
      return EPROTO;
    }
    size_t k = 0;
    while (k < n && strncmp(environment[k], assignment, (size_t)(equals - assignment) + 1) != 0) {
      k++;
    }
    environment[k] = assignment;
    n = k == n ? n + 1 : n;
  }
  environment[n] = NULL;
  /* Strings are taken in order, so the last one is missing if any is. */
  if (!directory || !argv[start.argc - 1] || at != end) {
    return EPROTO;
  }
  return start_process(id, start.flags & CTL_START_TTY, start.rows, start.columns, argv,
                       environment, directory);
}

static void handle_stdin(struct process* p, const uint8_t* payload, uint32_t length) {
  if (length == 0) {
    p->in_ended = true;
  } else if (p->in < 0) {
    p->credit += length; /* the command closed its input: swallow, so that the host does not wait */
  } else if (length <= CTL_STDIN_WINDOW - p->in_used) {
    memcpy(p->in_data + p->in_used, payload, length);
    p->in_used += length;
  } else {
    errno = EPROTO;
    die("the host sent more input than the window allows");
  }
}

/* Handles one whole message; the caller has made sure that there is room for an answer. */
static void handle(const struct ctl_header* header, uint8_t* payload) {
  struct process* p = header->process ? find(header->process) : NULL;
  uint32_t number;

  switch (header->type) {
    case CTL_START:
      number = (uint32_t)handle_start(header->process, payload, header->length);
      if (number) {
        put(CTL_FAILED, header->process, &number, sizeof number);
      }
      break;
    case CTL_STDIN:
      if (p) {
        handle_stdin(p, payload, header->length);
      }
      break;
    case CTL_SIGNAL:
      if (p && p->pid > 0 && header->length == sizeof number) {
        memcpy(&number, payload, sizeof number);
        kill(-p->pid, (int)number);
      }
      break;
    case CTL_RESIZE:
      if (p && p->tty && p->out >= 0 && header->length == 4) {
        struct winsize size = {0};
        memcpy(&size.ws_row, payload, 2);
        memcpy(&size.ws_col, payload + 2, 2);
        ioctl(p->out, TIOCSWINSZ, &size);
      }
      break;
    default:
      errno = EPROTO;
      die("the host sent a message of an unknown type");
  }
}

/* Reads and handles messages while there is room for an answer. Returns false when the host is
 * gone. */
static bool read_port(void) {
  for (;;) {
    struct ctl_header header;
    size_t want = sizeof header;

    if (in_got >= sizeof header) {
      memcpy(&header, in_message, sizeof header);
      if (header.length > CTL_MAX_PAYLOAD) {
        errno = EMSGSIZE;
        die("the host sent a message that is too long");
      }
      want += header.length;
      if (in_got == want) {
        if (out_room() < sizeof header + sizeof(uint32_t)) {
          return true;
        }
        handle(&header, in_message + sizeof header);
        in_got = 0;
        continue;
      }
    }
    ssize_t n = read(port, in_message + in_got, want - in_got);
    if (n > 0) {
      in_got += (size_t)n;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else {
      return n < 0 && errno == EAGAIN;
    }
  }
}

static void write_input(struct process* p) {
  while (p->in >= 0 && p->in_used > 0) {
    ssize_t n = write(p->in, p->in_data, p->in_used);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno != EAGAIN) {
        p->credit += p->in_used;
        p->in_used = 0;
        close_input(p);
      }
      return;
    }
    p->in_used -= (uint32_t)n;
    p->credit += (uint32_t)n;
    memmove(p->in_data, p->in_data + n, p->in_used);
  }
  if (p->in >= 0 && p->in_ended && p->in_used == 0 && !p->tty) {
    close_input(p);
  }
}

/* Moves what the command wrote into the outgoing buffer, as far as there is room. */
static void read_output(struct process* p, int* fd, enum ctl_type type) {
  static uint8_t data[CTL_MAX_PAYLOAD];

  while (*fd >= 0 && out_room() >= sizeof(struct ctl_header) + sizeof data) {
    ssize_t n = read(*fd, data, sizeof data);
    if (n > 0) {
      put(type, p->id, data, (uint32_t)n);
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      return;
    } else {
      /* The end; a terminal whose last user is gone says EIO. */
      if (p->tty) {
        p->in = -1;
      }
      close_descriptor(fd);
    }
  }
}

static bool readable(int fd) {
  struct pollfd poller = {.fd = fd, .events = POLLIN};

  return fd >= 0 && poll(&poller, 1, 0) > 0;
}

static void serve(struct process* p) {
  const uint32_t small = sizeof(struct ctl_header) + 2 * sizeof(uint32_t);
  /* Asked before reading: what the command wrote before it ended is still in its pipes. */
  bool ended = p->pid == 0;

  write_input(p);
  read_output(p, &p->out, CTL_STDOUT);
  read_output(p, &p->err, CTL_STDERR);
  if (p->credit && out_room() >= small) {
    put(CTL_CREDIT, p->id, &p->credit, sizeof p->credit);
    p->credit = 0;
  }
  /*
   * The command's end is the end, although a process that it left behind may still hold its pipes:
   * waiting for that one would make "start a daemon" a command that hangs.
   */
  if (ended && !readable(p->out) && !readable(p->err) && out_room() >= small) {
    uint32_t result[2] = {0, 0};
    if (WIFSIGNALED(p->wait_status)) {
      result[1] = (uint32_t)WTERMSIG(p->wait_status);
    } else {
      result[0] = (uint32_t)WEXITSTATUS(p->wait_status);
    }
    put(CTL_EXITED, p->id, result, sizeof result);
    release(p);
  }
}

static void reap(void) {
  int status;
  pid_t pid;

  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (size_t i = 0; i < CTL_MAX_PROCESSES; i++) {
      if (processes[i].id && processes[i].pid == pid) {
        processes[i].pid = 0;
        processes[i].wait_status = status;
      }
    }
  }
}

/* Opens the port and waits until the host side is there: before that, the port says POLLHUP. */
static int open_port(const char* path) {
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

  if (fd < 0) {
    die(path);
  }
  for (int i = 0; i < 1000; i++) {
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    if (poll(&poller, 1, 10) > 0 && !(poller.revents & POLLHUP)) {
      return fd;
    }
    usleep(10000);
  }
  errno = ENOTCONN;
  die(path);
}

static void say_hello(void) {
  struct timespec now;
  uint8_t hello[CTL_MAGIC_SIZE + 8];
  uint32_t version = CTL_VERSION;

  clock_gettime(CLOCK_BOOTTIME, &now);
  uint32_t milliseconds = (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
  memcpy(hello, CTL_MAGIC, CTL_MAGIC_SIZE);
  memcpy(hello + CTL_MAGIC_SIZE, &version, sizeof version);
  memcpy(hello + CTL_MAGIC_SIZE + 4, &milliseconds, sizeof milliseconds);
  put(CTL_HELLO, 0, hello, sizeof hello);
}

int main(int argc, char** argv) {
  sigset_t mask;

  if (argc != 2) {
    errno = EINVAL;
    die("usage: control PORT");
  }

  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGPIPE);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  sigdelset(&mask, SIGPIPE);
  int children = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  if (children < 0) {
    die("signalfd");
  }
  for (size_t i = 0; i < CTL_MAX_PROCESSES; i++) {
    processes[i] = (struct process){.in = -1, .out = -1, .err = -1};
  }
  port = open_port(argv[1]);
  say_hello();

  for (;;) {
    struct pollfd fds[2 + 3 * CTL_MAX_PROCESSES];
    size_t n = 0;

    bool room = out_room() >= sizeof(struct ctl_header) + CTL_MAX_PAYLOAD;
    fds[n++] = (struct pollfd){
        .fd = port,
        .events = (short)((room ? POLLIN : 0) | (out_start < out_end ? POLLOUT : 0)),
    };
    fds[n++] = (struct pollfd){.fd = children, .events = POLLIN};
    for (size_t i = 0; i < CTL_MAX_PROCESSES; i++) {
      struct process* p = &processes[i];
      if (p->id) {
        bool input = p->in_used > 0;
        fds[n++] = (struct pollfd){.fd = input ? p->in : -1, .events = POLLOUT};
        fds[n++] = (struct pollfd){.fd = room ? p->out : -1, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = room ? p->err : -1, .events = POLLIN};
      }
    }
    if (poll(fds, n, -1) < 0 && errno != EINTR) {
      die("poll");
    }
    /*
     * Only here, so that whatever serve() finds no room for leaves a buffer that is not empty, and
     * the next poll returns for POLLOUT.
     */
    if ((fds[0].revents & (POLLHUP | POLLERR)) || !flush_out() || !read_port()) {
      power_off();
    }
    struct signalfd_siginfo info;
    while (read(children, &info, sizeof info) > 0) {
    }
    reap();
    for (size_t i = 0; i < CTL_MAX_PROCESSES; i++) {
      if (processes[i].id) {
        serve(&processes[i]);
      }
    }
  }
}
