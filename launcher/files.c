#include "files.h"

FileKind file_kind(const char *path) {
  Stat stat;
  if (sys_stat(path, &stat) < 0) return NOT_THERE;
  if ((stat.mode & S_IFMT) == S_IFREG) return A_FILE;
  return (stat.mode & S_IFMT) == S_IFDIR ? A_DIRECTORY : SOMETHING_ELSE;
}

bool is_real_directory(const char *path) {
  Stat stat;
  return sys_lstat(path, &stat) == 0 && (stat.mode & S_IFMT) == S_IFDIR;
}

FileContent read_file(const char *path, size_t max) {
  int fd = sys_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail(EXIT_LAUNCH, "cannot read %s: %s", path, error_text(fd));
  Stat stat;
  int failed = sys_fstat(fd, &stat);
  if (failed < 0) fail(EXIT_LAUNCH, "cannot read %s: %s", path, error_text(failed));
  if ((stat.mode & S_IFMT) != S_IFREG) fail(EXIT_LAUNCH, "cannot read %s: not a regular file", path);
  if (stat.size < 0 || (uint64_t)stat.size > max)
    fail(EXIT_LAUNCH, "%s is too large: the limit is %d bytes", path, (int)max);

  /* One byte more than the size, so that a file that grew meanwhile is noticed instead of cut. */
  size_t size = (size_t)stat.size, len = 0;
  char *content = allocate(size + 2);
  for (;;) {
    long got = sys_read(fd, content + len, size + 1 - len);
    if (got == -EINTR) continue;
    if (got < 0) fail(EXIT_LAUNCH, "cannot read %s: %s", path, error_text((int)got));
    if (got == 0) break;
    len += (size_t)got;
    if (len > size) fail(EXIT_LAUNCH, "cannot read %s: it is being written", path);
  }
  sys_close(fd);
  content[len] = 0;
  return (FileContent){content, len};
}

StrList list_directory(const char *path) {
  StrList names = {0};
  int fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -ENOENT || fd == -ENOTDIR || fd == -ENAMETOOLONG) return names;
  if (fd < 0) fail(EXIT_LAUNCH, "cannot read directory %s: %s", path, error_text(fd));
  _Alignas(DirectoryEntry) char entries[4096];
  for (;;) {
    long size = sys_getdents(fd, entries, sizeof entries);
    if (size < 0) fail(EXIT_LAUNCH, "cannot read directory %s: %s", path, error_text((int)size));
    if (size == 0) break;
    for (long at = 0; at < size;) {
      const DirectoryEntry *entry = (const DirectoryEntry *)(entries + at);
      Str name = str(entry->name);
      if (!str_equal(name, S(".")) && !str_equal(name, S(".."))) list_add(&names, str_concat3(name, S(""), S("")));
      at += entry->size;
    }
  }
  sys_close(fd);
  list_sort(&names);
  return names;
}
