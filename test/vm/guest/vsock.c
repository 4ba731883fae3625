/*
 * The guest's side of the vsock tests and of the vsock benchmark. The host's is ../vsock-peer.ts,
 * or this program, where the host must not be what is measured.
 *
 * vsock serve PORT
 *     Accept connections from the host, for ever.
 * vsock serve-unix PATH
 *     The same on a Unix socket: the service of a port for guests, on the host.
 * vsock send PORT CHUNK TOTAL SEED
 *     Send a pattern; the host checks it.
 * vsock receive PORT CHUNK TOTAL SEED
 *     Have the host send a pattern; check it.
 * vsock ping PORT COUNT SIZE
 *     Round trips of SIZE bytes, one after the other.
 * vsock many PORT COUNT
 *     COUNT connections at once, each echoes.
 * vsock churn PORT COUNT
 *     COUNT connections, one after the other, each echoes.
 * vsock hold PORT
 *     Connect, say "held", wait for the end of the stream.
 * vsock cid
 *     The local CID.
 *
 * Whoever connects says first what it wants, with a struct request. Results are one line of JSON
 * on standard output; a failure is a line on standard error and status 1.
 *
 * Word i of a pattern is mix(seed + i), little-endian: it differs at every position, so nothing can
 * be lost, doubled or exchanged unseen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
/* Needs sys/socket.h before it. */
#include <linux/vm_sockets.h>

enum mode {
  MODE_SINK = 1,   /* the other side sends `total` bytes; answer "ok\n" or "bad OFFSET\n" */
  MODE_SOURCE = 2, /* send `total` bytes in writes of `chunk`, then end the stream */
  MODE_ECHO = 3,   /* send back what comes, until the stream ends */
  MODE_IGNORE = 4, /* never read; wait until the connection breaks */
};

struct request {
  uint32_t mode;
  uint32_t chunk;
  uint32_t total;
  uint32_t seed;
};

enum { MAX_CHUNK = 1 << 20, ECHO_CHUNK = 1 << 16 };

static _Noreturn void die(const char* what) {
  fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double seconds(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

/* The pattern's bytes from `offset`, a multiple of 4, on. */
static void fill(uint8_t* data, uint32_t size, uint32_t seed, uint32_t offset) {
  uint32_t words[1];

  for (uint32_t i = 0; i < size; i += 4) {
    words[0] = mix(seed + (offset + i) / 4);
    memcpy(data + i, words, size - i < 4 ? size - i : 4);
  }
}

/*
 * A pattern repeats after MAX_CHUNK bytes, so that a fast stream is not measured by how fast this
 * can multiply.
 */
static uint8_t* make_pattern(uint32_t seed) {
  /* Twice, so that a write of up to MAX_CHUNK may start anywhere. */
  uint8_t* pattern = malloc(2 * MAX_CHUNK);

  if (!pattern) {
    die("malloc");
  }
  fill(pattern, MAX_CHUNK, seed, 0);
  memcpy(pattern + MAX_CHUNK, pattern, MAX_CHUNK);
  return pattern;
}

static void write_all(int fd, const void* data, size_t size) {
  const uint8_t* at = data;

  while (size > 0) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      die("write");
    }
    at += n;
    size -= (size_t)n;
  }
}

static void read_all(int fd, void* data, size_t size) {
  uint8_t* at = data;

  while (size > 0) {
    ssize_t n = read(fd, at, size);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n == 0) {
      errno = ENODATA;
    }
    if (n <= 0) {
      die("read");
    }
    at += n;
    size -= (size_t)n;
  }
}

static int connect_host(uint32_t port) {
  struct sockaddr_vm address = {
      .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

  if (fd < 0) {
    die("socket");
  }
  if (connect(fd, (struct sockaddr*)&address, sizeof address) < 0) {
    die("connect");
  }
  return fd;
}

static void ask(int fd, enum mode mode, uint32_t chunk, uint32_t total, uint32_t seed) {
  struct request request = {.mode = mode, .chunk = chunk, .total = total, .seed = seed};

  write_all(fd, &request, sizeof request);
}

/* Reads `total` bytes and compares. Returns the offset of the first wrong or missing one, or -1. */
static int64_t receive(int fd, uint32_t chunk, uint32_t total, uint32_t seed) {
  uint8_t* pattern = make_pattern(seed);
  uint8_t* data = malloc(chunk);
  int64_t wrong = -1;

  if (!data) {
    die("malloc");
  }
  for (uint32_t got = 0; got < total && wrong < 0;) {
    ssize_t n = read(fd, data, total - got < chunk ? total - got : chunk);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      wrong = got;
      break;
    }
    if (seed != 0 && memcmp(data, pattern + got % MAX_CHUNK, (size_t)n) != 0) {
      for (wrong = got; data[wrong - got] == pattern[wrong % MAX_CHUNK];) {
        wrong++;
      }
    }
    got += (uint32_t)n;
  }
  free(data);
  free(pattern);
  return wrong;
}

