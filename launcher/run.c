/* Processes without a shell, and the common code of both kinds. */
#include "run.h"

#include "files.h"

/* execve reports only "too long". The usual cause is the limit of a single string, so this looks for it. */
_Noreturn static void fail_too_long(const char *path, char **argv, char **envp) {
  enum { MAX_STRING = 128 << 10 };
  for (; *envp; envp++) {
    Str name, value, entry = str(*envp);
    str_split(entry, '=', &name, &value);
    if (entry.len >= MAX_STRING)
      fail(EXIT_LAUNCH, "cannot run %s: environment variable %.*s has %d bytes, and the limit is %d", path, SHOW(name),
           (int)entry.len, MAX_STRING - 1);
  }
  for (int i = 0; argv[i]; i++)
    if (str(argv[i]).len >= MAX_STRING)
      fail(EXIT_LAUNCH, "cannot run %s: argument %d has %d bytes, and the limit is %d", path, i, (int)str(argv[i]).len,
           MAX_STRING - 1);
  fail(EXIT_LAUNCH, "cannot run %s: %s; use fewer of them", path, error_text(-E2BIG));
}

void run_program(const char *path, const StrList *arguments, const Env *env) {
  char **argv = allocate((arguments->len + 1) * sizeof *argv), **envp = env_vector(env);
  for (size_t i = 0; i < arguments->len; i++) argv[i] = (char *)arguments->items[i].ptr; /* execve only reads it */
  int failed = sys_execve(path, argv, envp);
  if (failed == -E2BIG) fail_too_long(path, argv, envp);
  if (failed == -ENOENT && sys_access(path, F_OK) == 0)
    fail(EXIT_LAUNCH, "cannot run %s: the interpreter of this script or program is not in the image", path);
  fail(EXIT_LAUNCH, "cannot run %s: %s", path, error_text(failed));
}

const char *run_find(Str command, const Env *env, const char **denied) {
  *denied = NULL;
  Str rest, directory;
  env_get(env, S("PATH"), &rest);
  for (bool more = rest.len > 0; more;) {
    more = str_split(rest, ':', &directory, &rest); /* an empty element is the current directory */
    const char *path = path_join(directory.len ? str_concat3(directory, S(""), S("")).ptr : ".", command);
    if (file_kind(path) != A_FILE) continue;
    if (sys_access(path, X_OK) == 0) return path;
    *denied = path;
  }
  return NULL;
}

void run_enter(const char *directory, const char *whose) {
  int failed = sys_chdir(directory);
  if (failed < 0) fail(EXIT_LAUNCH, "cannot enter the %s directory %s: %s", whose, directory, error_text(failed));
}

void run_direct(const Start *start, const char *working_dir, const Env *env) {
  run_enter(working_dir, "working");
  Str command = start->argv.items[0], path;
  if (str_has_byte(command, '/')) run_program(command.ptr, &start->argv, env);

  const char *denied, *found = run_find(command, env, &denied);
  if (found) run_program(found, &start->argv, env);
  if (denied) fail(EXIT_LAUNCH, "cannot run %s: %s; make it executable", denied, error_text(-EACCES));
  Str of = start->type.len ? str_concat3(S(" of process type \""), start->type, S("\"")) : S("");
  if (!env_get(env, S("PATH"), &path))
    fail(EXIT_LAUNCH, "cannot run \"%.*s\"%.*s: PATH is not set; set it or give a path", SHOW(command), SHOW(of));
  fail(EXIT_LAUNCH, "cannot run \"%.*s\"%.*s: no such program in PATH, which is \"%.*s\"", SHOW(command), SHOW(of),
       SHOW(path));
}
