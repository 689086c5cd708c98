#include "process.h"

#include "api.h"

/* For error messages: `"web", "worker"`, as many as fit in one line. */
static Str show_list(Str so_far, Str item) {
  if (so_far.len > 500) return so_far;
  Str joined = str_concat3(so_far, so_far.len ? S(", \"") : S("\""), item);
  return str_concat3(joined, S("\""), S(""));
}

static bool is_eligible(const Process *process, int platform_api, Str exec_env) {
  if (!has_exec_env(platform_api) || process->exec_env.len == 0) return true;
  return list_contains(&process->exec_env, S("*")) || list_contains(&process->exec_env, exec_env);
}

/*
 * The process with the name of argv[0]'s last element, or NULL if there is none. Of several eligible ones the last
 * counts, by the rule of buildpack.md#launchtoml-toml for processes of one type.
 */
static const Process *find_process(const Metadata *metadata, Str name, int platform_api, Str exec_env) {
  const Process *found = NULL;
  Str declared = {"", 0};
  for (size_t i = 0; i < metadata->process_count; i++) {
    const Process *process = &metadata->processes[i];
    if (!str_equal(process->type, name)) continue;
    if (is_eligible(process, platform_api, exec_env)) found = process;
    else
      for (size_t e = 0; e < process->exec_env.len; e++) declared = show_list(declared, process->exec_env.items[e]);
  }
  if (!found && declared.len)
    fail(EXIT_LAUNCH,
         "process type \"%.*s\" does not run in execution environment \"%.*s\", only in %.*s; set CNB_EXEC_ENV to one "
         "of these",
         SHOW(name), SHOW(exec_env), SHOW(declared));
  return found;
}

_Noreturn static void fail_without_command(const Metadata *metadata, Str name) {
  Str types = {"", 0};
  for (size_t i = 0; i < metadata->process_count; i++) types = show_list(types, metadata->processes[i].type);
  if (!types.len) fail(EXIT_LAUNCH, "no command to run: this image has no process types; give a command as arguments");
  fail(EXIT_LAUNCH,
       "no command to run: \"%.*s\" is not a process type of this image, which has %.*s; "
       "use one as the entrypoint (/cnb/process/<type>) or give a command as arguments",
       SHOW(name), SHOW(types));
}

static void add_arguments(StrList *list, char **arguments, int count) {
  for (int i = 0; i < count; i++) list_add(list, str(arguments[i]));
}

static int buildpack_api_of(const Process *process, const Metadata *metadata) {
  if (!process->buildpack_id.len) return 0; /* not recorded: `direct` and `args` apply unchanged */
  const Buildpack *buildpack = metadata_buildpack(metadata, process->buildpack_id);
  if (!buildpack)
    fail(EXIT_LAUNCH,
         "process type \"%.*s\" comes from buildpack \"%.*s\", which metadata.toml does not list; rebuild the image",
         SHOW(process->type), SHOW(process->buildpack_id));
  return api_minor(buildpack->api);
}

static Start start_of_process(const Process *process, const Metadata *metadata, int platform_api, char **arguments,
                              int count) {
  int buildpack_api = buildpack_api_of(process, metadata);
  Start start = {.type = process->type, .working_dir = process->working_dir};
  start.direct = process->direct_given ? process->direct : processes_are_direct(buildpack_api);
  for (size_t i = 0; i < process->command.len; i++) list_add(&start.argv, process->command.items[i]);
  if (!start.argv.len || !start.argv.items[0].len)
    fail(EXIT_LAUNCH, "process type \"%.*s\" has no command", SHOW(process->type));
  if (count == 0 || !args_are_overridable(platform_api, buildpack_api))
    for (size_t i = 0; i < process->args.len; i++) list_add(&start.argv, process->args.items[i]);
  add_arguments(&start.argv, arguments, count);
  return start;
}

Start process_choose(const Metadata *metadata, int platform_api, Str exec_env, int argc, char **argv) {
  Str name = argc > 0 ? path_last_element(str(argv[0])) : S(""); /* Linux before 5.18 allows an empty argv */
  char **arguments = argc > 0 ? argv + 1 : argv;
  int count = argc > 0 ? argc - 1 : 0;

  const Process *process = find_process(metadata, name, platform_api, exec_env);
  if (process) {
    /* The type becomes a directory name below: env.launch/<type>. */
    if (str_equal(name, S(".")) || str_equal(name, S(".."))) fail(EXIT_LAUNCH, "a process type may not be . or ..");
    return start_of_process(process, metadata, platform_api, arguments, count);
  }

  Start start = {0};
  if (count && str_equal(str(arguments[0]), S("--"))) {
    start.direct = true;
    arguments++;
    count--;
    if (!count) fail(EXIT_LAUNCH, "no command to run: nothing follows --");
  }
  if (!count) fail_without_command(metadata, name);
  if (!arguments[0][0]) fail(EXIT_LAUNCH, "no command to run: its name is empty");
  add_arguments(&start.argv, arguments, count);
  return start;
}