static void transmit(int fd, uint32_t chunk, uint32_t total, uint32_t seed) {
  uint8_t* pattern = make_pattern(seed);

  for (uint32_t sent = 0; sent < total;) {
    uint32_t n = total - sent < chunk ? total - sent : chunk;
    write_all(fd, pattern + sent % MAX_CHUNK, n);
    sent += n;
  }
  free(pattern);
}

static void echo(int fd) {
  static uint8_t data[ECHO_CHUNK];
  ssize_t n;

  while ((n = read(fd, data, sizeof data)) > 0) {
    write_all(fd, data, (size_t)n);
  }
}

static void serve_one(int fd) {
  struct request request;
  char answer[64] = "ok\n";

  read_all(fd, &request, sizeof request);
  if (request.chunk > MAX_CHUNK) {
    errno = EMSGSIZE;
    die("request");
  }
  switch (request.mode) {
    case MODE_SINK: {
      int64_t wrong = receive(fd, request.chunk, request.total, request.seed);
      if (wrong >= 0) {
        snprintf(answer, sizeof answer, "bad %lld\n", (long long)wrong);
      }
      write_all(fd, answer, strlen(answer));
      break;
    }
    case MODE_SOURCE:
      transmit(fd, request.chunk, request.total, request.seed);
      break;
    case MODE_ECHO:
      echo(fd);
      break;
    case MODE_IGNORE: {
      struct pollfd poller = {.fd = fd};
      poll(&poller, 1, -1);
      break;
    }
    default:
      errno = EPROTO;
      die("request");
  }
}

static _Noreturn void serve(const struct sockaddr* address, socklen_t size) {
  int listener = socket(address->sa_family, SOCK_STREAM, 0);

  signal(SIGCHLD, SIG_IGN);
  if (listener < 0 || bind(listener, address, size) < 0 || listen(listener, 1024) < 0) {
    die("listen");
  }
  puts("{\"listening\":true}");
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      die("accept");
    }
    switch (fork()) {
      case 0:
        close(listener);
        serve_one(fd);
        exit(0);
      case -1:
        die("fork");
      default:
        close(fd);
    }
  }
}

static _Noreturn void serve_port(uint32_t port) {
  struct sockaddr_vm address = {
      .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};

  serve((struct sockaddr*)&address, sizeof address);
}

static _Noreturn void serve_path(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    die(path);
  }
  strcpy(address.sun_path, path);
  serve((struct sockaddr*)&address, sizeof address);
}

static void send_pattern(uint32_t port, uint32_t chunk, uint32_t total, uint32_t seed) {
  int fd = connect_host(port);
  char answer[64] = "";
  size_t got = 0;
  ssize_t n;
  double start = seconds();

  ask(fd, MODE_SINK, chunk, total, seed);
  transmit(fd, chunk, total, seed);
  if (shutdown(fd, SHUT_WR) < 0) {
    die("shutdown");
  }
  while (got < sizeof answer - 1 && (n = read(fd, answer + got, sizeof answer - 1 - got)) > 0) {
    got += (size_t)n;
  }
  double took = seconds() - start;
  answer[strcspn(answer, "\n")] = '\0';
  printf("{\"seconds\":%.6f,\"answer\":\"%s\"}\n", took, answer);
}

static void receive_pattern(uint32_t port, uint32_t chunk, uint32_t total, uint32_t seed) {
  int fd = connect_host(port);
  uint8_t byte;
  double start = seconds();

  ask(fd, MODE_SOURCE, chunk, total, seed);
  int64_t wrong = receive(fd, chunk, total, seed);
  double took = seconds() - start;
  bool ended = wrong < 0 && read(fd, &byte, 1) == 0;
  printf("{\"seconds\":%.6f,\"wrong\":%lld,\"ended\":%s}\n", took, (long long)wrong,
         ended ? "true" : "false");
}

static int compare(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;

  return (x > y) - (x < y);
}

