#include "metadata.h"

#include "files.h"
#include "toml.h"

enum { MAX_METADATA = 16 << 20 };

typedef struct {
  TomlDocument document;
  ParseError *error;
} Reader;

static bool wrong(Reader *reader, const TomlValue *value, const char *what) {
  *reader->error = (ParseError){value->line, what};
  return false;
}

/* The strings become arguments and paths, which a NUL (\u0000 in TOML) would silently cut. */
static bool take_string(Reader *reader, const TomlValue *value, Str *out, const char *what) {
  if (value->kind != TOML_STRING) return wrong(reader, value, what);
  if (str_has_byte(value->text, 0)) return wrong(reader, value, "a string holds a NUL character");
  *out = value->text;
  return true;
}

static bool get_string(Reader *reader, const TomlValue *table, Str key, Str *out, const char *what) {
  const TomlValue *value = toml_get(&reader->document, table, key);
  return !value || take_string(reader, value, out, what);
}

static bool get_strings(Reader *reader, const TomlValue *table, Str key, StrList *out, const char *what) {
  const TomlValue *value = toml_get(&reader->document, table, key);
  if (!value) return true;
  if (value->kind != TOML_ARRAY) return wrong(reader, value, what);
  for (const TomlValue *element = value->first; element; element = element->next) {
    Str item;
    if (!take_string(reader, element, &item, what)) return false;
    list_add(out, item);
  }
  return true;
}

/* A list since Platform API 0.10, one string before. */
static bool get_command(Reader *reader, const TomlValue *table, StrList *out) {
  const char *what = "processes.command must be a string or an array of strings";
  const TomlValue *value = toml_get(&reader->document, table, S("command"));
  if (!value || value->kind != TOML_STRING) return get_strings(reader, table, S("command"), out, what);
  Str command;
  if (!take_string(reader, value, &command, what)) return false;
  list_add(out, command);
  return true;
}

static bool read_process(Reader *reader, const TomlValue *table, Process *process) {
  const TomlValue *direct = toml_get(&reader->document, table, S("direct"));
  if (direct && direct->kind != TOML_BOOLEAN) return wrong(reader, direct, "processes.direct must be true or false");
  process->direct_given = direct != 0;
  process->direct = direct && str_equal(direct->text, S("true"));
  if (!get_string(reader, table, S("type"), &process->type, "processes.type must be a string")) return false;
  if (!process->type.len) return wrong(reader, table, "a process has no type");
  return get_command(reader, table, &process->command) &&
         get_strings(reader, table, S("args"), &process->args, "processes.args must be an array of strings") &&
         get_string(reader, table, S("working-dir"), &process->working_dir, "processes.working-dir must be a string") &&
         get_string(reader, table, S("buildpack-id"), &process->buildpack_id,
                    "processes.buildpack-id must be a string") &&
         get_strings(reader, table, S("exec-env"), &process->exec_env,
                     "processes.exec-env must be an array of strings");
}

static bool read_buildpack(Reader *reader, const TomlValue *table, Buildpack *buildpack) {
  if (!get_string(reader, table, S("id"), &buildpack->id, "buildpacks.id must be a string")) return false;
  /* Identifiers become directory names, with `_` for `/`: the refused ones would leave the layers directory. */
  if (!buildpack->id.len) return wrong(reader, table, "a buildpack has no id");
  if (str_equal(buildpack->id, S(".")) || str_equal(buildpack->id, S("..")))
    return wrong(reader, table, "buildpacks.id may not be . or ..");
  return get_string(reader, table, S("api"), &buildpack->api, "buildpacks.api must be a string");
}

static bool is_array_of_tables(Reader *reader, const TomlValue *value, const char *what) {
  if (value && value->kind != TOML_ARRAY) return wrong(reader, value, what);
  for (const TomlValue *element = value ? value->first : NULL; element; element = element->next)
    if (element->kind != TOML_TABLE) return wrong(reader, element, what);
  return true;
}

bool metadata_parse(char *source, size_t size, Metadata *out, ParseError *error) {
  Reader reader = {.error = error};
  *out = (Metadata){0};
  if (!toml_parse(source, size, &reader.document)) {
    *error = (ParseError){reader.document.error_line, reader.document.error};
    return false;
  }
  const TomlValue *root = &reader.document.root;
  const TomlValue *buildpacks = toml_get(&reader.document, root, S("buildpacks"));
  const TomlValue *processes = toml_get(&reader.document, root, S("processes"));
  if (!is_array_of_tables(&reader, buildpacks, "buildpacks must be an array of tables") ||
      !is_array_of_tables(&reader, processes, "processes must be an array of tables"))
    return false;

  for (const TomlValue *table = buildpacks ? buildpacks->first : NULL; table; table = table->next) {
    out->buildpacks = grow(out->buildpacks, out->buildpack_count, &out->buildpack_cap, sizeof(Buildpack));
    Buildpack *buildpack = &out->buildpacks[out->buildpack_count++];
    *buildpack = (Buildpack){0};
    if (!read_buildpack(&reader, table, buildpack)) return false;
  }
  for (const TomlValue *table = processes ? processes->first : NULL; table; table = table->next) {
    out->processes = grow(out->processes, out->process_count, &out->process_cap, sizeof(Process));
    Process *process = &out->processes[out->process_count++];
    *process = (Process){0};
    if (!read_process(&reader, table, process)) return false;
  }
  return true;
}

Metadata metadata_read(const char *layers) {
  const char *path = path_join(layers, S("config/metadata.toml"));
  /* The image was not built for this launcher. No launch has begun, so the status is the generic one. */
  if (file_kind(path) == NOT_THERE) fail(EXIT_FAILED, "cannot read %s: %s", path, error_text(-ENOENT));
  FileContent file = read_file(path, MAX_METADATA);
  Metadata metadata;
  ParseError error;
  if (!metadata_parse(file.bytes, file.len, &metadata, &error))
    fail(EXIT_LAUNCH, "%s:%d: %s", path, error.line, error.what);
  return metadata;
}

const Buildpack *metadata_buildpack(const Metadata *metadata, Str id) {
  for (size_t i = 0; i < metadata->buildpack_count; i++)
    if (str_equal(metadata->buildpacks[i].id, id)) return &metadata->buildpacks[i];
  return NULL;
}
