/* Errors and warnings: one line each, with any characters in the names that they show. */
#include "base.h"

enum { LINE = 8192, SHOWN = 1500 }; /* four values cut to SHOWN and the text between them fit in a LINE */

typedef struct {
  char text[LINE];
  size_t len;
} Line;

static void put(Line *line, char byte) {
  if (line->len < LINE - 1) line->text[line->len++] = byte; /* the last byte is kept for the newline */
}

static void put_literal(Line *line, const char *text) {
  while (*text) put(line, *text++);
}

static void put_number(Line *line, int number) {
  char digits[12];
  size_t len = 0;
  unsigned rest = number < 0 ? 0u - (unsigned)number : (unsigned)number;
  do digits[len++] = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0) put(line, '-');
  while (len) put(line, digits[--len]);
}

/* A name must not forge a line or control the terminal: C0, DEL, C1 (C2 80 to C2 9F) and broken UTF-8 are escaped. */
static void put_escaped(Line *line, Str s) {
  const char *p = s.ptr, *end = s.ptr + (s.len < SHOWN ? s.len : SHOWN);
  while (p < end) {
    unsigned char byte = (unsigned char)*p;
    size_t len = utf8_length(p, end);
    bool c1 = len == 2 && byte == 0xC2 && (unsigned char)p[1] < 0xA0;
    if (len && byte >= 0x20 && byte != 0x7F && !c1) {
      while (len--) put(line, *p++);
      continue;
    }
    p++;
    put(line, '\\');
    if (byte == '\n') put(line, 'n');
    else if (byte == '\t') put(line, 't');
    else {
      put(line, 'x');
      put(line, "0123456789abcdef"[byte >> 4]);
      put(line, "0123456789abcdef"[byte & 15]);
    }
  }
  if (s.len > SHOWN) put_literal(line, "...");
}

static void print_line(const char *prefix, const char *format, va_list arguments) {
  Line line = {.len = 0};
  put_literal(&line, prefix);
  for (; *format; format++) {
    if (*format != '%') {
      put(&line, *format);
      continue;
    }
    format++;
    if (*format == 's') {
      put_escaped(&line, str(va_arg(arguments, const char *)));
    } else if (*format == 'd') {
      put_number(&line, va_arg(arguments, int));
    } else if (*format == '.') { /* %.*s */
      size_t len = (size_t)va_arg(arguments, int);
      put_escaped(&line, (Str){va_arg(arguments, const char *), len});
      format += 2;
    } else {
      put(&line, *format);
    }
  }
  line.text[line.len++] = '\n';

  /* If stderr has no reader, the exit code must still be the launcher's, and the app must inherit SIGPIPE unchanged. */
  SignalAction ignore = {.handler = 1}, before;
  bool ignored = sys_sigaction(SIGPIPE, &ignore, &before) == 0;
  for (size_t done = 0; done < line.len;) {
    long wrote = sys_write(2, line.text + done, line.len - done);
    if (wrote == -EINTR) continue;
    if (wrote <= 0) break;
    done += (size_t)wrote;
  }
  if (ignored) sys_sigaction(SIGPIPE, &before, NULL);
}

void fail(int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line("ERROR: ", format, arguments);
  va_end(arguments);
  sys_exit(code);
}

void warn(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line("Warning: ", format, arguments);
  va_end(arguments);
}

const char *error_text(int negative_errno) {
  switch (-negative_errno) {
    case EPERM: return "operation not permitted";
    case ENOENT: return "no such file or directory";
    case EIO: return "input/output error";
    case E2BIG: return "arguments and environment are too long";
    case ENOEXEC: return "not an executable for this machine, nor a script with #!";
    case EAGAIN: return "too many processes";
    case ENOMEM: return "out of memory";
    case EACCES: return "permission denied";
    case ENOTDIR: return "not a directory";
    case EISDIR: return "is a directory";
    case EMFILE: return "too many open files";
    case ETXTBSY: return "the file is being written";
    case ENAMETOOLONG: return "name too long";
    case ELOOP: return "too many symbolic links";
    default: {
      static char text[] = "error 0000";
      int rest = -negative_errno;
      for (char *digit = text + sizeof text - 2; digit >= text + 6; digit--, rest /= 10)
        *digit = (char)('0' + rest % 10);
      return text;
    }
  }
}
