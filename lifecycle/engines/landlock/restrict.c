#include "restrict.h"

// clang-format off
#if defined(__x86_64__)
enum { NR_prctl = 157 };
enum { O_NOFOLLOW = 0400000 };
#else
enum { NR_prctl = 167 };
enum { O_NOFOLLOW = 0100000 };
#endif
/* The same on every machine. */
enum { NR_landlock_create_ruleset = 444, NR_landlock_add_rule = 445, NR_landlock_restrict_self = 446 };
// clang-format on

enum { O_PATH = 010000000, S_IFLNK = 0120000 };
enum { PR_GET_SECCOMP = 21, PR_SET_SECCOMP = 22, PR_SET_NO_NEW_PRIVS = 38, SECCOMP_MODE_FILTER = 2 };

/* linux/landlock.h */
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, SCOPE_ABSTRACT_UNIX_SOCKET = 1, SCOPE_SIGNAL = 2 };
/* Moving an entry to another directory. The kernel denies it if a process is restricted more than once and one of the
 * restrictions does not allow it explicitly. */
enum { REFER = 1 << 13 };
enum { FIRST_VERSION_WITH_MOVES = 2, FIRST_VERSION_WITH_IOCTL = 5 };
enum { FIRST_VERSION_WITH_TRUNCATE = 3, FIRST_VERSION_WITH_SCOPES = 6 };
/* Writing and truncating a file; removing, making and moving entries of a directory. Reading is not restricted. */
enum { WRITE_FILE = 1 << 1, TRUNCATE = 1 << 14, OF_FILES = WRITE_FILE | TRUNCATE, OF_DIRECTORIES = 0x3ff0 | OF_FILES };
/* All rights of each version, for -r and -w. */
enum { EXECUTE = 1 << 0, READ_FILE = 1 << 2, READ_DIR = 1 << 3, IOCTL_DEV = 1 << 15, OF_VERSION_2 = (1 << 14) - 1 };
enum { TO_READ = EXECUTE | READ_FILE | READ_DIR, OF_ANY_FILE = EXECUTE | READ_FILE | OF_FILES | IOCTL_DEV };

/* struct landlock_ruleset_attr */
typedef struct {
  uint64_t handled_access_fs, handled_access_net, scoped;
} Ruleset;

/* struct landlock_path_beneath_attr */
typedef struct {
  uint64_t allowed_access;
  int32_t parent_fd;
} __attribute__((packed)) PathBeneath;

/* struct sock_filter, which is 8 bytes long, and struct sock_fprog */
enum { INSTRUCTION_SIZE = 8, MOST_INSTRUCTIONS = 4096 };
typedef struct {
  uint16_t length;
  const char *instructions;
} Filter;

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns whether the digits are whole instructions. */
static bool read_filter(Str *bytes, Str digits) {
  if (digits.len == 0 || digits.len % (2 * INSTRUCTION_SIZE) != 0) return false;
  if (digits.len / (2 * INSTRUCTION_SIZE) > MOST_INSTRUCTIONS) return false;
  char *to = allocate(digits.len / 2);
  for (size_t i = 0; i < digits.len; i += 2) {
    const int high = digit(digits.ptr[i]), low = digit(digits.ptr[i + 1]);
    if (high < 0 || low < 0) return false;
    to[i / 2] = (char)(16 * high + low);
  }
  *bytes = (Str){to, digits.len / 2};
  return true;
}

int read_restriction(Restrictions *restrictions, int argc, char **argv, int at) {
  const Str option = str(argv[at]);
  const bool has_value = at + 1 < argc;
  if (str_equal(option, S("--sockets"))) return restrictions->sockets = true;
  if (str_equal(option, S("--signals"))) return restrictions->signals = true;
  if (str_equal(option, S("--mounting"))) return restrictions->mounting = true;
  if (has_value && str_equal(option, S("--read-only"))) return list_add(&restrictions->read_only, str(argv[at + 1])), 2;
  if (has_value && str_equal(option, S("-r"))) return list_add(&restrictions->only_read, str(argv[at + 1])), 2;
  if (has_value && str_equal(option, S("-w"))) return list_add(&restrictions->only_change, str(argv[at + 1])), 2;
  if (has_value && str_equal(option, S("--writable"))) return list_add(&restrictions->writable, str(argv[at + 1])), 2;
  if (has_value && str_equal(option, S("--system-calls")) && read_filter(&restrictions->system_calls, str(argv[at + 1]))) return 2;
  return 0;
}

