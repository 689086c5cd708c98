#include "toml_scalar.h"

bool toml_error(TomlParser *p, const char *what) {
  if (!p->document->error) {
    p->document->error = what;
    p->document->error_line = p->line;
  }
  return false;
}

bool toml_is_control(char byte) { return ((unsigned char)byte < 0x20 && byte != '\t') || byte == 0x7F; }

static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

static bool is_base_digit(char c, int base) {
  if (base <= 10) return c >= '0' && c < '0' + base;
  return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

bool toml_is_bare_byte(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '-';
}

bool toml_is_bare_key(Str key) {
  for (size_t i = 0; i < key.len; i++)
    if (!toml_is_bare_byte(key.ptr[i])) return false;
  return key.len > 0;
}

bool toml_check_encoding(TomlParser *p) {
  int line = 1;
  for (const char *at = p->at; at < p->end;) {
    size_t len = utf8_length(at, p->end);
    if (len == 0) {
      p->line = line;
      return toml_error(p, "not UTF-8");
    }
    if (*at == '\n') line++;
    at += len;
  }
  if (p->end - p->at >= 3 && memcmp(p->at, "\xEF\xBB\xBF", 3) == 0) p->at += 3;
  return true;
}

/* ---- strings ---- */

static char *put_utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (char)(0xE0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xF0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 0x3F));
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

static bool parse_code_point(TomlParser *p, int digits, uint32_t *code) {
  *code = 0;
  for (; digits; digits--, p->at++) {
    char c = p->at < p->end ? *p->at : 0;
    if (!is_base_digit(c, 16)) return toml_error(p, "bad escape in a string");
    *code = *code << 4 | (uint32_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
  }
  if (*code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF)) return toml_error(p, "bad escape in a string");
  return true;
}

/* After a backslash. The result of an escape is shorter than the escape. */
static bool parse_escape(TomlParser *p, char **out) {
  char c = p->at < p->end ? *p->at++ : 0;
  uint32_t code;
  switch (c) {
    case 'b': code = '\b'; break;
    case 't': code = '\t'; break;
    case 'n': code = '\n'; break;
    case 'f': code = '\f'; break;
    case 'r': code = '\r'; break;
    case 'e': code = 27; break;
    case '"': code = '"'; break;
    case '\\': code = '\\'; break;
    case 'x':
      if (!parse_code_point(p, 2, &code)) return false;
      break;
    case 'u':
      if (!parse_code_point(p, 4, &code)) return false;
      break;
    case 'U':
      if (!parse_code_point(p, 8, &code)) return false;
      break;
    default: return toml_error(p, "bad escape in a string");
  }
  *out = put_utf8(*out, code);
  return true;
}

