#include "base.h"

/* ---- memory ---- */

enum { CHUNK = 1 << 16 };

#ifdef HOSTED

#include <stdlib.h>

static void **allocations;
static size_t allocation_count, allocation_cap;

/* One malloc for each allocation, so that a sanitizer knows where each ends. */
void *allocate(size_t size) {
  if (allocation_count == allocation_cap) {
    allocation_cap = allocation_cap ? allocation_cap * 2 : 64;
    allocations = realloc(allocations, allocation_cap * sizeof *allocations);
  }
  void *at = calloc(1, size ? size : 1);
  if (!at || !allocations) fail(EXIT_LAUNCH, "out of memory");
  return allocations[allocation_count++] = at;
}

void release_all(void) {
  while (allocation_count) free(allocations[--allocation_count]);
}

#else

void *allocate(size_t size) {
  static char *next, *end;
  size = (size + 15) & ~(size_t)15;
  if (size > (size_t)(end - next)) {
    size_t chunk = size > CHUNK / 4 ? size : CHUNK;
    char *at = sys_map(chunk);
    if (!at) fail(EXIT_LAUNCH, "out of memory: %d more bytes; raise the memory limit", (int)chunk);
    if (chunk == size) return at; /* large: its own pages; the current chunk stays in use */
    next = at;
    end = at + chunk;
  }
  void *at = next;
  next += size;
  return at;
}

#endif

void *grow(void *items, size_t len, size_t *cap, size_t item_size) {
  if (len < *cap) return items;
  *cap = *cap ? *cap * 2 : 8;
  void *larger = allocate(*cap * item_size);
  if (len) memcpy(larger, items, len * item_size);
  return larger;
}

/* ---- strings ---- */

Str str(const char *terminated) {
  size_t len = 0;
  while (terminated[len]) len++;
  return (Str){terminated, len};
}

bool str_equal(Str a, Str b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }

int str_compare(Str a, Str b) {
  size_t common = a.len < b.len ? a.len : b.len;
  int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_has_byte(Str s, char byte) {
  for (size_t i = 0; i < s.len; i++)
    if (s.ptr[i] == byte) return true;
  return false;
}

bool str_split(Str s, char at, Str *before, Str *after) {
  size_t i = 0;
  while (i < s.len && s.ptr[i] != at) i++;
  *before = (Str){s.ptr, i};
  *after = i < s.len ? (Str){s.ptr + i + 1, s.len - i - 1} : (Str){"", 0};
  return i < s.len;
}

Str str_concat3(Str a, Str b, Str c) {
  char *out = allocate(a.len + b.len + c.len + 1);
  if (a.len) memcpy(out, a.ptr, a.len);
  if (b.len) memcpy(out + a.len, b.ptr, b.len);
  if (c.len) memcpy(out + a.len + b.len, c.ptr, c.len);
  return (Str){out, a.len + b.len + c.len};
}

const char *path_join(const char *directory, Str name) { return str_concat3(str(directory), S("/"), name).ptr; }

Str path_last_element(Str path) {
  while (path.len && path.ptr[path.len - 1] == '/') path.len--;
  size_t start = path.len;
  while (start && path.ptr[start - 1] != '/') start--;
  return (Str){path.ptr + start, path.len - start};
}

void list_add(StrList *list, Str item) {
  list->items = grow(list->items, list->len, &list->cap, sizeof(Str));
  list->items[list->len++] = item;
}

bool list_contains(const StrList *list, Str item) {
  for (size_t i = 0; i < list->len; i++)
    if (str_equal(list->items[i], item)) return true;
  return false;
}

static void sift_down(Str *items, size_t at, size_t len) {
  for (size_t child; (child = 2 * at + 1) < len; at = child) {
    if (child + 1 < len && str_compare(items[child], items[child + 1]) < 0) child++;
    if (str_compare(items[at], items[child]) >= 0) return;
    Str swapped = items[at];
    items[at] = items[child];
    items[child] = swapped;
  }
}

/* Heap sort: no recursion and no bad case, since a directory may have 100,000 files. */
void list_sort(StrList *list) {
  for (size_t i = list->len / 2; i-- > 0;) sift_down(list->items, i, list->len);
  for (size_t last = list->len; last-- > 1;) {
    Str largest = list->items[0];
    list->items[0] = list->items[last];
    list->items[last] = largest;
    sift_down(list->items, 0, last);
  }
}

bool list_has_sorted(const StrList *list, Str item) {
  size_t low = 0, high = list->len;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = str_compare(list->items[middle], item);
    if (order == 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

size_t utf8_length(const char *p, const char *end) {
  const unsigned char *u = (const unsigned char *)p;
  size_t left = (size_t)(end - p);
  if (left == 0) return 0;
  if (u[0] < 0x80) return 1;
  size_t len = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
  if (u[0] < 0xC2 || u[0] > 0xF4 || left < len) return 0;
  for (size_t i = 1; i < len; i++)
    if ((u[i] & 0xC0) != 0x80) return 0;
  /* overlong forms, surrogates, and characters above U+10FFFF */
  if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F)) return 0;
  if ((u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F)) return 0;
  return len;
}
