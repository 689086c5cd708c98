/* Runs one exec.d program: its file descriptor 3, its end, and signals that arrive meanwhile. */
#ifndef CHILD_H
#define CHILD_H

#include "base.h"

enum { MAX_CHILD_OUTPUT = 1 << 20 };

/*
 * From the first program to the last, stop signals are blocked and handled only while waiting. Otherwise, as process 1
 * of a container, the launcher would never notice them: the kernel drops signals that process 1 does not handle.
 */
typedef struct {
  SignalSet mask_before;
  SignalAction before[32];
  SignalSet handled;
} Watch;

void watch_begin(Watch *watch);
void watch_end(Watch *watch);

/* Returns the length of the program's output in `output`; every failure ends the launch. */
size_t child_run(const Watch *watch, const char *path, char **envp, char output[MAX_CHILD_OUTPUT]);

#endif
