// dbus-listener QMP_SOCKET CONSOLE: a display listener of QEMU's own D-Bus display (-display
// dbus,p2p=yes) that notes when each message of a console arrived.
//
// It implements org.qemu.Display1.Listener with Unix.Map, the interface that passes a picture's
// memory instead of its pixels. Prints "ready" when QEMU serves it. When its input ends it prints
// one JSON object and ends:
//
//   {"scanouts":[ns,...], "updates":[ns,...], "pixelBytes":N}
//
// Times are CLOCK_MONOTONIC [ns]: ScanoutMap (another memory is shown) and UpdateMap (its contents
// changed). pixelBytes counts pixels that came within messages, which none should.
//
// Time is taken on GDBus's own thread when a message is complete, before anything is decoded, and
// each call is answered at once: QEMU waits for the answer to ScanoutMap on its main loop.

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LISTENER_PATH "/org/qemu/Display1/Listener"
#define LISTENER "org.qemu.Display1.Listener"
#define LISTENER_MAP "org.qemu.Display1.Listener.Unix.Map"
#define CONSOLE "org.qemu.Display1.Console"
#define ANSWER_MS 10000
/// Name under which QEMU keeps our socket between the two QMP commands.
#define FD_NAME "scanbridge-bench"
/// More than an hour at 60 a second; what comes after that is an error, not a surprise.
#define MAX_TIMES (1u << 18)

static const char introspection[] =
    "<node>"
    "<interface name='" LISTENER
    "'>"
    "<method name='Scanout'><arg type='u' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='u' direction='in'/><arg type='u' direction='in'/><arg type='ay' "
    "direction='in'/></method>"
    "<method name='Update'><arg type='i' direction='in'/><arg type='i' direction='in'/>"
    "<arg type='i' direction='in'/><arg type='i' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='u' direction='in'/><arg type='ay' direction='in'/></method>"
    "<method name='Disable'/>"
    "<method name='MouseSet'><arg type='i' direction='in'/><arg type='i' direction='in'/>"
    "<arg type='i' direction='in'/></method>"
    "<method name='CursorDefine'><arg type='i' direction='in'/><arg type='i' direction='in'/>"
    "<arg type='i' direction='in'/><arg type='i' direction='in'/><arg type='ay' "
    "direction='in'/></method>"
    "<property name='Interfaces' type='as' access='read'/>"
    "</interface>"
    "<interface name='" LISTENER_MAP
    "'>"
    "<method name='ScanoutMap'><arg type='h' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='u' direction='in'/><arg type='u' direction='in'/><arg type='u' direction='in'/>"
    "<arg type='u' direction='in'/></method>"
    "<method name='UpdateMap'><arg type='i' direction='in'/><arg type='i' direction='in'/>"
    "<arg type='i' direction='in'/><arg type='i' direction='in'/></method>"
    "</interface>"
    "</node>";

struct times {
  int64_t at[MAX_TIMES];
  unsigned int count;
};

/// Written by GDBus's thread.
static struct {
  GMutex lock;
  struct times scanouts, updates;
  uint64_t pixel_bytes;
  gboolean overflow;
} g_seen;

static int64_t monotonic_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void note(struct times* times, int64_t at) {
  if (times->count == MAX_TIMES) {
    g_seen.overflow = TRUE;
  } else {
    times->at[times->count++] = at;
  }
}

/// Size of the array of bytes that is the last argument of a call.
static gsize pixel_bytes(GDBusMessage* message) {
  GVariant* body = g_dbus_message_get_body(message);
  GVariant* last = g_variant_get_child_value(body, g_variant_n_children(body) - 1);
  gsize size = g_variant_get_size(last);
  g_variant_unref(last);
  return size;
}

