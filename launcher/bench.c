/*
 * Measures the time that the launcher adds to a start. Run: launcher/build bench && launcher/dist/bench [rounds]
 *
 * Starts a program that does nothing, alternately by itself and through the launcher, with an image of three buildpacks
 * of four layers each (bin, lib, two env files). Prints the difference of the medians, and of the fastest tenth, which
 * counts when the machine is busy.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double time_start(const char *program, char *const argv[], char *const envp[]) {
  double begin = microseconds();
  pid_t pid;
  int status = -1;
  if (posix_spawn(&pid, program, NULL, NULL, argv, envp) == 0) waitpid(pid, &status, 0);
  if (status != 0) {
    fprintf(stderr, "bench: %s failed with status %d\n", program, status);
    exit(1);
  }
  return microseconds() - begin;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* A quantile of sorted times: with `part` 10, a tenth of the starts were faster than the result. */
static double quantile(const double *times, int count, int part) { return times[count / part]; }

static void write_file(const char *path, const char *content) {
  FILE *file = fopen(path, "w");
  if (!file || fputs(content, file) < 0 || fclose(file)) exit(1);
}

static void make_image(const char *root, const char *program) {
  char path[4096], metadata[8192] = "";
  const char *folders[] = {"bin", "lib", "env", "env.launch"};
  snprintf(path, sizeof path, "mkdir -p %s/app %s/layers/config", root, root);
  if (system(path)) exit(1);
  for (int b = 0; b < 3; b++) {
    sprintf(metadata + strlen(metadata), "[[buildpacks]]\nid = \"acme/b%d\"\nversion = \"1\"\napi = \"0.10\"\n", b);
    snprintf(path, sizeof path, "%s/layers/acme_b%d", root, b);
    mkdir(path, 0755);
    for (int l = 0; l < 4; l++) {
      snprintf(path, sizeof path, "%s/layers/acme_b%d/l%d", root, b, l);
      mkdir(path, 0755);
      for (int f = 0; f < 4; f++) {
        snprintf(path, sizeof path, "%s/layers/acme_b%d/l%d/%s", root, b, l, folders[f]);
        mkdir(path, 0755);
      }
      snprintf(path, sizeof path, "%s/layers/acme_b%d/l%d/env/NAME_%d", root, b, l, l);
      write_file(path, "value");
      snprintf(path, sizeof path, "%s/layers/acme_b%d/l%d/env.launch/PATH.append", root, b, l);
      write_file(path, ":/opt/bin");
    }
  }
  sprintf(metadata + strlen(metadata),
          "[[processes]]\ntype = \"web\"\ncommand = [\"%s\"]\nargs = [\"nothing\"]\ndirect = true\nbuildpack-id = "
          "\"acme/b0\"\n",
          program);
  snprintf(path, sizeof path, "%s/layers/config/metadata.toml", root);
  write_file(path, metadata);
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "nothing")) return 0;
  int rounds = argc > 1 ? atoi(argv[1]) : 2000;
  char self[2048] = "", launcher[4096], root[] = "/tmp/launcher-bench-XXXXXX", app[64], layers[64], remove[64];
  if (rounds < 1 || readlink("/proc/self/exe", self, sizeof self - 1) < 0 || !mkdtemp(root)) return 1;
  int folder = (int)(strrchr(self, '/') - self);
#if defined(__aarch64__)
  snprintf(launcher, sizeof launcher, "%.*s/launcher-linux-arm64", folder, self);
#else
  snprintf(launcher, sizeof launcher, "%.*s/launcher-linux-amd64", folder, self);
#endif
  make_image(root, self);
  snprintf(app, sizeof app, "CNB_APP_DIR=%s/app", root);
  snprintf(layers, sizeof layers, "CNB_LAYERS_DIR=%s/layers", root);
  char *const envp[] = {"PATH=/cnb/process:/usr/bin:/bin", "HOME=/", "CNB_PLATFORM_API=0.12", app, layers, NULL};
  char *const alone[] = {self, "nothing", NULL}, *const launched[] = {"/cnb/process/web", NULL};

  double *by_itself = malloc(sizeof(double) * (size_t)rounds), *through = malloc(sizeof(double) * (size_t)rounds);
  for (int i = 0; i < rounds; i++) {
    by_itself[i] = time_start(self, alone, envp);
    through[i] = time_start(launcher, launched, envp);
  }
  qsort(by_itself, (size_t)rounds, sizeof *by_itself, by_size);
  qsort(through, (size_t)rounds, sizeof *through, by_size);
  for (int part = 2; part <= 10; part += 8) {
    double a = quantile(by_itself, rounds, part), b = quantile(through, rounds, part);
    printf("%s of %d starts: by itself %.0f us, through the launcher %.0f us: the launcher adds %.0f us\n",
           part == 2 ? "median" : "fastest tenth", rounds, a, b, b - a);
  }
  snprintf(remove, sizeof remove, "rm -rf %s", root);
  return system(remove) != 0;
}
