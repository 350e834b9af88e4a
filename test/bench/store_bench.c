/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store-bench: durable twin updates a second through the store, beside what bounds them.
 *
 *   store-bench [directory [seconds [rounds]]]
 *
 * Side by side in one run, the median of the rounds:
 *   fdatasync   appends of 4 KiB, each forced to the disk
 *   raw         SQLite alone: one thread, the same tables, reads and writes a twin, N a commit
 *   store       the store: clients that each wait for their update before the next, N a commit
 *   history     the same, and what desired was is kept, 50 documents of each twin
 * Prints one JSON object.
 */
#include "store_sqlite.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DEVICES 10000
#define TWIN_BYTES 1024
#define ROUNDS_MAX 99

static char directory[4000];
static char values[TWIN_BYTES];
static double seconds = 2;
static bool with_history;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void need(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "store-bench: %s failed\n", what);
        exit(1);
    }
}

/* Devices in an order that no cache line or page likes: 7919 and DEVICES share no factor. */
static struct span device_of(unsigned number, char ret_text[16])
{
    int length = snprintf(ret_text, 16, "device-%05u", number * 7919u % DEVICES);
    return (struct span){ret_text, (size_t)length};
}

static struct twin_doc twin_of(int64_t version)
{
    return (struct twin_doc){.tags = SPAN_LIT("{}"),
        .desired = {SPAN_LIT("{}"), SPAN_LIT("{}"), 1},
        .reported = {{values, TWIN_BYTES / 2}, {values, TWIN_BYTES / 2}, version},
        .etag = 1,
        .version = version};
}

/* ---- the disk -------------------------------------------------------------------------------- */

static double bench_disk(unsigned group)
{
    (void)group;
    char path[4096];
    snprintf(path, sizeof(path), "%s/sync", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    need(file >= 0, "making a file");
    static const char page[4096];
    unsigned count = 0;
    double begun = now_s();
    for (; now_s() - begun < seconds; count++)
        need(write(file, page, sizeof(page)) == sizeof(page) && fdatasync(file) == 0, "writing");
    double taken = now_s() - begun;
    close(file);
    unlink(path);
    return count / taken;
}

/* ---- SQLite alone ---------------------------------------------------------------------------- */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    need(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, sql);
    return stmt;
}

static void raw_update(sqlite3_stmt *get, sqlite3_stmt *put, unsigned number)
{
    char text[16];
    struct span id = device_of(number, text);
    sqlite3_bind_text(get, 1, id.ptr, (int)id.len, SQLITE_STATIC);
    need(sqlite3_step(get) == SQLITE_ROW, "reading");
    int64_t version = sqlite3_column_int64(get, 0);
    sqlite3_reset(get);
    sqlite3_bind_int64(put, 1, version + 1);
    sqlite3_bind_text(put, 2, values, TWIN_BYTES / 2, SQLITE_STATIC);
    sqlite3_bind_text(put, 3, values, TWIN_BYTES / 2, SQLITE_STATIC);
    sqlite3_bind_text(put, 4, id.ptr, (int)id.len, SQLITE_STATIC);
    sqlite3_bind_int64(put, 5, version);
    need(sqlite3_step(put) == SQLITE_DONE, "writing");
    sqlite3_reset(put);
}

static double bench_raw(unsigned group)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/" STORE_SQLITE_FILE, directory);
    sqlite3 *db = NULL;
    need(sqlite3_open(path, &db) == SQLITE_OK, "opening");
    need(sqlite3_exec(db,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
             "PRAGMA cache_size=-16384",
             NULL, NULL, NULL) == SQLITE_OK,
        "settings");
    sqlite3_stmt *get = prepare(db,
        "SELECT version, tags, desired, desired_metadata, reported, reported_metadata FROM twin"
        " WHERE identity_id = (SELECT id FROM identity WHERE hub_id = 1 AND device_id = ?"
        " AND module_id = '')");
    sqlite3_stmt *put = prepare(db,
        "UPDATE twin SET version = ?, reported = ?, reported_metadata = ? WHERE identity_id ="
        " (SELECT id FROM identity WHERE hub_id = 1 AND device_id = ? AND module_id = '')"
        " AND version = ?");
    unsigned count = 0;
    double begun = now_s();
    while (now_s() - begun < seconds) {
        need(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "begin");
        for (unsigned i = 0; i < group; i++)
            raw_update(get, put, count++);
        need(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    }
    double taken = now_s() - begun;
    sqlite3_finalize(get);
    sqlite3_finalize(put);
    sqlite3_close(db);
    return count / taken;
}

/* ---- the store ------------------------------------------------------------------------------- */

struct client {
    struct store_job job;
    struct store *store;
    struct arena arena;
    unsigned number;
    atomic_uint *count;
    atomic_bool *over;
    sem_t *left;
};

