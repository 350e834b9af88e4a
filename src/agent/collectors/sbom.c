/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The installed packages: all of them, whatever package managers the machine has, read from their
 * databases without starting them. A scan is as many events as it takes; they share a scan_id, are
 * numbered from 1, and the last says so and how many packages there were.
 *
 * Packages are written while they are read, so that no more than one event's worth is in memory.
 */
#include "collector.h"
#include "log.h"
#include "message.h"
#include "packages.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The texts of one event, as the databases have them: in JSON a byte takes at most six. */
#define EVENT_TEXT_BYTES (24u * 1024)
#define PACKAGE_BYTES 64u /* the names of its members */
#define PACKAGES_MAX 100000u

/* Says that there is a database that nobody reads here; it would look like a machine without
 * packages. */
static enum err berkeley_db(
    const char *path, package_sink *sink UNUSED, void *self UNUSED, struct why *why)
{
    int fd;
    enum err err = packages_open(path, &fd, why);
    if (err != ERR_NONE)
        return err;
    close(fd);
    return fail(ERR_NOT_OFFERED, why, "%s is a Berkeley DB, which is not read", path);
}

static const struct database {
    const char *manager;
    const char *path; /* below the root */
    enum err (*read)(const char *path, package_sink *sink, void *self, struct why *why);
} databases[] = {
    {"dpkg", "/var/lib/dpkg/status", packages_read_debian},
    {"dpkg", "/var/lib/dpkg/status.d", packages_read_debian},
    {"rpm", "/usr/lib/sysimage/rpm/rpmdb.sqlite", packages_read_rpm_sqlite},
    {"rpm", "/usr/lib/sysimage/rpm/Packages.db", packages_read_rpm_ndb},
    {"rpm", "/var/lib/rpm/rpmdb.sqlite", packages_read_rpm_sqlite},
    {"rpm", "/var/lib/rpm/Packages.db", packages_read_rpm_ndb},
    {"rpm", "/var/lib/rpm/Packages", berkeley_db},
    {"apk", "/lib/apk/db/installed", packages_read_apk},
    {"apk", "/usr/lib/apk/db/installed", packages_read_apk},
    {"opkg", "/usr/lib/opkg/status", packages_read_debian},
    {"opkg", "/var/lib/opkg/status", packages_read_debian},
};

struct sbom {
    const char *root_dir;
    uint32_t (*random)(void);
    size_t event_text_bytes;
};

/* One scan. */
struct scan {
    const struct sbom *sbom;
    struct collector_writer *writer;
    const char *manager; /* whose packages are being read */
    struct buf id;
    uint64_t packages;
    uint64_t left_out;
    int64_t part;
    struct why why; /* the first thing that went wrong */
    enum err err;

    /* The event that is being filled. */
    struct arena *arena;
    struct json *payload;
    struct json *list; /* NULL: no memory */
    const char *event_manager;
    uint64_t event_packages;
    size_t event_bytes;
};

static void note_error(struct scan *scan, enum err err, const char *sentence)
{
    if (scan->err == ERR_NONE)
        scan->err = fail(err, &scan->why, "%s", sentence);
}

static void begin_event(struct scan *scan)
{
    scan->payload = collector_payload(scan->writer, &scan->arena);
    scan->list = scan->payload == NULL ? NULL : json_new(scan->arena, JSON_ARRAY);
    scan->event_manager = scan->manager;
    scan->event_packages = 0;
    scan->event_bytes = 0;
}

/* Writes the event; the last one tells of the scan. */
static void write_event(struct scan *scan, bool last)
{
    struct json *payload = scan->payload;
    scan->part++;
    bool done = scan->list != NULL && !scan->id.failed &&
                json_set_text(scan->arena, payload, "scan_id", buf_span(&scan->id)) &&
                json_set_int(scan->arena, payload, "part", scan->part) &&
                json_set_bool(scan->arena, payload, "last", last);
    if (last)
        done =
            done && json_set_int(scan->arena, payload, "package_count", (int64_t)scan->packages) &&
            (scan->left_out == 0 ||
                json_set_int(scan->arena, payload, "packages_left_out", (int64_t)scan->left_out)) &&
            (scan->err == ERR_NONE || json_set_text(scan->arena, payload, "error",
                                          span_of(why_text(&scan->why, scan->err))));
    if (scan->event_packages > 0)
        done = done && json_set_text(scan->arena, payload, "manager", span_of(scan->event_manager));
    done = done && json_set(scan->arena, payload, SPAN_LIT("packages"), scan->list);
    enum err err = collector_write(
        scan->writer, collector_now_us(scan->writer), scan->event_packages, done ? payload : NULL);
    if (err == ERR_TOO_LARGE)
        collector_lose(scan->writer, LOSS_TOO_LARGE, scan->event_packages);
    if (err != ERR_NONE)
        note_error(scan, err, err_row(err)->text);
}

