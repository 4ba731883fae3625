// vitals: what runs in the desktop's terminal. It shows load, memory and network of the machine
// once a second and echoes what is typed. It starts nothing and opens nothing for writing, so that
// a viewer with input gets no shell.
#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CPUS = 8, LINE = 64, HISTORY = 40 };

struct cpu {
  unsigned long long busy, total;
  double load;  // 0..1 since the previous reading
};

struct vitals {
  struct cpu cpus[MAX_CPUS];
  int cpu_count;
  double history[HISTORY];           // load of all CPUs, newest last
  double memory_used, memory_total;  // GiB
  double uptime;                     // seconds
  double load_average;
  char typed[LINE];
};

static volatile sig_atomic_t g_ended;

static void on_signal(int number) {
  (void)number;
  g_ended = 1;
}

static void read_cpus(struct vitals* v) {
  FILE* file = fopen("/proc/stat", "re");
  if (file == NULL) return;
  char line[512];
  double sum = 0;
  v->cpu_count = 0;
  while (v->cpu_count < MAX_CPUS && fgets(line, sizeof(line), file) != NULL) {
    unsigned long long t[8] = {0};
    if (strncmp(line, "cpu", 3) != 0 || !isdigit((unsigned char)line[3])) continue;
    if (sscanf(line + 3, "%*d %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
               &t[4], &t[5], &t[6], &t[7]) < 5)
      continue;
    unsigned long long idle = t[3] + t[4];
    unsigned long long total = 0;
    for (int i = 0; i < 8; i++) total += t[i];
    struct cpu* cpu = &v->cpus[v->cpu_count++];
    unsigned long long passed = total - cpu->total;
    cpu->load = passed > 0 ? (double)(total - idle - cpu->busy) / (double)passed : 0;
    cpu->busy = total - idle;
    cpu->total = total;
    sum += cpu->load;
  }
  fclose(file);
  memmove(v->history, v->history + 1, sizeof(v->history) - sizeof(v->history[0]));
  v->history[HISTORY - 1] = v->cpu_count > 0 ? sum / v->cpu_count : 0;
}

static void read_memory(struct vitals* v) {
  FILE* file = fopen("/proc/meminfo", "re");
  if (file == NULL) return;
  char line[128];
  unsigned long long total = 0, available = 0;
  while (fgets(line, sizeof(line), file) != NULL) {
    sscanf(line, "MemTotal: %llu", &total);
    sscanf(line, "MemAvailable: %llu", &available);
  }
  fclose(file);
  v->memory_total = (double)total / 1048576;
  v->memory_used = (double)(total - available) / 1048576;
}

static void read_uptime(struct vitals* v) {
  FILE* file = fopen("/proc/uptime", "re");
  if (file != NULL) {
    if (fscanf(file, "%lf", &v->uptime) != 1) v->uptime = 0;
    fclose(file);
  }
  if (getloadavg(&v->load_average, 1) != 1) v->load_average = 0;
}

static void bar(const char* label, double share, int width, int colour) {
  static const char* const kEighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (share < 0) share = 0;
  if (share > 1) share = 1;
  int eighths = (int)(share * width * 8 + 0.5);
  printf("  \033[38;5;146m%-5s\033[0m \033[38;5;%dm\033[48;5;236m", label, colour);
  for (int i = 0; i < width; i++) {
    int left = eighths - i * 8;
    fputs(left >= 8 ? "█" : kEighths[left > 0 ? left : 0], stdout);
  }
  printf("\033[0m %3.0f %%\033[K\r\n", share * 100);
}

static void sparkline(const struct vitals* v, int width) {
  static const char* const kSteps[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  printf("  \033[38;5;146mload\033[0m  \033[38;5;79m");
  for (int i = width < HISTORY ? HISTORY - width : 0; i < HISTORY; i++) {
    int step = (int)(v->history[i] * 7.99);
    fputs(kSteps[step < 0 ? 0 : step > 7 ? 7 : step], stdout);
  }
  printf("\033[0m %.2f\033[K\r\n", v->load_average);
}

static void draw(const struct vitals* v, const struct utsname* host) {
  struct winsize size = {.ws_col = 60};
  ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  int width = size.ws_col > 24 ? size.ws_col - 18 : 8;
  if (width > HISTORY) width = HISTORY;
  printf("\033[H\r\n  \033[1;38;5;111m%.20s\033[0m \033[38;5;103m%.32s\033[0m\033[K\r\n",
         host->sysname, host->release);
  long up = (long)v->uptime;
  printf("  \033[38;5;103mup %ld d %02ld:%02ld:%02ld\033[0m\033[K\r\n\033[K\r\n", up / 86400,
         up / 3600 % 24, up / 60 % 60, up % 60);
  char label[16];
  for (int i = 0; i < v->cpu_count; i++) {
    snprintf(label, sizeof(label), "cpu%d", i);
    bar(label, v->cpus[i].load, width, 111);
  }
  bar("mem", v->memory_total > 0 ? v->memory_used / v->memory_total : 0, width, 176);
  sparkline(v, width);
  printf("        \033[38;5;103m%.1f of %.1f GiB used\033[0m\033[K\r\n\033[K\r\n", v->memory_used,
         v->memory_total);
  printf("  \033[38;5;79m❯\033[0m %s\033[7m \033[0m\033[K\033[J", v->typed);
  fflush(stdout);
}

// Echoes printable ASCII; everything else a terminal may send is dropped.
static void read_keys(struct vitals* v) {
  unsigned char keys[64];
  ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));
  if (count <= 0) {
    g_ended = 1;
    return;
  }
  for (ssize_t i = 0; i < count; i++) {
    size_t length = strlen(v->typed);
    if (keys[i] == 0x1b) return;  // an escape sequence: a cursor key or the like
    if (keys[i] == '\r' || keys[i] == '\n' || keys[i] == 0x15) {
      v->typed[0] = 0;
    } else if (keys[i] == 0x7f || keys[i] == 8) {
      if (length > 0) v->typed[length - 1] = 0;
    } else if (isprint(keys[i])) {
      if (length == LINE - 24) {
        memmove(v->typed, v->typed + 1, length);
        length--;
      }
      v->typed[length] = (char)keys[i];
      v->typed[length + 1] = 0;
    }
  }
}

int main(void) {
  struct vitals vitals = {0};
  struct utsname host;
  uname(&host);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  struct termios saved;
  bool terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
  if (terminal) {
    struct termios raw = saved;
    cfmakeraw(&raw);  // Ctrl-C is a key here, it does not end the program
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  printf("\033[?25l\033[2J");
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  time_t shown = 0;
  while (!g_ended) {
    time_t now = time(NULL);
    if (now != shown) {
      read_cpus(&vitals);
      read_memory(&vitals);
      read_uptime(&vitals);
      shown = now;
    }
    draw(&vitals, &host);
    struct timespec clock;
    clock_gettime(CLOCK_REALTIME, &clock);
    if (poll(&input, 1, (int)(1000 - clock.tv_nsec / 1000000)) > 0) read_keys(&vitals);
  }
  if (terminal) tcsetattr(STDIN_FILENO, TCSANOW, &saved);
  return 0;
}
