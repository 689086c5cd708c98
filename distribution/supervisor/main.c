/*
 * The supervisor runs one program where there is no sandbox. It ends all processes that the program started before it
 * reports the program's end (hostile cases X16, X36).
 *
 *   supervisor [--pids <number>] [<restriction>]... <uid> <gid> <program> <arg>...
 *
 * `-` for an id leaves it unchanged. Restrictions are those of lifecycle/engines/landlock/restrict.h; they apply to the
 * program and its descendants, but not to the supervisor. It counts the threads and processes that started after it: if
 * there are more than --pids at one time, it ends all (X12, X45). Without a program it exits with 0 if it can work here,
 * and prints what it cannot do.
 *
 * Every orphan below it becomes its child (PR_SET_CHILD_SUBREAPER), even with another session, limits, name or
 * descriptors. So it kills its children until the kernel reports that there is none (ECHILD). Meanwhile, grandchildren
 * become children. No program below it can gain privileges (PR_SET_NO_NEW_PRIVS), so each can be killed. QEMU's
 * user emulation (7.2, Debian 12's) has no PR_SET_CHILD_SUBREAPER: there it does not find an orphan in its own session, and
 * the caller warns about that.
 *
 * Descriptor 3 is a socket to the caller. The supervisor writes `ended code N` or `ended signal N` when all processes
 * have ended, and `failed TEXT` otherwise. If it ends without a report, it was killed, which a program of the same user
 * can do: then the program's output is not reliable. It reads `T` (SIGTERM to the program) and `K` (SIGKILL to all);
 * when the other end is closed, it also kills all. The program gets its own session, umask 022, no core dumps (they
 * contain secrets), no descriptors but 0 to 2 (X14), and the supervisor's environment.
 */
#include "../../lifecycle/engines/landlock/restrict.h"

// clang-format off
#if defined(__x86_64__)
enum {
  NR_recvfrom = 45, NR_umask = 95, NR_setuid = 105, NR_setgid = 106, NR_setsid = 112, NR_setgroups = 116, NR_prctl = 157,
  NR_clock_gettime = 228, NR_prlimit64 = 302, NR_close_range = 436, NR_lseek = 8,
};
#else
enum {
  NR_clock_gettime = 113, NR_setgid = 144, NR_setuid = 146, NR_setsid = 157, NR_setgroups = 159, NR_umask = 166,
  NR_prctl = 167, NR_recvfrom = 207, NR_prlimit64 = 261, NR_close_range = 436, NR_lseek = 62,
};
#endif
// clang-format on

enum { PR_SET_DUMPABLE = 4, PR_GET_SECCOMP = 21, PR_SET_CHILD_SUBREAPER = 36, PR_SET_NO_NEW_PRIVS = 38 };
enum { RLIMIT_CORE = 4, WALL = 0x40000000, FD_CLOEXEC = 1, MSG_DONTWAIT = 0x40, MONOTONIC = 1 };
enum { REPORT = 3, PATIENCE = 60000 };
enum { THREADS = 18, STARTED = 20 }; /* fields of /proc/<pid>/stat, counted from the state, with the blank before it */
#ifndef HOSTED
enum { ECHILD = 10, EINVAL = 22 };
#endif

static void on_signal(int signal) { (void)signal; } /* it only interrupts ppoll */

static Str number(int value) {
  char *start = (char *)allocate(24) + 23;
  do *--start = (char)('0' + value % 10);
  while (value /= 10);
  return str(start);
}

/* Writes one line. If the reader is gone, SIGPIPE ends the supervisor, which has nothing left to do. */
static void report(const char *what, Str detail) {
  Str line = str_concat3(str_concat3(str(what), S(" "), detail), S("\n"), S(""));
  sys_write(REPORT, line.ptr, line.len);
}

_Noreturn static void give_up(const char *what, Str detail) {
  report("failed", str_concat3(str(what), S(": "), detail));
  sys_exit(EXIT_FAILED);
}

static void must(long result, const char *what) {
  if (result < 0) give_up(what, str(error_text((int)result)));
}

/* The id of a user or group, or a limit; -1 for `-`. */
static long parse_number(const char *text) {
  long value = 0;
  if (str_equal(str(text), S("-"))) return -1;
  for (const char *p = text; *p; p++) {
    if (*p < '0' || *p > '9' || value > 0xfffffffeL) give_up("not a number", str(text));
    value = value * 10 + (*p - '0');
  }
  return value;
}

/* ---- the program ---- */

