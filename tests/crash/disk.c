/* Stands between a process and its data directory (LD_PRELOAD): notes what changes it, ends the process at a step, or
 * has a call fail.
 *
 * Environment: CRASH_DISK_ROOT, the directory that data directories are made in; CRASH_DISK_CONTROL, a file of sizeof(struct control)
 * bytes that is mapped here and in the test (tests/crash/disk.py, which repeats the layout); CRASH_DISK_LOG, the file
 * that records are appended to, or nothing. Children inherit all three.
 *
 * Order of records. One write(2) of a file opened O_APPEND places a record, so that the log is one order for all
 * processes. A change is noted after it happened and before the call returns: whatever waited for it comes later. A
 * sync is noted when it begins, and again once it has ended: it covers the changes noted before the first, and counts
 * from the second. Of changes that run beside a sync the log thus says less than the disk has, never more.
 *
 * What is mapped (SQLite's -shm, metrics) is not seen; none of it outlives the processes.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* As in disk.py: Operation. */
enum operation { OPEN, WRITE, TRUNCATE, SYNC, SYNC_DIRECTORY, RENAME, UNLINK, MKDIR, RMDIR, READ, SYNCED, LINK };
/* As in disk.py: Place. */
enum place { TEMPORARY, BLOBS, STORE, INDEX, KEYS, IDENTITIES, AUDIT, OTHER, OUTSIDE };

struct control {
    _Atomic int32_t kill_operation; /* -1: none */
    _Atomic int32_t kill_place;
    _Atomic int32_t kill_after; /* 0: before the operation, 1: after it */
    _Atomic int32_t kill_countdown;
    _Atomic int32_t fault_operations; /* a bit each */
    _Atomic int32_t fault_places;
    _Atomic int32_t fault_errno;
    _Atomic int32_t faults; /* how many there were */
    _Atomic int64_t clock_offset_ns; /* of CLOCK_REALTIME */
};

struct __attribute__((packed)) heading {
    uint32_t bytes; /* of the whole record */
    uint32_t operation;
    uint64_t inode; /* of a sync: what it is called, as both its records have it */
    uint64_t offset;
    uint32_t path_bytes;
    uint32_t other_path_bytes;
    uint32_t data_bytes;
};

#define MAX_DESCRIPTOR 65536
static struct {
    _Atomic int8_t is_known;
    int8_t place;
    int8_t is_directory;
    uint64_t inode;
} descriptors[MAX_DESCRIPTOR];

static struct control *control;
static char root[PATH_MAX];
static size_t root_bytes;
static int log_descriptor = -1;
static _Atomic uint32_t syncs;
static pid_t self; /* a child by vfork closes descriptors of its own in memory that is ours */

__attribute__((noreturn)) static void give_up(const char *where) {
    dprintf(2, "tests/crash/disk.c: %s: %s\n", where, strerror(errno));
    abort();
}

static void forked(void) { self = getpid(); }

/* The libraries' constructors may open files before ours has run; then there is no root yet, and nothing is looked at. */
#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CRASH_DISK_CONTROL"), *log = getenv("CRASH_DISK_LOG"), *top = getenv("CRASH_DISK_ROOT");
    if (!path || !top) return;
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) give_up(__func__);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    syscall(SYS_close, descriptor);
    if (control == MAP_FAILED) give_up(__func__);
    if (log && *log) {
        descriptor = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC);
        log_descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 800); /* out of the way of those that count theirs */
        syscall(SYS_close, descriptor);
        if (log_descriptor < 0) give_up(__func__);
    }
    forked();
    pthread_atfork(NULL, NULL, forked);
    strncpy(root, top, sizeof root - 1);
    root_bytes = strlen(root);
}

/* The path below the data directory, which is one of the root's, if it is. */
static const char *in_data(const char *path) {
    const char *slash = strchr(path, '/');
    return slash ? slash + 1 : NULL;
}

