/*
 * The launcher is the entrypoint of every image that Bale makes. It reads the builder's records, makes the environment
 * that the buildpacks request, and becomes the app.
 *
 *   /cnb/process/<type> [<arg>...]
 *   /cnb/lifecycle/launcher [--] [<command> <arg>...]
 *
 * Section names in comments are those of the CNB specification: platform.md, buildpack.md.
 */
#include "api.h"
#include "execd.h"
#include "process.h"
#include "run.h"

#ifndef VERSION
#define VERSION "dev"
#endif
/* Not printed: `strings` shows it for an image of unknown origin. */
__attribute__((used, retain)) static const char built_as[] = "bale-launcher (" VERSION ")";

/*
 * If standard input, output or error is closed, the first files opened here would get its number and then the app's
 * output. The app gets /dev/null there or, in an image without it, the closed descriptors.
 */
static void fill_standard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (sys_fcntl(fd, F_GETFD, 0) != -EBADF) continue;
    int ends[2];
    if (sys_open("/dev/null", O_RDWR) >= 0 || sys_pipe(ends) < 0) continue;
    if (ends[1] > 2) sys_close(ends[1]);
  }
}

/* Checks every API before any other input (platform.md#usage). */
static int check_platform_api(const Env *env) {
  const char *supported = "0.7, 0.8, 0.9, 0.10, 0.11, 0.12, 0.13, 0.14 or 0.15";
  Str version = env_or(env, S("CNB_PLATFORM_API"), S(""));
  if (!version.len)
    fail(EXIT_PLATFORM_API, "CNB_PLATFORM_API is not set; set it to the Platform API the image was built with: %s",
         supported);
  int minor = api_minor(version);
  if (!platform_api_supported(minor))
    fail(EXIT_PLATFORM_API, "CNB_PLATFORM_API: Platform API \"%.*s\" is not supported; use %s", SHOW(version),
         supported);
  return minor;
}

static void check_buildpack_apis(const Metadata *metadata) {
  for (size_t i = 0; i < metadata->buildpack_count; i++) {
    const Buildpack *buildpack = &metadata->buildpacks[i];
    if (!buildpack_api_supported(api_minor(buildpack->api)))
      fail(EXIT_BUILDPACK_API,
           "buildpack \"%.*s\": Buildpack API \"%.*s\" is not supported; rebuild with one that uses 0.7 to 0.12",
           SHOW(buildpack->id), SHOW(buildpack->api));
  }
}

/* Absolute, without a slash at the end: exec.d programs and PATH must not depend on the working directory. */
static const char *absolute(Str path, const char *base) {
  while (path.len > 1 && path.ptr[path.len - 1] == '/') path.len--;
  if (path.ptr[0] == '/') return str_concat3(path, S(""), S("")).ptr;
  return path_join(base, path);
}

static const char *current_directory(void) {
  char *buffer = allocate(4096);
  return sys_getcwd(buffer, 4096) > 0 ? buffer : "/";
}

int program_main(int argc, char **argv, char **envp) {
  fill_standard_descriptors();
  Env env = env_from(envp);
  int platform_api = check_platform_api(&env);
  const char *here = current_directory();
  const char *app = absolute(env_or(&env, S("CNB_APP_DIR"), S("/workspace")), here);
  const char *layers_directory = absolute(env_or(&env, S("CNB_LAYERS_DIR"), S("/layers")), here);
  Str exec_env = env_or(&env, S("CNB_EXEC_ENV"), S("production"));
  if (env_or(&env, S("CNB_PROCESS_TYPE"), S("")).len)
    warn("CNB_PROCESS_TYPE is ignored; to choose a process, set the entrypoint to /cnb/process/<type>");

  Metadata metadata = metadata_read(layers_directory);
  check_buildpack_apis(&metadata);
  Start start = process_choose(&metadata, platform_api, exec_env, argc, argv);

  Layers layers = layers_find(layers_directory, &metadata);
  env_remove_launcher_variables(&env);
  layers_modify_env(&layers, start.type, &env);
  run_enter(app, "app");
  execd_run_all(&layers, start.type, &env);

  const char *working_dir = start.working_dir.len ? absolute(start.working_dir, app) : app;
  if (start.direct) run_direct(&start, working_dir, &env);
  run_shell(&start, app, working_dir, &layers, &env);
}
