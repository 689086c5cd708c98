/* Fuzzing metadata.toml: npm run fuzz */
#include "metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *source = allocate(size); /* exactly as large as the input, so a read past its end is detected */
  if (size) memcpy(source, data, size);
  Metadata metadata;
  ParseError error = {0};
  bool good = metadata_parse(source, size, &metadata, &error);
  if (!good && (!error.what || error.line < 1)) __builtin_trap(); /* an error says what and where */
  release_all();
  return 0;
}
