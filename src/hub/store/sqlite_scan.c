/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans for queries. One index leads, the one that most likely leaves out most; what else is asked
 * for is looked at in the rows that it gives. Every index has the ids at its end, so that all scans
 * go in one order and go on where the last ended.
 */
#include "sqlite_priv.h"

enum lead { LEAD_IDS, LEAD_TAG, LEAD_STATE, LEAD_EDGE, LEAD_CONNECTED, LEAD_COUNT };

/* [lead][modules]: the walk, and the count behind it. */
static const struct {
    enum sql scan;
    enum sql count;
} questions[LEAD_COUNT][2] = {
    [LEAD_IDS] = {{SQL_SCAN_DEVICES, SQL_COUNT_DEVICES}, {SQL_SCAN_MODULES, SQL_COUNT_MODULES}},
    [LEAD_TAG] = {{SQL_SCAN_TAG_DEVICES, SQL_COUNT_TAG_DEVICES},
        {SQL_SCAN_TAG_MODULES, SQL_COUNT_TAG_MODULES}},
    [LEAD_STATE] = {{SQL_SCAN_DEVICES, SQL_COUNT_DEVICES},
        {SQL_SCAN_STATE_MODULES, SQL_COUNT_STATE_MODULES}},
    [LEAD_EDGE] = {{SQL_SCAN_EDGE_DEVICES, SQL_COUNT_EDGE_DEVICES},
        {SQL_SCAN_MODULES, SQL_COUNT_MODULES}},
    [LEAD_CONNECTED] = {{SQL_SCAN_CONNECTED_DEVICES, SQL_COUNT_CONNECTED_DEVICES},
        {SQL_SCAN_CONNECTED_MODULES, SQL_COUNT_CONNECTED_MODULES}},
};

static enum lead choose(const struct twin_scan *scan)
{
    if (scan->device_ids != NULL || scan->device_from.len > 0)
        return LEAD_IDS;
    if (scan->latest_state == 2)
        return LEAD_STATE; /* few modules fail */
    if (scan->tag.path.len > 0)
        return LEAD_TAG;
    return scan->latest_state > 0 ? LEAD_STATE
           : scan->iot_edge == 1  ? LEAD_EDGE
           : scan->connected >= 0 ? LEAD_CONNECTED
                                  : LEAD_IDS;
}

/* The ids of one walk: devices from `from` on, or modules behind (`from`, `from_module`). */
struct window {
    struct span from;
    struct span from_module;
    struct span below;
};

struct scanning {
    struct store_txn *txn;
    int64_t hub_id;
    const struct twin_scan *scan;
    bool counts;
    struct buf next;     /* the id behind scan->after */
    struct buf next_one; /* the id behind the one of the list */
    struct buf tag_value;
    size_t left;
    uint64_t counted;
    identity_visitor *visit;
    void *self;
};

/* A NUL makes of a text the next one in bytewise order. */
static struct span behind(struct buf *memory, struct span id)
{
    buf_clear(memory);
    buf_add(memory, id);
    buf_add_byte(memory, '\0');
    return buf_span(memory);
}

static void put_question(
    struct query *query, const struct scanning *scanning, const struct window *window)
{
    const struct twin_scan *scan = scanning->scan;
    query_put_int(query, scanning->hub_id);
    query_put_text(query, window->from);
    if (scan->modules)
        query_put_text(query, window->from_module);
    else
        query->parameter++;
    query_put_text(query, window->below);
    query_put_int(query, scan->connected);
    query_put_int(query, scan->enabled);
    query_put_int(query, scan->iot_edge);
    query_put_int(query, scan->latest_state);
    if (scan->modules)
        query_put_text(query, scan->module_id);
    else
        query->parameter++;
    if (scanning->counts)
        query->parameter++;
    else
        query_put_int(query, scanning->left > INT64_MAX ? INT64_MAX : (int64_t)scanning->left);
    query_put_text(query, scan->tag.path);
    query_put_text(query, buf_span(&scanning->tag_value));
}

static enum err visit_row(struct scanning *scanning, struct query *query)
{
    const struct twin_scan *scan = scanning->scan;
    struct identity identity;
    struct twin_doc twin;
    sqlite_read_identity(query, &identity);
    scanning->left--;
    if (!scan->with_twins)
        return scanning->visit(scanning->self, &identity, NULL);
    AUTO(query_done)
    struct query twin_query =
        query_open(scanning->txn, scan->with_metadata ? SQL_TWIN_OF : SQL_TWIN_VALUES_OF);
    enum err err = sqlite_twin_of(&twin_query, query_int(query), &twin);
    if (err == ERR_NOT_FOUND)
        return scanning->visit(scanning->self, &identity, NULL);
    return err == ERR_NONE ? scanning->visit(scanning->self, &identity, &twin) : err;
}

