/* <layers>/config/metadata.toml (platform.md#metadatatoml-toml): the output of the builder for the launcher. */
#ifndef METADATA_H
#define METADATA_H

#include "base.h"

typedef struct {
  Str id, api;
} Buildpack;

typedef struct {
  Str type;
  StrList command, args; /* strings end in NUL and contain none */
  bool direct;
  bool direct_given; /* metadata.toml takes precedence over the buildpack API */
  Str working_dir; /* empty: the app's directory */
  Str buildpack_id;
  StrList exec_env; /* empty: every execution environment */
} Process;

typedef struct {
  Buildpack *buildpacks; /* in group order, in which the launcher applies everything */
  size_t buildpack_count, buildpack_cap;
  Process *processes;
  size_t process_count, process_cap;
} Metadata;

typedef struct {
  int line;
  const char *what;
} ParseError;

bool metadata_parse(char *source, size_t size, Metadata *out, ParseError *error); /* overwrites the source */
Metadata metadata_read(const char *layers);
const Buildpack *metadata_buildpack(const Metadata *metadata, Str id);

#endif
