/* Decides which command to run, and how (platform.md#launcher Inputs). */
#ifndef PROCESS_H
#define PROCESS_H

#include "metadata.h"

typedef struct {
  Str type;        /* a buildpack's process; empty for a user's command */
  StrList argv;    /* the command and its arguments; never empty */
  bool direct;     /* without a shell */
  Str working_dir; /* empty: the app's directory */
} Start;

Start process_choose(const Metadata *metadata, int platform_api, Str exec_env, int argc, char **argv);

#endif
