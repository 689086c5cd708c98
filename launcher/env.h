/* The environment being built for the app: one entry a name, in the order they came. */
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
Str env_or(const Env *env, Str name, Str fallback); /* an empty value counts as none */
void env_set(Env *env, Str name, Str value);
void env_unset(Env *env, Str name);
char **env_vector(const Env *env); /* for execve */

/* platform.md#launch-environment: what the launcher removes before buildpacks add anything. */
void env_remove_launcher_variables(Env *env);

#endif
