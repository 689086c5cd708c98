/* The environment for the app: one entry for each name, in the original order. */
#ifndef ENV_H
#define ENV_H

#include "map.h"

typedef struct {
  Str name;
  const char *entry; /* "name=value", or NULL when unset */
} Variable;

typedef struct {
  Variable **variables;
  size_t len, cap;
  Map by_name;
} Env;

Env env_from(char **envp);
bool env_get(const Env *env, Str name, Str *value);
Str env_or(const Env *env, Str name, Str fallback); /* an empty value counts as unset */
void env_set(Env *env, Str name, Str value);
void env_unset(Env *env, Str name);
char **env_vector(const Env *env); /* for execve */

/* Removes the launcher's variables before buildpacks add any (platform.md#launch-environment). */
void env_remove_launcher_variables(Env *env);

#endif
