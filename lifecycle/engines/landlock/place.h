/* For root: becomes a user of the host who owns nothing, and is shown root's files as that user's. */
#ifndef PLACE_H
#define PLACE_H

#include "../../../launcher/base.h"

/*
 *   --user <id>          It becomes this user, of the group with the same id and of no other: whatever of the host's reaches
 *                        it, by a descriptor or a name, is not root's to it (X51).
 *   --places <directory> In a mount namespace of its own, this directory has what --place names. It must be there.
 *   --place <descriptor> A file or directory, with what is mounted below, at <directory>/<n>, for the nth of these options,
 *                        from 0 on. What belongs to root there belongs to the user, and what the user makes there belongs to
 *                        root: an idmapped mount, which Linux has since 5.12, for most file systems. The descriptor is closed.
 *   --enter <directory>  It starts there.
 */
typedef struct {
  long user; /* 0 for none */
  const char *directory;
  int *descriptors;
  size_t len, cap;
  const char *enter;
} Placement;

/* Reads one of the options above at argv[at]. Returns the words that it takes, 0 if it is none. */
int read_placement(Placement *placement, int argc, char **argv, int at);

/* Returns why it failed; empty if it did not, or if there is no user to become. */
Str place_self(const Placement *placement);

#endif
