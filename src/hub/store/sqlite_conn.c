/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static const char *const sql_texts[SQL_COUNT] = {
#define SQL(name, text) [SQL_##name] = (text),
#include "sqlite_sql.def"
#undef SQL
};

/* ---- errors ---------------------------------------------------------------------------------- */

static enum err error_of_io(int code, int system_error)
{
    if (code == SQLITE_IOERR_NOMEM)
        return ERR_MEMORY;
    bool full = system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
    return full ? ERR_STORAGE_FULL : ERR_IO;
}

/* When a commit fails, SQLite forgets what the system said; but nothing has called it since. */
static int system_error_of(sqlite3 *db, int code, int last)
{
    int kept = db == NULL ? 0 : sqlite3_system_errno(db);
    return kept == 0 && (code & 0xFF) == SQLITE_IOERR ? last : kept;
}

enum err sqlite_error(sqlite3 *db, int code, struct why *why)
{
    int system_error = system_error_of(db, code, errno);
    const char *text = db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db);
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return fail(ERR_STORAGE_FULL, why, "the disk, or the store's max_bytes, is full");
    case SQLITE_IOERR:
        return fail(error_of_io(code, system_error), why, "the database file: %s (%s)", text,
            system_error == 0 ? "no system error" : strerror(system_error));
    case SQLITE_NOMEM:
        return fail(ERR_MEMORY, why, "no memory for the database");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fail(ERR_CORRUPT, why, "the database file is damaged: %s", text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(ERR_UNAVAILABLE, why, "another program holds the database file");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail(ERR_IO, why, "the database file: %s (%s)", text,
            system_error == 0 ? "no system error" : strerror(system_error));
    case SQLITE_TOOBIG:
        return fail(ERR_TOO_LARGE, why, "a value is too large for the database");
    case SQLITE_CONSTRAINT:
        return fail(ERR_CONFLICT, why, "the database refuses it: %s", text);
    default:
        return fail(ERR_SERVER, why, "the database: %s (code %d)", text, code);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

static void set_up_library(void)
{
    /* Statistics would put a global lock around every allocation. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum err set_pragmas(
    struct sqlite_conn *conn, const struct sqlite_options *options, bool writer, struct why *why)
{
    char text[512];
    snprintf(text, sizeof(text),
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
        "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -%u; PRAGMA query_only = %s;"
        "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;",
        options->cache_kib, writer ? "OFF" : "ON");
    int code = sqlite3_exec(conn->db, text, NULL, NULL, NULL);
    if (code == SQLITE_OK && writer)
        code = sqlite3_exec(conn->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    return code == SQLITE_OK ? ERR_NONE : sqlite_error(conn->db, code, why);
}

enum err sqlite_conn_open(
    struct sqlite_conn *conn, const struct sqlite_options *options, bool writer, struct why *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_library);

    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/" STORE_SQLITE_FILE, options->directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return fail(ERR_ARGUMENT, why, "the data directory's path is too long");
    *conn = (struct sqlite_conn){0};
    int code = sqlite3_open_v2(path, &conn->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    enum err err = code == SQLITE_OK ? ERR_NONE : sqlite_error(conn->db, code, why);
    if (err == ERR_NONE) {
        sqlite3_extended_result_codes(conn->db, 1);
        sqlite3_busy_timeout(conn->db, (int)options->busy_ms);
        err = set_pragmas(conn, options, writer, why);
    }
    if (err != ERR_NONE)
        sqlite_conn_close(conn);
    return err;
}

void sqlite_conn_close(struct sqlite_conn *conn)
{
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(conn->prepared[i]);
    if (conn->db != NULL)
        must(sqlite3_close(conn->db) == SQLITE_OK);
    *conn = (struct sqlite_conn){0};
}

static int prepare(struct sqlite_conn *conn, enum sql sql, sqlite3_stmt **ret_stmt)
{
    return sqlite3_prepare_v3(
        conn->db, sql_texts[sql], -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);
}

enum err sqlite_conn_run(struct sqlite_conn *conn, enum sql sql, struct why *why)
{
    sqlite3_stmt **stmt = &conn->prepared[sql];
    int code = *stmt == NULL ? prepare(conn, sql, stmt) : SQLITE_OK;
    if (code == SQLITE_OK) {
        code = sqlite3_step(*stmt);
        if (code == SQLITE_DONE)
            code = SQLITE_OK;
    }
    enum err err = code == SQLITE_OK ? ERR_NONE : sqlite_error(conn->db, code, why);
    sqlite3_reset(*stmt);
    return err;
}

/* ---- queries --------------------------------------------------------------------------------- */

struct query query_open(struct store_txn *txn, enum sql sql)
{
    struct query query = {.txn = (struct sqlite_txn *)txn, .code = SQLITE_OK};
    struct sqlite_conn *conn = query.txn->conn;
    sqlite3_stmt **cached = &conn->prepared[sql];
    if (*cached == NULL)
        query.code = prepare(conn, sql, cached);
    query.stmt = *cached;
    /* A visitor may ask the question in whose answer it stands. */
    if (query.code == SQLITE_OK && sqlite3_stmt_busy(query.stmt)) {
        query.own = true;
        query.stmt = NULL;
        query.code = prepare(conn, sql, &query.stmt);
    }
    return query;
}

void query_done(struct query *query)
{
    if (query->own) {
        sqlite3_finalize(query->stmt);
    } else if (query->stmt != NULL) {
        sqlite3_reset(query->stmt);
        sqlite3_clear_bindings(query->stmt);
    }
}

static void note(struct query *query, int code)
{
    if (query->code == SQLITE_OK)
        query->code = code;
}

void query_put_int(struct query *query, int64_t value)
{
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_int64(query->stmt, ++query->parameter, value));
}

void query_put_text(struct query *query, struct span text)
{
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_text64(query->stmt, ++query->parameter,
                        text.len == 0 ? "" : text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8));
}

void query_put_bytes(struct query *query, struct span bytes)
{
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_blob64(query->stmt, ++query->parameter,
                        bytes.len == 0 ? "" : bytes.ptr, bytes.len, SQLITE_STATIC));
}

enum err query_row(struct query *query)
{
    if (query->code == SQLITE_OK)
        query->code = sqlite3_step(query->stmt);
    query->column = 0;
    int code = query->code;
    if (code == SQLITE_ROW) {
        query->code = SQLITE_OK;
        return ERR_NONE;
    }
    if (code == SQLITE_DONE)
        return ERR_NOT_FOUND;
    return sqlite_error(query->txn->conn->db, code, query->txn->base.why);
}

enum err query_change(struct query *query, int64_t *ret_changed)
{
    sqlite3 *db = query->txn->conn->db;
    if (query->code == SQLITE_OK)
        query->code = sqlite3_step(query->stmt);
    if (query->code != SQLITE_DONE)
        return sqlite_error(db, query->code, query->txn->base.why);
    int64_t changed = sqlite3_changes64(db);
    query->txn->wrote |= changed > 0;
    if (ret_changed != NULL)
        *ret_changed = changed;
    return ERR_NONE;
}

int64_t query_int(struct query *query)
{
    return sqlite3_column_int64(query->stmt, query->column++);
}

struct span query_span(struct query *query)
{
    int column = query->column++;
    const char *ptr = sqlite3_column_blob(query->stmt, column);
    return (struct span){ptr, (size_t)sqlite3_column_bytes(query->stmt, column)};
}

bool query_copy(struct query *query, struct arena *arena, struct span *ret_text)
{
    return arena_span(arena, query_span(query), ret_text);
}
