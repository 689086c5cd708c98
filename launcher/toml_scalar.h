/* Internal to the TOML parser: its position, and the values that are not tables or arrays. */
#ifndef TOML_SCALAR_H
#define TOML_SCALAR_H

#include "toml.h"

typedef struct {
  char *at, *end;
  int line;
  TomlDocument *document;
} TomlParser;

bool toml_error(TomlParser *p, const char *what); /* always false */
bool toml_is_control(char byte);                  /* not allowed in comments and one-line strings */
bool toml_is_bare_byte(char byte);
bool toml_check_encoding(TomlParser *p); /* UTF-8 throughout; steps over a byte order mark */
bool toml_parse_string(TomlParser *p, Str *out, bool multi_line_allowed); /* NUL-terminated */
bool toml_parse_bare(TomlParser *p, TomlValue *value);                    /* booleans, numbers, dates */

#endif
