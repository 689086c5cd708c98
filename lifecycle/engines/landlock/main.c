/*
 * landlock [-r <path>]... [-w <path>]... [<program> <arg>...]
 *
 * Becomes the program after it has taken from itself, and from all that it will start, the way to abstract unix sockets of
 * others (Linux 6.12, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET): these are part of the network namespace, so that a sandbox with
 * the host's network would reach a server there which hands out descriptors of the host's files (X06, X38). Abstract sockets
 * among the program's own processes work as before.
 *
 * With paths it also takes away all files but those at and below the paths: -r may be read and executed, -w changed as well.
 * Where no namespace can be made, this is what keeps buildpacks from the files of the job around them. The kernel then also
 * keeps them from processes outside: ptrace(2) and what needs the same permission, such as /proc/<pid>/environ (K15), and
 * from Linux 6.12 on signals (X11). Paths need Linux 5.19: before, no file could be moved from one directory to another.
 *
 * Without a program it exits with 0 if this kernel can do what is asked, with 1 if not.
 */
#include "../../../launcher/base.h"

// clang-format off
#if defined(__x86_64__)
enum { NR_prctl = 157 };
#else
enum { NR_prctl = 167 };
#endif
/* The same on every machine. */
enum { NR_landlock_create_ruleset = 444, NR_landlock_add_rule = 445, NR_landlock_restrict_self = 446 };
// clang-format on

enum { PR_SET_NO_NEW_PRIVS = 38, CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, OPEN_PATH = 010000000 };
enum { SCOPE_ABSTRACT_UNIX_SOCKET = 1, SCOPE_SIGNAL = 2, FIRST_ABI_WITH_SCOPES = 6, FIRST_ABI_WITH_MOVES = 2 };
enum { EXIT_UNSUPPORTED = 1, EXIT_NOT_STARTED = 125 };

/* linux/landlock.h: rights to files, by the ABI that brought them. */
enum { EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15 };
enum { RIGHTS_OF_ABI_2 = (1 << 14) - 1, FOR_READERS = EXECUTE | READ_FILE | READ_DIR };
enum { FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV };

#ifndef HOSTED
enum { EINVAL = 22 };
#endif

/* linux/landlock.h, struct landlock_ruleset_attr and landlock_path_beneath_attr */
typedef struct {
  uint64_t handled_access_fs, handled_access_net, scoped;
} Ruleset;
typedef struct __attribute__((packed)) {
  uint64_t allowed_access;
  int32_t parent_fd;
} PathRule;

static uint64_t known_rights(long abi) {
  return (uint64_t)RIGHTS_OF_ABI_2 | (abi >= 3 ? TRUNCATE : 0) | (abi >= 5 ? IOCTL_DEV : 0);
}

/* Linux before 6.7 takes a shorter struct only. */
static long ruleset_size(long abi) { return abi >= FIRST_ABI_WITH_SCOPES ? 24 : abi >= 4 ? 16 : 8; }

static void allow(long ruleset, const char *path, uint64_t rights) {
  int fd = sys_open(path, OPEN_PATH | O_CLOEXEC);
  if (fd < 0) fail(EXIT_NOT_STARTED, "landlock: %s: %s", path, error_text(fd));
  PathRule rule = {.allowed_access = rights, .parent_fd = fd};
  long error = SYS(landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
  if (error == -EINVAL) { /* rights to a directory are an error for what is none */
    rule.allowed_access &= FOR_FILES;
    error = SYS(landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
  }
  if (error < 0) fail(EXIT_NOT_STARTED, "landlock: %s cannot be opened to the program: %s", path, error_text((int)error));
  sys_close(fd);
}

int program_main(int argc, char **argv, char **envp) {
  int first = 1;
  while (first + 1 < argc && (str_equal(str(argv[first]), S("-r")) || str_equal(str(argv[first]), S("-w")))) first += 2;
  bool files = first > 1;
  long abi = SYS(landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION, 0);
  bool supported = abi >= (files ? FIRST_ABI_WITH_MOVES : FIRST_ABI_WITH_SCOPES);
  if (first >= argc) sys_exit(supported ? 0 : EXIT_UNSUPPORTED);
  if (!supported) fail(EXIT_NOT_STARTED, "landlock: this kernel does not have it, or not what is needed");

  const uint64_t rights = files ? known_rights(abi) : 0;
  const uint64_t scopes = SCOPE_ABSTRACT_UNIX_SOCKET | (files ? SCOPE_SIGNAL : 0);
  const Ruleset rules = {.handled_access_fs = rights, .scoped = abi >= FIRST_ABI_WITH_SCOPES ? scopes : 0};
  long fd = SYS(landlock_create_ruleset, &rules, ruleset_size(abi), 0, 0);
  if (fd < 0) fail(EXIT_NOT_STARTED, "landlock: a ruleset cannot be made: %s", error_text((int)fd));
  for (int i = 1; i < first; i += 2) allow(fd, argv[i + 1], argv[i][1] == 'w' ? rights : rights & FOR_READERS);
  int error = (int)sys_call(NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
  if (error == 0) error = (int)SYS(landlock_restrict_self, fd, 0, 0, 0);
  if (error < 0) fail(EXIT_NOT_STARTED, "landlock: it cannot be applied: %s", error_text(error));
  sys_close((int)fd);
  error = sys_execve(argv[first], argv + first, envp);
  fail(EXIT_NOT_STARTED, "landlock: %s cannot be started: %s", argv[first], error_text(error));
}
