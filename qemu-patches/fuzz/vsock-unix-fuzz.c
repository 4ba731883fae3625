/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes the connections of virtio-vsock-unix with libFuzzer, without a guest: the input is a list
 * of actions of a hostile guest, of host programs and of the event loop. The sockets are real.
 *
 * vsock-unix-fuzz.sh builds and runs it.
 */

/* First, as everywhere in QEMU. */
// clang-format off
#include "qemu/osdep.h"
// clang-format on

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>

#include "hw/virtio/vsock-unix.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/log.h"

enum { GUEST_CID = 3, MAX_CONNS = 8, MAX_PEERS = 32, MAX_WATCHES = 64, MAX_RX_BUFS = 8 };

/* The rest of QEMU, as far as the linker needs it: no log, and what iov.c and cutils.c do not call
 * here. */
int qemu_loglevel;

void qemu_log(const char* format, ...) {}

void warn_report(const char* format, ...) {
  abort();
}

void qemu_hexdump(FILE* file, const char* prefix, const void* data, size_t size) {
  abort();
}

bool buffer_is_zero_ool(const void* data, size_t size) {
  abort();
}

/* The input, eaten from the front; zeros when it is used up. */
static const uint8_t* input;
static size_t input_left;

/* The other ends of the multiplexer's sockets. */
static int peers[MAX_PEERS];
static unsigned int npeers;

static struct watch {
  VsockUnixConn* conn;
  int fd;
  bool rd, wr;
} watches[MAX_WATCHES];
static unsigned int nwatches;

static int64_t now_ms;
static int64_t timer_at;
static uint8_t connect_answer;

static uint8_t eat(void) {
  if (input_left == 0) {
    return 0;
  }
  input_left--;
  return *input++;
}

static uint32_t eat32(void) {
  uint32_t value = eat();

  value |= (uint32_t)eat() << 8;
  value |= (uint32_t)eat() << 16;
  return value | (uint32_t)eat() << 24;
}

/* Mostly a small number, so that the same ports come again; at times any. */
static uint32_t eat_port(void) {
  uint8_t byte = eat();

  if (byte == 0xff) {
    return eat32();
  }
  return byte & 0x80 ? VSOCK_UNIX_FIRST_HOST_PORT + (byte & 3) : byte & 3;
}

