/* Fuzzing the output of exec.d programs: npm run fuzz */
#include "execd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *output = allocate(size), *nothing[] = {NULL};
  if (size) memcpy(output, data, size);
  Env env = env_from(nothing);
  ParseError error = {0};
  bool good = execd_apply_output(output, size, &env, &error);
  if (!good && (!error.what || error.line < 1 || env.len)) __builtin_trap(); /* all of the output is applied, or none */
  for (char **entry = env_vector(&env); *entry; entry++) {
    Str name, value;
    if (!str_split(str(*entry), '=', &name, &value) || !name.len) __builtin_trap();
  }
  release_all();
  return 0;
}
