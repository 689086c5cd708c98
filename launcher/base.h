/* Basic helpers for the launcher and the dispatcher: strings with a length, memory never freed, one-line errors. */
#ifndef BASE_H
#define BASE_H

#include <stdarg.h>

#include "sys.h"

#ifdef HOSTED
#include <string.h>
#else
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
#endif

/* The only exit codes of the launcher itself (platform.md#launcher Outputs). */
enum { EXIT_FAILED = 1, EXIT_PLATFORM_API = 11, EXIT_BUILDPACK_API = 12, EXIT_LAUNCH = 82 };

/* In main.c; start.c calls it with the kernel's arguments. Returns an exit code, if it returns. */
int program_main(int argc, char **argv, char **envp);

/* A string with its length. Results of str_concat3, read_file and TOML strings also end in NUL, for the kernel. */
typedef struct {
  const char *ptr;
  size_t len;
} Str;

#define S(literal) ((Str){(literal), sizeof(literal) - 1})
#define SHOW(s) (int)(s).len, (s).ptr /* for %.*s */

typedef struct {
  Str *items;
  size_t len, cap;
} StrList;

Str str(const char *terminated);
bool str_equal(Str a, Str b);
int str_compare(Str a, Str b); /* by bytes: "alphabetically ascending" in the specification */
bool str_has_byte(Str s, char byte);
bool str_split(Str s, char at, Str *before, Str *after); /* at the first `at`; without one, everything is before */
Str str_concat3(Str a, Str b, Str c);
const char *path_join(const char *directory, Str name);
Str path_last_element(Str path);

void list_add(StrList *list, Str item);
bool list_contains(const StrList *list, Str item);
void list_sort(StrList *list);
bool list_has_sorted(const StrList *list, Str item); /* list_contains, for a sorted list of any length */

/* Memory is zeroed and lives until execve, a few milliseconds. */
void *allocate(size_t size);
void *grow(void *items, size_t len, size_t *cap, size_t item_size); /* room for one more item */
#ifdef HOSTED
void release_all(void); /* between the inputs of a fuzzer */
#endif

/* Length of the well-formed UTF-8 character at p, or 0. */
size_t utf8_length(const char *p, const char *end);

/*
 * Prints one line on stderr. Supports only %s, %.*s, %d and %%. Values of %s may come from a hostile file name or
 * argument, so control characters are escaped and long values are cut.
 */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *error_text(int negative_errno);

#endif
