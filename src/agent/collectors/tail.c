/* SPDX-License-Identifier: Apache-2.0 */
#include "tail.h"

#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough that the time of a log line is within. */
#define PRINT_BYTES 256u
#define WINDOW_BYTES (PRINT_BYTES + 2 * TAIL_LINE_MAX)

/* How many rotated files are looked at, the newest. */
#define ROTATED_MAX 12u

/* How long a renamed file is read on: until its writer has been told to open the new one. */
#define GRACE_US (5 * INT64_C(1000000))

struct tail {
    struct tail_options options;
    int fd;
    struct tail_position at;
    int64_t rotated_us; /* when the path was first seen to name another file; 0: it does not */
    bool was_current;   /* the path named the file that is read */
    char *window;       /* while a call reads */
};

/* FILE.1, FILE.2 and so on, or FILE-20261128 and the like, which are ordered by their times. */
struct rotated {
    unsigned number; /* 0: it has none */
    struct timespec changed;
    char path[PATH_MAX];
};

/* Newest first. */
struct rotated_list {
    size_t count;
    struct rotated *of; /* ROTATED_MAX; NULL: no memory, and none are known */
};

/* Opens a regular file; -1 otherwise. */
static int open_path(const char *path, struct stat *ret_stat)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, ret_stat) != 0 || !S_ISREG(ret_stat->st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_own(const struct tail *tail, struct stat *ret_stat)
{
    return open_path(tail->options.path, ret_stat);
}

/* Reads what a rotated file's name has behind FILE; what is packed has another ending, and cannot
 * be read. */
static bool parse_suffix(const char *suffix, unsigned *ret_number)
{
    size_t len = strlen(suffix);
    uint64_t number;
    if (len < 2 || (suffix[0] != '.' && suffix[0] != '-') ||
        strspn(suffix + 1, "0123456789-") != len - 1)
        return false;
    bool numbered = suffix[0] == '.' && len <= 4 &&
                    span_u64((struct span){suffix + 1, len - 1}, 999, &number) && number > 0;
    *ret_number = numbered ? (unsigned)number : 0;
    return true;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static bool is_newer(const struct rotated *a, const struct rotated *b)
{
    return a->number > 0 && b->number > 0 ? a->number < b->number
                                          : is_later(&a->changed, &b->changed);
}

/* Puts it in its place; the oldest gives way. */
static void insert(struct rotated_list *list, const struct rotated *one)
{
    size_t at = list->count;
    while (at > 0 && is_newer(one, &list->of[at - 1]))
        at--;
    if (at == ROTATED_MAX)
        return;
    size_t behind = list->count - at;
    if (list->count == ROTATED_MAX)
        behind--;
    else
        list->count++;
    memmove(&list->of[at + 1], &list->of[at], behind * sizeof(*one));
    list->of[at] = *one;
}

static void list_rotated(const struct tail *tail, struct rotated_list *ret_list)
{
    const char *slash = strrchr(tail->options.path, '/');
    const char *name = slash == NULL ? tail->options.path : slash + 1;
    struct rotated one;
    *ret_list = (struct rotated_list){.of = mem_alloc(ROTATED_MAX * sizeof(one))};
    int len = snprintf(
        one.path, sizeof(one.path), "%.*s.", (int)(name - tail->options.path), tail->options.path);
    DIR *dir = ret_list->of == NULL || len <= 0 || len >= PATH_MAX ? NULL : opendir(one.path);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        struct stat stat;
        if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
            !parse_suffix(entry->d_name + strlen(name), &one.number) ||
            fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        one.changed = stat.st_mtim;
        len = snprintf(
            one.path, sizeof(one.path), "%s%s", tail->options.path, entry->d_name + strlen(name));
        if (len > 0 && len < PATH_MAX)
            insert(ret_list, &one);
    }
    if (dir != NULL)
        closedir(dir);
}

/* Opens the oldest of the rotated files that were written to after a moment, or FILE itself. */
static int open_since(const struct tail *tail, const struct rotated_list *list,
    const struct timespec *moment, struct stat *ret_stat)
{
    for (size_t i = list->count; i-- > 0;) {
        int fd =
            is_later(&list->of[i].changed, moment) ? open_path(list->of[i].path, ret_stat) : -1;
        if (fd >= 0)
            return fd;
    }
    return open_own(tail, ret_stat);
}

static uint64_t hash(const char *bytes, size_t len)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* The hash of what stands before an offset; false if the file is shorter. */
static bool print_of(int fd, uint64_t offset, uint64_t *ret_print)
{
    char bytes[PRINT_BYTES];
    size_t len = offset < sizeof(bytes) ? (size_t)offset : sizeof(bytes);
    if (pread(fd, bytes, len, (off_t)(offset - len)) != (ssize_t)len)
        return false;
    *ret_print = hash(bytes, len);
    return true;
}

static bool continues(int fd, const struct tail_position *position)
{
    uint64_t print;
    return print_of(fd, position->offset, &print) && print == position->print;
}

static bool is_file(const struct tail_position *position, const struct stat *stat)
{
    return position->device == (uint64_t)stat->st_dev && position->inode == (uint64_t)stat->st_ino;
}

static void use(struct tail *tail, int fd, const struct stat *stat, uint64_t offset)
{
    if (tail->fd >= 0 && tail->fd != fd)
        close(tail->fd);
    tail->fd = fd;
    tail->was_current = false;
    tail->at = (struct tail_position){
        .device = (uint64_t)stat->st_dev, .inode = (uint64_t)stat->st_ino, .offset = offset};
    if (!print_of(fd, offset, &tail->at.print))
        tail->at.offset = 0;
    if (tail->at.offset == 0)
        tail->at.print = hash(NULL, 0);
}

enum err tail_new(const struct tail_options *options, struct tail **ret_tail)
{
    struct tail *tail = mem_alloc(sizeof(*tail));
    if (tail == NULL)
        return ERR_MEMORY;
    tail->options = *options;
    tail->fd = -1;
    *ret_tail = tail;
    return ERR_NONE;
}

void tail_free(struct tail *tail)
{
    if (tail == NULL)
        return;
    if (tail->fd >= 0)
        close(tail->fd);
    mem_free(tail);
}

static void open_first(struct tail *tail)
{
    struct stat stat;
    int fd = open_own(tail, &stat);
    if (fd >= 0)
        use(tail, fd, &stat, 0);
}

/* A whole line, or record, begins at the end only if the last one is complete; what is not belongs
 * to what comes. */
static uint64_t end_of(const struct tail *tail, int fd, uint64_t size)
{
    if (tail->options.record_bytes > 0)
        return size - size % tail->options.record_bytes;
    char bytes[TAIL_LINE_MAX];
    size_t len = size < sizeof(bytes) ? (size_t)size : sizeof(bytes);
    ssize_t got = pread(fd, bytes, len, (off_t)(size - len));
    size_t at = got < 0 ? 0 : (size_t)got;
    while (at > 0 && bytes[at - 1] != '\n')
        at--;
    return at == 0 ? size - len : size - (uint64_t)got + at;
}

void tail_begin_at_end(struct tail *tail)
{
    open_first(tail);
    struct stat stat;
    if (tail->fd >= 0 && fstat(tail->fd, &stat) == 0)
        use(tail, tail->fd, &stat, end_of(tail, tail->fd, (uint64_t)stat.st_size));
}

/* Whether a position is in the file, or in what may be a copy of it; then that is used. */
static bool find_in(
    struct tail *tail, const char *path, const struct tail_position *position, bool copy)
{
    struct stat stat;
    int fd = open_path(path, &stat);
    if (fd < 0)
        return false;
    bool same = is_file(position, &stat) || (copy && position->offset > 0);
    if (!same || !continues(fd, position)) {
        close(fd);
        return false;
    }
    use(tail, fd, &stat, position->offset);
    tail->at.in_line = position->in_line;
    return true;
}

static bool find(struct tail *tail, const struct rotated_list *list,
    const struct tail_position *position, bool copy)
{
    bool found = find_in(tail, tail->options.path, position, copy);
    for (size_t i = 0; !found && i < list->count; i++)
        found = find_in(tail, list->of[i].path, position, copy);
    return found;
}

bool tail_begin_at(struct tail *tail, const struct tail_position *position, int64_t since_us)
{
    if (position->inode == 0)
        return true; /* there was no file yet */
    struct rotated_list list;
    list_rotated(tail, &list);
    bool found = find(tail, &list, position, false) || find(tail, &list, position, true);
    if (!found) {
        const struct timespec since = {
            .tv_sec = (time_t)(since_us / 1000000), .tv_nsec = (long)(since_us % 1000000 * 1000)};
        struct stat stat;
        int fd = open_since(tail, &list, &since, &stat);
        if (fd >= 0)
            use(tail, fd, &stat, 0);
    }
    mem_free(list.of);
    return found;
}

/* Takes a piece of the window; returns how many bytes are done with. */
static size_t take_lines(struct tail *tail, struct span bytes, const char *window)
{
    size_t done = 0;
    while (done < bytes.len) {
        struct span rest = span_from(bytes, done);
        size_t len = span_find(rest, '\n');
        if (len == rest.len)
            break;
        struct tail_position after = tail->at;
        after.offset += done + len + 1;
        after.in_line = false;
        size_t end = (size_t)(bytes.ptr - window) + done + len + 1;
        size_t print = end < PRINT_BYTES ? end : PRINT_BYTES;
        after.print = hash(window + end - print, print);
        if (!(done == 0 && tail->at.in_line) && len <= TAIL_LINE_MAX)
            (void)tail->options.take(tail->options.self, span_first(rest, len), &after);
        done += len + 1;
    }
    if (done > 0)
        tail->at.in_line = false;
    if (done == 0 && bytes.len > TAIL_LINE_MAX) {
        tail->at.in_line = true;
        done = bytes.len;
    }
    return done;
}

static size_t take_records(struct tail *tail, struct span bytes, const char *window)
{
    size_t done = 0, size = tail->options.record_bytes;
    while (bytes.len - done >= size) {
        struct tail_position after = tail->at;
        size_t end = (size_t)(bytes.ptr - window) + done + size;
        size_t print = end < PRINT_BYTES ? end : PRINT_BYTES;
        after.offset += done + size;
        after.print = hash(window + end - print, print);
        bool taken =
            tail->options.take(tail->options.self, (struct span){bytes.ptr + done, size}, &after);
        done += taken ? size : 1;
    }
    return done;
}

/* Reads one window of the open file; returns the bytes done with. */
static size_t read_window(struct tail *tail)
{
    size_t before = tail->at.offset < PRINT_BYTES ? (size_t)tail->at.offset : PRINT_BYTES;
    ssize_t got = pread(tail->fd, tail->window, WINDOW_BYTES, (off_t)(tail->at.offset - before));
    if (got < 0 || (size_t)got <= before)
        return 0;
    struct span bytes = {tail->window + before, (size_t)got - before};
    size_t done = tail->options.record_bytes > 0 ? take_records(tail, bytes, tail->window)
                                                 : take_lines(tail, bytes, tail->window);
    size_t end = before + done;
    size_t print = end < PRINT_BYTES ? end : PRINT_BYTES;
    tail->at.offset += done;
    tail->at.print = hash(tail->window + end - print, print);
    return done;
}

/* Reads to the end; true: the budget came first. */
static bool read_on(struct tail *tail, size_t *budget)
{
    size_t done;
    while ((done = read_window(tail)) > 0) {
        if (done >= *budget) {
            *budget = 0;
            return true;
        }
        *budget -= done;
    }
    return false;
}

/* The last line of a file that nobody writes any more may lack its end. */
static void take_rest(struct tail *tail)
{
    char bytes[TAIL_LINE_MAX];
    ssize_t got = pread(tail->fd, bytes, sizeof(bytes), (off_t)tail->at.offset);
    if (got <= 0 || tail->options.record_bytes > 0 || tail->at.in_line)
        return;
    struct tail_position after = tail->at;
    after.offset += (uint64_t)got;
    if (print_of(tail->fd, after.offset, &after.print))
        (void)tail->options.take(tail->options.self, (struct span){bytes, (size_t)got}, &after);
    tail->at = after;
}

/* The file was cut to zero, and perhaps has grown again: what was not read may stand in a copy,
 * from which go_on() leads back. */
static void restart(struct tail *tail, int64_t mono_us)
{
    struct tail_position old = tail->at;
    struct rotated_list list;
    struct stat stat;
    int fd = tail->fd;
    list_rotated(tail, &list);
    if (find(tail, &list, &old, true)) {
        log_info("tail", "%s was cut; the rest is read from its copy", tail->options.path);
        tail->rotated_us = mono_us - GRACE_US;
    } else if (fstat(fd, &stat) == 0) {
        log_info("tail", "%s was cut; it is read from its beginning", tail->options.path);
        use(tail, fd, &stat, 0);
    }
    mem_free(list.of);
}

/* Opens the file that was begun after the one that is read; where that is packed or gone already,
 * the first that was written to later. */
static int open_next(
    const struct tail *tail, const struct rotated_list *list, struct stat *ret_stat)
{
    struct stat stat;
    for (size_t i = 0; i < list->count; i++) {
        int fd = open_path(list->of[i].path, &stat);
        if (fd < 0)
            continue;
        close(fd);
        if (!is_file(&tail->at, &stat))
            continue;
        return i == 0 ? open_own(tail, ret_stat) : open_path(list->of[i - 1].path, ret_stat);
    }
    return fstat(tail->fd, &stat) == 0 ? open_since(tail, list, &stat.st_mtim, ret_stat) : -1;
}

/* Goes from a renamed file to the one that was begun after it. */
static bool go_on(struct tail *tail)
{
    struct rotated_list list;
    struct stat stat;
    list_rotated(tail, &list);
    int fd = open_next(tail, &list, &stat);
    mem_free(list.of);
    if (fd < 0)
        return false;
    take_rest(tail);
    use(tail, fd, &stat, 0);
    return true;
}

/* Whether the path names another file by now, or none. */
static bool is_rotated(const struct tail *tail, struct stat *ret_new, bool *ret_there)
{
    int result = fstatat(AT_FDCWD, tail->options.path, ret_new, 0);
    *ret_there = result == 0;
    return result != 0 || !is_file(&tail->at, ret_new);
}

/* Whether nobody wrote to the file that is read for so long that nobody will any more. Of one that
 * was renamed while we read it we know when, and trust no clock that may jump. */
static bool is_over(const struct tail *tail, int64_t wall_us)
{
    struct stat stat;
    return !tail->was_current && fstat(tail->fd, &stat) == 0 &&
           wall_us / 1000000 - stat.st_mtim.tv_sec > GRACE_US / 1000000;
}

static bool run(struct tail *tail, int64_t wall_us, int64_t mono_us, size_t budget)
{
    if (tail->fd < 0)
        open_first(tail);
    while (tail->fd >= 0) {
        if (!continues(tail->fd, &tail->at))
            restart(tail, mono_us);
        if (read_on(tail, &budget))
            return true;
        bool there;
        struct stat stat;
        if (!is_rotated(tail, &stat, &there)) {
            tail->rotated_us = 0;
            tail->was_current = true;
            return false;
        }
        if (!there)
            return false;
        if (tail->rotated_us == 0)
            tail->rotated_us = mono_us == 0 ? 1 : mono_us;
        if (mono_us - tail->rotated_us < GRACE_US && !is_over(tail, wall_us))
            return false;
        if (!go_on(tail))
            return false;
    }
    return false;
}

bool tail_run(struct tail *tail, int64_t wall_us, int64_t mono_us, size_t budget)
{
    tail->window = mem_alloc(WINDOW_BYTES);
    if (tail->window == NULL)
        return false; /* nothing was passed: later */
    bool more = run(tail, wall_us, mono_us, budget);
    mem_free(tail->window);
    tail->window = NULL;
    return more;
}

struct tail_position tail_position(const struct tail *tail)
{
    return tail->at;
}

void tail_look_back(struct tail *tail, size_t bytes,
    bool (*take)(void *self, struct span bytes, const struct tail_position *after))
{
    if (tail->fd < 0)
        return;
    struct tail back = *tail;
    size_t size = tail->options.record_bytes;
    uint64_t end = tail->at.offset;
    back.at.offset = end > bytes ? end - bytes : 0;
    if (size > 0)
        back.at.offset += end % size == 0 ? (size - back.at.offset % size) % size : 0;
    else
        back.at.in_line = back.at.offset > 0;
    back.options.take = take;
    back.window = mem_alloc(WINDOW_BYTES);
    while (back.window != NULL && back.at.offset < end) {
        size_t piece = WINDOW_BYTES / 2;
        if (piece > end - back.at.offset)
            piece = (size_t)(end - back.at.offset);
        ssize_t got = pread(back.fd, back.window, piece, (off_t)back.at.offset);
        if (got <= 0)
            break;
        struct span window = {back.window, (size_t)got};
        size_t done = size > 0 ? take_records(&back, window, back.window)
                               : take_lines(&back, window, back.window);
        if (done == 0)
            break;
        back.at.offset += done;
    }
    mem_free(back.window);
}

bool tail_exists(const struct tail *tail)
{
    struct stat stat;
    return fstatat(AT_FDCWD, tail->options.path, &stat, 0) == 0 && S_ISREG(stat.st_mode);
}

uint64_t tail_file_bytes(const struct tail *tail)
{
    struct stat stat;
    bool there;
    if (tail->fd < 0 || is_rotated(tail, &stat, &there) || fstat(tail->fd, &stat) != 0)
        return 0;
    return (uint64_t)stat.st_size;
}
