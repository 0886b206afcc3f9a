/* Writes down what a process and its children do to the files below POWER_ROOT, in order: see power.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>


static int below(const char *path) {
    const char *root = getenv("POWER_ROOT");
    return root && !strncmp(path, root, strlen(root));
}

static void note(const char *op, long ino, const char *one, const char *two, long offset, const void *data, long size) {
    const char *log = getenv("POWER_LOG");
    int saved = errno;
    struct timespec now;
    char *line = malloc(2 * PATH_MAX + 200 + 2 * (size > 0 ? size : 0));
    int fd, length;
    long i;
    clock_gettime(CLOCK_MONOTONIC, &now);
    length = sprintf(line, "%s\t%ld.%09ld\t%ld\t%s\t%s\t%ld\t", op, (long)now.tv_sec, now.tv_nsec, ino, one, two, offset);
    for (i = 0; i < size; i++) length += sprintf(line + length, "%02x", ((const unsigned char *)data)[i]);
    line[length++] = '\n';
    fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) {
        if (syscall(SYS_write, fd, line, length) != length) abort();
        syscall(SYS_close, fd);
    }
    free(line);
    errno = saved;
}

static int where(int fd, char *path, long *ino) {
    char link[64];
    struct stat status;
    ssize_t length;
    int saved = errno;
    sprintf(link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX - 1);
    errno = saved;
    if (length <= 0) return 0;
    path[length] = 0;
    if (!below(path) || fstat(fd, &status)) return 0;
    *ino = status.st_ino;
    return 1;
}

static int whole(int dir, const char *path, char *out) {
    char folder[PATH_MAX], link[64];
    ssize_t length;
    if (path[0] == '/') { strcpy(out, path); return below(out); }
    if (dir == AT_FDCWD) { if (!getcwd(folder, sizeof folder)) return 0; }
    else {
        sprintf(link, "/proc/self/fd/%d", dir);
        length = readlink(link, folder, PATH_MAX - 1);
        if (length <= 0) return 0;
        folder[length] = 0;
    }
    sprintf(out, "%s/%s", folder, path);
    return below(out);
}

static int opened(int dir, const char *path, int flags, int mode) {
    char full[PATH_MAX];
    int ours = (flags & (O_CREAT | O_TRUNC)) && whole(dir, path, full);
    struct stat before, after;
    int was = ours && !stat(full, &before);
    int fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && ours && !fstat(fd, &after)) {
        if (!was || before.st_ino != after.st_ino) note("create", after.st_ino, full, "", 0, 0, 0);
        else if (flags & O_TRUNC) note("truncate", after.st_ino, full, "", 0, 0, 0);
    }
    return fd;
}

#define MODE(flags) int mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); \
    mode = va_arg(rest, int); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    long ino;
    ssize_t done = syscall(SYS_write, fd, data, size);
    if (done > 0 && where(fd, path, &ino)) {
        off_t end = syscall(SYS_lseek, fd, 0, SEEK_CUR);
        note("write", ino, path, "", end - done, data, done);
    }
    return done;
}

static ssize_t put(int fd, const void *data, size_t size, off_t offset) {
    char path[PATH_MAX];
    long ino;
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (done > 0 && where(fd, path, &ino)) note("write", ino, path, "", offset, data, done);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return put(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return put(fd, data, size, offset); }

static int cut(int fd, off_t size) {
    char path[PATH_MAX];
    long ino;
    int done = syscall(SYS_ftruncate, fd, size);
    if (!done && where(fd, path, &ino)) note("truncate", ino, path, "", size, 0, 0);
    return done;
}
int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

static int named(const char *op, int done, int dir, const char *one, int other, const char *two) {
    char first[PATH_MAX], second[PATH_MAX] = "";
    if (done) return done;
    int ours = whole(dir, one, first);
    if (two) ours |= whole(other, two, second);
    if (ours) {
        struct stat status;
        long ino = lstat(two ? second : first, &status) ? 0 : (long)status.st_ino;
        note(op, ino, first, second, 0, 0, 0);
    }
    return done;
}
int mkdir(const char *path, mode_t mode) {
    return named("mkdir", syscall(SYS_mkdirat, AT_FDCWD, path, mode), AT_FDCWD, path, 0, 0);
}
int mkdirat(int dir, const char *path, mode_t mode) {
    return named("mkdir", syscall(SYS_mkdirat, dir, path, mode), dir, path, 0, 0);
}
int rmdir(const char *path) {
    return named("unlink", syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR), AT_FDCWD, path, 0, 0);
}
int unlink(const char *path) {
    return named("unlink", syscall(SYS_unlinkat, AT_FDCWD, path, 0), AT_FDCWD, path, 0, 0);
}
int unlinkat(int dir, const char *path, int flags) {
    return named("unlink", syscall(SYS_unlinkat, dir, path, flags), dir, path, 0, 0);
}
int link(const char *one, const char *two) {
    return named("link", syscall(SYS_linkat, AT_FDCWD, one, AT_FDCWD, two, 0), AT_FDCWD, one, AT_FDCWD, two);
}
int linkat(int dir, const char *one, int other, const char *two, int flags) {
    return named("link", syscall(SYS_linkat, dir, one, other, two, flags), dir, one, other, two);
}
int rename(const char *one, const char *two) {
    return named("rename", syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, 0), AT_FDCWD, one, AT_FDCWD, two);
}
int renameat(int dir, const char *one, int other, const char *two) {
    return named("rename", syscall(SYS_renameat2, dir, one, other, two, 0), dir, one, other, two);
}

/* written down before it begins: what comes meanwhile need not be in it */
int fsync(int fd) {
    char path[PATH_MAX];
    long ino;
    if (where(fd, path, &ino)) note("sync", ino, path, "", 0, 0, 0);
    return syscall(SYS_fsync, fd);
}
int fdatasync(int fd) {
    char path[PATH_MAX];
    long ino;
    if (where(fd, path, &ino)) note("datasync", ino, path, "", 0, 0, 0);
    return syscall(SYS_fdatasync, fd);
}