/* The path below the root, or NULL. */
static const char *below(int directory, const char *path, char *buffer) {
    if (!root_bytes || !path) return NULL;
    if (*path != '/') {
        if (directory == AT_FDCWD) {
            if (!getcwd(buffer, PATH_MAX)) return NULL;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            ssize_t bytes = readlink(link, buffer, PATH_MAX - 1);
            if (bytes < 0) return NULL;
            buffer[bytes] = 0;
        }
        size_t bytes = strlen(buffer);
        if (bytes + strlen(path) + 2 > PATH_MAX) return NULL;
        buffer[bytes] = '/';
        strcpy(buffer + bytes + 1, path);
        path = buffer;
    }
    if (strncmp(path, root, root_bytes) || (path[root_bytes] != '/' && path[root_bytes])) return NULL;
    path += root_bytes;
    while (*path == '/') path++;
    const char *name = in_data(path);
    return name && !strncmp(name, "run/", 4) ? NULL : path;
}

static int place_of(const char *path) {
    static const struct { const char *prefix; int place; } places[] = {
        {"store/tmp", TEMPORARY}, {"store/blobs", BLOBS}, {"store", STORE},   {"index", INDEX},
        {"kms", KEYS},            {"iam", IDENTITIES},    {"audit", AUDIT},
    };
    if (!path) return OUTSIDE;
    if (!(path = in_data(path))) return OTHER;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strncmp(path, places[i].prefix, strlen(places[i].prefix))) return places[i].place;
    return OTHER;
}

static void step(int operation, int place, int is_after) {
    if (place == OUTSIDE || !control || control->kill_operation != operation || control->kill_place != place) return;
    if (control->kill_after == is_after && atomic_fetch_sub(&control->kill_countdown, 1) == 1) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

/* Whether the call is to fail; errno is set then. */
static int fails(int operation, int place) {
    if (place == OUTSIDE || !control) return 0;
    step(operation, place, 0);
    if (!(control->fault_operations >> operation & 1) || !(control->fault_places >> place & 1)) return 0;
    atomic_fetch_add(&control->faults, 1);
    errno = control->fault_errno;
    return 1;
}

static void note(int operation, uint64_t inode, uint64_t offset, const char *path, const char *other, const void *data,
                 size_t bytes) {
    if (log_descriptor < 0) return;
    int kept = errno;
    struct heading heading = {0, (uint32_t)operation, inode, offset, path ? (uint32_t)strlen(path) : 0,
                              other ? (uint32_t)strlen(other) : 0, (uint32_t)bytes};
    struct iovec parts[] = {{&heading, sizeof heading},
                            {(void *)path, heading.path_bytes},
                            {(void *)other, heading.other_path_bytes},
                            {(void *)data, bytes}};
    heading.bytes = (uint32_t)(sizeof heading + parts[1].iov_len + parts[2].iov_len + bytes);
    if (syscall(SYS_writev, log_descriptor, parts, 4) != (long)heading.bytes) give_up(__func__); /* a log with a hole would lie */
    errno = kept;
}

static int is_known(int descriptor) {
    return descriptor >= 0 && descriptor < MAX_DESCRIPTOR && descriptors[descriptor].is_known;
}

static int place_at(int descriptor) { return is_known(descriptor) ? descriptors[descriptor].place : OUTSIDE; }

/* What the descriptor is of; its inode. */
static struct stat know(int descriptor, int place) {
    struct stat status;
    if (descriptor >= MAX_DESCRIPTOR || fstat(descriptor, &status)) give_up(__func__);
    descriptors[descriptor].place = (int8_t)place;
    descriptors[descriptor].is_directory = S_ISDIR(status.st_mode);
    descriptors[descriptor].inode = status.st_ino;
    descriptors[descriptor].is_known = 1;
    return status;
}

static int opened(int directory, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *inside = below(directory, path, buffer);
    int place = place_of(inside), is_made = 0, descriptor;
    if (!inside || (flags & O_TMPFILE) == O_TMPFILE) return (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fails(OPEN, place)) return -1;
    do { /* with O_CREAT alone nobody could tell whether it was made */
        is_made = 0;
        descriptor = (int)syscall(SYS_openat, directory, path, flags & O_EXCL ? flags : flags & ~O_CREAT, mode);
        if (descriptor >= 0 || !(flags & O_CREAT) || flags & O_EXCL || errno != ENOENT) break;
        descriptor = (int)syscall(SYS_openat, directory, path, flags | O_EXCL, mode);
        is_made = descriptor >= 0;
    } while (descriptor < 0 && errno == EEXIST);
    if (descriptor < 0) return -1;
    is_made |= flags & O_CREAT && flags & O_EXCL;
    struct stat status = know(descriptor, place);
    if (is_made) note(OPEN, status.st_ino, status.st_mode & 07777, inside, NULL, NULL, 0);
    else if (flags & O_TRUNC) note(TRUNCATE, status.st_ino, 0, NULL, NULL, NULL, 0);
    if (is_made) step(OPEN, place, 1);
    return descriptor;
}

#define MODE(flags) (__extension__({                                                                                  \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }         \
    mode; }))

