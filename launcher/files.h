/* Reads files and directories of the image. An unreadable one ends the launch with an error that names it. */
#ifndef FILES_H
#define FILES_H

#include "base.h"

typedef struct {
  char *bytes; /* followed by a NUL */
  size_t len;
} FileContent;

typedef enum { NOT_THERE, A_FILE, A_DIRECTORY, SOMETHING_ELSE } FileKind;

FileKind file_kind(const char *path);     /* following links: buildpacks link their exec.d programs */
bool is_real_directory(const char *path); /* not following them: a layer is a directory, never a link to one */
StrList list_directory(const char *path); /* names, sorted by bytes; none if the directory does not exist */

/* Regular files only: opening a fifo must not hang the app's start. */
FileContent read_file(const char *path, size_t max);

#endif
