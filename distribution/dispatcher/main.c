/*
 * The dispatcher: what /cnb/lifecycle/{lifecycle,analyzer,detector,...} are. It finds its own folder and becomes Node,
 * running the phase it was called as:
 *
 *   <folder>/ld-linux-*.so.* --library-path <folder> <folder>/nodejs --disable-sigusr1 <folder>/start.cjs <argv[0]> <arg>...
 *
 * so the lifecycle needs neither loader nor libc of the image it runs in: there may be none (distroless), another one
 * (musl) or one that is too old. Called `node` it is plain Node, for the buildpacks.
 *
 * Secrets. A phase may run as the user its buildpacks run as, and whatever is in the environment that a process was
 * started with can be read in /proc/<pid>/environ by that user for as long as it lives (hostile case K15). So Node is
 * started with an empty environment, and the real one goes to start.cjs in a file without a name. That the memory cannot
 * be read either is up to the loader's mode: of a program that its user may execute but not read (root's, 0711) the
 * kernel lets no process of that user look into memory, files or environment (ptrace(2), "dumpable"). A signal may still be
 * sent to it: SIGUSR1 would make Node open an inspector, which gives away all of that, unless it is told not to (X37).
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

/* Links lead here from /cnb/lifecycle, /lifecycle and elsewhere: argv[0] does not tell where the files are. */
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

/* All of the environment, entries ended by NUL, in a file in memory; gives its descriptor. */
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
  if (fd >= 0 && fd <= 2) fd = sys_fcntl(fd, F_DUPFD, 3); /* with closed standard streams; Node opens them anew */
  if (fd < 0) fail(EXIT_FAILED, "the lifecycle cannot make a file in memory: %s", error_text(fd));
  for (size_t done = 0; done < size;) {
    long wrote = sys_write(fd, all + done, size - done);
    if (wrote == -EINTR) continue;
    if (wrote <= 0) fail(EXIT_FAILED, "the lifecycle cannot keep its environment: %s", error_text((int)wrote));
    done += (size_t)wrote;
  }
  return fd;
}

/* The least that Node itself has to find in its environment: it reads this one before any script runs. */
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
  args[count++] = "--inhibit-cache"; /* the image's list of libraries is for the image's programs */
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
