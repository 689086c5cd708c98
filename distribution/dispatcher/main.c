/*
 * The dispatcher is the program behind /cnb/lifecycle/{lifecycle,analyzer,detector,...}. It finds its folder and becomes
 * Node, which runs the phase that the dispatcher was called as:
 *
 *   <folder>/ld-linux-*.so.* --library-path <folder> <folder>/nodejs --disable-sigusr1 <folder>/start.cjs <argv[0]> <arg>...
 *
 * So the lifecycle needs neither loader nor libc of the image: there may be none (distroless), another one
 * (musl) or one that is too old. Called as `node`, it runs plain Node, for the buildpacks.
 *
 * Secrets. A phase may run as the same user as its buildpacks. That user can read a process's initial environment in
 * /proc/<pid>/environ as long as the process lives (hostile case K15). So Node starts with an empty environment, and
 * start.cjs gets the real one in a file without a name. The loader's mode protects the memory: if a user may execute
 * but not read a program (root's, 0711), the kernel lets no process of that user read its memory, files or environment
 * (ptrace(2), "dumpable"). The user can still send signals: SIGUSR1 would make Node open an inspector, which gives
 * access to everything, so an option disables it (X37).
 */
#include "../../launcher/base.h"

// clang-format off
#if defined(__x86_64__)
enum { NR_readlinkat = 267, NR_memfd_create = 319 };
#define LOADER "ld-linux-x86-64.so.2"
#else
enum { NR_readlinkat = 78, NR_memfd_create = 279 };
#define LOADER "ld-linux-aarch64.so.1"
#endif
// clang-format on

enum { F_DUPFD = 0, PATH_MAX = 4096 };

/* Links from /cnb/lifecycle, /lifecycle and other places lead here, so argv[0] does not say where the files are. */
static const char *own_folder(void) {
  char *path = allocate(PATH_MAX);
  long len = SYS(readlinkat, AT_FDCWD, "/proc/self/exe", path, PATH_MAX - 1);
  if (len < 0)
    fail(EXIT_FAILED, "the lifecycle cannot find its own files: /proc/self/exe: %s; mount /proc", error_text((int)len));
  while (len > 1 && path[len - 1] != '/') len--;
  path[len > 1 ? len - 1 : 1] = '\0';
  for (const char *p = path; *p; p++)
    if (*p == ':' || *p == ';' || *p == '$')
      fail(EXIT_FAILED, "the lifecycle cannot run from %s: its path may have none of : ; $", path);
  return path;
}

/* Writes the environment, with NUL after each entry, to a file in memory, and returns its descriptor. */
static int hand_over(char **envp) {
  size_t size = 0;
  for (char **entry = envp; *entry; entry++) size += str(*entry).len + 1;
  char *all = allocate(size + 1), *end = all;
  for (char **entry = envp; *entry; entry++) {
    Str text = str(*entry);
    memcpy(end, text.ptr, text.len);
    end += text.len + 1; /* memory is zeroed */
  }
  int fd = (int)SYS(memfd_create, "environment", 0, 0, 0);
  if (fd >= 0 && fd <= 2) fd = sys_fcntl(fd, F_DUPFD, 3); /* with closed standard streams, which Node opens again */
  if (fd < 0) fail(EXIT_FAILED, "the lifecycle cannot make a file in memory: %s", error_text(fd));
  for (size_t done = 0; done < size;) {
    long wrote = sys_write(fd, all + done, size - done);
    if (wrote == -EINTR) continue;
    if (wrote <= 0) fail(EXIT_FAILED, "the lifecycle cannot keep its environment: %s", error_text((int)wrote));
    done += (size_t)wrote;
  }
  return fd;
}

/* The only variable that Node needs in its own environment, since it reads it before any script runs. */
static const char *extra_certificates(char **envp) {
  Str name = S("NODE_EXTRA_CA_CERTS=");
  for (; *envp; envp++) {
    Str entry = str(*envp);
    if (entry.len >= name.len && memcmp(entry.ptr, name.ptr, name.len) == 0) return *envp;
  }
  return NULL;
}

/* BALE_ENVIRONMENT=<descriptor> */
static const char *descriptor_entry(int fd) {
  char digits[12], *start = digits + sizeof digits;
  *--start = '\0';
  do *--start = (char)('0' + fd % 10);
  while (fd /= 10);
  return str_concat3(S("BALE_ENVIRONMENT="), str(start), S("")).ptr;
}

int program_main(int argc, char **argv, char **envp) {
  const char *folder = own_folder();
  const char *loader = path_join(folder, S(LOADER));
  const char *called = argc > 0 ? argv[0] : "lifecycle";
  bool as_node = str_equal(path_last_element(str(called)), S("node"));

  const char **args = allocate(((size_t)argc + 9) * sizeof *args);
  size_t count = 0;
  args[count++] = loader;
  args[count++] = "--inhibit-cache"; /* the image's list of libraries is only for its own programs */
  args[count++] = "--library-path";
  args[count++] = folder;
  args[count++] = path_join(folder, S("nodejs"));
  args[count++] = "--disable-sigusr1";
  if (as_node) args[count++] = "--require";
  args[count++] = path_join(folder, S("start.cjs"));
  if (!as_node) args[count++] = called;
  for (int i = 1; i < argc; i++) args[count++] = argv[i];

  const char *clean[] = {NULL, NULL, NULL};
  if (!as_node) {
    clean[0] = descriptor_entry(hand_over(envp));
    clean[1] = extra_certificates(envp);
  }
  int error = sys_execve(loader, (char *const *)args, as_node ? envp : (char *const *)clean);
  fail(EXIT_FAILED, "the lifecycle cannot start %s: %s", loader, error_text(error));
}
