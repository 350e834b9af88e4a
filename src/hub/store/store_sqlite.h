/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store on SQLite: one file in the data directory, for one server on one machine.
 *
 *   D/hub.db  D/hub.db-wal  D/hub.db-shm   the database (write-ahead log, synchronous=FULL)
 *   D/lock                                 held while a server has the store open
 *
 * One thread writes, with group commit; `readers` threads read beside it; one thread carries the
 * log back into the database file, so that no commit waits for that. Threads: see store.h.
 */
#ifndef GEMEL_STORE_SQLITE_H
#define GEMEL_STORE_SQLITE_H

#include "store.h"

#define STORE_SQLITE_FILE "hub.db"

struct sqlite_options {
    const char *directory;
    bool create;             /* makes the database if there is none */
    unsigned group_jobs;     /* at most so many write jobs share a commit: 512 */
    unsigned readers;        /* reading threads: 2 */
    unsigned cache_kib;      /* page cache of the writer and of each reader: 16384 */
    unsigned busy_ms;        /* patience with another program that holds the file: 10000 */
    unsigned checkpoint_kib; /* log size from which it is carried back: 4096 */
    uint64_t max_bytes;      /* of the database file; 0: as large as the disk allows */
};

extern const struct sqlite_options sqlite_options_default; /* directory: NULL */

/*
 * Opens the store, brings its schema up to date and starts its threads. ERR_NOT_FOUND (no
 * database, and none is to be made), ERR_CONFLICT (another server has it open), ERR_CORRUPT
 * (damaged, or no database of ours), ERR_OPERATION (made by a newer version), ERR_IO, ERR_MEMORY.
 */
enum err store_open_sqlite(
    const struct sqlite_options *options, struct store **ret_store, struct why *why) MUST_USE;

/* Returns the number of the schema that an open store has: the newest that this program knows. */
int store_sqlite_schema(void);

/*
 * Copies the database of a directory, also of a running server, into a new file: a consistent
 * state, taken page by page without stopping writers. ERR_CONFLICT if the file exists.
 */
enum err store_sqlite_copy(const char *directory, const char *to_file, struct why *why) MUST_USE;

#endif
