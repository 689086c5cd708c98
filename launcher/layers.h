/* The launch layers in the image, and their effect on the environment. */
#ifndef LAYERS_H
#define LAYERS_H

#include "env.h"
#include "metadata.h"

typedef struct {
  StrList *of_buildpack; /* in group order: absolute paths of each one's layers, by ascending name */
  size_t count;
} Layers;

typedef void LayerFile(void *context, const char *path);

Layers layers_find(const char *directory, const Metadata *metadata);

/*
 * Visits each entry that is not a directory: of `<layer>/<folder>` for all layers, then of `<layer>/<folder>/<process>`
 * for all layers (platform.md#launcher Execution, the order of exec.d and profile.d). Without a process type, only the
 * former.
 */
void layers_each_file(const Layers *layers, Str folder, Str process_type, LayerFile *visit, void *context);

/* buildpack.md#layer-paths and #environment-variable-modification-rules */
void layers_modify_env(const Layers *layers, Str process_type, Env *env);

#endif