int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int openat(int at, const char *path, int flags, ...) { return opened(at, path, flags, MODE(flags)); }
int openat64(int at, const char *path, int flags, ...) { return opened(at, path, flags, MODE(flags)); }
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }

static long ring_call(long number, const long *given);

/* openat2 has no function of its own; what is opened by it is only read. Nor has io_uring. */
long syscall(long number, ...) {
    REAL(syscall);
    long given[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++) given[i] = va_arg(rest, long);
    va_end(rest);
    if (control && (number == SYS_io_uring_setup || number == SYS_io_uring_enter || number == SYS_io_uring_register))
        return ring_call(number, given);
    char buffer[PATH_MAX];
    const char *inside = number == SYS_openat2 ? below((int)given[0], (const char *)given[1], buffer) : NULL;
    if (inside && fails(OPEN, place_of(inside))) return -1;
    long result = real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
    if (inside && result >= 0) know((int)result, place_of(inside));
    return result;
}

int close(int descriptor) {
    REAL(close);
    if (is_known(descriptor) && getpid() == self) descriptors[descriptor].is_known = 0;
    return real(descriptor);
}

static ssize_t wrote(int descriptor, const void *data, ssize_t bytes, int64_t offset) {
    if (bytes > 0) {
        if (offset < 0) offset = lseek(descriptor, 0, SEEK_CUR) - bytes;
        note(WRITE, descriptors[descriptor].inode, (uint64_t)offset, NULL, NULL, data, (size_t)bytes);
    }
    step(WRITE, descriptors[descriptor].place, 1);
    return bytes;
}

ssize_t write(int descriptor, const void *data, size_t bytes) {
    REAL(write);
    if (!is_known(descriptor)) return real(descriptor, data, bytes);
    return fails(WRITE, place_at(descriptor)) ? -1 : wrote(descriptor, data, real(descriptor, data, bytes), -1);
}

ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off64_t offset) {
    REAL(pwrite64);
    if (!is_known(descriptor)) return real(descriptor, data, bytes, offset);
    return fails(WRITE, place_at(descriptor)) ? -1 : wrote(descriptor, data, real(descriptor, data, bytes, offset), offset);
}
ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset) {
    return pwrite64(descriptor, data, bytes, offset);
}

/* What the log could not tell must not happen unseen. */
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(writev);
    if (is_known(descriptor)) give_up(__func__);
    return real(descriptor, parts, count);
}
ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    REAL(pwritev);
    if (is_known(descriptor)) give_up(__func__);
    return real(descriptor, parts, count, offset);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
    REAL(sendfile64);
    if (is_known(to)) give_up(__func__);
    return real(to, from, offset, bytes);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t bytes, unsigned int flags) {
    REAL(copy_file_range);
    if (is_known(to)) give_up(__func__);
    return real(from, a, to, b, bytes, flags);
}

ssize_t read(int descriptor, void *data, size_t bytes) {
    REAL(read);
    return fails(READ, place_at(descriptor)) ? -1 : real(descriptor, data, bytes);
}
ssize_t pread64(int descriptor, void *data, size_t bytes, off64_t offset) {
    REAL(pread64);
    return fails(READ, place_at(descriptor)) ? -1 : real(descriptor, data, bytes, offset);
}
ssize_t pread(int descriptor, void *data, size_t bytes, off_t offset) { return pread64(descriptor, data, bytes, offset); }
ssize_t preadv64v2(int descriptor, const struct iovec *parts, int count, off64_t offset, int flags) {
    REAL(preadv64v2);
    return fails(READ, place_at(descriptor)) ? -1 : real(descriptor, parts, count, offset, flags);
}

int ftruncate64(int descriptor, off64_t bytes) {
    REAL(ftruncate64);
    int place = place_at(descriptor);
    if (fails(TRUNCATE, place)) return -1;
    int result = real(descriptor, bytes);
    if (place != OUTSIDE && !result) {
        note(TRUNCATE, descriptors[descriptor].inode, (uint64_t)bytes, NULL, NULL, NULL, 0);
        step(TRUNCATE, place, 1);
    }
    return result;
}
int ftruncate(int descriptor, off_t bytes) { return ftruncate64(descriptor, bytes); }

