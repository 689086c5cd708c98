#include "map.h"

/* FNV-1a: colliding names only slow the start of the image that contains them. */
static size_t hash(const void *scope, Str name) {
  uint64_t h = 14695981039346656037u ^ ((uintptr_t)scope >> 4);
  for (size_t i = 0; i < name.len; i++) h = (h ^ (unsigned char)name.ptr[i]) * 1099511628211u;
  return (size_t)(h ^ h >> 29);
}

/* The slot with the name, or the free one for it. */
static MapSlot *find(const Map *map, const void *scope, Str name) {
  for (size_t at = hash(scope, name);; at++) {
    MapSlot *slot = &map->slots[at & (map->cap - 1)];
    if (!slot->value || (slot->scope == scope && str_equal(slot->name, name))) return slot;
  }
}

void *map_get(const Map *map, const void *scope, Str name) { return map->cap ? find(map, scope, name)->value : NULL; }

void map_put(Map *map, const void *scope, Str name, void *value) {
  if (map->used * 2 >= map->cap) {
    Map larger = {.cap = map->cap ? map->cap * 2 : 256};
    larger.slots = allocate(larger.cap * sizeof(MapSlot));
    for (size_t i = 0; i < map->cap; i++)
      if (map->slots[i].value) *find(&larger, map->slots[i].scope, map->slots[i].name) = map->slots[i];
    larger.used = map->used;
    *map = larger;
  }
  MapSlot *slot = find(map, scope, name);
  if (!slot->value) map->used++;
  *slot = (MapSlot){scope, name, value};
}
