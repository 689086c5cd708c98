/* For root: becomes a user of the host who owns no files, and sees root's files as its own. */
#ifndef PLACE_H
#define PLACE_H

#include "../../../launcher/base.h"

/*
 *   --user <id>          It becomes this user, with only the group of the same id: then it has no rights of root to any
 *                        file of the host that it reaches by a descriptor or a name (X51).
 *   --places <directory> In its own mount namespace, this directory contains the files of --place. It must exist.
 *   --place <descriptor> A file or directory, with all mounts below, at <directory>/<n>, for the nth of these options,
 *                        from 0 on. Root's files there belong to the user, and files that the user makes there belong to
 *                        root: an idmapped mount, in Linux since 5.12, for most file systems. The descriptor is closed.
 *   --enter <directory>  The program's working directory.
 */
typedef struct {
  long user; /* 0 for none */
  const char *directory;
  int *descriptors;
  size_t len, cap;
  const char *enter;
} Placement;

/* Reads one of the options above at argv[at]. Returns the number of its words, or 0 for another argument. */
int read_placement(Placement *placement, int argc, char **argv, int at);

/* Returns the reason of a failure; empty for success, or if there is no user to become. */
Str place_self(const Placement *placement);

#endif
