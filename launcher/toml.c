/* Structure: lines, keys, tables and arrays. Strings, numbers and dates are in toml_scalar.c. */
#include "toml.h"

#include "toml_scalar.h"

static bool parse_value(TomlParser *p, TomlValue *value, int depth);

/* ---- white space ---- */

static void skip_spaces(TomlParser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\t')) p->at++;
}

static bool skip_comment(TomlParser *p) {
  if (p->at == p->end || *p->at != '#') return true;
  for (; p->at < p->end && *p->at != '\n'; p->at++) {
    bool before_newline = *p->at == '\r' && p->at + 1 < p->end && p->at[1] == '\n';
    if (toml_is_control(*p->at) && !before_newline) return toml_error(p, "control character in a comment");
  }
  return true;
}

static bool at_newline(const TomlParser *p) {
  return p->at < p->end && (*p->at == '\n' || (*p->at == '\r' && p->at + 1 < p->end && p->at[1] == '\n'));
}

static void skip_newline(TomlParser *p) {
  p->at += *p->at == '\r' ? 2 : 1;
  p->line++;
}

/* Skips spaces, comments and newlines between the elements of an array. */
static bool skip_blank(TomlParser *p) {
  for (;;) {
    skip_spaces(p);
    if (!skip_comment(p)) return false;
    if (!at_newline(p)) return true;
    skip_newline(p);
  }
}

static bool expect_end_of_line(TomlParser *p) {
  skip_spaces(p);
  if (!skip_comment(p)) return false;
  if (p->at == p->end) return true;
  if (!at_newline(p)) return toml_error(p, "expected the end of the line");
  skip_newline(p);
  return true;
}

static bool take(TomlParser *p, char byte) {
  if (p->at == p->end || *p->at != byte) return false;
  p->at++;
  return true;
}

/* ---- tree ---- */

static TomlValue *new_value(TomlParser *p) {
  if (++p->document->value_count > TOML_MAX_VALUES) {
    toml_error(p, "too many values");
    return NULL;
  }
  TomlValue *value = allocate(sizeof *value);
  value->line = p->line;
  return value;
}

static void append(TomlValue *parent, TomlValue *child) {
  if (parent->last) parent->last->next = child;
  else parent->first = child;
  parent->last = child;
}

TomlValue *toml_get(const TomlDocument *document, const TomlValue *table, Str key) {
  return map_get(&document->members, table, key);
}

static TomlValue *add_member(TomlParser *p, TomlValue *table, Str key, TomlKind kind, TomlOrigin origin) {
  TomlValue *value = new_value(p);
  if (!value) return NULL;
  value->key = key;
  value->kind = kind;
  value->origin = origin;
  append(table, value);
  map_put(&p->document->members, table, key, value);
  return value;
}

/* ---- keys ---- */

static bool parse_key_part(TomlParser *p, Str *part) {
  if (p->at < p->end && (*p->at == '"' || *p->at == '\'')) return toml_parse_string(p, part, false);
  const char *start = p->at;
  while (p->at < p->end && toml_is_bare_byte(*p->at)) p->at++;
  *part = (Str){start, (size_t)(p->at - start)};
  return part->len ? true : toml_error(p, "expected a key");
}

/*
 * Reads `a.b.c` and walks from `table` to the table of the last part, and makes missing tables with the given origin. A
 * header may walk through any table that is not closed and into the last element of an array of tables; a dotted key
 * only through tables that dotted keys made.
 */
static TomlValue *parse_path(TomlParser *p, TomlValue *table, TomlOrigin origin, Str *last_part) {
  for (int depth = 1;; depth++) {
    if (depth > TOML_MAX_DEPTH) return toml_error(p, "nested too deeply"), NULL;
    if (!parse_key_part(p, last_part)) return NULL;
    skip_spaces(p);
    if (!take(p, '.')) return table;
    skip_spaces(p);
    TomlValue *next = toml_get(p->document, table, *last_part);
    if (!next) {
      if (!(next = add_member(p, table, *last_part, TOML_TABLE, origin))) return NULL;
    } else if (origin == BY_PATH && next->kind == TOML_ARRAY && next->origin == BY_HEADER) {
      next = next->last;
    } else if (next->kind != TOML_TABLE || (origin == BY_KEY ? next->origin != BY_KEY : next->origin == BY_VALUE)) {
      return toml_error(p, "a key is defined twice"), NULL;
    }
    table = next;
  }
}

