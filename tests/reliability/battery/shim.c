/* Make chosen system calls fail on paths under a prefix. Loaded with LD_PRELOAD; tests/reliability compiles it.

   FAULT_PATH   absolute prefix of the paths that are looked at; without it nothing fails
   FAULT_CALL   open (for writing), write, fsync, rename, mkdir or unlink
   FAULT_ERRNO  number of the error
   FAULT_AFTER  how many such calls of the process succeed before the first that fails
   FAULT_TIMES  how many fail; 0: all from then on
   FAULT_LOG    a file to which each call adds a line, "write /path", or "write! /path" where it fails
   The variables are read at each call, so that a forked process may set its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long seen;

static const char *variable(const char *name) { const char *value = getenv(name); return value ? value : ""; }

static void note(const char *call, const char *how, const char *path)
{
    char line[PATH_MAX + 32];
    if (!*variable("FAULT_LOG"))
        return;
    const int file = syscall(SYS_openat, AT_FDCWD, variable("FAULT_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0)
        return;
    const int length = snprintf(line, sizeof line, "%s%s %s\n", call, how, path);
    syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
}

static int fails_at(const char *call, const char *path)
{
    const char *prefix = variable("FAULT_PATH");
    if (!*prefix || strncmp(path, prefix, strlen(prefix)))
        return 0;
    int fault = 0;
    if (!strcmp(call, variable("FAULT_CALL"))) {
        const long place = seen++ - atol(variable("FAULT_AFTER")), times = atol(variable("FAULT_TIMES"));
        fault = place >= 0 && (!times || place < times);
    }
    note(call, fault ? "!" : "", path);
    if (fault)
        errno = atoi(variable("FAULT_ERRNO"));
    return fault;
}

static int fails(const char *call, int folder, const char *path)
{
    char link[64], whole[PATH_MAX * 2] = "";
    if (!path || !*variable("FAULT_PATH"))
        return 0;
    if (*path == '/')
        return fails_at(call, path);
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    const ssize_t length = readlink(link, whole, PATH_MAX);
    if (length < 0)
        return 0;
    snprintf(whole + length, PATH_MAX, "/%s", path);
    return fails_at(call, whole);
}

static int fails_on(const char *call, int file)
{
    const int before = errno;
    char link[64], path[PATH_MAX] = "";
    if (!*variable("FAULT_PATH"))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, PATH_MAX - 1) < 0) {
        errno = before;
        return 0;
    }
    return fails_at(call, path);
}

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT; }

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
#define OPEN(name) int name(const char *path, int flags, ...) { MODE(flags) \
    return writes(flags) && fails("open", AT_FDCWD, path) ? -1 : NEXT(name)(path, flags, mode); }
#define OPENAT(name) int name(int folder, const char *path, int flags, ...) { MODE(flags) \
    return writes(flags) && fails("open", folder, path) ? -1 : NEXT(name)(folder, path, flags, mode); }
#define FOPEN(name) FILE *name(const char *path, const char *how) { \
    return strpbrk(how, "wa+") && fails("open", AT_FDCWD, path) ? NULL : NEXT(name)(path, how); }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

int creat(const char *path, mode_t mode) { return fails("open", AT_FDCWD, path) ? -1 : NEXT(creat)(path, mode); }

ssize_t write(int file, const void *from, size_t count)
{
    return fails_on("write", file) ? -1 : NEXT(write)(file, from, count);
}

ssize_t pwrite(int file, const void *from, size_t count, off_t at)
{
    return fails_on("write", file) ? -1 : NEXT(pwrite)(file, from, count, at);
}

ssize_t pwrite64(int file, const void *from, size_t count, off64_t at)
{
    return fails_on("write", file) ? -1 : NEXT(pwrite64)(file, from, count, at);
}

ssize_t writev(int file, const struct iovec *from, int count)
{
    return fails_on("write", file) ? -1 : NEXT(writev)(file, from, count);
}

int fsync(int file) { return fails_on("fsync", file) ? -1 : NEXT(fsync)(file); }

int fdatasync(int file) { return fails_on("fsync", file) ? -1 : NEXT(fdatasync)(file); }

int rename(const char *from, const char *to)
{
    return fails("rename", AT_FDCWD, to) ? -1 : NEXT(rename)(from, to);
}

int renameat(int here, const char *from, int there, const char *to)
{
    return fails("rename", there, to) ? -1 : NEXT(renameat)(here, from, there, to);
}

int renameat2(int here, const char *from, int there, const char *to, unsigned flags)
{
    return fails("rename", there, to) ? -1 : NEXT(renameat2)(here, from, there, to, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fails("mkdir", AT_FDCWD, path) ? -1 : NEXT(mkdir)(path, mode);
}

int unlink(const char *path) { return fails("unlink", AT_FDCWD, path) ? -1 : NEXT(unlink)(path); }

int unlinkat(int folder, const char *path, int flags)
{
    return fails("unlink", folder, path) ? -1 : NEXT(unlinkat)(folder, path, flags);
}