/* The kernel's own call is left out while a log is kept: only the log says what survives there, and syncs take most of
 * the time. */
static int synced(int descriptor, int number) {
    int place = place_at(descriptor);
    if (place == OUTSIDE) return (int)syscall(number, descriptor);
    int operation = descriptors[descriptor].is_directory ? SYNC_DIRECTORY : SYNC;
    uint64_t name = (uint64_t)getpid() << 32 | atomic_fetch_add(&syncs, 1);
    if (fails(operation, place)) return -1;
    note(SYNC, descriptors[descriptor].inode, name, NULL, NULL, NULL, 0);
    int result = log_descriptor < 0 ? (int)syscall(number, descriptor) : 0;
    if (!result) note(SYNCED, descriptors[descriptor].inode, name, NULL, NULL, NULL, 0);
    step(operation, place, 1);
    return result;
}
int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

static int renamed(int from_at, const char *from, int to_at, const char *to, int operation) {
    char one[PATH_MAX], two[PATH_MAX];
    const char *inside_from = below(from_at, from, one), *inside_to = below(to_at, to, two);
    int place = place_of(inside_to);
    if (fails(operation, place)) return -1;
    int result = operation == LINK ? (int)syscall(SYS_linkat, from_at, from, to_at, to, 0)
                                   : (int)syscall(SYS_renameat, from_at, from, to_at, to);
    if (!result && (inside_from || inside_to)) {
        if (!inside_from || !inside_to) give_up(__func__);
        note(operation, 0, 0, inside_from, inside_to, NULL, 0);
        step(operation, place, 1);
    }
    return result;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, RENAME); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to, RENAME); }
int link(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, LINK); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    (void)flags;
    return renamed(a, from, b, to, LINK);
}

static int removed(int directory, const char *path, int flags, int operation) {
    char buffer[PATH_MAX];
    const char *inside = below(directory, path, buffer);
    int place = place_of(inside);
    if (fails(operation, place)) return -1;
    int result = (int)syscall(SYS_unlinkat, directory, path, flags);
    if (!result && inside) {
        note(operation, 0, 0, inside, NULL, NULL, 0);
        step(operation, place, 1);
    }
    return result;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0, UNLINK); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR, RMDIR); }
int unlinkat(int at, const char *path, int flags) {
    return removed(at, path, flags, flags & AT_REMOVEDIR ? RMDIR : UNLINK);
}