static enum err walk(struct scanning *scanning, const struct window *window)
{
    const struct twin_scan *scan = scanning->scan;
    enum lead lead = choose(scan);
    int which = scan->modules ? 1 : 0;
    AUTO(query_done)
    struct query query = query_open(scanning->txn,
        scanning->counts ? questions[lead][which].count : questions[lead][which].scan);
    put_question(&query, scanning, window);
    enum err err = query_row(&query);
    if (err == ERR_NONE && scanning->counts) {
        scanning->counted += (uint64_t)query_int(&query);
        return ERR_NONE;
    }
    for (; err == ERR_NONE; err = query_row(&query)) {
        err = visit_row(scanning, &query);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* What the range of ids and the place of the page leave; false: nothing. */
static bool make_window(struct scanning *scanning, struct window *ret_window)
{
    static const struct span behind_all = SPAN_INIT("\xff"); /* no UTF-8 has this byte */
    const struct twin_scan *scan = scanning->scan;
    struct window window = {.from = scan->device_from, .below = scan->device_below};
    if (window.below.len == 0)
        window.below = behind_all;
    if (scan->after.len > 0 && span_compare(scan->after, scan->device_from) >= 0) {
        window.from = scan->modules ? scan->after : behind(&scanning->next, scan->after);
        window.from_module = scan->after_module;
    }
    *ret_window = window;
    return span_compare(window.from, window.below) < 0;
}

static enum err walk_ids(struct scanning *scanning, const struct window *window)
{
    const struct twin_scan *scan = scanning->scan;
    enum err err = ERR_NONE;
    for (size_t i = 0; i < scan->device_id_count && err == ERR_NONE && scanning->left > 0; i++) {
        struct span id = scan->device_ids[i];
        if (span_compare(id, window->from) < 0 || span_compare(id, window->below) >= 0)
            continue;
        struct window one = {.from = id, .below = behind(&scanning->next_one, id)};
        if (span_eq(id, window->from))
            one.from_module = window->from_module;
        err = scanning->next_one.failed ? ERR_MEMORY : walk(scanning, &one);
    }
    return err;
}

static enum err run(struct scanning *scanning)
{
    struct window window;
    const struct twin_scan *scan = scanning->scan;
    enum err err = ERR_NONE;
    if (scan->tag.path.len > 0)
        err = sqlite_tag_format(&scanning->tag_value, &scan->tag);
    if (err != ERR_NONE)
        return err;
    bool any = make_window(scanning, &window);
    if (scanning->next.failed)
        return ERR_MEMORY;
    if (any)
        err = scan->device_ids == NULL ? walk(scanning, &window) : walk_ids(scanning, &window);
    return err;
}

static void done(struct scanning *scanning)
{
    buf_done(&scanning->next);
    buf_done(&scanning->next_one);
    buf_done(&scanning->tag_value);
}

enum err sqlite_twin_scan(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    identity_visitor *visit, void *self)
{
    AUTO(done)
    struct scanning scanning = {.txn = txn,
        .hub_id = hub_id,
        .scan = scan,
        .left = scan->limit,
        .visit = visit,
        .self = self};
    return run(&scanning);
}

/* Nothing but a verdict is asked for: the hub's counters know. */
static bool is_counted(const struct twin_scan *scan)
{
    return scan->device_ids == NULL && scan->device_from.len == 0 && scan->device_below.len == 0 &&
           scan->module_id.len == 0 && scan->connected < 0 && scan->enabled < 0 &&
           scan->iot_edge < 0 && (scan->modules || scan->latest_state < 0) &&
           scan->tag.path.len == 0 && scan->after.len == 0;
}

static uint64_t count_of(const struct twin_scan *scan, const struct identity_counts *counts)
{
    return !scan->modules            ? counts->devices
           : scan->latest_state == 1 ? counts->success_modules
           : scan->latest_state == 2 ? counts->failed_modules
                                     : counts->modules;
}

enum err sqlite_twin_count(
    struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan, uint64_t *ret_count)
{
    AUTO(done)
    struct scanning scanning = {
        .txn = txn, .hub_id = hub_id, .scan = scan, .counts = true, .left = 1};
    struct identity_counts counts = {0};
    enum err err = ERR_NONE;
    if (is_counted(scan) && scan->latest_state != 0) {
        err = sqlite_identity_count(txn, hub_id, SPAN_NONE, &counts);
        scanning.counted = count_of(scan, &counts);
    } else {
        err = run(&scanning);
    }
    if (err == ERR_NONE)
        *ret_count = scanning.counted;
    return err;
}
