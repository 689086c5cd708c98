/*
 * The app of the launcher's tests. `show` prints, each ended by NUL: the number of its arguments, these, its working
 * directory, and its environment. As `show --odd <kind> <program> [<arg>...]` it starts a program in a way that no
 * shell can; as `show --orphans <count>` it leaves that many ended children behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* As a container runtime's profile that is older than the kernel: every call after pidfd_send_signal (424) is refused.
 */
static void refuse_new_calls(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 424, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit(99);
}

/* Goes on as process 1 of a PID namespace, as in a container. Ends with 77 where that is not allowed. */
static void become_process_1(void) {
  int status;
  if (unshare(CLONE_NEWUSER | CLONE_NEWPID)) exit(77);
  pid_t pid = fork();
  if (pid == 0) return;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) exit(77);
  exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Whatever is mounted, it may only be read. Ends with 77 where that is not allowed. */
static void forbid_writing(void) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) exit(77);
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes)) exit(77);
}

static void limit_stack(int megabytes) {
  struct rlimit limit;
  getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = (rlim_t)megabytes << 20;
  if (setrlimit(RLIMIT_STACK, &limit)) exit(77);
}

/* Children that have ended and whose parent is gone, in waves of a thousand for machines that allow few processes. */
static int leave_orphans(int count) {
  for (; count > 0; count -= 1000) {
    pid_t parent = fork();
    if (parent < 0) return 96;
    if (parent == 0)
      for (int i = 0; i < 1000; i++) {
        pid_t child = vfork();
        if (child <= 0) _exit(child < 0);
        if (i == 999) _exit(0);
      }
    int status;
    if (waitpid(parent, &status, 0) < 0 || status) return 96;
  }
  return 0;
}

static int odd(const char *kind, char **argv) {
  char *no_arguments[] = {NULL}, **environment = environ;
  if (!strcmp(kind, "empty-argv")) return execve(argv[0], no_arguments, environ), 98;
  if (!strcmp(kind, "closed")) close(0), close(1), close(2);
  if (!strcmp(kind, "closed-0")) close(0);
  if (!strcmp(kind, "process-1")) become_process_1();
  if (!strcmp(kind, "subreaper")) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (!strcmp(kind, "read-only")) forbid_writing();
  if (!strncmp(kind, "stack-", 6)) limit_stack(atoi(kind + 6));
  if (!strcmp(kind, "old-seccomp")) refuse_new_calls();
  if (!strcmp(kind, "duplicate-env")) {
    size_t count = 0;
    while (environ[count]) count++;
    environment = calloc(count + 4, sizeof *environment);
    environment[0] = "TWICE=first";
    memcpy(environment + 1, environ, count * sizeof *environment);
    environment[count + 1] = "TWICE=last";
    environment[count + 2] = "no equals sign";
  }
  char *program = argv[0];
  if (getenv("ODD_ARGV0")) argv[0] = getenv("ODD_ARGV0");
  execve(program, argv, environment);
  return 98;
}

int main(int argc, char **argv) {
  if (argc > 3 && !strcmp(argv[1], "--odd")) return odd(argv[2], argv + 3);
  if (argc == 3 && !strcmp(argv[1], "--orphans")) return leave_orphans(atoi(argv[2]));
  FILE *out = stdout;
  if (getenv("SHOW_TO")) out = fopen(getenv("SHOW_TO"), "w"); /* where there may be no standard output */
  if (!out) return 97;
  char directory[4096] = "";
  fprintf(out, "%d%c", argc, 0);
  for (int i = 0; i < argc; i++) fprintf(out, "%s%c", argv[i], 0);
  fprintf(out, "%s%c", getcwd(directory, sizeof directory) ? directory : "?", 0);
  for (char **entry = environ; *entry; entry++) fprintf(out, "%s%c", *entry, 0);
  if (getenv("SHOW_FDS"))
    for (int fd = 0; fd < 64; fd++)
      if (fd != fileno(out) || out == stdout)
        if (fcntl(fd, F_GETFD) >= 0) fprintf(out, "fd %d%c", fd, 0);
  if (getenv("SHOW_CHILDREN")) {
    int count = 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) count++;
    fprintf(out, "ended children: %d%c", count, 0);
  }
  return fclose(out) != 0;
}
