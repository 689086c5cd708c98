/* Reading files and directories of the image. Whatever cannot be read ends the launch with an error that names it. */
#ifndef FILES_H
#define FILES_H

#include "base.h"

typedef struct {
  char *bytes; /* and a NUL after them */
  size_t len;
} FileContent;

typedef enum { NOT_THERE, A_FILE, A_DIRECTORY, SOMETHING_ELSE } FileKind;

FileKind file_kind(const char *path);     /* following links: buildpacks link their exec.d programs */
bool is_real_directory(const char *path); /* not following them: a layer is a directory, never a link to one */
StrList list_directory(const char *path); /* names, sorted by bytes; none if the directory is not there */

/* Regular files only: opening a fifo must not hang the app's start. */
FileContent read_file(const char *path, size_t max);

#endif
