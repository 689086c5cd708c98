/* Takes rights from this process, and so from all that it will start: landlock(7), seccomp(2). Nobody below can get them back. */
#ifndef RESTRICT_H
#define RESTRICT_H

#include "../../../launcher/base.h"

/*
 *   --sockets          It connects to no abstract unix socket of a process outside. These sockets are part of the network
 *                      namespace: a server there could hand out descriptors of the host's files (X06, X38). Linux 6.12.
 *   --signals          It sends no signal to a process outside (X11, X36). Linux 6.12.
 *   --read-only <path> Nothing at or below the path is written, made, renamed or removed (X27, X40, X49), except at or below
 *                      a --writable path. Modes, owners and times can still be changed. No new entry can be made in the
 *                      directories above the path either: the kernel knows only paths that are writable with all below them,
 *                      so these are the entries that are beside the path now. Linux 6.2.
 *
 *   -r <path>, -w <path>
 *                      It opens no file but those at and below these paths: -r to read and execute, -w to change as well; and
 *                      what --sockets and --signals say. Where no namespace can be made, this is what keeps buildpacks from
 *                      the files of the job around them. Linux 5.19; on an older one this is an error.
 *   --system-calls <filter>
 *                      It makes no system call that the filter refuses: seccomp(2), an array of struct sock_filter in hexadecimal
 *                      digits, in the byte order of the machine.
 *   --mounting         It goes on mounting file systems, as bubblewrap does; not with --read-only. The kernel then refuses (EXDEV)
 *                      to move files between directories where anything below is restricted with --read-only.
 *
 * With any of those for Landlock it neither traces the processes outside nor looks into their memory, environment or descriptors
 * (/proc/<pid>/{mem,environ,fd}, K15). What the kernel is too old for is left out. Paths are absolute and contain no links.
 */
typedef struct {
  bool sockets, signals, mounting;
  StrList read_only, writable, only_read, only_change;
  Str system_calls; /* as bytes; empty for none */
} Restrictions;

/* Reads one of the options above at argv[at]. Returns the words that it takes, 0 if it is none. */
int read_restriction(Restrictions *restrictions, int argc, char **argv, int at);

/* The version of the kernel's interface; 0 if it has none, or a container refuses it. */
int landlock_version(void);

/* Returns why it failed; empty if it did not. */
Str restrict_self(const Restrictions *restrictions);

#endif
