/*
 * landlock [<program> <arg>...]
 *
 * Becomes the program after it has taken from itself, and from all that it will start, the way to abstract unix sockets of
 * others (Linux 6.12, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET): these are part of the network namespace, so that a sandbox with
 * the host's network would reach a server there which hands out descriptors of the host's files (X06, X38). Abstract sockets
 * among the program's own processes work as before.
 *
 * Without a program it exits with 0 if this kernel can do that, with 1 if not.
 */
#include "../../../launcher/base.h"

// clang-format off
#if defined(__x86_64__)
enum { NR_prctl = 157 };
#else
enum { NR_prctl = 167 };
#endif
/* The same on every machine. */
enum { NR_landlock_create_ruleset = 444, NR_landlock_restrict_self = 446 };
// clang-format on

enum { PR_SET_NO_NEW_PRIVS = 38, CREATE_RULESET_VERSION = 1, SCOPE_ABSTRACT_UNIX_SOCKET = 1, FIRST_ABI_WITH_SCOPES = 6 };
enum { EXIT_UNSUPPORTED = 1, EXIT_NOT_STARTED = 125 };

/* linux/landlock.h, struct landlock_ruleset_attr */
typedef struct {
  uint64_t handled_access_fs, handled_access_net, scoped;
} Ruleset;

int program_main(int argc, char **argv, char **envp) {
  if (argc < 2) {
    long abi = SYS(landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION, 0);
    sys_exit(abi >= FIRST_ABI_WITH_SCOPES ? 0 : EXIT_UNSUPPORTED);
  }
  const Ruleset rules = {.scoped = SCOPE_ABSTRACT_UNIX_SOCKET};
  long fd = SYS(landlock_create_ruleset, &rules, sizeof rules, 0, 0);
  if (fd < 0) fail(EXIT_NOT_STARTED, "landlock: a ruleset cannot be made: %s", error_text((int)fd));
  int error = (int)sys_call(NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
  if (error == 0) error = (int)SYS(landlock_restrict_self, fd, 0, 0, 0);
  if (error < 0) fail(EXIT_NOT_STARTED, "landlock: it cannot be applied: %s", error_text(error));
  sys_close((int)fd);
  error = sys_execve(argv[1], argv + 1, envp);
  fail(EXIT_NOT_STARTED, "landlock: %s cannot be started: %s", argv[1], error_text(error));
}
