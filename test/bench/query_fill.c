/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-fill: puts devices with a module each into the first hub of a data directory, for
 * test/bench/query_table.mjs. One module in fifty has failed; every twin has three tags and a
 * reported section of about 2 KB. Once the hub runs, "connect" has every third of them be
 * connected.
 *
 *   query-fill DIRECTORY DEVICES [connect]
 */
#include "store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#define PART 5000

static void need(bool good, const char *what, const struct why *why)
{
    if (good)
        return;
    fprintf(stderr, "query-fill: %s failed: %s\n", what, why->text);
    exit(1);
}

struct fill_job {
    struct store_job job;
    unsigned from;
    unsigned to;
};

static void write_reported(unsigned number, struct buf *out)
{
    buf_clear(out);
    buf_add_text(out, "{");
    for (unsigned i = 0; i < 60; i++)
        buf_add_format(out, "\"Setting_of_some_length_%u\":%u,", i, i * 1000 + number % 7);
    buf_add_format(out, "\"latest_state\":\"%s\"}", number % 50 == 0 ? "failed" : "success");
}

static enum err add(
    struct store_txn *txn, const struct identity *identity, const struct twin_doc *twin)
{
    enum err err = store_identity_insert(txn, 1, identity);
    return err == ERR_NONE
               ? store_twin_put(txn, 1, identity->device_id, identity->module_id, twin, 0)
               : err;
}

static enum err fill(struct store_job *job, struct store_txn *txn)
{
    const struct fill_job *part = (const struct fill_job *)job;
    struct buf reported = BUF_EMPTY;
    enum err err = ERR_NONE;
    for (unsigned i = part->from; i < part->to && err == ERR_NONE; i++) {
        char id[32];
        char tags[128];
        write_reported(i, &reported);
        snprintf(id, sizeof(id), "pump-%06u", i);
        snprintf(tags, sizeof(tags), "{\"site\":\"site-%u\",\"floor\":%u,\"line\":{\"id\":%u}}",
            i % 100, i % 9, i);
        struct twin_doc twin = {.tags = span_of(tags),
            .desired = {SPAN_LIT("{\"Process_CacheSize\":300}"), SPAN_LIT("{}"), 1},
            .reported = {buf_span(&reported), SPAN_LIT("{}"), 1},
            .etag = 1,
            .version = 2};
        struct identity identity = {
            .device_id = span_of(id), .enabled = i % 20 != 0, .iot_edge = i % 1000 == 0};
        err = add(txn, &identity, &twin);
        identity.module_id = SPAN_LIT("DefenderIotMicroAgent");
        if (err == ERR_NONE)
            err = add(txn, &identity, &twin);
    }
    buf_done(&reported);
    return err;
}

/* Beside the hub that runs, which holds the store: it would begin with nobody connected. */
static int connect(const char *directory)
{
    char path[4096];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/" STORE_SQLITE_FILE, directory);
    int code = sqlite3_open(path, &db);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(db, 60000);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db,
            "UPDATE identity SET connected = 1 WHERE module_id > ''"
            " AND CAST(substr(device_id, 6) AS INTEGER) % 3 = 0",
            NULL, NULL, NULL);
    if (code != SQLITE_OK)
        fprintf(stderr, "query-fill: %s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
    return code == SQLITE_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct store *store = NULL;
    struct why why = {""};
    struct sqlite_options options = sqlite_options_default;
    unsigned devices = argc >= 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    bool connects = argc == 4 && strcmp(argv[3], "connect") == 0;
    if (devices == 0 || (argc > 3 && !connects)) {
        fprintf(stderr, "query-fill DIRECTORY DEVICES [connect]\n");
        return 2;
    }
    if (connects)
        return connect(argv[1]);
    options.directory = argv[1];
    need(store_open_sqlite(&options, &store, &why) == ERR_NONE, "opening the store", &why);
    for (unsigned from = 0; from < devices; from += PART) {
        struct fill_job part = {.job = {.run = fill},
            .from = from,
            .to = from + PART < devices ? from + PART : devices};
        need(store_run(store, STORE_WRITE, &part.job) == ERR_NONE, "filling", &part.job.why);
    }
    store_close(store);
    return 0;
}
