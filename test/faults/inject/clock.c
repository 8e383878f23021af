/* Adds the seconds in the file $CLOCK_AHEAD to the wall clock of each process whose command holds $CLOCK_OF. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*true_clock)(clockid_t, struct timespec *);
static const volatile double *ahead;

__attribute__((constructor)) static void start(void) {
  true_clock = dlsym(RTLD_NEXT, "clock_gettime");
  char command[4096] = "";
  int self = open("/proc/self/cmdline", O_RDONLY);
  ssize_t length = self < 0 ? 0 : read(self, command, sizeof command - 1);
  close(self);
  for (ssize_t i = 0; i < length; i++)
    if (!command[i]) command[i] = ' ';
  const char *of = getenv("CLOCK_OF"), *path = getenv("CLOCK_AHEAD");
  if (!of || !path || !strstr(command, of)) return;
  int file = open(path, O_RDONLY);
  void *mapped = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) ahead = mapped;
}

int clock_gettime(clockid_t id, struct timespec *time) {
  if (!true_clock) true_clock = dlsym(RTLD_NEXT, "clock_gettime");
  int status = true_clock(id, time);
  if (ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) time->tv_sec += (time_t)*ahead;
  return status;
}

int gettimeofday(struct timeval *time, void *zone) {
  struct timespec now;
  int status = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return status;
}
