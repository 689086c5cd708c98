#include "layers.h"

#include "files.h"

/* A `/` in a buildpack's identifier is `_` on disk. */
static Str escape_id(Str id) {
  char *escaped = allocate(id.len + 1);
  for (size_t i = 0; i < id.len; i++) escaped[i] = id.ptr[i] == '/' ? '_' : id.ptr[i];
  return (Str){escaped, id.len};
}

Layers layers_find(const char *directory, const Metadata *metadata) {
  Layers layers = {.of_buildpack = allocate(metadata->buildpack_count * sizeof(StrList))};
  Map seen = {0}; /* `a/b` and `a_b` share a directory, whose layers count once */
  for (size_t i = 0; i < metadata->buildpack_count; i++) {
    Str id = escape_id(metadata->buildpacks[i].id);
    if (map_get(&seen, NULL, id)) continue;
    map_put(&seen, NULL, id, &layers);
    const char *buildpack = path_join(directory, id);
    StrList names = list_directory(buildpack), *found = &layers.of_buildpack[layers.count++];
    for (size_t n = 0; n < names.len; n++) {
      const char *layer = path_join(buildpack, names.items[n]);
      if (is_real_directory(layer)) list_add(found, str(layer));
    }
  }
  return layers;
}

static void each_file_in(const char *directory, LayerFile *visit, void *context) {
  StrList names = list_directory(directory);
  for (size_t i = 0; i < names.len; i++) {
    const char *path = path_join(directory, names.items[i]);
    if (file_kind(path) != A_DIRECTORY) visit(context, path);
  }
}

void layers_each_file(const Layers *layers, Str folder, Str process_type, LayerFile *visit, void *context) {
  for (int per_process = 0; per_process <= (process_type.len > 0); per_process++)
    for (size_t b = 0; b < layers->count; b++)
      for (size_t l = 0; l < layers->of_buildpack[b].len; l++) {
        const char *directory = path_join(layers->of_buildpack[b].items[l].ptr, folder);
        each_file_in(per_process ? path_join(directory, process_type) : directory, visit, context);
      }
}

/*
 * buildpack.md#layer-paths: later buildpacks first, and within one buildpack the layers in ascending order. Prepending
 * its layers from the last to the first gives both.
 */
static void prepend_layer_paths(const StrList *layers, Env *env) {
  const struct { Str variable, folder; } paths[] = {{S("PATH"), S("bin")}, {S("LD_LIBRARY_PATH"), S("lib")}};
  for (size_t l = layers->len; l-- > 0;)
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
      const char *directory = path_join(layers->items[l].ptr, paths[i].folder);
      if (file_kind(directory) != A_DIRECTORY) continue;
      Str value;
      env_get(env, paths[i].variable, &value);
      env_set(env, paths[i].variable, str_concat3(str(directory), value.len ? S(":") : S(""), value));
    }
}

/* `env`, `env.launch` and `env.launch/<process>` of one layer, in the order in which they apply. */
typedef struct {
  struct {
    const char *path;
    StrList files;
  } directories[3];
  size_t count;
  Env *env;
} LayerEnv;

enum { MAX_ENV_FILE = 1 << 20 }; /* the kernel's limit is 128 KiB a variable; execve fails for longer ones by name */

static Str read_env_file(const char *path) {
  FileContent file = read_file(path, MAX_ENV_FILE);
  Str value = {file.bytes, file.len};
  if (str_has_byte(value, 0)) fail(EXIT_LAUNCH, "%s holds a NUL byte, which no environment variable can", path);
  return value;
}

/*
 * buildpack.md#delimiter: a delimiter applies to all concatenation within its layer. A directory's own delimiter takes
 * precedence; then the layer's most specific one.
 */
static Str find_delimiter(const LayerEnv *layer, size_t own, Str name) {
  Str file = str_concat3(name, S(".delim"), S(""));
  size_t from = own, others = layer->count;
  while (!list_has_sorted(&layer->directories[from].files, file)) {
    if (others == 0) return S("");
    from = --others;
  }
  return read_env_file(path_join(layer->directories[from].path, file));
}

static void apply_env_file(const LayerEnv *layer, size_t own, Str file) {
  const char *path = path_join(layer->directories[own].path, file);
  Str name, suffix;
  bool has_suffix = str_split(file, '.', &name, &suffix);
  bool append = str_equal(suffix, S("append")), prepend = str_equal(suffix, S("prepend"));
  bool fallback = str_equal(suffix, S("default")), override = !has_suffix || str_equal(suffix, S("override"));
  if (!append && !prepend && !fallback && !override) return; /* .delim is read when needed; others have no meaning */
  if (file_kind(path) == A_DIRECTORY) return;
  if (!name.len || str_has_byte(name, '=')) fail(EXIT_LAUNCH, "%s: the file's name is not a variable's name", path);

  Str value = read_env_file(path), before;
  env_get(layer->env, name, &before);
  if (fallback && before.len) return;
  if (append || prepend) {
    Str delimiter = before.len ? find_delimiter(layer, own, name) : S("");
    value = append ? str_concat3(before, delimiter, value) : str_concat3(value, delimiter, before);
  }
  env_set(layer->env, name, value);
}

static void apply_layer_env(const char *layer_path, Str process_type, Env *env) {
  LayerEnv layer = {.env = env};
  const char *launch = path_join(layer_path, S("env.launch"));
  layer.directories[layer.count++].path = path_join(layer_path, S("env"));
  layer.directories[layer.count++].path = launch;
  if (process_type.len) layer.directories[layer.count++].path = path_join(launch, process_type);

  for (size_t i = 0; i < layer.count; i++) layer.directories[i].files = list_directory(layer.directories[i].path);
  for (size_t i = 0; i < layer.count; i++)
    for (size_t f = 0; f < layer.directories[i].files.len; f++)
      apply_env_file(&layer, i, layer.directories[i].files.items[f]);
}

void layers_modify_env(const Layers *layers, Str process_type, Env *env) {
  for (size_t b = 0; b < layers->count; b++) {
    const StrList *paths = &layers->of_buildpack[b];
    prepend_layer_paths(paths, env);
    for (size_t l = 0; l < paths->len; l++) apply_layer_env(paths->items[l].ptr, process_type, env);
  }
}
