/*
 * The only access to the kernel: raw Linux system calls for amd64 and arm64.
 *
 * The launcher is part of every image that Bale makes, on any base image, so it can rely on nothing in it: no libc, no
 * loader, no /etc, no /proc. This file has only calls that every kernel and seccomp profile since Linux 2.6.27 allows.
 * arm64 never had the older forms (open, pipe, dup2, fork), so both machines use the same newer ones.
 *
 * With -DHOSTED the same calls go through libc's syscall(), so that sanitizers and fuzzers can watch the same sources.
 */
#ifndef SYS_H
#define SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// clang-format off
#if defined(__x86_64__)
enum {
  NR_read = 0, NR_write = 1, NR_close = 3, NR_fstat = 5, NR_mmap = 9, NR_rt_sigaction = 13, NR_rt_sigprocmask = 14,
  NR_getpid = 39, NR_clone = 56, NR_execve = 59, NR_wait4 = 61, NR_kill = 62, NR_fcntl = 72, NR_getcwd = 79,
  NR_chdir = 80, NR_getdents64 = 217, NR_exit_group = 231, NR_openat = 257, NR_newfstatat = 262, NR_faccessat = 269,
  NR_ppoll = 271, NR_dup3 = 292, NR_pipe2 = 293,
};
enum { O_DIRECTORY = 0200000 };
typedef struct {
  uint64_t dev, ino, nlink;
  uint32_t mode, uid, gid, pad;
  uint64_t rdev;
  int64_t size, rest[11];
} Stat;
_Static_assert(sizeof(Stat) == 144, "the kernel's struct stat on amd64");
#elif defined(__aarch64__)
enum {
  NR_getcwd = 17, NR_dup3 = 24, NR_fcntl = 25, NR_faccessat = 48, NR_chdir = 49, NR_openat = 56, NR_close = 57,
  NR_pipe2 = 59, NR_getdents64 = 61, NR_read = 63, NR_write = 64, NR_ppoll = 73, NR_newfstatat = 79, NR_fstat = 80,
  NR_exit_group = 94, NR_kill = 129, NR_rt_sigaction = 134, NR_rt_sigprocmask = 135, NR_getpid = 172, NR_clone = 220,
  NR_execve = 221, NR_mmap = 222, NR_wait4 = 260,
};
enum { O_DIRECTORY = 040000 };
typedef struct {
  uint64_t dev, ino;
  uint32_t mode, nlink, uid, gid;
  uint64_t rdev, pad;
  int64_t size, rest[9];
} Stat;
_Static_assert(sizeof(Stat) == 128, "the kernel's struct stat on arm64");
#else
#error "the launcher knows amd64 and arm64"
#endif

enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100 };
enum { O_RDONLY = 0, O_RDWR = 2, O_NONBLOCK = 04000, O_CLOEXEC = 02000000 };
enum { F_SETFD = 2, F_GETFD = 1, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030 };
enum { S_IFMT = 0170000, S_IFDIR = 0040000, S_IFREG = 0100000 };
enum { X_OK = 1, F_OK = 0 };
enum { WNOHANG = 1 };
enum { POLLIN = 1 };
enum { PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20 };

enum { SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGPIPE = 13, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18 };
enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };

#ifdef HOSTED
#include <errno.h>
#else
enum {
  ENOENT = 2, EINTR = 4, E2BIG = 7, ENOEXEC = 8, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13, ENOTDIR = 20,
  EISDIR = 21, EMFILE = 24, ELOOP = 40, ENAMETOOLONG = 36, ETXTBSY = 26, EPERM = 1, EIO = 5,
};
#endif
// clang-format on

typedef struct {
  int fd;
  short events, revents;
} PollFd;

typedef struct {
  int64_t seconds, nanoseconds;
} TimeSpec;

typedef uint64_t SignalSet; /* bit n-1 is signal n, as in the kernel */

typedef struct {
  uintptr_t handler; /* 0 is the default action, 1 is ignore, else a function */
  unsigned long flags;
  void (*restorer)(void);
  SignalSet mask;
} SignalAction;

typedef struct {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
} DirectoryEntry;

/* Every call returns a negative errno on failure, as the kernel does. There is no global errno variable. */
long sys_call(long number, long a, long b, long c, long d, long e, long f);

#define SYS(name, a, b, c, d) sys_call(NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static inline long sys_read(int fd, void *buffer, size_t size) { return SYS(read, fd, buffer, size, 0); }
static inline long sys_write(int fd, const void *data, size_t size) { return SYS(write, fd, data, size, 0); }
static inline int sys_open(const char *path, int flags) { return (int)SYS(openat, AT_FDCWD, path, flags, 0); }
static inline int sys_close(int fd) { return (int)SYS(close, fd, 0, 0, 0); }
static inline int sys_fstat(int fd, Stat *out) { return (int)SYS(fstat, fd, out, 0, 0); }
static inline int sys_stat(const char *path, Stat *out) { return (int)SYS(newfstatat, AT_FDCWD, path, out, 0); }
static inline int sys_lstat(const char *path, Stat *out) {
  return (int)SYS(newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW);
}
static inline int sys_access(const char *path, int mode) { return (int)SYS(faccessat, AT_FDCWD, path, mode, 0); }
static inline long sys_getdents(int fd, void *buffer, size_t size) { return SYS(getdents64, fd, buffer, size, 0); }
static inline int sys_chdir(const char *path) { return (int)SYS(chdir, path, 0, 0, 0); }
static inline long sys_getcwd(char *buffer, size_t size) { return SYS(getcwd, buffer, size, 0, 0); }
static inline int sys_fcntl(int fd, int command, long argument) { return (int)SYS(fcntl, fd, command, argument, 0); }
static inline int sys_dup_onto(int from, int to) { return (int)SYS(dup3, from, to, 0, 0); }
static inline int sys_pipe(int ends[2]) { return (int)SYS(pipe2, ends, O_CLOEXEC, 0, 0); }
static inline int sys_getpid(void) { return (int)SYS(getpid, 0, 0, 0, 0); }
static inline int sys_fork(void) { return (int)SYS(clone, SIGCHLD, 0, 0, 0); }
static inline int sys_kill(int pid, int signal) { return (int)SYS(kill, pid, signal, 0, 0); }
static inline int sys_wait(int pid, int *status, int options) { return (int)SYS(wait4, pid, status, options, 0); }
static inline int sys_execve(const char *path, char *const argv[], char *const envp[]) {
  return (int)SYS(execve, path, argv, envp, 0);
}
static inline int sys_sigmask(int how, const SignalSet *set, SignalSet *old) {
  return (int)SYS(rt_sigprocmask, how, set, old, sizeof(SignalSet));
}
static inline int sys_ppoll(PollFd *fds, unsigned count, const TimeSpec *timeout, const SignalSet *mask) {
  return (int)sys_call(NR_ppoll, (long)fds, (long)count, (long)timeout, (long)mask, (long)sizeof(SignalSet), 0);
}
static inline void *sys_map(size_t size) {
  long at = sys_call(NR_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at < 0 && at > -4096 ? NULL : (void *)at;
}
_Noreturn static inline void sys_exit(int status) {
  for (;;) SYS(exit_group, status, 0, 0, 0);
}

int sys_sigaction(int signal, const SignalAction *action, SignalAction *old);

static inline SignalSet signal_bit(int signal) { return (SignalSet)1 << (signal - 1); }

#endif