static bool add_text(struct arena *arena, struct json *object, const char *name, struct span text)
{
    return text.len == 0 || json_set_text(arena, object, name, text);
}

static bool take_package(void *self, const struct package *package)
{
    struct scan *scan = self;
    if (scan->packages >= PACKAGES_MAX) {
        scan->left_out++;
        return true;
    }
    size_t bytes = package->name.len + package->version.len + package->vendor.len +
                   package->architecture.len + PACKAGE_BYTES;
    if (scan->event_packages > 0 && (scan->event_bytes + bytes > scan->sbom->event_text_bytes ||
                                        scan->event_manager != scan->manager)) {
        write_event(scan, false);
        begin_event(scan);
    }
    scan->event_manager = scan->manager;
    scan->event_packages++;
    scan->event_bytes += bytes;
    scan->packages++;
    struct json *object = scan->list == NULL ? NULL : json_new(scan->arena, JSON_OBJECT);
    if (object == NULL || !json_set_text(scan->arena, object, "name", package->name) ||
        !add_text(scan->arena, object, "version", package->version) ||
        !add_text(scan->arena, object, "vendor", package->vendor) ||
        !add_text(scan->arena, object, "architecture", package->architecture) ||
        !json_append(scan->list, object))
        scan->list = NULL; /* what of this event is still to come is counted with it */
    return true;
}

/* A database that can be reached by two paths, as where /var/lib/rpm is a link, is read once. */
static bool was_read(struct stat seen[COUNT_OF(databases)], size_t *count, const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return false;
    for (size_t i = 0; i < *count; i++)
        if (seen[i].st_dev == about.st_dev && seen[i].st_ino == about.st_ino)
            return true;
    seen[(*count)++] = about;
    return false;
}

static void read_databases(struct scan *scan)
{
    struct stat seen[COUNT_OF(databases)];
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(databases); i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof(path), "%s%s", scan->sbom->root_dir, databases[i].path);
        if (len < 0 || (size_t)len >= sizeof(path) || was_read(seen, &count, path))
            continue;
        struct why why = {""};
        scan->manager = databases[i].manager;
        enum err err = databases[i].read(path, take_package, scan, &why);
        if (err != ERR_NONE && err != ERR_NOT_FOUND)
            note_error(scan, err, why_text(&why, err));
    }
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct scan scan = {.sbom = state, .writer = writer};
    message_add_uuid(&scan.id, scan.sbom->random);
    begin_event(&scan);
    read_databases(&scan);
    if (scan.left_out > 0)
        collector_lose(writer, LOSS_CACHE_BOUND, scan.left_out);
    write_event(&scan, true);
    buf_done(&scan.id);
    if (scan.err == ERR_NONE)
        return ERR_NONE;
    return fail(scan.err, why, "%s", scan.why.text);
}

static enum err sbom_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct sbom *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    size_t share = options->message_limit_bytes / 8;
    *self = (struct sbom){.root_dir = options->root_dir == NULL ? "" : options->root_dir,
        .random = options->random,
        .event_text_bytes = share < EVENT_TEXT_BYTES ? share : EVENT_TEXT_BYTES};
    *ret_state = self;
    return ERR_NONE;
}

static void sbom_free(void *state)
{
    mem_free(state);
}

const struct collector sbom_collector = {
    .name = "SBoM",
    .part = PART_SBOM,
    .disabled = SETTING_SBOM_DISABLED,
    .frequency = SETTING_SBOM_MESSAGE_FREQUENCY,
    .snapshot = true,
    .new = sbom_new,
    .free = sbom_free,
    .collect = collect,
};
