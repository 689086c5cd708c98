/* Starts the app in place of the launcher (platform.md#launcher Execution). */
#ifndef RUN_H
#define RUN_H

#include "layers.h"
#include "process.h"

/* Both paths are absolute. */
_Noreturn void run_direct(const Start *start, const char *working_dir, const Env *env);
_Noreturn void run_shell(const Start *start, const char *app, const char *working_dir, const Layers *layers,
                         const Env *env);

/* Common to both kinds. Searches the PATH of the app's environment. */
void run_enter(const char *directory, const char *whose);
const char *run_find(Str command, const Env *env, const char **denied); /* denied: found, but not executable */
_Noreturn void run_program(const char *path, const StrList *arguments, const Env *env);

#endif
