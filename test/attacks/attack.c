/*
 * What hostile processes do, for tests that perform the attack. Links with nothing but libc, statically.
 *
 *   attack swap A B          exchanges two names for ever (renameat2, RENAME_EXCHANGE): X25, X35, X43
 *   attack daemon FILE WORD  raises and lowers its limits, closes its descriptors, forks twice into a session of its own, and
 *                            appends to FILE for ever: X36. WORD is only there to find the process by.
 *   attack chain WORD        a process that is replaced by a child of its own for ever, faster than any list of processes: X36
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void hide(void) {
  for (int which = 0; which < RLIM_NLIMITS; which++) {
    struct rlimit limit;
    if (which == RLIMIT_NOFILE || which == RLIMIT_STACK || which == RLIMIT_AS || which == RLIMIT_DATA ||
        which == RLIMIT_FSIZE || which == RLIMIT_CPU || which == RLIMIT_NPROC || getrlimit(which, &limit) != 0)
      continue;
    limit.rlim_cur = limit.rlim_max = 1; /* a mark that was hidden in a limit is gone */
    setrlimit(which, &limit);
  }
  for (int signal = 1; signal < NSIG; signal++) (void)!sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
  prctl(PR_SET_NAME, "kworker/0:0");
  prctl(PR_SET_PDEATHSIG, 0);
}

static void detach(void) {
  for (int times = 0; times < 2; times++) {
    if (fork() > 0) _exit(0);
    setsid();
  }
  syscall(SYS_close_range, 0, ~0U, 0);
}

static void write_for_ever(const char *file) {
  hide();
  detach();
  for (;;) {
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0644);
    (void)!write(fd, "x", 1);
    close(fd);
    usleep(1000);
  }
}

static void replace_for_ever(void) {
  hide();
  detach();
  for (;;)
    if (fork() > 0) _exit(0);
}

static int swap_for_ever(const char *a, const char *b) {
  for (;;)
    if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0) {
      perror("renameat2");
      return 1;
    }
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "swap")) return swap_for_ever(argv[2], argv[3]);
  if (argc == 4 && !strcmp(argv[1], "daemon")) write_for_ever(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "chain")) replace_for_ever();
  fputs("usage: attack swap A B | daemon FILE WORD | chain WORD\n", stderr);
  return 2;
}