static GDBusMessage* on_message(GDBusConnection* connection, GDBusMessage* message,
                                gboolean incoming, gpointer data) {
  int64_t at = monotonic_now();
  const char* member = g_dbus_message_get_member(message);
  (void)connection;
  (void)data;
  if (!incoming || member == NULL) return message;
  g_mutex_lock(&g_seen.lock);
  if (strcmp(member, "ScanoutMap") == 0) {
    note(&g_seen.scanouts, at);
  } else if (strcmp(member, "UpdateMap") == 0) {
    note(&g_seen.updates, at);
  } else if (strcmp(member, "Scanout") == 0 || strcmp(member, "Update") == 0) {
    g_seen.pixel_bytes += pixel_bytes(message);
  }
  g_mutex_unlock(&g_seen.lock);
  return message;
}

static void on_call(GDBusConnection* connection, const char* sender, const char* path,
                    const char* interface, const char* method, GVariant* arguments,
                    GDBusMethodInvocation* invocation, gpointer data) {
  (void)connection, (void)sender, (void)path, (void)interface, (void)method, (void)arguments,
      (void)data;
  g_dbus_method_invocation_return_value(invocation, NULL);
}

static GVariant* on_property(GDBusConnection* connection, const char* sender, const char* path,
                             const char* interface, const char* property, GError** error,
                             gpointer data) {
  static const char* const interfaces[] = {LISTENER_MAP, NULL};
  (void)connection, (void)sender, (void)path, (void)interface, (void)property, (void)error,
      (void)data;
  return g_variant_new_strv(interfaces, -1);
}

static const GDBusInterfaceVTable vtable = {.method_call = on_call, .get_property = on_property};

G_GNUC_PRINTF(1, 2) static _Noreturn void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("dbus-listener: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static void check(GError* error, const char* what) {
  if (error != NULL) fail("%s: %s", what, error->message);
}

/// Sends a QMP command, with a descriptor unless it is -1, and waits for its answer.
static void qmp(int monitor, const char* command, int fd) {
  struct iovec text = {.iov_base = (char*)command, .iov_len = strlen(command)};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
  }
  if (sendmsg(monitor, &message, MSG_NOSIGNAL) != (ssize_t)text.iov_len) {
    fail("QMP did not take a command: %s", g_strerror(errno));
  }
  // Events come between; an answer is the line that has one of these keys first.
  char line[4096];
  size_t length = 0;
  for (;;) {
    ssize_t n = recv(monitor, line + length, 1, 0);
    if (n <= 0) fail("QEMU closed its QMP connection");
    if (line[length] != '\n') {
      if (++length == sizeof(line)) fail("QMP sent a line that is too long");
      continue;
    }
    line[length] = '\0';
    length = 0;
    if (g_str_has_prefix(line, "{\"return\"")) return;
    if (g_str_has_prefix(line, "{\"error\"")) fail("QMP refused %s: %s", command, line);
  }
}

static GDBusConnection* connect_over(int fd, GDBusConnectionFlags flags) {
  GError* error = NULL;
  GSocket* socket = g_socket_new_from_fd(fd, &error);
  check(error, "socket");
  GSocketConnection* stream = g_socket_connection_factory_create_connection(socket);
  g_object_unref(socket);
  GDBusConnection* connection = g_dbus_connection_new_sync(
      G_IO_STREAM(stream), NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | flags, NULL, NULL,
      &error);
  check(error, "D-Bus connection");
  g_object_unref(stream);
  return connection;
}

static void make_pair(int fds[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
    fail("socketpair: %s", g_strerror(errno));
  }
}

/// Hands QEMU one end of a pair of sockets, as the bus that is not there.
static GDBusConnection* connect_display(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int monitor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int pair[2];
  if (strlen(path) >= sizeof(address.sun_path)) fail("the name '%s' is too long", path);
  strcpy(address.sun_path, path);
  if (monitor < 0 || connect(monitor, (struct sockaddr*)&address, sizeof(address)) < 0) {
    fail("cannot connect to %s: %s", path, g_strerror(errno));
  }
  make_pair(pair);
  qmp(monitor, "{\"execute\":\"qmp_capabilities\"}\n", -1);
  qmp(monitor, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"" FD_NAME "\"}}\n", pair[1]);
  qmp(monitor,
      "{\"execute\":\"add_client\",\"arguments\":"
      "{\"protocol\":\"@dbus-display\",\"fdname\":\"" FD_NAME "\"}}\n",
      -1);
  close(pair[1]);
  close(monitor);
  return connect_over(pair[0], G_DBUS_CONNECTION_FLAGS_NONE);
}

