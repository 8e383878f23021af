/* A disk that is slow to read: a process that opens an original that was not opened last waits for SLOW_READS_MS, while the
   file SLOW_READS is there. What was read once is in memory, as on a real disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static char last[4096];

static void wait_for_disk(const char *path) {
  const char *end = strrchr(path, '/');
  if (!end || strcmp(end, "/original") != 0 || access(SLOW_READS, F_OK) != 0) return;
  if (strcmp(path, last) == 0) return;
  strncpy(last, path, sizeof last - 1);
  usleep(SLOW_READS_MS * 1000);
}

#define SLOW(name)                                              \
  int name(const char *path, int flags, ...) {                  \
    static int (*real)(const char *, int, ...);                 \
    if (!real) real = dlsym(RTLD_NEXT, #name);                  \
    va_list more;                                               \
    va_start(more, flags);                                      \
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;         \
    va_end(more);                                               \
    if (!(flags & (O_WRONLY | O_RDWR))) wait_for_disk(path);    \
    return real(path, flags, mode);                             \
  }

SLOW(open)
SLOW(open64)