int landlock_version(void) {
  int version = (int)SYS(landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION, 0);
  return version > 0 ? version : 0;
}

static Str failure(const char *what, int error) {
  return str_concat3(str(what), S(": "), str(error_text(error)));
}

/* Allows rights to an open entry. Rights of directories are an error for files. A link's target has its own rule. */
static Str allow_open(int ruleset, int fd, const char *path, uint64_t rights) {
  Stat stat = {0};
  int error = sys_fstat(fd, &stat);
  if (error == 0 && (stat.mode & S_IFMT) != S_IFLNK) {
    const bool is_directory = (stat.mode & S_IFMT) == S_IFDIR;
    const PathBeneath rule = {.allowed_access = is_directory ? rights : rights & OF_ANY_FILE, .parent_fd = fd};
    if (rule.allowed_access != 0) error = (int)SYS(landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
  }
  sys_close(fd);
  return error < 0 ? failure(path, error) : S("");
}

/* A missing entry, or one that only root may look up, needs no rule. */
static Str allow(int ruleset, const char *path, uint64_t rights) {
  int fd = sys_open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? S("") : allow_open(ruleset, fd, path, rights);
}

/* Allows only these paths, which may be links and must exist. */
static Str allow_only(int ruleset, const StrList *paths, uint64_t rights) {
  for (size_t i = 0; i < paths->len; i++) {
    const char *path = paths->items[i].ptr;
    int fd = sys_open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return failure(path, fd);
    Str failed = allow_open(ruleset, fd, path, rights);
    if (failed.len > 0) return failed;
  }
  return S("");
}

/* Returns whether a path is below a directory. */
static bool is_below(Str path, Str directory) {
  return path.len > directory.len && memcmp(path.ptr, directory.ptr, directory.len) == 0 && path.ptr[directory.len] == '/';
}

static Str allow_others(int ruleset, const char *directory, const StrList *read_only);

/* Allows an entry of a directory or, if it contains read-only paths, the entries beside them. */
static Str allow_entry(int ruleset, const char *path, const StrList *read_only) {
  if (list_contains(read_only, str(path))) return S("");
  for (size_t i = 0; i < read_only->len; i++)
    if (is_below(read_only->items[i], str(path))) return allow_others(ruleset, path, read_only);
  return allow(ruleset, path, OF_DIRECTORIES);
}

/* If a directory cannot be listed, this still allows entries beside the read-only paths further down. */
static Str allow_towards(int ruleset, const char *directory, const StrList *read_only) {
  const size_t length = str(directory).len;
  StrList done = {0};
  for (size_t i = 0; i < read_only->len; i++) {
    const Str path = read_only->items[i];
    if (!is_below(path, str(directory))) continue;
    size_t end = length + 1;
    while (end < path.len && path.ptr[end] != '/') end++;
    const char *next = path_join(directory, (Str){path.ptr + length + 1, end - length - 1});
    if (list_contains(&done, str(next))) continue;
    list_add(&done, str(next));
    Str failed = allow_entry(ruleset, next, read_only);
    if (failed.len > 0) return failed;
  }
  return S("");
}

/* Allows everything in a directory, "" for the root, except read-only paths. */
static Str allow_others(int ruleset, const char *directory, const StrList *read_only) {
  Str failed = S("");
  int fd = sys_open(*directory ? directory : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  /* If it cannot be listed, as with -r and -w, only named paths are allowed, and paths that every program writes to. */
  if (fd == -EACCES) {
    if (!*directory) failed = allow_entry(ruleset, "/dev", read_only);
    if (!*directory && failed.len == 0) failed = allow_entry(ruleset, "/proc", read_only);
    return failed.len > 0 ? failed : allow_towards(ruleset, directory, read_only);
  }
  if (fd < 0) return failure(directory, fd);
  char *buffer = allocate(32768);
  for (long size; failed.len == 0 && (size = sys_getdents(fd, buffer, 32768)) > 0;) {
    for (long at = 0; failed.len == 0 && at < size;) {
      DirectoryEntry *entry = (DirectoryEntry *)(buffer + at);
      at += entry->size;
      const Str name = str(entry->name);
      if (str_equal(name, S(".")) || str_equal(name, S(".."))) continue;
      failed = allow_entry(ruleset, path_join(directory, name), read_only);
    }
  }
  sys_close(fd);
  return failed;
}

static int set_no_new_privileges(void) {
  return (int)sys_call(NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
}

static Str restrict_calls(Str system_calls) {
  if (system_calls.len == 0) return S("");
  /* A kernel without filters, or an emulator of another machine, reports that. */
  if (sys_call(NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) < 0) return S("");
  const Filter filter = {(uint16_t)(system_calls.len / INSTRUCTION_SIZE), system_calls.ptr};
  int error = set_no_new_privileges();
  if (error == 0) error = (int)sys_call(NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&filter, 0, 0, 0);
  return error < 0 ? failure("the filter of system calls cannot be applied", error) : S("");
}

static Str restrict_files(const Restrictions *restrictions) {
  const int version = landlock_version();
  const bool only = restrictions->only_read.len + restrictions->only_change.len > 0;
  Ruleset rules = {0};
  if (only && version < FIRST_VERSION_WITH_MOVES) return S("this kernel does not have it, or not what is needed");
  if (restrictions->read_only.len > 0 && version >= FIRST_VERSION_WITH_TRUNCATE) rules.handled_access_fs = OF_DIRECTORIES;
  if (only)
    rules.handled_access_fs = OF_VERSION_2 | (version >= FIRST_VERSION_WITH_TRUNCATE ? TRUNCATE : 0) |
                              (version >= FIRST_VERSION_WITH_IOCTL ? IOCTL_DEV : 0);
  if (version >= FIRST_VERSION_WITH_SCOPES)
    rules.scoped = (only || restrictions->sockets ? SCOPE_ABSTRACT_UNIX_SOCKET : 0) |
                   (only || restrictions->signals ? SCOPE_SIGNAL : 0);
  if (rules.handled_access_fs == 0 && rules.scoped == 0) return S("");
  if (rules.handled_access_fs == 0 && !restrictions->mounting) rules.handled_access_fs = REFER;
  /* Linux before 6.7 accepts only a shorter struct. */
  const long size = version >= FIRST_VERSION_WITH_SCOPES ? 24 : version >= 4 ? 16 : 8;
  int ruleset = (int)SYS(landlock_create_ruleset, &rules, size, 0, 0);
  if (ruleset < 0) return failure("a ruleset cannot be made", ruleset);
  Str failed = S("");
  if (only) {
    failed = allow_only(ruleset, &restrictions->only_read, rules.handled_access_fs & TO_READ);
    if (failed.len == 0) failed = allow_only(ruleset, &restrictions->only_change, rules.handled_access_fs);
  } else if (rules.handled_access_fs == REFER) {
    failed = allow(ruleset, "/", REFER);
  } else if (rules.handled_access_fs != 0) {
    failed = allow_others(ruleset, "", &restrictions->read_only);
    for (size_t i = 0; failed.len == 0 && i < restrictions->writable.len; i++)
      failed = allow(ruleset, restrictions->writable.items[i].ptr, OF_DIRECTORIES);
  }
  if (failed.len > 0) return failed;
  int error = set_no_new_privileges();
  if (error == 0) error = (int)SYS(landlock_restrict_self, ruleset, 0, 0, 0);
  sys_close(ruleset);
  return error < 0 ? failure("the ruleset cannot be applied", error) : S("");
}

Str restrict_self(const Restrictions *restrictions) {
  Str failed = restrict_files(restrictions);
  return failed.len > 0 ? failed : restrict_calls(restrictions->system_calls);
}
