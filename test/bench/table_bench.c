/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table-bench: a page of the table of devices, as the store gives it.
 *
 *   table-bench [directory [devices [rounds]]]
 *
 * Each device has the module DefenderIotMicroAgent with a reported section of about 2 KB. For each
 * question the median and the longest of the rounds, in milliseconds, as one JSON object.
 */
#include "store_sqlite.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE 100
#define ROUNDS_MAX 199

static char directory[4000];
static unsigned devices = 100000;

static void need(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "table-bench: %s failed\n", what);
        exit(1);
    }
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- the devices ----------------------------------------------------------------------------- */

struct fill_job {
    struct store_job job;
    unsigned from;
    unsigned to;
    struct span reported;
};

static enum err add_one(struct store_txn *txn, unsigned number, struct span reported)
{
    char id[32];
    snprintf(id, sizeof id, "pump-%06u-site-%u", number * 7919u % devices, number % 17);
    struct identity identity = {.device_id = span_of(id),
        .enabled = number % 5 != 0,
        .connected = number % 3 == 0,
        .last_activity_us = (int64_t)number * 1000003 % 77777777};
    struct twin_doc twin = {.tags = SPAN_LIT("{}"),
        .desired = {SPAN_LIT("{}"), SPAN_LIT("{}"), 1},
        .reported = {reported, SPAN_LIT("{}"), 1},
        .etag = 1,
        .version = 2};
    enum err err = store_identity_insert(txn, 1, &identity);
    if (err == ERR_NONE)
        err = store_twin_put(txn, 1, identity.device_id, SPAN_NONE, &twin, 0);
    identity.module_id = SPAN_LIT("DefenderIotMicroAgent");
    if (err == ERR_NONE)
        err = store_identity_insert(txn, 1, &identity);
    if (err == ERR_NONE)
        err = store_twin_put(txn, 1, identity.device_id, identity.module_id, &twin, 0);
    return err;
}

static enum err fill(struct store_job *job, struct store_txn *txn)
{
    const struct fill_job *part = (const struct fill_job *)job;
    enum err err = ERR_NONE;
    struct hub_record hub = {.name = SPAN_LIT("bench")};
    int64_t id;
    if (part->from == 0)
        err = store_hub_put(txn, &hub, &id);
    for (unsigned i = part->from; i < part->to && err == ERR_NONE; i++)
        err = add_one(txn, i, part->reported);
    return err;
}

static void fill_store(struct store *store)
{
    struct buf reported = BUF_EMPTY;
    buf_add_text(&reported, "{");
    for (int i = 0; i < 60; i++)
        buf_add_format(&reported, "\"Setting_of_some_length_%d\":%d,", i, i * 1000);
    buf_add_text(&reported, "\"latest_state\":\"success\"}");
    for (unsigned from = 0; from < devices; from += 10000) {
        struct fill_job part = {.job = {.run = fill},
            .from = from,
            .to = from + 10000 < devices ? from + 10000 : devices,
            .reported = buf_span(&reported)};
        need(store_run(store, STORE_WRITE, &part.job) == ERR_NONE, "making devices");
    }
    buf_done(&reported);
}

/* ---- a page ---------------------------------------------------------------------------------- */

struct page_job {
    struct store_job job;
    struct device_range range;
    char last[64];
    uint64_t total;
    unsigned rows;
};

static enum err note(void *self, const struct device_row *row)
{
    struct page_job *page = self;
    page->rows++;
    page->range.after_key = row->key;
    need(span_copy(row->device_id, page->last, sizeof page->last), "reading an id");
    return ERR_NONE;
}

static enum err read_page(struct store_job *job, struct store_txn *txn)
{
    struct page_job *page = (struct page_job *)job;
    struct device_range range = page->range;
    page->rows = 0;
    enum err err = store_device_total(txn, 1, &range, &page->total);
    if (err == ERR_NONE)
        err = store_device_table(txn, 1, &range, SPAN_LIT("DefenderIotMicroAgent"), note, page);
    return err;
}

static const struct {
    const char *name;
    struct device_range range;
} questions[] = {
    {"by_id", {.limit = PAGE}},
    {"by_id_500", {.limit = 500}},
    {"by_id_down", {.descending = true, .limit = PAGE}},
    {"by_activity", {.sort = TABLE_BY_ACTIVITY, .descending = true, .limit = PAGE}},
    {"by_status", {.sort = TABLE_BY_STATUS, .limit = PAGE}},
    {"by_connection", {.sort = TABLE_BY_CONNECTION, .descending = true, .limit = PAGE}},
    {"part_of_many", {.part = SPAN_INIT("SITE-1"), .limit = PAGE}},
    {"part_of_few", {.part = SPAN_INIT("99999-"), .limit = PAGE}},
    {"part_of_none", {.part = SPAN_INIT("nowhere"), .limit = PAGE}},
    {"all_at_once", {.part = SPAN_INIT("site"),
                        .with_status = true,
                        .enabled = true,
                        .with_connection = true,
                        .connected = false,
                        .sort = TABLE_BY_ACTIVITY,
                        .limit = PAGE}},
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Goes on from page to page, so that no two rounds ask the same. */
static void measure(struct store *store, size_t at, unsigned rounds)
{
    double taken[ROUNDS_MAX];
    struct page_job page = {.job = {.run = read_page}, .range = questions[at].range};
    for (unsigned i = 0; i < rounds; i++) {
        double begun = now_ms();
        need(store_run(store, STORE_READ, &page.job) == ERR_NONE, "reading a page");
        taken[i] = now_ms() - begun;
        page.range.after = page.rows == PAGE ? span_of(page.last) : SPAN_NONE;
    }
    qsort(taken, rounds, sizeof taken[0], compare);
    printf("%s\"%s\":{\"median\":%.1f,\"max\":%.1f,\"total\":%llu}", at == 0 ? "" : ",",
        questions[at].name, taken[rounds / 2], taken[rounds - 1], (unsigned long long)page.total);
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
    struct why why = {""};
    struct store *store = NULL;
    devices = argc > 2 ? (unsigned)atoi(argv[2]) : devices;
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 21;
    need(devices > 0 && rounds > 0 && rounds <= ROUNDS_MAX, "reading the arguments");
    snprintf(directory, sizeof directory, "%s/table-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    need(mkdtemp(directory) != NULL, "making a directory");
    struct sqlite_options options = sqlite_options_default;
    options.directory = directory;
    options.create = true;
    options.readers = 1;
    need(store_open_sqlite(&options, &store, &why) == ERR_NONE, why.text);
    fill_store(store);
    printf("{\"unit\":\"ms\",\"devices\":%u,\"rounds\":%u,", devices, rounds);
    for (size_t i = 0; i < COUNT_OF(questions); i++)
        measure(store, i, rounds);
    printf("}\n");
    store_close(store);
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
