#include "place.h"

// clang-format off
#if defined(__x86_64__)
enum { NR_setgroups = 116, NR_setresuid = 117, NR_setresgid = 119, NR_mount = 165, NR_mkdirat = 258, NR_unshare = 272 };
#else
enum { NR_mkdirat = 34, NR_mount = 40, NR_unshare = 97, NR_setresuid = 147, NR_setresgid = 149, NR_setgroups = 159 };
#endif
/* The same on every machine. */
enum { NR_open_tree = 428, NR_move_mount = 429, NR_mount_setattr = 442 };
// clang-format on

enum { O_WRONLY = 1, O_CREAT = 0100, O_EXCL = 0200 };
enum { CLONE_NEWNS = 0x20000, CLONE_NEWUSER = 0x10000000 };
enum { MS_NOSUID = 2, MS_NODEV = 4, MS_REC = 1 << 14, MS_PRIVATE = 1 << 18 };
enum { OPEN_TREE_CLONE = 1, AT_EMPTY_PATH = 0x1000, AT_RECURSIVE = 0x8000, MOVE_MOUNT_F_EMPTY_PATH = 4 };
enum { MOUNT_ATTR_NOSUID = 2, MOUNT_ATTR_NODEV = 4, MOUNT_ATTR_IDMAP = 1 << 20 };
/* The largest id in a map. The next one means "do not change". */
static const long LARGEST = 0xfffffffeL;

/* struct mount_attr */
typedef struct {
  uint64_t attr_set, attr_clr, propagation, userns_fd;
} MountAttributes;

static long parse_id(const char *text) {
  long value = 0;
  for (const char *p = text; *p; p++) {
    if (*p < '0' || *p > '9' || value >= LARGEST) return -1;
    value = value * 10 + (*p - '0');
  }
  return *text && value < LARGEST ? value : -1;
}

int read_placement(Placement *placement, int argc, char **argv, int at) {
  const Str option = str(argv[at]);
  if (at + 1 >= argc) return 0;
  if (str_equal(option, S("--places"))) return placement->directory = argv[at + 1], 2;
  if (str_equal(option, S("--enter"))) return placement->enter = argv[at + 1], 2;
  const long number = parse_id(argv[at + 1]);
  if (str_equal(option, S("--user")) && number > 0) return placement->user = number, 2;
  if (!str_equal(option, S("--place")) || number < 0) return 0;
  placement->descriptors = grow(placement->descriptors, placement->len, &placement->cap, sizeof(int));
  placement->descriptors[placement->len++] = (int)number;
  return 2;
}

static Str failure(const char *what, long error) { return str_concat3(str(what), S(": "), str(error_text((int)error))); }

static Str number(long value) {
  char *start = (char *)allocate(24) + 23;
  do *--start = (char)('0' + value % 10);
  while (value /= 10);
  return str(start);
}

static const char *place_path(const Placement *placement, Str n) { return path_join(placement->directory, n); }

static long write_file(const char *path, Str text) {
  int fd = sys_open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  long written = sys_write(fd, text.ptr, text.len);
  sys_close(fd);
  return written < 0 ? written : 0;
}

/* Maps root on the disk to the user, and the user on the disk to nobody; all others stay. */
static Str map_of(long user) {
  Str own = str_concat3(S("0 "), number(user), S(" 1\n"));
  Str below = user > 1 ? str_concat3(S("1 1 "), number(user - 1), S("\n")) : S("");
  Str from = str_concat3(number(user + 1), S(" "), number(user + 1));
  Str above = str_concat3(from, S(" "), number(LARGEST - user));
  return str_concat3(own, below, str_concat3(above, S("\n"), S("")));
}

/* A descriptor of a user namespace that only serves to hold the map. */
static long open_map(long user) {
  int ends[2];
  long error = sys_pipe(ends);
  if (error < 0) return error;
  const int pid = (int)sys_call(NR_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0, 0);
  if (pid == 0) {
    char end;
    sys_close(ends[1]);
    sys_read(ends[0], &end, 1); /* until the other end is closed, even if its process is killed */
    sys_exit(0);
  }
  sys_close(ends[0]);
  long result = pid;
  if (pid > 0) {
    const Str proc = str_concat3(S("/proc/"), number(pid), S(""));
    const Str map = map_of(user);
    result = write_file(path_join(proc.ptr, S("uid_map")), map);
    if (result == 0) result = write_file(path_join(proc.ptr, S("gid_map")), map);
    if (result == 0) result = sys_open(path_join(proc.ptr, S("ns/user")), O_RDONLY | O_CLOEXEC);
  }
  sys_close(ends[1]);
  if (pid > 0) sys_wait(pid, NULL, 0);
  return result;
}

/* Clones the tree as a detached mount. From another mount namespace that would not be possible. */
static long clone_tree(int fd, long map) {
  const unsigned flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  const long tree = SYS(open_tree, fd, "", flags, 0);
  if (tree < 0) return tree;
  const MountAttributes attributes = {
      .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
      .userns_fd = (uint64_t)map,
  };
  const unsigned whole = AT_EMPTY_PATH | AT_RECURSIVE;
  const long error = sys_call(NR_mount_setattr, tree, (long)"", whole, (long)&attributes, sizeof attributes, 0);
  return error < 0 ? error : tree;
}

static long attach(long tree, const char *path) {
  Stat stat = {0};
  long error = sys_fstat((int)tree, &stat);
  if (error == 0 && (stat.mode & S_IFMT) == S_IFDIR) {
    error = SYS(mkdirat, AT_FDCWD, path, 0755, 0);
  } else if (error == 0) {
    error = SYS(openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (error >= 0) error = sys_close((int)error);
  }
  if (error == 0) error = sys_call(NR_move_mount, tree, (long)"", AT_FDCWD, (long)path, MOVE_MOUNT_F_EMPTY_PATH, 0);
  sys_close((int)tree);
  return error;
}

static Str make_places(const Placement *placement) {
  const long map = open_map(placement->user);
  if (map < 0) return failure("ids cannot be mapped", map);
  long *trees = allocate((placement->len + 1) * sizeof(long));
  for (size_t i = 0; i < placement->len; i++) {
    trees[i] = clone_tree(placement->descriptors[i], map);
    if (trees[i] < 0) return failure("ids of files cannot be mapped", trees[i]);
    sys_close(placement->descriptors[i]);
  }
  sys_close((int)map);
  long error = SYS(unshare, CLONE_NEWNS, 0, 0, 0);
  if (error == 0) error = sys_call(NR_mount, (long)"none", (long)"/", 0, MS_REC | MS_PRIVATE, 0, 0);
  if (error == 0)
    error = sys_call(NR_mount, (long)"places", (long)placement->directory, (long)"tmpfs", MS_NOSUID | MS_NODEV,
                     (long)"mode=755,size=1m", 0);
  for (size_t i = 0; error == 0 && i < placement->len; i++) error = attach(trees[i], place_path(placement, number((long)i)));
  return error < 0 ? failure("what the sandbox is to see cannot be mounted", error) : S("");
}

Str place_self(const Placement *placement) {
  if (placement->user == 0) return S("");
  if (placement->directory != NULL) {
    Str failed = make_places(placement);
    if (failed.len > 0) return failed;
  }
  long error = SYS(setgroups, 0, NULL, 0, 0);
  if (error == 0) error = SYS(setresgid, placement->user, placement->user, placement->user, 0);
  if (error == 0) error = SYS(setresuid, placement->user, placement->user, placement->user, 0);
  if (error == 0 && placement->enter != NULL) error = sys_chdir(placement->enter);
  return error < 0 ? failure("the user cannot be changed", error) : S("");
}
