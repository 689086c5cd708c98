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

/* platform.md#launcher Outputs: the only exit codes of the launcher itself. */
enum { EXIT_FAILED = 1, EXIT_PLATFORM_API = 11, EXIT_BUILDPACK_API = 12, EXIT_LAUNCH = 82 };

/* main.c's; start.c calls it with what the kernel gave. Returns an exit code, if it returns. */
int program_main(int argc, char **argv, char **envp);

/* A string with its length. What str_concat3, read_file and TOML strings give also ends in NUL, for the kernel. */
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
int str_compare(Str a, Str b); /* by bytes, as the specification's "alphabetically ascending" is read */
bool str_has_byte(Str s, char byte);
bool str_split(Str s, char at, Str *before, Str *after); /* at the first `at`; without one, all is before */
Str str_concat3(Str a, Str b, Str c);
const char *path_join(const char *directory, Str name);
Str path_last_element(Str path);

void list_add(StrList *list, Str item);
bool list_contains(const StrList *list, Str item);
void list_sort(StrList *list);
bool list_has_sorted(const StrList *list, Str item); /* list_contains, for a sorted list of any length */

/* Memory is zeroed and lives as long as the process, which is a few milliseconds: until execve. */
void *allocate(size_t size);
void *grow(void *items, size_t len, size_t *cap, size_t item_size); /* room for one more item */
#ifdef HOSTED
void release_all(void); /* between the inputs of a fuzzer */
#endif

/* Length of the well-formed UTF-8 character at p, or 0. */
size_t utf8_length(const char *p, const char *end);

/*
 * One line on stderr. %s, %.*s, %d and %% only. What %s shows may come from a hostile file name or argument, so control
 * characters are escaped and long values are cut.
 */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *error_text(int negative_errno);

#endif
