/* Running one exec.d program: its file descriptor 3, its end, and the signals that come meanwhile. */
#ifndef CHILD_H
#define CHILD_H

#include "base.h"

enum { MAX_CHILD_OUTPUT = 1 << 20 };

/*
 * From the first program to the last, signals that mean "stop" are held back and looked at only while we wait. As
 * process 1 of a container the launcher would otherwise not notice them at all: the kernel drops what process 1 does
 * not handle.
 */
typedef struct {
  SignalSet mask_before;
  SignalAction before[32];
  SignalSet handled;
} Watch;

void watch_begin(Watch *watch);
void watch_end(Watch *watch);

/* Gives the length of what the program wrote to `output`; every failure ends the launch. */
size_t child_run(const Watch *watch, const char *path, char **envp, char output[MAX_CHILD_OUTPUT]);

#endif
