/*
 * Parses TOML 1.0 (and 1.1's newlines and last comma in inline tables, \e and \x escapes) into a tree of values.
 *
 * Strings and booleans keep their value. Numbers and dates are checked and kept as text, since the launcher does not
 * use them. The source is hostile input (exec.d output, a metadata.toml of any writer): size, depth and the number of
 * values are limited, and an error names a line but never quotes the source, which may contain a secret.
 */
#ifndef TOML_H
#define TOML_H

#include "map.h"

enum { TOML_MAX_DEPTH = 64, TOML_MAX_VALUES = 1 << 20 };

typedef enum { TOML_STRING, TOML_BOOLEAN, TOML_NUMBER_OR_DATE, TOML_ARRAY, TOML_TABLE } TomlKind;

/* The origin of a table or array decides what may be added to it later. */
typedef enum {
  BY_VALUE,  /* `[1, 2]` or `{ a = 1 }`: closed */
  BY_HEADER, /* `[a]`, `[[a]]` */
  BY_PATH,   /* the `a` of `[a.b]`: a later `[a]` may still define it */
  BY_KEY,    /* the `a` of `a.b = 1`: more such keys may add to it */
} TomlOrigin;

typedef struct TomlValue {
  TomlKind kind;
  TomlOrigin origin;
  int line;
  Str key;  /* in a table */
  Str text; /* a string's characters, otherwise the source's */
  struct TomlValue *first, *last, *next;
} TomlValue;

typedef struct {
  TomlValue root;
  Map members; /* (table, key) to value */
  size_t value_count;
  int error_line;
  const char *error; /* NULL: well-formed */
} TomlDocument;

/* Decodes strings in place: the source is overwritten, and the document points into it. */
bool toml_parse(char *source, size_t size, TomlDocument *document);
TomlValue *toml_get(const TomlDocument *document, const TomlValue *table, Str key);
bool toml_is_bare_key(Str key); /* one that needs no quotes: letters, digits, _ and - */

#endif