/* A socket whose other end becomes a peer; both buffers are small, so that they fill up. */
static int new_peer(void) {
  int sv[2];
  int size = 4096;

  if (npeers == MAX_PEERS) {
    close(peers[0]);
    memmove(peers, peers + 1, sizeof peers - sizeof peers[0]);
    npeers--;
  }
  g_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
  for (int i = 0; i < 2; i++) {
    g_assert(fcntl(sv[i], F_SETFL, O_NONBLOCK) == 0);
    g_assert(setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  }
  peers[npeers++] = sv[1];
  return sv[0];
}

static int op_connect(void* opaque, uint32_t port, bool* in_progress) {
  switch (connect_answer % 8) {
    case 0:
      return -ECONNREFUSED;
    case 1:
      return -EAGAIN;
    case 2:
      *in_progress = true;
      return new_peer();
    default:
      return new_peer();
  }
}

static void op_watch(void* opaque, VsockUnixConn* conn, int fd, bool rd, bool wr) {
  unsigned int i = 0;

  /* Asked for an open descriptor, and with both false for the last time before it is closed. */
  g_assert(fcntl(fd, F_GETFD) >= 0);
  while (i < nwatches && watches[i].conn != conn) {
    i++;
  }
  if (!rd && !wr) {
    g_assert(i < nwatches && watches[i].fd == fd);
    watches[i] = watches[--nwatches];
    return;
  }
  g_assert(i < MAX_WATCHES);
  if (i == nwatches) {
    nwatches++;
  }
  watches[i] = (struct watch){.conn = conn, .fd = fd, .rd = rd, .wr = wr};
}

static void op_set_timer(void* opaque, int64_t when) {
  timer_at = when;
}

static int64_t op_now(void* opaque) {
  return now_ms;
}

static const VsockUnixOps ops = {
    .connect = op_connect,
    .watch = op_watch,
    .set_timer = op_set_timer,
    .now = op_now,
};

/* A packet of the guest, cut into pieces; `packet` has to live until the next flush. */
static void guest_packet(VsockUnixMux* mux, uint8_t* packet, size_t room) {
  uint8_t shape = eat();
  struct virtio_vsock_hdr hdr = {0};
  uint32_t len;
  size_t size;
  struct iovec iov[4];
  unsigned int niov = 0;

  /* One by one: the order of the input's bytes is the order of these lines. */
  hdr.src_cid = cpu_to_le64(shape & 1 ? eat() : GUEST_CID);
  hdr.dst_cid = cpu_to_le64(shape & 2 ? eat() : VSOCK_UNIX_HOST_CID);
  hdr.type = cpu_to_le16(shape & 4 ? eat() : VIRTIO_VSOCK_TYPE_STREAM);
  hdr.op = cpu_to_le16(eat() % 10);
  hdr.src_port = cpu_to_le32(eat_port());
  hdr.dst_port = cpu_to_le32(eat_port());
  len = eat() * (shape & 8 ? 257 : 1);
  hdr.len = cpu_to_le32(shape & 16 ? eat32() : len);
  hdr.flags = cpu_to_le32(shape & 32 ? eat32() : eat() & 3);
  hdr.buf_alloc = cpu_to_le32(shape & 64 ? eat32() : 65536);
  hdr.fwd_cnt = cpu_to_le32(shape & 128 ? eat32() : 0);
  size = MIN(room, sizeof hdr + len);
  memcpy(packet, &hdr, sizeof hdr);
  memset(packet + sizeof hdr, 'g', room - sizeof hdr);
  if (eat() == 0xff) {
    size = eat() % sizeof hdr;
  }
  while (size > 0) {
    uint32_t cut = niov < 3 ? 1 + eat() % 64u : UINT32_MAX;
    size_t n = niov < 3 && cut < 48 ? MIN(size, cut) : size;

    iov[niov++] = (struct iovec){.iov_base = packet, .iov_len = n};
    packet += n;
    size -= n;
  }
  /* Again and again, as a guest does that ignores its credit. */
  for (unsigned int n = 1 + eat() % 8; n > 0 && !vsock_unix_mux_tx_blocked(mux); n--) {
    vsock_unix_mux_tx(mux, iov, niov);
  }
}

/* Packets for the guest: they have to be whole, and to be from us to it. */
static void guest_receives(VsockUnixMux* mux) {
  static uint8_t memory[MAX_RX_BUFS][4096];
  struct iovec iov[MAX_RX_BUFS][2];
  VsockUnixRxBuf bufs[MAX_RX_BUFS];
  unsigned int n = 1 + eat() % MAX_RX_BUFS;
  size_t want;

  if (!vsock_unix_mux_rx_pending(mux, &want)) {
    return;
  }
  for (unsigned int i = 0; i < n; i++) {
    size_t size = VSOCK_UNIX_HDR_LEN + 1 + (eat() * 16) % (4096 - VSOCK_UNIX_HDR_LEN);
    size_t first = 1 + eat() % (size - 1);

    iov[i][0] = (struct iovec){.iov_base = memory[i], .iov_len = first};
    iov[i][1] = (struct iovec){.iov_base = memory[i] + first, .iov_len = size - first};
    bufs[i] = (VsockUnixRxBuf){.iov = iov[i], .niov = 2, .size = size};
  }
  unsigned int used = vsock_unix_mux_rx_fill(mux, bufs, n);
  g_assert(used <= n);
  for (unsigned int i = 0; i < used; i++) {
    struct virtio_vsock_hdr hdr;

    memcpy(&hdr, memory[i], sizeof hdr);
    g_assert(bufs[i].used >= sizeof hdr && bufs[i].used <= bufs[i].size);
    g_assert(le32_to_cpu(hdr.len) == bufs[i].used - sizeof hdr);
    g_assert(le64_to_cpu(hdr.dst_cid) == GUEST_CID);
    g_assert(le16_to_cpu(hdr.op) >= VIRTIO_VSOCK_OP_REQUEST &&
             le16_to_cpu(hdr.op) <= VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    g_assert(hdr.len == 0 || le16_to_cpu(hdr.op) == VIRTIO_VSOCK_OP_RW);
    g_assert(le16_to_cpu(hdr.op) != VIRTIO_VSOCK_OP_RW || hdr.len != 0);
  }
}

static void host_acts(VsockUnixMux* mux) {
  static uint8_t data[8192];
  static const char line[] = "CONNECT 5\npayload";
  uint8_t action = eat();
  unsigned int i = npeers ? eat() % npeers : 0;
  ssize_t ignored = 0;

  if (npeers == 0 || action % 8 == 0) {
    int fd = new_peer();
    int peer = peers[npeers - 1];

    if (eat() & 1) {
      ignored = write(peer, line, sizeof line - 1);
    } else {
      uint8_t n = eat() % 32;
      for (uint8_t k = 0; k < n; k++) {
        data[k] = eat();
      }
      ignored = write(peer, data, n);
    }
    vsock_unix_mux_accept(mux, fd);
  } else if (action % 8 < 3) {
    ignored = send(peers[i], data, eat() * 32u, MSG_NOSIGNAL);
  } else if (action % 8 < 5) {
    ignored = read(peers[i], data, 1 + eat() * 32u);
  } else if (action % 8 == 5) {
    shutdown(peers[i], eat() & 1 ? SHUT_WR : SHUT_RD);
  } else {
    close(peers[i]);
    peers[i] = peers[--npeers];
  }
  (void)ignored;
}

/* One turn of the event loop: what is watched and true. */
static void loop_turns(VsockUnixMux* mux) {
  for (unsigned int i = 0; i < nwatches; i++) {
    struct watch w = watches[i];
    struct pollfd poller = {
        .fd = w.fd,
        .events = (short)((w.rd ? POLLIN : 0) | (w.wr ? POLLOUT : 0)),
    };

    if (poll(&poller, 1, 0) <= 0) {
      continue;
    }
    if (w.rd && (poller.revents & (POLLIN | POLLHUP | POLLERR))) {
      vsock_unix_mux_readable(mux, w.conn);
    } else if (w.wr && (poller.revents & (POLLOUT | POLLERR))) {
      vsock_unix_mux_writable(mux, w.conn);
    }
    if (eat() & 1) {
      guest_receives(mux);
    }
    vsock_unix_mux_settle(mux);
  }
  if (timer_at && timer_at <= now_ms) {
    timer_at = 0;
    vsock_unix_mux_timer(mux);
    vsock_unix_mux_settle(mux);
  }
}

static unsigned int open_descriptors(void) {
  unsigned int n = 0;
  DIR* dir = opendir("/proc/self/fd");

  while (dir && readdir(dir)) {
    n++;
  }
  if (dir) {
    closedir(dir);
  }
  return n;
}

int LLVMFuzzerInitialize(int* argc, char*** argv);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerInitialize(int* argc, char*** argv) {
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static uint8_t packets[4][sizeof(struct virtio_vsock_hdr) + 65536 + 1];
  unsigned int npackets = 0;
  unsigned int descriptors = open_descriptors();

  input = data;
  input_left = size;
  npeers = nwatches = 0;
  now_ms = 1000;
  timer_at = 0;
  VsockUnixMux* mux = vsock_unix_mux_new(&ops, NULL, GUEST_CID, MAX_CONNS);
  vsock_unix_mux_set_active(mux, true);

  while (input_left > 0) {
    uint8_t action = eat();

    connect_answer = action >> 4;
    switch (action % 8) {
      case 0:
      case 1:
      case 2:
        if (!vsock_unix_mux_tx_blocked(mux)) {
          guest_packet(mux, packets[npackets++], sizeof packets[0]);
        }
        if (npackets < ARRAY_SIZE(packets) && (action & 8)) {
          continue; /* the next one belongs to the same batch */
        }
        vsock_unix_mux_tx_flush(mux);
        npackets = 0;
        break;
      case 3:
        vsock_unix_mux_tx_flush(mux);
        npackets = 0;
        guest_receives(mux);
        break;
      case 4:
      case 5:
        host_acts(mux);
        break;
      case 6:
        vsock_unix_mux_tx_flush(mux);
        npackets = 0;
        loop_turns(mux);
        break;
      default:
        now_ms += eat() * 50;
        if (action == 0xff) {
          vsock_unix_mux_tx_flush(mux);
          npackets = 0;
          vsock_unix_mux_reset(mux);
        }
    }
    if (npackets == 0) {
      vsock_unix_mux_settle(mux);
    }
    g_assert(vsock_unix_mux_count(mux) <= MAX_CONNS);
  }

  vsock_unix_mux_tx_flush(mux);
  vsock_unix_mux_free(mux);
  g_assert(nwatches == 0);
  while (npeers > 0) {
    close(peers[--npeers]);
  }
  g_assert(open_descriptors() == descriptors);
  return 0;
}
