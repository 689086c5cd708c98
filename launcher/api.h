/* The API versions that the launcher supports, and their features. No other file compares versions. */
#ifndef API_H
#define API_H

#include "base.h"

enum { PLATFORM_API_OLDEST = 7, PLATFORM_API_NEWEST = 15, BUILDPACK_API_OLDEST = 7, BUILDPACK_API_NEWEST = 12 };

/* Returns N for `0.N`, and -1 for anything else: there is no version 1 yet, and `0` is 0.0, which is not supported. */
static inline int api_minor(Str version) {
  if (version.len < 3 || version.len > 4 || version.ptr[0] != '0' || version.ptr[1] != '.') return -1;
  int minor = 0;
  for (size_t i = 2; i < version.len; i++) {
    if (version.ptr[i] < '0' || version.ptr[i] > '9' || (version.ptr[2] == '0' && version.len == 4)) return -1;
    minor = minor * 10 + (version.ptr[i] - '0');
  }
  return minor;
}

static inline bool platform_api_supported(int minor) {
  return minor >= PLATFORM_API_OLDEST && minor <= PLATFORM_API_NEWEST;
}
static inline bool buildpack_api_supported(int minor) {
  return minor >= BUILDPACK_API_OLDEST && minor <= BUILDPACK_API_NEWEST;
}

/* The user's arguments replace a process's `args` instead of following them, if both APIs support that. */
static inline bool args_are_overridable(int platform, int buildpack) { return platform >= 10 && buildpack >= 9; }
/* Buildpack API 0.9 removed the shell: every process is direct. */
static inline bool processes_are_direct(int buildpack) { return buildpack >= 9; }
static inline bool has_exec_env(int platform) { return platform >= 15; }

#endif
