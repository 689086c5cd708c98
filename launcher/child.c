#include "child.h"

/* ---- signals ---- */

static volatile SignalSet caught; /* handlers run only inside ppoll: elsewhere the signals are blocked */

static void on_signal(int signal) { caught |= signal_bit(signal); }

static const int watched[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD};
enum { WATCHED = sizeof watched / sizeof *watched };

void watch_begin(Watch *watch) {
  SignalSet block = 0;
  for (int i = 0; i < WATCHED; i++) block |= signal_bit(watched[i]);
  sys_sigmask(SIG_BLOCK, &block, &watch->mask_before);
  for (int i = 0; i < WATCHED; i++) {
    SignalAction handle = {.handler = (uintptr_t)on_signal}, *before = &watch->before[watched[i]];
    sys_sigaction(watched[i], NULL, before);
    /* A signal that was ignored on purpose, for example by nohup, stays ignored; but a child's end must be noticed. */
    if (before->handler == 1 && watched[i] != SIGCHLD) continue;
    sys_sigaction(watched[i], &handle, NULL);
    watch->handled |= signal_bit(watched[i]);
  }
}

static void restore_signals(const Watch *watch) {
  for (int i = 0; i < WATCHED; i++)
    if (watch->handled & signal_bit(watched[i])) sys_sigaction(watched[i], &watch->before[watched[i]], NULL);
  sys_sigmask(SIG_SETMASK, &watch->mask_before, NULL);
}

/* Waits for input, a signal or the timeout; `mask_before` keeps signals blocked that were blocked at the start. */
static void wait_for_event(const Watch *watch, PollFd *input, const TimeSpec *timeout) {
  SignalSet mask = watch->mask_before & ~signal_bit(SIGCHLD);
  sys_ppoll(input, input ? 1 : 0, timeout, &mask);
}

/* The stop signal that came, or 0. */
static int stop_signal(void) {
  for (int i = 0; i < WATCHED; i++)
    if (watched[i] != SIGCHLD && (caught & signal_bit(watched[i]))) return watched[i];
  return 0;
}

/* The app must not start after a stop signal, so the launcher ends as the signal would have ended it. */
static void die_if_stopped(const Watch *watch) {
  int signal = stop_signal();
  if (!signal) return;
  restore_signals(watch);
  int self = sys_getpid();
  if (self != 1) { /* process 1 would survive its own signal */
    SignalSet unblock = signal_bit(signal);
    SignalAction by_default = {0};
    sys_sigaction(signal, &by_default, NULL);
    sys_kill(self, signal);
    sys_sigmask(SIG_UNBLOCK, &unblock, NULL);
  }
  sys_exit(128 + signal);
}

void watch_end(Watch *watch) {
  TimeSpec now = {0};
  wait_for_event(watch, NULL, &now);
  die_if_stopped(watch);
  restore_signals(watch);
}

/* ---- one program ---- */

typedef struct {
  int read, write;
} Pipe;

/* Both ends are above 3, so that the child's duplicates onto 0 and 3 never close a descriptor that is still needed. */
static Pipe open_pipe(const char *path) {
  int ends[2], failed = sys_pipe(ends);
  for (int i = 0; i < 2 && failed >= 0; i++) {
    if (ends[i] > 3) continue;
    int higher = sys_fcntl(ends[i], F_DUPFD_CLOEXEC, 4);
    sys_close(ends[i]);
    ends[i] = failed = higher;
  }
  if (failed < 0) fail(EXIT_LAUNCH, "exec.d %s: cannot make a pipe: %s", path, error_text(failed));
  return (Pipe){ends[0], ends[1]};
}

/*
 * Runs in the child. Standard input is an empty pipe, since only the app may read its input, and the image may have no
 * /dev/null. If execve fails, its errno is written to `trouble`, which a successful execve closes.
 */
