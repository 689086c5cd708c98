#include "execd.h"

#include "child.h"
#include "files.h"
#include "toml.h"

/*
 * buildpack.md#execd-output-toml: top-level keys and strings. A name must be a bare key, even if it is quoted: this
 * keeps `=` and NUL out of the environment.
 */
bool execd_apply_output(char *output, size_t size, Env *env, ParseError *error) {
  TomlDocument document;
  if (!toml_parse(output, size, &document)) {
    *error = (ParseError){document.error_line, document.error};
    return false;
  }
  for (const TomlValue *value = document.root.first; value; value = value->next) {
    *error = (ParseError){value->line, NULL};
    if (value->kind != TOML_STRING) error->what = "a variable's value must be a string";
    else if (!toml_is_bare_key(value->key)) error->what = "a variable's name may hold letters, digits, _ and - only";
    else if (str_has_byte(value->text, 0)) error->what = "a variable's value holds a NUL character";
    if (error->what) return false;
  }
  for (const TomlValue *value = document.root.first; value; value = value->next) env_set(env, value->key, value->text);
  return true;
}

typedef struct {
  Env *env;
  Watch watch;
  bool watching; /* from the first program on; without programs, as in most images, signals do not change */
} Run;

static void run_one(void *context, const char *path) {
  Run *run = context;
  if (!run->watching) watch_begin(&run->watch);
  run->watching = true;
  FileKind kind = file_kind(path);
  if (kind == NOT_THERE) fail(EXIT_LAUNCH, "exec.d %s: a link to nothing; rebuild the image", path);
  if (kind != A_FILE) fail(EXIT_LAUNCH, "exec.d %s: not a regular file", path);

  char *output = allocate(MAX_CHILD_OUTPUT); /* one for each program: values are decoded in place and stay there */
  size_t size = child_run(&run->watch, path, env_vector(run->env), output);
  ParseError error;
  if (!execd_apply_output(output, size, run->env, &error))
    fail(EXIT_LAUNCH, "exec.d %s: line %d of its output on file descriptor 3: %s", path, error.line, error.what);
}

void execd_run_all(const Layers *layers, Str process_type, Env *env) {
  Run run = {.env = env};
  layers_each_file(layers, S("exec.d"), process_type, run_one, &run);
  if (run.watching) watch_end(&run.watch);
}
