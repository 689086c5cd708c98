/*
 * A small stand-in for libFuzzer where there is no clang: mutates the seed files in the given directories for
 * FUZZ_SECONDS (10 by default), with FUZZ_SEED (1 by default), and relies on the sanitizers to stop at a fault.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SEEDS = 64, INPUT_SIZE = 1 << 14 };
static uint8_t seeds[MAX_SEEDS][INPUT_SIZE], input[2 * INPUT_SIZE];
static size_t seed_sizes[MAX_SEEDS], seed_count;

static uint64_t state = 1;
static size_t below(size_t limit) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (size_t)(state % limit);
}

// clang-format off
static const char *const words[] = {
    "\"\"\"", "'''", "[[", "]]", "[", "]", "{", "}", "=", ".", ",", "#", "\n", "\r\n", "\\", "\\\n  ", "\"", "'",
    "\\u0000", "\\U0010FFFF", "\xEF\xBB\xBF", "\xF4\x90", "1979-05-27 07:32:00Z", "0x_1", "1e9", "inf", "true",
    "a.b.c", "[[processes]]", "command", "api",
};
// clang-format on

static size_t mutate(size_t size) {
  size_t at = below(size + 1), span = below(size - at + 1);
  const char *word = words[below(sizeof words / sizeof *words)];
  switch (below(5)) {
    case 0:
      /* change bytes */
      for (size_t i = 0; i < 3 && size; i++) input[below(size)] = (uint8_t)below(256);
      return size;
    case 1:
      /* cut */
      memmove(input + at, input + at + span, size - at - span);
      return size - span;
    case 2:
      /* repeat */
      if (size + span > INPUT_SIZE) return size;
      memmove(input + at + span, input + at, size - at);
      return size + span;
    case 3:
      /* end early */
      return at;
    default:
      /* put a word in */
      if (size + strlen(word) > INPUT_SIZE) return size;
      memmove(input + at + strlen(word), input + at, size - at);
      memcpy(input + at, word, strlen(word));
      return size + strlen(word);
  }
}

static void load(const char *directory) {
  DIR *open_directory = opendir(directory);
  for (struct dirent *entry; open_directory && seed_count < MAX_SEEDS && (entry = readdir(open_directory));) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
    if (!file) continue;
    seed_sizes[seed_count] = fread(seeds[seed_count], 1, INPUT_SIZE, file);
    seed_count++;
    fclose(file);
  }
  if (open_directory) closedir(open_directory);
}

int main(int argc, char **argv) {
  const char *seconds = getenv("FUZZ_SECONDS"), *seed = getenv("FUZZ_SEED");
  if (seed && atoll(seed)) state = (uint64_t)atoll(seed);
  for (int i = 1; i < argc; i++) load(argv[i]);
  if (!seed_count) seed_count = 1; /* one empty seed */
  time_t end = time(NULL) + (seconds ? atoi(seconds) : 10);
  unsigned long runs = 0;
  for (; time(NULL) < end; runs++) {
    size_t which = below(seed_count), size = seed_sizes[which];
    memcpy(input, seeds[which], size);
    for (size_t i = below(8); i > 0; i--) size = mutate(size);
    LLVMFuzzerTestOneInput(input, size);
  }
  printf("%lu inputs, no fault\n", runs);
  return 0;
}