static GDBusConnection* register_listener(GDBusConnection* display, const char* console) {
  GError* error = NULL;
  int pair[2];
  make_pair(pair);
  GUnixFDList* fds = g_unix_fd_list_new();
  int handle = g_unix_fd_list_append(fds, pair[1], &error);
  check(error, "descriptor");
  close(pair[1]);
  char* path = g_strdup_printf("/org/qemu/Display1/Console_%s", console);
  GVariant* answer = g_dbus_connection_call_with_unix_fd_list_sync(
      display, NULL, path, CONSOLE, "RegisterListener", g_variant_new("(h)", handle), NULL,
      G_DBUS_CALL_FLAGS_NONE, ANSWER_MS, fds, NULL, NULL, &error);
  check(error, "RegisterListener");
  g_variant_unref(answer);
  g_free(path);
  g_object_unref(fds);

  GDBusConnection* listener =
      connect_over(pair[0], G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING);
  GDBusNodeInfo* info = g_dbus_node_info_new_for_xml(introspection, &error);
  check(error, "introspection");
  for (int i = 0; info->interfaces[i] != NULL; i++) {
    g_dbus_connection_register_object(listener, LISTENER_PATH, info->interfaces[i], &vtable, NULL,
                                      NULL, &error);
    check(error, "object");
  }
  g_dbus_node_info_unref(info);
  g_dbus_connection_add_filter(listener, on_message, NULL, NULL);
  g_dbus_connection_start_message_processing(listener);
  return listener;
}

static void print_times(const char* name, const struct times* times) {
  printf("\"%s\":[", name);
  for (unsigned int i = 0; i < times->count; i++) {
    printf("%s%" PRId64, i > 0 ? "," : "", times->at[i]);
  }
  printf("],");
}

static gboolean on_input(int fd, GIOCondition condition, gpointer loop) {
  char ignored[256];
  (void)condition;
  if (read(fd, ignored, sizeof(ignored)) > 0) return G_SOURCE_CONTINUE;
  g_main_loop_quit(loop);
  return G_SOURCE_REMOVE;
}

static void on_closed(GDBusConnection* connection, gboolean vanished, GError* error,
                      gpointer data) {
  (void)connection, (void)vanished, (void)data;
  fail("QEMU closed the connection: %s", error != NULL ? error->message : "in order");
}

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: dbus-listener QMP_SOCKET CONSOLE");
  GMainLoop* loop = g_main_loop_new(NULL, FALSE);
  GDBusConnection* display = connect_display(argv[1]);
  GDBusConnection* listener = register_listener(display, argv[2]);
  gulong closed = g_signal_connect(listener, "closed", G_CALLBACK(on_closed), NULL);
  g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, loop);
  puts("ready");
  fflush(stdout);
  g_main_loop_run(loop);

  g_signal_handler_disconnect(listener, closed);
  g_mutex_lock(&g_seen.lock);
  if (g_seen.overflow) fail("more than %u messages came", MAX_TIMES);
  putchar('{');
  print_times("scanouts", &g_seen.scanouts);
  print_times("updates", &g_seen.updates);
  printf("\"pixelBytes\":%" PRIu64 "}\n", g_seen.pixel_bytes);
  g_mutex_unlock(&g_seen.lock);
  g_dbus_connection_close_sync(listener, NULL, NULL);
  g_object_unref(listener);
  g_object_unref(display);
  g_main_loop_unref(loop);
  return 0;
}
