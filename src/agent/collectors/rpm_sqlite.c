/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpmdb.sqlite: a table Packages of headers. The file is read with the machine's own libsqlite3,
 * loaded for as long as it takes: where rpm wrote that file the library is there, and where not the
 * agent does not carry it (docs/adr/0006-packages-without-their-managers.md).
 */
#include "rpm_header.h"

#include "log.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#define LIBRARY "libsqlite3.so.0"

/* SQLite's stable interface, as its documentation has it. */
enum { SQL_OK = 0, SQL_BUSY = 5, SQL_ROW = 100, SQL_DONE = 101 };
enum { OPEN_READONLY = 0x1, OPEN_URI = 0x40 };
enum { DBCONFIG_DEFENSIVE = 1010, DBCONFIG_TRUSTED_SCHEMA = 1017 };
#define BUSY_MS 500
#define STEPS_BETWEEN_LOOKS 100000
#define LOOKS_MAX 1000 /* some seconds */
#define BAD_MAX 1000u  /* rows without a header in one piece: it is no database of packages */

struct database;
struct statement;
struct blob;

struct sqlite {
    void *library;
    int (*open_v2)(const char *, struct database **, int, const char *);
    int (*close)(struct database *);
    int (*db_config)(struct database *, int, ...);
    int (*busy_timeout)(struct database *, int);
    void (*progress_handler)(struct database *, int, int (*)(void *), void *);
    int (*exec)(struct database *, const char *, void *, void *, char **);
    int (*prepare_v2)(struct database *, const char *, int, struct statement **, const char **);
    int (*step)(struct statement *);
    int64_t (*column_int64)(struct statement *, int);
    int (*finalize)(struct statement *);
    int (*blob_open)(
        struct database *, const char *, const char *, const char *, int64_t, int, struct blob **);
    int (*blob_reopen)(struct blob *, int64_t);
    int (*blob_bytes)(struct blob *);
    int (*blob_read)(struct blob *, void *, int, int);
    int (*blob_close)(struct blob *);
    const char *(*errmsg)(struct database *);
};

#define FUNCTION(name)                                                                             \
    {                                                                                              \
        "sqlite3_" #name, offsetof(struct sqlite, name)                                            \
    }

static const struct {
    const char *symbol;
    size_t offset;
} functions[] = {FUNCTION(open_v2), FUNCTION(close), FUNCTION(db_config), FUNCTION(busy_timeout),
    FUNCTION(progress_handler), FUNCTION(exec), FUNCTION(prepare_v2), FUNCTION(step),
    FUNCTION(column_int64), FUNCTION(finalize), FUNCTION(blob_open), FUNCTION(blob_reopen),
    FUNCTION(blob_bytes), FUNCTION(blob_read), FUNCTION(blob_close), FUNCTION(errmsg)};

static enum err load(struct sqlite *ret_sqlite, struct why *why)
{
    struct sqlite sqlite = {.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};
    if (sqlite.library == NULL)
        return fail(ERR_REFUSED, why, "the packages of rpm cannot be read without " LIBRARY);
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        void *address = dlsym(sqlite.library, functions[i].symbol);
        if (address == NULL) {
            dlclose(sqlite.library);
            return fail(ERR_REFUSED, why, LIBRARY " has no %s", functions[i].symbol);
        }
        memcpy((char *)&sqlite + functions[i].offset, &address, sizeof(address));
    }
    *ret_sqlite = sqlite;
    return ERR_NONE;
}

/* Ends a query that a damaged or hostile schema would make run for ever. */
static int look(void *looks)
{
    return ++*(int *)looks > LOOKS_MAX;
}

/* "file:PATH?immutable=1", with everything escaped that a URI gives a meaning. */
static bool uri_of(const char *path, char *ret_uri, size_t size)
{
    size_t len = (size_t)snprintf(ret_uri, size, "file:");
    for (; *path != '\0'; path++) {
        bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
                     (*path >= '0' && *path <= '9') || strchr("/._-", *path) != NULL;
        if (len + 32 > size)
            return false;
        len += (size_t)snprintf(
            ret_uri + len, size - len, plain ? "%c" : "%%%02X", (unsigned char)*path);
    }
    snprintf(ret_uri + len, size - len, "?immutable=1");
    return true;
}

