/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static enum err copy_pages(sqlite3 *from, sqlite3 *to, struct why *why)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL)
        return sqlite_error(to, sqlite3_errcode(to), why);
    /* In one go: a copy in slices starts over whenever another process writes in between. The log
     * lets writers go on meanwhile. */
    int code = sqlite3_backup_step(backup, -1);
    int finished = sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE && finished == SQLITE_OK)
        return ERR_NONE;
    return sqlite_error(to, code == SQLITE_DONE ? finished : code, why);
}

/* What the pages' checksums of the disk did not see: rows and indexes that do not fit. */
static enum err check_copy(sqlite3 *db, struct why *why)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    enum err err = ERR_NONE;
    const char *verdict =
        code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (code != SQLITE_ROW)
        err = sqlite_error(db, code, why);
    else if (verdict == NULL || strcmp(verdict, "ok") != 0)
        err = fail(ERR_CORRUPT, why, "the database file is damaged: %s",
            verdict == NULL ? "no memory to say more" : verdict);
    sqlite3_finalize(statement);
    return err;
}

enum err store_sqlite_copy(const char *directory, const char *to_file, struct why *why)
{
    struct sqlite_options options = sqlite_options_default;
    options.directory = directory;
    int file = open(to_file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return fail(
            errno == EEXIST ? ERR_CONFLICT : ERR_IO, why, "%s: %s", to_file, strerror(errno));
    close(file);
    struct sqlite_conn from;
    enum err err = sqlite_conn_open(&from, &options, false, why);
    if (err == ERR_NONE) {
        sqlite3 *to = NULL;
        int code = sqlite3_open_v2(to_file, &to, SQLITE_OPEN_READWRITE, NULL);
        err = code == SQLITE_OK ? copy_pages(from.db, to, why) : sqlite_error(to, code, why);
        if (err == ERR_NONE)
            err = check_copy(to, why);
        sqlite3_close(to);
        sqlite_conn_close(&from);
    }
    if (err != ERR_NONE)
        unlink(to_file);
    return err;
}
