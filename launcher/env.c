#include "env.h"

static Variable *add(Env *env, Str name, const char *entry) {
  Variable *variable = allocate(sizeof *variable);
  *variable = (Variable){name, entry};
  env->variables = grow(env->variables, env->len, &env->cap, sizeof *env->variables);
  env->variables[env->len++] = variable;
  map_put(&env->by_name, NULL, name, variable);
  return variable;
}

/*
 * Of a repeated name the last one counts, as for container runtimes, and the app sees only that one. Programs differ in
 * which one they use (C and Go the first, bash the last), so the app could see another value than the checked one.
 */
Env env_from(char **envp) {
  Env env = {0};
  for (; *envp; envp++) {
    Str name, value;
    str_split(str(*envp), '=', &name, &value);
    Variable *known = map_get(&env.by_name, NULL, name);
    if (known) known->entry = *envp;
    else add(&env, name, *envp);
  }
  return env;
}

bool env_get(const Env *env, Str name, Str *value) {
  const Variable *variable = map_get(&env->by_name, NULL, name);
  *value = S("");
  if (!variable || !variable->entry) return false;
  Str entry_name;
  str_split(str(variable->entry), '=', &entry_name, value);
  return true;
}

Str env_or(const Env *env, Str name, Str fallback) {
  Str value;
  return env_get(env, name, &value) && value.len ? value : fallback;
}

void env_set(Env *env, Str name, Str value) {
  Str entry = str_concat3(name, S("="), value);
  Variable *known = map_get(&env->by_name, NULL, name);
  if (known) known->entry = entry.ptr;
  else add(env, (Str){entry.ptr, name.len}, entry.ptr);
}

void env_unset(Env *env, Str name) {
  Variable *known = map_get(&env->by_name, NULL, name);
  if (known) known->entry = NULL;
}

char **env_vector(const Env *env) {
  char **vector = allocate((env->len + 1) * sizeof *vector), **next = vector;
  for (size_t i = 0; i < env->len; i++)
    if (env->variables[i]->entry) *next++ = (char *)env->variables[i]->entry; /* execve only reads it */
  return vector;
}

/* With the launcher's own directories in PATH, a process that starts `web` or `bash` could start the launcher. */
static bool is_launcher_directory(Str directory) {
  while (directory.len > 1 && directory.ptr[directory.len - 1] == '/') directory.len--;
  return str_equal(directory, S("/cnb/process")) || str_equal(directory, S("/cnb/lifecycle"));
}

/* False if nothing is left. Empty elements, which mean the current directory, stay. */
static bool clean_path(Str path, Str *out) {
  char *kept = allocate(path.len + 2), *to = kept;
  bool any = false;
  for (bool more = true; more;) {
    Str directory;
    more = str_split(path, ':', &directory, &path);
    if (is_launcher_directory(directory)) continue;
    if (any) *to++ = ':';
    if (directory.len) memcpy(to, directory.ptr, directory.len);
    to += directory.len;
    any = true;
  }
  *out = (Str){kept, (size_t)(to - kept)};
  return any;
}

void env_remove_launcher_variables(Env *env) {
  static const char *const names[] = {
      "CNB_APP_DIR", "CNB_LAYERS_DIR", "CNB_PROCESS_TYPE", "CNB_PLATFORM_API", "CNB_DEPRECATION_MODE",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) env_unset(env, str(names[i]));
  Str path;
  if (!env_get(env, S("PATH"), &path)) return;
  if (clean_path(path, &path)) env_set(env, S("PATH"), path);
  else env_unset(env, S("PATH")); /* an empty PATH would mean the current directory */
}