/* A backslash at the end of a line in """ removes the newline and all white space after it. */
static bool skip_line_continuation(TomlParser *p) {
  char *at = p->at;
  while (at < p->end && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
  if (at == p->end || *at != '\n') return false;
  for (; at < p->end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'); at++)
    if (*at == '\n') p->line++;
  p->at = at;
  return true;
}

static bool starts_with(const TomlParser *p, char quote, int times) {
  if (p->end - p->at < times) return false;
  for (int i = 0; i < times; i++)
    if (p->at[i] != quote) return false;
  return true;
}

/* Decodes in place: the write position never overtakes the read position. */
bool toml_parse_string(TomlParser *p, Str *out, bool multi_line_allowed) {
  char quote = *p->at;
  bool multi_line = multi_line_allowed && starts_with(p, quote, 3);
  int quotes = multi_line ? 3 : 1;
  p->at += quotes;
  if (multi_line) { /* a newline right after the opening quotes is not part of the string */
    if (starts_with(p, '\r', 1) && p->end - p->at > 1 && p->at[1] == '\n') p->at++;
    if (starts_with(p, '\n', 1)) p->at++, p->line++;
  }

  char *text = p->at, *to = text;
  for (;;) {
    if (p->at == p->end) return toml_error(p, "a string does not end");
    if (starts_with(p, quote, quotes)) {
      if (multi_line)
        for (int extra = 0; extra < 2 && starts_with(p, quote, 4); extra++) *to++ = *p->at++; /* `""""a"""""` */
      p->at += quotes;
      *to = 0; /* at the closing quote or before it */
      *out = (Str){text, (size_t)(to - text)};
      return true;
    }
    char c = *p->at;
    if (c == '\\' && quote == '"') {
      p->at++;
      if (multi_line && skip_line_continuation(p)) continue;
      if (!parse_escape(p, &to)) return false;
      continue;
    }
    bool newline = c == '\n' || (c == '\r' && p->end - p->at > 1 && p->at[1] == '\n');
    if (toml_is_control(c) && !(multi_line && newline))
      return toml_error(p, newline ? "a string does not end" : "control character in a string");
    if (c == '\n') p->line++;
    *to++ = c;
    p->at++;
  }
}

/* ---- booleans, numbers, dates ---- */

/* Digits with single underscores between them; moves `s` past them. */
static bool eat_digits(Str *s, int base) {
  size_t i = 0;
  while (i < s->len && (is_base_digit(s->ptr[i], base) || (s->ptr[i] == '_' && i && s->ptr[i - 1] != '_'))) i++;
  bool good = i && s->ptr[i - 1] != '_';
  *s = (Str){s->ptr + i, s->len - i};
  return good;
}

static bool eat(Str *s, const char *any_of) {
  if (!s->len || !str_has_byte(str(any_of), s->ptr[0])) return false;
  *s = (Str){s->ptr + 1, s->len - 1};
  return true;
}

static bool is_number(Str s) {
  bool is_signed = eat(&s, "+-");
  if (str_equal(s, S("inf")) || str_equal(s, S("nan"))) return true;
  if (!is_signed && s.len > 2 && s.ptr[0] == '0' && str_has_byte(S("xob"), s.ptr[1])) {
    int base = s.ptr[1] == 'x' ? 16 : s.ptr[1] == 'o' ? 8 : 2;
    s = (Str){s.ptr + 2, s.len - 2};
    return eat_digits(&s, base) && s.len == 0;
  }
  if (s.len > 1 && s.ptr[0] == '0' && (is_digit(s.ptr[1]) || s.ptr[1] == '_')) return false; /* no leading zeros */
  if (!eat_digits(&s, 10)) return false;
  if (eat(&s, ".") && !eat_digits(&s, 10)) return false;
  if (eat(&s, "eE")) {
    eat(&s, "+-");
    if (!eat_digits(&s, 10)) return false;
  }
  return s.len == 0;
}

/* `shape`: 0 matches a digit, any other character itself. */
static bool eat_shape(Str *s, const char *shape) {
  size_t i = 0;
  for (; shape[i]; i++)
    if (i >= s->len || (shape[i] == '0' ? !is_digit(s->ptr[i]) : s->ptr[i] != shape[i])) return false;
  *s = (Str){s->ptr + i, s->len - i};
  return true;
}

static bool is_date_or_time(Str s) {
  bool has_date = eat_shape(&s, "0000-00-00");
  if (has_date && s.len == 0) return true;
  if (has_date && !eat(&s, "Tt ")) return false;
  if (!eat_shape(&s, "00:00")) return false;
  if (eat_shape(&s, ":00") && eat(&s, ".") && !eat_digits(&s, 10)) return false;
  if (has_date && s.len && !eat(&s, "Zz") && !(eat(&s, "+-") && eat_shape(&s, "00:00"))) return false;
  return s.len == 0;
}

static bool is_bare_value_byte(char c) { return toml_is_bare_byte(c) || c == '+' || c == '.' || c == ':'; }

bool toml_parse_bare(TomlParser *p, TomlValue *value) {
  const char *start = p->at;
  while (p->at < p->end && is_bare_value_byte(*p->at)) p->at++;
  /* one space may separate a date from its time */
  Str date = {start, (size_t)(p->at - start)};
  if (eat_shape(&date, "0000-00-00") && date.len == 0 && p->end - p->at > 1 && *p->at == ' ' && is_digit(p->at[1]))
    for (p->at++; p->at < p->end && is_bare_value_byte(*p->at); p->at++) continue;

  value->text = (Str){start, (size_t)(p->at - start)};
  bool boolean = str_equal(value->text, S("true")) || str_equal(value->text, S("false"));
  value->kind = boolean ? TOML_BOOLEAN : TOML_NUMBER_OR_DATE;
  if (boolean || is_number(value->text) || is_date_or_time(value->text)) return true;
  return toml_error(p, "expected a value");
}
