/*
 * landlock [<placement>]... [<restriction>]... [<program> <arg>...]
 *
 * Becomes another user as described in place.h, drops the rights that restrict.h names, and then executes the program.
 * Without a program it prints the version of Landlock's interface in the kernel, so that the caller knows what it enforces.
 */
#include "place.h"
#include "restrict.h"

enum { EXIT_NOT_STARTED = 125 };

/* Prints in decimal, with a newline, on standard output. */
static void print(int number) {
  char text[16], *end = text + sizeof text, *start = end;
  *--start = '\n';
  do *--start = (char)('0' + number % 10);
  while (number /= 10);
  sys_write(1, start, (size_t)(end - start));
}

int program_main(int argc, char **argv, char **envp) {
  Placement placement = {0};
  Restrictions restrictions = {0};
  int at = 1;
  while (at < argc && argv[at][0] == '-') {
    int words = read_placement(&placement, argc, argv, at);
    if (words == 0) words = read_restriction(&restrictions, argc, argv, at);
    if (words == 0) fail(EXIT_NOT_STARTED, "landlock: unknown option %s", argv[at]);
    at += words;
  }
  if (at >= argc) {
    print(landlock_version());
    return 0;
  }
  Str failed = place_self(&placement);
  if (failed.len == 0) failed = restrict_self(&restrictions);
  if (failed.len > 0) fail(EXIT_NOT_STARTED, "landlock: %.*s", SHOW(failed));
  int error = sys_execve(argv[at], argv + at, envp);
  fail(EXIT_NOT_STARTED, "landlock: %s cannot be started: %s", argv[at], error_text(error));
}