static struct database *open_database(
    const struct sqlite *sqlite, const char *name, int flags, int *looks, int *ret_result)
{
    struct database *database = NULL;
    *ret_result = SQL_OK;
    if (sqlite->open_v2(name, &database, flags, NULL) == SQL_OK) {
        (void)sqlite->db_config(database, DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite->db_config(database, DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite->busy_timeout(database, BUSY_MS);
        sqlite->progress_handler(database, STEPS_BETWEEN_LOOKS, look, looks);
        *ret_result = sqlite->exec(database,
            "PRAGMA cache_size=-64; SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL);
        if (*ret_result == SQL_OK)
            return database;
    }
    sqlite->close(database);
    return NULL;
}

struct source {
    const struct sqlite *sqlite;
    struct blob *blob;
};

static bool read_blob(void *self, size_t offset, void *ret_bytes, size_t len)
{
    const struct source *source = self;
    return source->sqlite->blob_read(source->blob, ret_bytes, (int)len, (int)offset) == SQL_OK;
}

/* Hands out the package of a row; false: no more. A header that is none is left out and counted. */
static bool read_row(struct source *source, struct database *database, int64_t row,
    package_sink *sink, void *self, unsigned *bad)
{
    const struct sqlite *sqlite = source->sqlite;
    struct rpm_package store;
    struct package package;
    int result = source->blob == NULL ? sqlite->blob_open(database, "main", "Packages", "blob", row,
                                            0, &source->blob)
                                      : sqlite->blob_reopen(source->blob, row);
    int size = result == SQL_OK ? sqlite->blob_bytes(source->blob) : 0;
    if (result == SQL_OK && rpm_header_read((size_t)size, read_blob, source, &store, &package))
        return sink(self, &package);
    if (result != SQL_OK) { /* such a handle is of no use any more */
        sqlite->blob_close(source->blob);
        source->blob = NULL;
    }
    (*bad)++;
    return true;
}

static enum err read_rows(const struct sqlite *sqlite, struct database *database, const char *path,
    package_sink *sink, void *self, struct why *why)
{
    struct statement *statement = NULL;
    struct source source = {sqlite, NULL};
    unsigned bad = 0;
    int result = sqlite->prepare_v2(database, "SELECT hnum FROM Packages", -1, &statement, NULL);
    if (result == SQL_OK) {
        result = sqlite->step(statement);
        while (result == SQL_ROW && bad < BAD_MAX &&
               read_row(&source, database, sqlite->column_int64(statement, 0), sink, self, &bad))
            result = sqlite->step(statement);
    }
    enum err err = ERR_NONE;
    if (result != SQL_DONE && result != SQL_ROW)
        err = fail(ERR_FORMAT, why, "reading %s: %s", path, sqlite->errmsg(database));
    else if (bad > 0)
        err = fail(ERR_FORMAT, why, "%s: %u headers of packages are damaged%s", path, bad,
            bad == BAD_MAX ? ", and what comes after them was not read" : "");
    sqlite->blob_close(source.blob);
    sqlite->finalize(statement);
    return err;
}

enum err packages_read_rpm_sqlite(const char *path, package_sink *sink, void *self, struct why *why)
{
    int fd;
    enum err err = packages_open(path, &fd, why);
    if (err != ERR_NONE)
        return err;
    close(fd);
    struct sqlite sqlite;
    err = load(&sqlite, why);
    if (err != ERR_NONE)
        return err;
    int looks = 0, result, ignored;
    char uri[3 * 4096];
    struct database *database = open_database(&sqlite, path, OPEN_READONLY, &looks, &result);
    /* The log beside the file cannot be had where nothing may be written; then the file alone,
     * which is whole while rpm does not work on it. */
    if (database == NULL && uri_of(path, uri, sizeof(uri)))
        database = open_database(&sqlite, uri, OPEN_READONLY | OPEN_URI, &looks, &ignored);
    if (database == NULL) {
        err = fail(ERR_FORMAT, why, "%s is no database that can be read", path);
    } else {
        err = read_rows(&sqlite, database, path, sink, self, why);
        if (err == ERR_NONE && result == SQL_BUSY)
            err = fail(ERR_FORMAT, why, "%s is being written: packages may be missing", path);
        sqlite.close(database);
    }
    dlclose(sqlite.library);
    return err;
}
