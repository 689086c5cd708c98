/*
 * A hash map from (scope, name) to a pointer. One map serves all the tables of a TOML document (the scope is the
 * table), another the environment (no scope): time stays linear for a file of a million keys or a cluster of 30,000
 * service variables.
 */
#ifndef MAP_H
#define MAP_H

#include "base.h"

typedef struct {
  const void *scope;
  Str name;
  void *value;
} MapSlot;

typedef struct {
  MapSlot *slots;
  size_t used, cap; /* cap is a power of two */
} Map;

void *map_get(const Map *map, const void *scope, Str name);
void map_put(Map *map, const void *scope, Str name, void *value); /* name must outlive the map; value is not NULL */

#endif
