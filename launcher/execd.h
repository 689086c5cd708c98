/* exec.d: programs of the layers that add to the environment before the app starts (buildpack.md#execd). */
#ifndef EXECD_H
#define EXECD_H

#include "layers.h"

void execd_run_all(const Layers *layers, Str process_type, Env *env);

/* Sets the variables of one program's output, or returns why not. Overwrites the output. */
bool execd_apply_output(char *output, size_t size, Env *env, ParseError *error);

#endif