static enum err run_client(struct store_job *job, struct store_txn *txn)
{
    struct client *client = (struct client *)job;
    char text[16];
    struct span id = device_of(client->number, text);
    struct twin_doc twin;
    enum err err = store_twin_get(txn, &client->arena, 1, id, SPAN_NONE, &twin);
    if (err != ERR_NONE)
        return err;
    struct twin_doc next = twin_of(twin.version + 1);
    err = store_twin_put(txn, 1, id, SPAN_NONE, &next, twin.version);
    if (err != ERR_NONE || !with_history)
        return err;
    const struct history_entry entry = {.time_us = twin.version,
        .kind = HISTORY_PATCH,
        .desired_changed = true,
        .author = SPAN_LIT("iothubowner"),
        .from = SPAN_LIT("rest"),
        .address = SPAN_LIT("127.0.0.1:12345"),
        .desired_version = twin.version,
        .tags = SPAN_LIT("{}"),
        .desired = {values, TWIN_BYTES / 2}};
    return store_history_put(txn, 1, id, SPAN_NONE, &entry, 50);
}

static void done_client(struct store_job *job, enum err result)
{
    struct client *client = (struct client *)job;
    need(result == ERR_NONE, "an update");
    arena_done(&client->arena);
    if (atomic_load(client->over)) {
        sem_post(client->left);
        return;
    }
    client->number = atomic_fetch_add(client->count, 1);
    store_submit(client->store, STORE_WRITE, job);
}

static struct store *open_store(unsigned group)
{
    struct sqlite_options options = sqlite_options_default;
    options.directory = directory;
    options.create = true;
    options.group_jobs = group;
    struct store *store = NULL;
    struct why why = {0};
    if (store_open_sqlite(&options, &store, &why) != ERR_NONE) {
        fprintf(stderr, "store-bench: %s\n", why.text);
        exit(1);
    }
    return store;
}

static double bench_store(unsigned group)
{
    struct store *store = open_store(group);
    unsigned clients = group * 2 < 64 ? 64 : group * 2;
    struct client *all = calloc(clients, sizeof(*all));
    need(all != NULL, "memory");
    atomic_uint count = 0;
    atomic_bool over = false;
    sem_t left;
    sem_init(&left, 0, 0);
    double begun = now_s();
    for (unsigned i = 0; i < clients; i++) {
        all[i] = (struct client){.job = {.run = run_client, .done = done_client},
            .store = store,
            .number = atomic_fetch_add(&count, 1),
            .count = &count,
            .over = &over,
            .left = &left};
        store_submit(store, STORE_WRITE, &all[i].job);
    }
    usleep((unsigned)(seconds * 1e6));
    atomic_store(&over, true);
    for (unsigned i = 0; i < clients; i++)
        sem_wait(&left);
    double taken = now_s() - begun;
    store_close(store);
    free(all);
    return count / taken;
}

static double bench_history(unsigned group)
{
    with_history = true;
    double result = bench_store(group);
    with_history = false;
    return result;
}

/* ---- the run --------------------------------------------------------------------------------- */

static enum err fill(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    struct hub_record hub = {.name = SPAN_LIT("bench")};
    int64_t id;
    enum err err = store_hub_put(txn, &hub, &id);
    for (unsigned i = 0; i < DEVICES && err == ERR_NONE; i++) {
        char text[16];
        struct identity identity = {.device_id = device_of(i, text), .enabled = true};
        struct twin_doc twin = twin_of(2);
        err = store_identity_insert(txn, id, &identity);
        if (err == ERR_NONE)
            err = store_twin_put(txn, id, identity.device_id, SPAN_NONE, &twin, 0);
    }
    return err;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double (*run)(unsigned group);
        unsigned group;
    } cases[] = {
        {"fdatasync", bench_disk, 1},
        {"raw_1", bench_raw, 1},
        {"store_1", bench_store, 1},
        {"raw_64", bench_raw, 64},
        {"store_64", bench_store, 64},
        {"raw_512", bench_raw, 512},
        {"store_512", bench_store, 512},
        {"history_1", bench_history, 1},
        {"history_64", bench_history, 64},
        {"history_512", bench_history, 512},
    };
    double results[COUNT_OF(cases)][ROUNDS_MAX];
    if (argc > 2)
        seconds = atof(argv[2]);
    int rounds = argc > 3 ? atoi(argv[3]) : 5;
    need(seconds > 0 && rounds > 0 && rounds <= ROUNDS_MAX, "reading the arguments");
    snprintf(directory, sizeof(directory), "%s/store-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    need(mkdtemp(directory) != NULL, "making a directory");
    memset(values, 'x', sizeof(values));
    struct store *store = open_store(1);
    struct store_job job = {.run = fill};
    need(store_run(store, STORE_WRITE, &job) == ERR_NONE, "making devices");
    store_close(store);
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < COUNT_OF(cases); i++)
            results[i][round] = cases[i].run(cases[i].group);
    printf("{\"unit\":\"per second\",\"rounds\":%d", rounds);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        qsort(results[i], (size_t)rounds, sizeof(results[i][0]), compare);
        printf(",\"%s\":{\"median\":%.0f,\"min\":%.0f,\"max\":%.0f}", cases[i].name,
            results[i][rounds / 2], results[i][0], results[i][rounds - 1]);
    }
    printf("}\n");
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