int mkdirat(int directory, const char *path, mode_t mode) {
    char buffer[PATH_MAX];
    const char *inside = below(directory, path, buffer);
    int place = place_of(inside);
    if (fails(MKDIR, place)) return -1;
    int result = (int)syscall(SYS_mkdirat, directory, path, mode);
    struct stat status;
    if (!result && inside && !fstatat(directory, path, &status, 0)) {
        note(MKDIR, status.st_ino, mode, inside, NULL, NULL, 0);
        step(MKDIR, place, 1);
    }
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* io_uring. The kernel makes and describes the ring and is never told to enter it: what is in the queue is done here, one
 * after the other, by the calls above, before the entering returns. A ring that tells of nothing by an event is another
 * library's (libuv has its sockets watched by one), and the kernel's. */

#define MAX_RINGS 8
static struct ring {
    int descriptor, event;
    struct io_uring_params parameters;
    char *memory;
    struct io_uring_sqe *entries;
} rings[MAX_RINGS];
static int ring_count;

/* A number that was closed may be another ring's: the last one that had it is meant. */
static struct ring *ring_of(long descriptor) {
    for (int i = ring_count - 1; i >= 0; i--)
        if (rings[i].descriptor == descriptor) return &rings[i];
    return NULL;
}

static long kernel(long number, const long *given) {
    static long (*real)(long, ...);
    if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

static long made(const long *given) {
    long descriptor = kernel(SYS_io_uring_setup, given);
    if (descriptor < 0) return descriptor;
    struct io_uring_params *told = (struct io_uring_params *)given[1];
    size_t queue = told->sq_off.array + told->sq_entries * sizeof(uint32_t);
    size_t completions = told->cq_off.cqes + told->cq_entries * sizeof(struct io_uring_cqe);
    struct ring *new = ring_of(descriptor);
    if (!new && ring_count == MAX_RINGS) give_up(__func__);
    if (!new) new = &rings[ring_count++];
    new->descriptor = (int)descriptor;
    new->event = -1;
    new->parameters = *told;
    new->memory = mmap(NULL, queue > completions ? queue : completions, PROT_READ | PROT_WRITE, MAP_SHARED, new->descriptor,
                       IORING_OFF_SQ_RING);
    new->entries = mmap(NULL, told->sq_entries * sizeof *new->entries, PROT_READ | PROT_WRITE, MAP_SHARED, new->descriptor,
                        IORING_OFF_SQES);
    if (new->memory == MAP_FAILED || (void *)new->entries == MAP_FAILED) give_up(__func__);
    return descriptor;
}

static long written_pieces(int descriptor, const struct iovec *pieces, unsigned int count, off64_t offset, int *is_short) {
    long total = 0;
    for (unsigned int i = 0; i < count; i++) {
        ssize_t bytes = pwrite64(descriptor, pieces[i].iov_base, pieces[i].iov_len, offset + total);
        if (bytes < 0 && !total) return -errno;
        if (bytes > 0) total += bytes;
        if (bytes < (ssize_t)pieces[i].iov_len) {
            *is_short = 1;
            break;
        }
    }
    return total;
}

static long performed(const struct io_uring_sqe *entry, int *is_short) {
    const char *path = (const char *)entry->addr;
    int result = -1;
    switch (entry->opcode) {
    case IORING_OP_WRITEV:
        return written_pieces(entry->fd, (const struct iovec *)entry->addr, entry->len, (off64_t)entry->off, is_short);
    case IORING_OP_OPENAT: result = opened(entry->fd, path, (int)entry->open_flags, entry->len); break;
    case IORING_OP_FSYNC:
        result = synced(entry->fd, entry->fsync_flags & IORING_FSYNC_DATASYNC ? SYS_fdatasync : SYS_fsync);
        break;
    case IORING_OP_RENAMEAT: result = renamed(entry->fd, path, (int)entry->len, (const char *)entry->off, RENAME); break;
    case IORING_OP_FADVISE: result = 0; break;
    case IORING_OP_CLOSE: result = close(entry->fd); break;
    default: give_up(__func__);
    }
    return result < 0 ? -errno : result;
}

static long entered(struct ring *ring, uint32_t count) {
    const struct io_sqring_offsets *queue = &ring->parameters.sq_off;
    const struct io_cqring_offsets *told = &ring->parameters.cq_off;
    uint32_t *head = (uint32_t *)(ring->memory + queue->head), *array = (uint32_t *)(ring->memory + queue->array);
    uint32_t *completed = (uint32_t *)(ring->memory + told->tail);
    struct io_uring_cqe *completions = (struct io_uring_cqe *)(ring->memory + told->cqes);
    int is_cancelled = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct io_uring_sqe *entry = &ring->entries[array[*head & (ring->parameters.sq_entries - 1)]];
        int is_short = 0;
        long result = is_cancelled ? -ECANCELED : performed(entry, &is_short);
        is_cancelled = entry->flags & IOSQE_IO_LINK && (result < 0 || is_short);
        completions[*completed & (ring->parameters.cq_entries - 1)] =
            (struct io_uring_cqe){.user_data = entry->user_data, .res = (int)result};
        ++*head;
        ++*completed;
    }
    uint64_t one = 1;
    if (write(ring->event, &one, sizeof one) != sizeof one) give_up(__func__);
    return count;
}

static long ring_call(long number, const long *given) {
    if (number == SYS_io_uring_setup) return made(given);
    struct ring *ring = ring_of(given[0]);
    if (ring && ring->event >= 0 && number == SYS_io_uring_enter) return entered(ring, (uint32_t)given[1]);
    if (ring && number == SYS_io_uring_register && given[1] == IORING_REGISTER_EVENTFD) ring->event = *(int *)given[2];
    return kernel(number, given);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime);
    int result = real(clock, time);
    if (!result && control && clock == CLOCK_REALTIME && control->clock_offset_ns) {
        int64_t ns = time->tv_sec * 1000000000LL + time->tv_nsec + control->clock_offset_ns;
        time->tv_sec = ns / 1000000000LL;
        time->tv_nsec = ns % 1000000000LL;
    }
    return result;
}
