/* Removes rights of this process and its future descendants, permanently: landlock(7), seccomp(2). */
#ifndef RESTRICT_H
#define RESTRICT_H

#include "../../../launcher/base.h"

/*
 *   --sockets          It cannot connect to abstract unix sockets of processes outside. These sockets are part of the network
 *                      namespace: a server there could hand out descriptors of the host's files (X06, X38). Linux 6.12.
 *   --signals          It cannot send signals to processes outside (X11, X36). Linux 6.12.
 *   --read-only <path> It cannot write, make, rename or remove anything at or below the path (X27, X40, X49), except at or
 *                      below a --writable path. It can still change modes, owners and times. It also cannot make new entries
 *                      in the directories above the path: Landlock only has paths that are writable with everything below,
 *                      so the rules allow the entries that are beside the path now. Linux 6.2.
 *
 *   -r <path>, -w <path>
 *                      It can only open files at and below these paths: -r to read and execute, -w to change as well.
 *                      Includes --sockets and --signals. Without namespaces, this denies buildpacks the files of the
 *                      surrounding job. Linux 5.19; an error on older kernels.
 *   --system-calls <filter>
 *                      It cannot make system calls that the filter refuses: seccomp(2), an array of struct sock_filter in hexadecimal
 *                      digits, in the byte order of the machine.
 *   --mounting         It can still mount file systems, as bubblewrap does; not with --read-only. The kernel then refuses
 *                      (EXDEV) to move files between directories if a process below is restricted with --read-only.
 *
 * With any option of Landlock, it can neither trace processes outside nor read their memory, environment or descriptors
 * (/proc/<pid>/{mem,environ,fd}, K15). Options that the kernel does not support have no effect. Paths are absolute and
 * contain no links.
 */
typedef struct {
  bool sockets, signals, mounting;
  StrList read_only, writable, only_read, only_change;
  Str system_calls; /* as bytes; empty for none */
} Restrictions;

/* Reads one of the options above at argv[at]. Returns the number of its words, or 0 for another argument. */
int read_restriction(Restrictions *restrictions, int argc, char **argv, int at);

/* The version of Landlock's interface in the kernel; 0 without Landlock, or if a container refuses it. */
int landlock_version(void);

/* Returns the reason of a failure; empty for success. */
Str restrict_self(const Restrictions *restrictions);

#endif