/* Only 0 to 2 are open in the program. Old kernels and strict seccomp profiles have no close_range. */
static void close_on_exec(void) {
  sys_fcntl(REPORT, F_SETFD, FD_CLOEXEC);
  if (SYS(close_range, REPORT + 1, ~0U, 0, 0) == 0) return;
  int list = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(list, "its descriptors cannot be listed in /proc/self/fd");
  static char buffer[32768] __attribute__((aligned(8)));
  for (long size; (size = sys_getdents(list, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < size;) {
      DirectoryEntry *entry = (DirectoryEntry *)(buffer + at);
      at += entry->size;
      int fd = 0;
      for (const char *p = entry->name; *p >= '0' && *p <= '9'; p++) fd = fd * 10 + (*p - '0');
      if (fd > REPORT) sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
}

/* If memory runs out, the kernel kills the program and its descendants first: supervisor and caller can report it. */
static void prefer_for_oom(void) {
  int fd = sys_open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  sys_write(fd, "500", 3);
  sys_close(fd);
}

_Noreturn static void become_program(char **args, long uid, long gid, const Restrictions *restrictions, char **envp) {
  SignalSet none = 0;
  SignalAction by_default = {0};
  for (int signal = 1; signal <= 64; signal++) sys_sigaction(signal, &by_default, NULL);
  sys_sigmask(SIG_SETMASK, &none, NULL);
  SYS(setsid, 0, 0, 0, 0);
  if (gid >= 0) {
    unsigned only = (unsigned)gid;
    must(SYS(setgroups, 1, &only, 0, 0), "its groups cannot be set");
    must(SYS(setgid, gid, 0, 0, 0), "its group cannot be set");
  }
  if (uid >= 0) must(SYS(setuid, uid, 0, 0, 0), "its user cannot be set");
  SYS(umask, 022, 0, 0, 0);
  uint64_t no_core[2] = {0, 0};
  SYS(prlimit64, 0, RLIMIT_CORE, no_core, 0);
  prefer_for_oom();
  Str failed = restrict_self(restrictions);
  if (failed.len > 0) give_up("landlock", failed);
  close_on_exec();
  give_up("the program cannot be started", str(error_text(sys_execve(args[0], args, envp))));
}

/* ---- processes that it leaves behind ---- */

static bool adopts; /* orphans become children of the supervisor */
static bool denied; /* a process could not be killed */

/* Writes "/proc/<pid>/task/<pid>/children" without allocating memory, since this runs thousands of times. */
static void children_path(char *to, int pid) {
  char digits[12], *start = digits + sizeof digits;
  *--start = '\0';
  do *--start = (char)('0' + pid % 10);
  while (pid /= 10);
  const char *parts[] = {"/proc/", start, "/task/", start, "/children"};
  for (int i = 0; i < 5; i++)
    for (const char *p = parts[i]; *p;) *to++ = *p++;
  *to = '\0';
}

/*
 * Kills the children of a process and, some levels deep, theirs: a process that its child replaces again and again would
 * be gone before it becomes a child of the supervisor. Deeper ones become its children when their parents have ended.
 */
static void kill_children(int pid, int levels) {
  char path[64], buffer[4096];
  children_path(path, pid);
  int fd = sys_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  int child = 0;
  for (long size; (size = sys_read(fd, buffer, sizeof buffer)) > 0;) {
    for (long i = 0; i < size; i++) {
      if (buffer[i] >= '0' && buffer[i] <= '9') {
        child = child * 10 + (buffer[i] - '0');
        continue;
      }
      if (child > 1 && sys_kill(child, SIGKILL) == -EPERM) denied = true;
      if (child > 1 && levels > 1) kill_children(child, levels - 1);
      child = 0;
    }
  }
  sys_close(fd);
}

static long milliseconds(void) {
  TimeSpec now = {0};
  SYS(clock_gettime, MONOTONIC, &now, 0, 0);
  return now.seconds * 1000 + now.nanoseconds / 1000000;
}

/* Kills until the supervisor has no child of any kind (__WALL). */
static void kill_all(int program) {
  int self = sys_getpid();
  if (!adopts) sys_kill(-program, SIGKILL);
  long deadline = milliseconds() + PATIENCE;
  for (int round = 0;; round++) {
    kill_children(self, 4);
    int status = 0, ended;
    while ((ended = sys_wait(-1, &status, WNOHANG | WALL)) > 0 || ended == -EINTR) {}
    if (ended == -ECHILD) return;
    if (milliseconds() > deadline)
      give_up("processes that the program started do not end, although they were killed",
              denied ? S("the system refuses to let us kill one") : S("they wait for a disk or a network share"));
    /* A killed process needs a moment to end, but one that multiplies must not get a moment. */
    TimeSpec moment = {.nanoseconds = round < 1000 ? 0 : 2000000};
    if (round > 50) sys_ppoll(NULL, 0, &moment, NULL);
  }
}

/* ---- the number of processes ---- */

/* Reads fields of /proc/<pid>/stat after the name in brackets, which can have any bytes. False if the process is gone. */
static bool read_stat(const char *pid, long *threads, uint64_t *started) {
  char path[64], buffer[1024];
  char *end = path;
  for (const char *part = "/proc/"; *part; part++) *end++ = *part;
  for (const char *part = pid; *part && end < path + 40; part++) *end++ = *part;
  for (const char *part = "/stat"; *part; part++) *end++ = *part;
  *end = '\0';
  int fd = sys_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  long size = sys_read(fd, buffer, sizeof buffer);
  sys_close(fd);
  long at = size - 1;
  while (at > 0 && buffer[at] != ')') at--;
  if (at <= 0) return false;
  uint64_t value = 0;
  int field = 0;
  for (at++; at < size && field <= STARTED; at++) {
    if (buffer[at] == ' ' || buffer[at] == '\n') {
      if (field == THREADS) *threads = (long)value;
      if (field == STARTED) *started = value;
      field++;
      value = 0;
    } else if (buffer[at] >= '0' && buffer[at] <= '9') {
      value = value * 10 + (uint64_t)(buffer[at] - '0');
    }
  }
  return field > STARTED;
}

/* Threads of all processes that started no earlier than the supervisor, including other processes of a container. */
static long count_threads(int proc, uint64_t since) {
  static char buffer[32768] __attribute__((aligned(8)));
  long count = 0;
  SYS(lseek, proc, 0, 0, 0);
  for (long size; (size = sys_getdents(proc, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < size;) {
      DirectoryEntry *entry = (DirectoryEntry *)(buffer + at);
      at += entry->size;
      long threads = 0;
      uint64_t started = 0;
      if (entry->name[0] < '0' || entry->name[0] > '9') continue;
      if (read_stat(entry->name, &threads, &started) && started >= since) count += threads;
    }
  }
  return count;
}

/* ---- the socket to the caller ---- */

/* The caller's next order: 0 for none. A closed socket means to kill all. */
static char next_order(void) {
  char order = 0;
  long size = sys_call(NR_recvfrom, REPORT, (long)&order, 1, MSG_DONTWAIT, 0, 0);
  if (size == -EAGAIN || size == -EINTR) return 0;
  return size == 1 ? order : 'K';
}

/* Checks and sets up what it needs of the kernel and of /proc. */
static void prepare(void) {
  long adoption = SYS(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
  adopts = adoption == 0;
  /* QEMU's user emulation answers EINVAL to both. Any other refusal is an error: elsewhere, no orphan may be missed. */
  bool emulated = adoption == -EINVAL && SYS(prctl, PR_GET_SECCOMP, 0, 0, 0) == -EINVAL;
  if (!emulated) must(adoption, "orphans cannot be adopted");
  must(SYS(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0), "setuid programs cannot be disarmed");
  char path[64];
  children_path(path, sys_getpid());
  must(sys_access(path, F_OK), "processes cannot be listed in /proc/<pid>/task/<pid>/children");
}

int program_main(int argc, char **argv, char **envp) {
  if (argc == 1) {
    prepare();
    if (!adopts) sys_write(1, "orphans are not adopted\n", 24);
    return 0;
  }
  must(sys_fcntl(REPORT, F_GETFD, 0), "descriptor 3 is to take the report");
  Restrictions restrictions = {0};
  long most = 0;
  int first = 1;
  for (int words; first < argc && argv[first][0] == '-' && argv[first][1] == '-'; first += words) {
    words = read_restriction(&restrictions, argc, argv, first);
    if (words == 0 && first + 1 < argc && str_equal(str(argv[first]), S("--pids"))) {
      most = parse_number(argv[first + 1]);
      words = 2;
    }
    if (words == 0) give_up("unknown option", str(argv[first]));
  }
  if (first + 3 > argc) give_up("usage", S("supervisor [<option>]... <uid> <gid> <program> <arg>..."));
  long uid = parse_number(argv[first]), gid = parse_number(argv[first + 1]);
  /* Other processes of the same user cannot open this process's files, such as descriptor 3. */
  must(SYS(prctl, PR_SET_DUMPABLE, 0, 0, 0), "its memory cannot be protected");
  prepare();
  int proc = sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  long threads = 0;
  uint64_t started = 0;
  if (most > 0 && (proc < 0 || !read_stat("self", &threads, &started))) give_up("processes cannot be counted", S("/proc"));

  SignalAction handle = {.handler = (uintptr_t)on_signal};
  SignalSet block = signal_bit(SIGCHLD), none = 0;
  sys_sigaction(SIGCHLD, &handle, NULL);
  sys_sigmask(SIG_BLOCK, &block, NULL);

  int program = sys_fork();
  must(program, "no process can be started");
  if (program == 0) become_program(argv + first + 2, uid, gid, &restrictions, envp);

  int status = 0;
  const TimeSpec between_counts = {.nanoseconds = 250000000};
  for (long counted = milliseconds();;) {
    int ended = sys_wait(-1, &status, WNOHANG | WALL);
    if (ended == program) break;
    if (ended > 0) continue; /* an orphan */
    PollFd orders = {.fd = REPORT, .events = POLLIN};
    sys_ppoll(&orders, 1, most > 0 ? &between_counts : NULL, &none);
    char order = next_order();
    if (order == 'T') sys_kill(program, SIGTERM);
    if (order == 'K') {
      status = SIGKILL;
      break;
    }
    /* If thousands of children end, each wakes the supervisor. */
    if (most <= 0 || milliseconds() - counted < 250) continue;
    counted = milliseconds();
    if (count_threads(proc, started) <= most) continue;
    kill_all(program);
    report("exceeded pids", number((int)most));
    return 0;
  }
  kill_all(program);
  int signal = status & 0x7f;
  report(signal ? "ended signal" : "ended code", number(signal ? signal : (status >> 8) & 0xff));
  return 0;
}