_Noreturn static void become(const Watch *watch, const char *path, char **envp, int input, int output, int trouble) {
  char *argv[] = {(char *)path, NULL};
  sys_dup_onto(input, 0);
  sys_dup_onto(output, 3);
  restore_signals(watch); /* a stop signal passed on before this point is delivered now */
  int failed = sys_execve(path, argv, envp);
  sys_write(trouble, &failed, sizeof failed);
  sys_exit(127);
}

static int spawn(const Watch *watch, const char *path, char **envp, int *output) {
  Pipe in = open_pipe(path), out = open_pipe(path), trouble = open_pipe(path);
  int pid = sys_fork();
  if (pid == 0) become(watch, path, envp, in.read, out.write, trouble.write);
  sys_close(in.read);
  sys_close(in.write);
  sys_close(out.write);
  sys_close(trouble.write);
  if (pid < 0) fail(EXIT_LAUNCH, "exec.d %s: cannot start it: %s", path, error_text(pid));

  int failed = 0;
  long got;
  do got = sys_read(trouble.read, &failed, sizeof failed);
  while (got == -EINTR);
  sys_close(trouble.read);
  if (got > 0) fail(EXIT_LAUNCH, "exec.d %s: cannot start it: %s", path, error_text(failed));
  sys_fcntl(out.read, F_SETFL, O_NONBLOCK);
  *output = out.read;
  return pid;
}

/* Reads the output that is available. False at the end: every copy of the write end is closed. */
static bool drain(int fd, const char *path, int pid, char *output, size_t *size) {
  for (;;) {
    char beyond;
    bool full = *size == MAX_CHILD_OUTPUT;
    long got = sys_read(fd, full ? &beyond : output + *size, full ? 1 : MAX_CHILD_OUTPUT - *size);
    if (got == -EINTR) continue;
    if (got == -EAGAIN) return true;
    if (got <= 0) return false;
    if (full) {
      sys_kill(pid, SIGKILL);
      fail(EXIT_LAUNCH, "exec.d %s: it wrote more than %d bytes to file descriptor 3", path, MAX_CHILD_OUTPUT);
    }
    *size += (size_t)got;
  }
}

/* Reaps all ended processes: as process 1, the launcher also inherits processes that exec.d programs leave behind. */
static bool has_ended(int pid, int *status) {
  bool ended = false;
  int ended_status, one;
  while ((one = sys_wait(-1, &ended_status, WNOHANG)) > 0 || one == -EINTR)
    if (one == pid) ended = true, *status = ended_status;
  return ended;
}

size_t child_run(const Watch *watch, const char *path, char **envp, char output[MAX_CHILD_OUTPUT]) {
  PollFd input = {.events = POLLIN};
  int pid = spawn(watch, path, envp, &input.fd), status = 0;
  size_t size = 0;
  SignalSet passed_on = 0;
  bool open = true;

  /* Waits until the program itself ends. A daemon that it leaves behind may keep file descriptor 3 open. */
  while (!has_ended(pid, &status)) {
    wait_for_event(watch, open ? &input : NULL, NULL);
    for (int i = 0; i < WATCHED; i++) {
      SignalSet bit = signal_bit(watched[i]);
      if (watched[i] == SIGCHLD || !(caught & ~passed_on & bit)) continue;
      passed_on |= bit;
      sys_kill(pid, watched[i]);
      sys_kill(pid, SIGCONT); /* a stopped program must wake up to be stopped for good */
    }
    if (open) open = drain(input.fd, path, pid, output, &size);
  }
  if (open) drain(input.fd, path, pid, output, &size);
  sys_close(input.fd);

  die_if_stopped(watch);
  int code = status >> 8 & 0xFF, killed_by = status & 0x7F;
  if (killed_by) fail(EXIT_LAUNCH, "exec.d %s: killed by signal %d", path, killed_by);
  if (code) fail(EXIT_LAUNCH, "exec.d %s: exit status %d", path, code);
  return size;
}
