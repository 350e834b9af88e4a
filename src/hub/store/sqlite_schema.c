/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

#include <stdio.h>

/* "GEML" in the file's header: tells our databases from others, also for file(1). */
#define APPLICATION_ID 0x47454D4C

/* The index of tags is filled by the newest step that says what stands in it. */
#define STEP_OF_TAGS 13

struct schema_step {
    int number;
    const char *what;
    const char *sql;
};

static const struct schema_step steps[] = {
#define STEP(number, what, sql) {number, what, sql},
#include "sqlite_schema.def"
#undef STEP
};

int store_sqlite_schema(void)
{
    return steps[COUNT_OF(steps) - 1].number;
}

static enum err read_int(sqlite3 *db, const char *sql, int64_t *ret_value, struct why *why)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    enum err err = code == SQLITE_ROW ? ERR_NONE : sqlite_error(db, code, why);
    sqlite3_finalize(stmt);
    if (err == ERR_NONE)
        *ret_value = value;
    return err;
}

static enum err run(sqlite3 *db, const char *sql, struct why *why)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? ERR_NONE : sqlite_error(db, code, why);
}

/* What a step cannot say in SQL. */
static enum err fill(struct sqlite_conn *conn, int number, struct why *why)
{
    struct sqlite_txn txn = {.base = {.why = why, .writable = true}, .conn = conn};
    return number == STEP_OF_TAGS ? sqlite_tag_fill(&txn.base) : ERR_NONE;
}

static enum err take_step(struct sqlite_conn *conn, const struct schema_step *step, struct why *why)
{
    sqlite3 *db = conn->db;
    char noted[160];
    snprintf(noted, sizeof(noted),
        "INSERT INTO schema_step (number, taken_s) VALUES (%d, unixepoch())", step->number);
    enum err err = run(db, "BEGIN IMMEDIATE", why);
    if (err != ERR_NONE)
        return err;
    err = run(db, step->sql, why);
    if (err == ERR_NONE)
        err = fill(conn, step->number, why);
    if (err == ERR_NONE)
        err = run(db, noted, why);
    if (err == ERR_NONE)
        err = run(db, "COMMIT", why);
    if (err != ERR_NONE) {
        why_prefix(why, "schema step %d (%s)", step->number, step->what);
        if (!sqlite3_get_autocommit(db))
            (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

static enum err found_schema(sqlite3 *db, struct why *why)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
        "BEGIN IMMEDIATE;"
        "CREATE TABLE schema_step (number INTEGER PRIMARY KEY, taken_s INTEGER NOT NULL) STRICT;"
        "PRAGMA application_id = %d;"
        "COMMIT",
        APPLICATION_ID);
    return run(db, sql, why);
}

enum err sqlite_schema_update(struct sqlite_conn *conn, struct why *why)
{
    sqlite3 *db = conn->db;
    int64_t tables = 0;
    int64_t application = 0;
    int64_t taken = 0;
    enum err err = read_int(db, "SELECT count(*) FROM sqlite_schema", &tables, why);
    if (err == ERR_NONE)
        err = read_int(db, "PRAGMA application_id", &application, why);
    if (err == ERR_NONE && tables == 0)
        err = found_schema(db, why);
    else if (err == ERR_NONE && application != APPLICATION_ID)
        err = fail(ERR_CORRUPT, why, "the database file was not made by gemel-hub");
    if (err == ERR_NONE)
        err = read_int(db, "SELECT ifnull(max(number), 0) FROM schema_step", &taken, why);
    if (err == ERR_NONE && taken > store_sqlite_schema())
        err = fail(ERR_OPERATION, why,
            "the database has schema %lld and this program knows only up to %d: it was made by a "
            "newer gemel-hub",
            (long long)taken, store_sqlite_schema());
    for (size_t i = 0; i < COUNT_OF(steps) && err == ERR_NONE; i++)
        if (steps[i].number > taken)
            err = take_step(conn, &steps[i], why);
    return err;
}