static void ping(uint32_t port, uint32_t count, uint32_t size) {
  int fd = connect_host(port);
  double* took = calloc(count, sizeof *took);
  uint8_t* data = calloc(1, size);

  if (!took || !data || count == 0) {
    die("ping");
  }
  ask(fd, MODE_ECHO, size, 0, 0);
  for (uint32_t i = 0; i < count; i++) {
    double start = seconds();
    write_all(fd, data, size);
    read_all(fd, data, size);
    took[i] = (seconds() - start) * 1e6;
  }
  qsort(took, count, sizeof *took, compare);
  printf("{\"us_p50\":%.1f,\"us_p95\":%.1f,\"us_max\":%.1f}\n", took[count / 2],
         took[(size_t)count * 95 / 100], took[count - 1]);
}

/* An echo of a few bytes that no other connection sends. */
static void say(int fd, uint32_t i) {
  uint32_t words[2] = {i, mix(i)};

  write_all(fd, words, sizeof words);
}

static void hear(int fd, uint32_t i) {
  uint32_t words[2];

  read_all(fd, words, sizeof words);
  if (words[0] != i || words[1] != mix(i)) {
    errno = EBADMSG;
    die("another connection's data");
  }
}

static void many(uint32_t port, uint32_t count) {
  struct rlimit limit = {.rlim_cur = count + 64, .rlim_max = count + 64};
  int* fds = calloc(count, sizeof *fds);
  double start = seconds();

  if (!fds || setrlimit(RLIMIT_NOFILE, &limit) < 0) {
    die("many");
  }
  for (uint32_t i = 0; i < count; i++) {
    fds[i] = connect_host(port);
    ask(fds[i], MODE_ECHO, 0, 0, 0);
  }
  /* All are open now. Answers in the opposite order, so that each waits for its own. */
  for (uint32_t i = 0; i < count; i++) {
    say(fds[i], i);
  }
  for (uint32_t i = count; i-- > 0;) {
    hear(fds[i], i);
  }
  printf("{\"open\":%u,\"seconds\":%.3f}\n", count, seconds() - start);
  for (uint32_t i = 0; i < count; i++) {
    close(fds[i]);
  }
}

static void churn(uint32_t port, uint32_t count) {
  double start = seconds();

  for (uint32_t i = 0; i < count; i++) {
    int fd = connect_host(port);
    ask(fd, MODE_ECHO, 0, 0, 0);
    say(fd, i);
    hear(fd, i);
    close(fd);
  }
  printf("{\"done\":%u,\"seconds\":%.3f}\n", count, seconds() - start);
}

static void hold(uint32_t port) {
  int fd = connect_host(port);
  uint8_t byte;

  ask(fd, MODE_ECHO, 0, 0, 0);
  say(fd, 1);
  hear(fd, 1);
  puts("{\"held\":true}");
  fflush(stdout);
  ssize_t n = read(fd, &byte, 1);
  printf("{\"read\":%zd,\"errno\":%d}\n", n, n < 0 ? errno : 0);
}

static void print_cid(void) {
  unsigned int cid;
  int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);

  if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0) {
    die("/dev/vsock");
  }
  printf("{\"cid\":%u}\n", cid);
}

static uint32_t number(const char* text) {
  char* end;
  unsigned long value = strtoul(text, &end, 10);

  if (*text == '\0' || *end != '\0' || value > UINT32_MAX) {
    errno = EINVAL;
    die(text);
  }
  return (uint32_t)value;
}

int main(int argc, char** argv) {
  uint32_t n[4] = {0};
  const char* command = argc > 1 ? argv[1] : "";

  signal(SIGPIPE, SIG_IGN);
  if (strcmp(command, "serve-unix") == 0 && argc == 3) {
    serve_path(argv[2]);
  }
  for (int i = 2; i < argc && i < 6; i++) {
    n[i - 2] = number(argv[i]);
  }
  if (strcmp(command, "serve") == 0 && argc == 3) {
    serve_port(n[0]);
  } else if (strcmp(command, "send") == 0 && argc == 6 && n[1] <= MAX_CHUNK) {
    send_pattern(n[0], n[1], n[2], n[3]);
  } else if (strcmp(command, "receive") == 0 && argc == 6 && n[1] <= MAX_CHUNK) {
    receive_pattern(n[0], n[1], n[2], n[3]);
  } else if (strcmp(command, "ping") == 0 && argc == 5) {
    ping(n[0], n[1], n[2]);
  } else if (strcmp(command, "many") == 0 && argc == 4) {
    many(n[0], n[1]);
  } else if (strcmp(command, "churn") == 0 && argc == 4) {
    churn(n[0], n[1]);
  } else if (strcmp(command, "hold") == 0 && argc == 3) {
    hold(n[0]);
  } else if (strcmp(command, "cid") == 0 && argc == 2) {
    print_cid();
  } else {
    fputs("usage: vsock COMMAND ...; the commands are at the top of vsock.c\n", stderr);
    return 2;
  }
  return 0;
}