static bool parse_member(TomlParser *p, TomlValue *table, int depth) {
  Str key;
  TomlValue *parent = parse_path(p, table, BY_KEY, &key);
  if (!parent) return false;
  if (!take(p, '=')) return toml_error(p, "expected = after the key");
  if (toml_get(p->document, parent, key)) return toml_error(p, "a key is defined twice");
  TomlValue *value = add_member(p, parent, key, TOML_STRING, BY_VALUE);
  return value && parse_value(p, value, depth);
}

/* ---- values ---- */

static bool parse_array(TomlParser *p, TomlValue *array, int depth) {
  for (;;) {
    if (!skip_blank(p)) return false;
    if (take(p, ']')) return true;
    TomlValue *element = new_value(p);
    if (!element || !parse_value(p, element, depth)) return false;
    append(array, element);
    if (!skip_blank(p)) return false;
    if (take(p, ',')) continue;
    return take(p, ']') ? true : toml_error(p, "expected , or ] in an array");
  }
}

static bool parse_inline_table(TomlParser *p, TomlValue *table, int depth) {
  for (;;) {
    if (!skip_blank(p)) return false;
    if (take(p, '}')) return true;
    if (!parse_member(p, table, depth) || !skip_blank(p)) return false;
    if (take(p, ',')) continue;
    return take(p, '}') ? true : toml_error(p, "expected , or } in an inline table");
  }
}

static bool parse_value(TomlParser *p, TomlValue *value, int depth) {
  if (depth > TOML_MAX_DEPTH) return toml_error(p, "nested too deeply");
  skip_spaces(p);
  value->line = p->line;
  if (take(p, '[')) {
    value->kind = TOML_ARRAY;
    return parse_array(p, value, depth + 1);
  }
  if (take(p, '{')) {
    value->kind = TOML_TABLE;
    return parse_inline_table(p, value, depth + 1);
  }
  if (p->at < p->end && (*p->at == '"' || *p->at == '\'')) {
    value->kind = TOML_STRING;
    return toml_parse_string(p, &value->text, true);
  }
  return toml_parse_bare(p, value);
}

/* ---- lines ---- */

/* After `[` or `[[`: returns the table that the following lines fill. */
static TomlValue *parse_header(TomlParser *p) {
  bool is_array = take(p, '[');
  skip_spaces(p);
  Str key;
  TomlValue *parent = parse_path(p, &p->document->root, BY_PATH, &key);
  if (!parent) return NULL;
  if (!take(p, ']') || (is_array && !take(p, ']'))) return toml_error(p, "expected ] after the table name"), NULL;

  TomlValue *known = toml_get(p->document, parent, key);
  if (is_array) {
    if (!known) known = add_member(p, parent, key, TOML_ARRAY, BY_HEADER);
    else if (known->kind != TOML_ARRAY || known->origin != BY_HEADER)
      return toml_error(p, "a key is defined twice"), NULL;
    TomlValue *table = known ? new_value(p) : NULL;
    if (!table) return NULL;
    table->kind = TOML_TABLE;
    table->origin = BY_HEADER;
    append(known, table);
    return table;
  }
  if (!known) return add_member(p, parent, key, TOML_TABLE, BY_HEADER);
  if (known->kind != TOML_TABLE || known->origin != BY_PATH) return toml_error(p, "a table is defined twice"), NULL;
  known->origin = BY_HEADER;
  return known;
}

bool toml_parse(char *source, size_t size, TomlDocument *document) {
  *document = (TomlDocument){.root = {.kind = TOML_TABLE, .origin = BY_HEADER}};
  TomlParser parser = {source, source + size, 1, document}, *p = &parser;
  if (!toml_check_encoding(p)) return false;

  TomlValue *table = &document->root;
  for (;;) {
    if (!skip_blank(p)) return false;
    if (p->at == p->end) return true;
    if (take(p, '[')) {
      if (!(table = parse_header(p))) return false;
    } else if (!parse_member(p, table, 1)) {
      return false;
    }
    if (!expect_end_of_line(p)) return false;
  }
}
