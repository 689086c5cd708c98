/*
 * The app of the launcher's tests. `show` prints, each ended by NUL: the number of its arguments, these, its working
 * directory, and its environment. As `show --odd <kind> <program> [<arg>...]` it starts a program in a way that no
 * shell can.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

static int odd(const char *kind, char **argv) {
  char *no_arguments[] = {NULL}, **environment = environ;
  if (!strcmp(kind, "empty-argv")) return execve(argv[0], no_arguments, environ), 98;
  if (!strcmp(kind, "closed")) close(0), close(1), close(2);
  if (!strcmp(kind, "closed-0")) close(0);
  if (!strcmp(kind, "process-1")) become_process_1();
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
