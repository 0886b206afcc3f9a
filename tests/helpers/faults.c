/*
 * Makes the n-th call that touches a store fail, whichever process of a run it is in: loaded by LD_PRELOAD.
 *
 * FAULT_IN: what a path has to contain. FAULT_AT: which call fails, from 1; 0 for none. FAULT_ERRNO: with what; 0 for a
 * short write (of other calls EIO). FAULT_ALL: whether all later ones fail, too. FAULT_COUNT: a file of eight bytes,
 * shared by all processes, which counts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *marker;
static long at, error_number, all;
static long *count;

#define REAL(type, name, ...) \
    static type (*real_##name)(__VA_ARGS__); \
    if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAULT_COUNT");
    marker = getenv("FAULT_IN");
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    error_number = getenv("FAULT_ERRNO") ? atol(getenv("FAULT_ERRNO")) : EIO;
    all = getenv("FAULT_ALL") != NULL;
    if (!file || !marker) return;
    REAL(int, open, const char *, int, ...);
    int descriptor = real_open(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return;
    void *place = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (place != MAP_FAILED) count = place;
}

/* Whether this call is to fail. */
static int due(void) {
    if (!count) return 0;
    long mine = __sync_add_and_fetch(count, 1);
    if (!at || (all ? mine < at : mine != at)) return 0;
    errno = error_number ? (int)error_number : EIO;
    return 1;
}

static int named(const char *path) { return count && path && strstr(path, marker); }

static int opened(int descriptor) {
    char link[64], path[PATH_MAX];
    if (!count || descriptor < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return named(path);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) {
    REAL(int, open, const char *, int, ...);
    MODE(flags);
    return named(path) && due() ? -1 : real_open(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    MODE(flags);
    return named(path) && due() ? -1 : real_open64(path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    MODE(flags);
    return named(path) && due() ? -1 : real_openat(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    MODE(flags);
    return named(path) && due() ? -1 : real_openat64(folder, path, flags, mode);
}

#define SHORT(length) (!error_number && (length) > 1)

ssize_t write(int descriptor, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    int saved = errno;
    if (opened(descriptor) && due()) {
        if (SHORT(length)) { errno = saved; return real_write(descriptor, data, length / 2); }
        return -1;
    }
    errno = saved;
    return real_write(descriptor, data, length);
}
ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    if (opened(descriptor) && due()) return SHORT(length) ? real_pwrite(descriptor, data, length / 2, offset) : -1;
    return real_pwrite(descriptor, data, length, offset);
}
ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    if (opened(descriptor) && due()) return SHORT(length) ? real_pwrite64(descriptor, data, length / 2, offset) : -1;
    return real_pwrite64(descriptor, data, length, offset);
}
int fsync(int descriptor) {
    REAL(int, fsync, int);
    return opened(descriptor) && due() ? -1 : real_fsync(descriptor);
}
int fdatasync(int descriptor) {
    REAL(int, fdatasync, int);
    return opened(descriptor) && due() ? -1 : real_fdatasync(descriptor);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return (named(from) || named(to)) && due() ? -1 : real_rename(from, to);
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    return named(to) && due() ? -1 : real_link(from, to);
}
int linkat(int one, const char *from, int other, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    return named(to) && due() ? -1 : real_linkat(one, from, other, to, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return named(path) && due() ? -1 : real_mkdir(path, mode);
}
