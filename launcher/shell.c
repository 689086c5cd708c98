/* Processes with a shell: the user's command after `launcher`, and processes of buildpacks before Buildpack API 0.9. */
#include "files.h"
#include "run.h"

/*
 * Every path and word is an argument of this fixed script, never a part of it, so no file name can run as code.
 * Arguments: bash itself as $0, working directory, number of files to source, these files, then the command and its
 * arguments.
 *
 * - Sourced files may change anything, even positional parameters and options, so an array keeps the words.
 * - A single command is a script. With arguments, all words are "shell-parsed tokens" (Buildpack API < 0.9): a word
 *   with `$` or a backquote is expanded as in double quotes; other words stay unchanged.
 * - The second bash replaces the first, and the command replaces the second, so there is always one process. The second
 *   bash allows a builtin or an exported function as the command, and hides variables that sourced files do not export.
 * - --norc, because bash -c still reads ~/.bashrc if its standard input is a socket.
 */
static const char shell_script[] =
    "launcher_words=(\"$@\")\n"
    "set --\n"
    "for launcher_file in \"${launcher_words[@]:2:launcher_words[1]}\"; do\n"
    "  source \"$launcher_file\"\n"
    "done\n"
    "set +aefu\n"
    "unset -v launcher_file\n"
    "cd -- \"${launcher_words[0]}\" || exit 82\n"
    "set -- \"${launcher_words[@]:2+launcher_words[1]}\"\n"
    "if [[ $# == 1 ]]; then\n"
    "  exec \"$0\" --norc -c \"$1\" bash\n"
    "fi\n"
    "launcher_words=(\"$@\")\n"
    "for ((launcher_i = 0; launcher_i < $#; launcher_i++)); do\n"
    "  if [[ ${launcher_words[launcher_i]} == *[\\$\\`]* ]]; then\n"
    "    eval \"launcher_words[launcher_i]=\\\"${launcher_words[launcher_i]}\\\"\" || exit 82\n"
    "  fi\n"
    "done\n"
    "unset -v launcher_i\n"
    "exec \"$0\" --norc -c '\"$@\"' bash \"${launcher_words[@]}\"\n";

static void add_profile(void *context, const char *path) {
  if (file_kind(path) == SOMETHING_ELSE) fail(EXIT_LAUNCH, "cannot source %s: not a regular file", path);
  list_add(context, str(path)); /* a dangling link: bash reports it and continues */
}

static Str decimal(size_t number) {
  char *digits = allocate(24), *at = digits + 23;
  do *--at = (char)('0' + number % 10);
  while (number /= 10);
  return (Str){at, (size_t)(digits + 23 - at)};
}

void run_shell(const Start *start, const char *app, const char *working_dir, const Layers *layers, const Env *env) {
  StrList profiles = {0};
  layers_each_file(layers, S("profile.d"), start->type, add_profile, &profiles);
  const char *app_profile = path_join(app, S(".profile"));
  if (file_kind(app_profile) == A_FILE) list_add(&profiles, str(app_profile));

  /* Checked here for the launcher's own error message. bash changes to it after the profiles have run. */
  run_enter(working_dir, "working");
  run_enter(app, "app");

  const char *denied, *bash = run_find(S("bash"), env, &denied);
  if (!bash)
    fail(EXIT_LAUNCH,
         "cannot run \"%.*s\": it needs a shell, and bash is not in PATH; start it without one (launcher -- <command>) "
         "or use a run image with bash",
         SHOW(start->argv.items[0]));

  StrList words = {0};
  const Str fixed[] = {S("bash"),        S("--norc"),          S("-c"), S(shell_script), str(bash),
                       str(working_dir), decimal(profiles.len)};
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) list_add(&words, fixed[i]);
  for (size_t i = 0; i < profiles.len; i++) list_add(&words, profiles.items[i]);
  for (size_t i = 0; i < start->argv.len; i++) list_add(&words, start->argv.items[i]);
  run_program(bash, &words, env);
}
