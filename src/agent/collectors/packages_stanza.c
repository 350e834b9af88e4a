/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are texts: stanzas of lines "key: value" with a blank line between. */
#include "packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_KEPT 768u /* of a line; longer ones are of fields that nobody asked for */
#define READ_BYTES 4096u

enum field { NAME, VERSION, VENDOR, ARCHITECTURE, STATUS, FIELD_COUNT };

struct dialect {
    const char *keys[FIELD_COUNT]; /* NULL: the database has none */
    bool any_case;
};

static const struct dialect debian = {
    {"Package", "Version", "Maintainer", "Architecture", "Status"}, true};
static const struct dialect apk = {{"P", "V", "m", "A", NULL}, false};

static const size_t kept[FIELD_COUNT] = {
    PACKAGE_NAME_MAX, PACKAGE_VERSION_MAX, PACKAGE_VENDOR_MAX, PACKAGE_ARCHITECTURE_MAX, 64};

struct reader {
    const struct dialect *dialect;
    package_sink *sink;
    void *self;
    size_t line_len;
    bool stopped;
    bool begun; /* the stanza has a field */
    bool odd;   /* there is a byte that is in no text */
    char last_byte;
    uint64_t stanzas; /* with a name */
    struct package_text fields[FIELD_COUNT];
    char line[LINE_KEPT];
};

/* "want flag status": whether a file of the package is there. */
static bool installed(struct span status)
{
    struct span word = SPAN_NONE;
    if (status.len == 0)
        return true; /* a database without it lists what is installed */
    while (span_cut(&status, ' ', &word))
        ;
    return !span_is(word, "not-installed") && !span_is(word, "config-files");
}

static struct span field_of(const struct reader *reader, enum field field)
{
    return (struct span){reader->fields[field].bytes, reader->fields[field].len};
}

static void end_stanza(struct reader *reader)
{
    const struct package package = {.name = field_of(reader, NAME),
        .version = field_of(reader, VERSION),
        .vendor = field_of(reader, VENDOR),
        .architecture = field_of(reader, ARCHITECTURE)};
    reader->stanzas += package.name.len > 0;
    if (package.name.len > 0 && installed(field_of(reader, STATUS)) && !reader->stopped)
        reader->stopped = !reader->sink(reader->self, &package);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        reader->fields[i].len = 0;
    reader->begun = false;
}

static void end_line(struct reader *reader)
{
    struct span line = {reader->line, reader->line_len}, key;
    reader->line_len = 0;
    if (span_trim(line).len == 0) {
        if (reader->begun)
            end_stanza(reader);
        return;
    }
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t' || span_find(line, ':') == line.len)
        return;
    (void)!span_cut(&line, ':', &key);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *name = reader->dialect->keys[i];
        if (name == NULL ||
            !(reader->dialect->any_case ? span_eq_nocase(key, span_of(name)) : span_is(key, name)))
            continue;
        struct span value = span_trim(span_first(span_trim(line), kept[i]));
        reader->fields[i].len = value.len;
        reader->begun = true;
        if (value.len > 0)
            memcpy(reader->fields[i].bytes, value.ptr, value.len);
        return;
    }
}

static void take_in(struct reader *reader, struct span bytes)
{
    reader->odd = reader->odd || span_find(bytes, '\0') < bytes.len;
    reader->last_byte = bytes.ptr[bytes.len - 1];
    while (bytes.len > 0 && !reader->stopped) {
        size_t end = span_find(bytes, '\n');
        size_t room = LINE_KEPT - reader->line_len;
        size_t keep = end < room ? end : room;
        memcpy(reader->line + reader->line_len, bytes.ptr, keep);
        reader->line_len += keep;
        if (end < bytes.len)
            end_line(reader);
        bytes = span_from(bytes, end + 1);
    }
}

enum err packages_open(const char *path, int *ret_fd, struct why *why)
{
    struct stat about;
    /* Without waiting: somebody may have put a FIFO there. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, why, "%s: %s",
            path, strerror(errno));
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return fail(ERR_IO, why, "%s is no regular file", path);
    }
    *ret_fd = fd;
    return ERR_NONE;
}

/* What shows that a file is not all that it was or will be; package managers exchange theirs at
 * once and whole. NULL: nothing does. `whole`: it is a database, not a file for a package. */
static const char *sign_of_damage(
    const struct reader *reader, const struct stat *before, const struct stat *after, bool whole)
{
    if (before->st_size != after->st_size || before->st_mtim.tv_sec != after->st_mtim.tv_sec ||
        before->st_mtim.tv_nsec != after->st_mtim.tv_nsec)
        return "changed while it was read";
    if (reader->odd)
        return "has bytes that are in no text";
    if (whole && after->st_size > 0 && reader->stanzas == 0)
        return "names no package";
    if (whole && after->st_size > 0 && reader->last_byte != '\n')
        return "ends within a line";
    return NULL;
}

static enum err read_file(struct reader *reader, const char *path, bool whole, struct why *why)
{
    int fd;
    struct stat before, after;
    enum err err = packages_open(path, &fd, why);
    if (err != ERR_NONE)
        return err;
    char bytes[READ_BYTES];
    size_t total = 0;
    bool known = fstat(fd, &before) == 0;
    while (!reader->stopped) {
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = fail(ERR_IO, why, "reading %s: %s", path, strerror(errno));
        if (got <= 0)
            break;
        total += (size_t)got;
        if (total > PACKAGES_FILE_BYTES_MAX) {
            err = fail(
                ERR_TOO_LARGE, why, "%s is larger than %u bytes", path, PACKAGES_FILE_BYTES_MAX);
            break;
        }
        take_in(reader, (struct span){bytes, (size_t)got});
    }
    known = known && fstat(fd, &after) == 0;
    close(fd);
    end_line(reader);
    end_stanza(reader);
    const char *sign =
        known && !reader->stopped ? sign_of_damage(reader, &before, &after, whole) : NULL;
    if (err == ERR_NONE && sign != NULL)
        err = fail(ERR_FORMAT, why, "%s %s: packages may be missing", path, sign);
    return err;
}

/* Each file of the directory is a database of its own; "NAME.md5sums" is none. */
static enum err read_directory(struct reader *reader, DIR *dir, const char *path, struct why *why)
{
    enum err first = ERR_NONE;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL && !reader->stopped) {
        char file[PATH_MAX];
        const char *dot = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' || (dot != NULL && strcmp(dot, ".md5sums") == 0))
            continue;
        int len = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(file))
            continue;
        struct why reason = {""};
        enum err err = read_file(reader, file, false, &reason);
        if (err != ERR_NONE && first == ERR_NONE)
            first = fail(err, why, "%s", reason.text);
    }
    return first;
}

enum err packages_read_debian(const char *path, package_sink *sink, void *self, struct why *why)
{
    struct reader reader = {.dialect = &debian, .sink = sink, .self = self};
    DIR *dir = opendir(path);
    if (dir == NULL)
        return read_file(&reader, path, true, why);
    enum err err = read_directory(&reader, dir, path, why);
    closedir(dir);
    return err;
}

enum err packages_read_apk(const char *path, package_sink *sink, void *self, struct why *why)
{
    struct reader reader = {.dialect = &apk, .sink = sink, .self = self};
    return read_file(&reader, path, true, why);
}
