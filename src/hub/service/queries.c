/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /devices/query. A scan takes as long as there are twins, and the store has few readers: it
 * is cut into slices, between which others have their turn.
 *
 *   prepare: read, check, find the place of the page
 *   run, a slice: scan until | the page is full    -> answer, with a token
 *                            | nothing is left     -> answer, without
 *                            | the slice is over   -> wait in the store's queue again
 *                            | the time is over    -> rows: answer, with a token; groups: refuse
 *
 * A slice sees what was committed before it began. Since it goes on behind the last id, no twin is
 * seen twice, and one that is there all the time is not missed. What is kept between slices is only
 * added to: run() is not repeated for a slice that it has finished.
 */
#include "service_priv.h"

#include "job_document.h"
#include "query.h"
#include "query_document.h"
#include "query_scan.h"
#include "query_token.h"

#define ITEMS_DEFAULT 100
#define PAGE_BYTES (3u * 1024u * 1024u) /* fits into what may wait to be sent to a client */
#define SLICE_US 15000
#define LOOKS_PER_CLOCK 16 /* documents between two looks at the clock */
#define ID_BYTES 256

enum stop { STOP_NONE, STOP_PAGE, STOP_SLICE, STOP_TIME };

struct query_work {
    struct rest *rest;
    struct query *query;
    struct span text;
    uint64_t items;           /* of the page, at most */
    struct query_token place; /* where it begins */
    struct query_groups *groups;
    struct twin_scan scan; /* of twins: what is looked at */
    struct buf rows;
    uint64_t count; /* rows that are written */
    char after[ID_BYTES];
    char after_module[ID_BYTES];
    size_t after_len;
    size_t module_len;
    int64_t after_job; /* devices.jobs: the job of the place */
    bool begun;
    int64_t end_us;   /* mono time at which the query must end */
    int64_t slice_us; /* likewise the slice */
    unsigned looks;
    enum stop stop;
};

/* ---- what is asked -------------------------------------------------------------------------- */

static void release(struct rest *rest)
{
    struct query_work *work = rest->input;
    struct service *service = rest->service;
    buf_done(&work->rows);
    pthread_mutex_lock(&service->lock);
    service->queries--;
    pthread_mutex_unlock(&service->lock);
}

/* Queries wait for each other in the store's queue: more of them would only wait longer. */
static enum err admit(struct rest *rest)
{
    struct service *service = rest->service;
    unsigned most = service->options.limits.query.running;
    pthread_mutex_lock(&service->lock);
    bool room = service->queries < most;
    service->queries += room ? 1 : 0;
    pthread_mutex_unlock(&service->lock);
    if (!room)
        return fail(ERR_THROTTLED, rest->why,
            "%u queries are running, which is the limit (limits.query_running)", most);
    rest->release = release;
    return ERR_NONE;
}

static enum err read_place(struct rest *rest, struct query_work *work)
{
    work->place = (struct query_token){.left = query_top(work->query)};
    if (rest->call->continuation.len == 0)
        return ERR_NONE;
    enum err err = query_token_read(
        rest->arena, rest->call->continuation, work->text, rest->hub_id, &work->place, rest->why);
    if (err != ERR_NONE || query_is_grouped(work->query))
        return err;
    work->after_len = work->place.after.len;
    work->module_len = work->place.after_module.len;
    if (query_collection(work->query) == QUERY_JOBS && work->place.skip <= INT64_MAX)
        work->after_job = (int64_t)work->place.skip;
    if (work->after_len < ID_BYTES && work->module_len < ID_BYTES) {
        memcpy(work->after, work->place.after.ptr, work->after_len);
        if (work->module_len > 0)
            memcpy(work->after_module, work->place.after_module.ptr, work->module_len);
    }
    return ERR_NONE;
}

static enum err read_query(struct rest *rest, struct query_work *work)
{
    const struct query_limits limits = {.text_bytes = rest->service->options.limits.query.bytes,
        .depth = rest->service->options.limits.query.depth,
        .terms = rest->service->options.limits.query.terms};
    const struct json *text = json_find_text(rest->body, "query");
    if (!json_is(text, JSON_STRING))
        return fail(ERR_ARGUMENT, rest->why,
            "the body must be {\"query\": \"SELECT …\"}; its member query is %s",
            json_kind_name(text));
    work->text = text->text;
    return query_parse(rest->arena, work->text, &limits, &work->query, rest->why);
}

enum err queries_prepare(struct rest *rest)
{
    struct query_work *work = arena_alloc(rest->arena, sizeof(*work));
    if (work == NULL)
        return ERR_MEMORY;
    work->rest = rest;
    rest->input = work;
    enum err err = read_query(rest, work);
    if (err == ERR_NONE)
        err = rest_max_items(rest, ITEMS_DEFAULT, &work->items);
    if (err == ERR_NONE)
        err = read_place(rest, work);
    if (err == ERR_NONE && !query_scan_of(rest->arena, work->query, &work->scan))
        err = ERR_MEMORY;
    if (err == ERR_NONE && query_is_grouped(work->query)) {
        work->groups =
            query_groups_new(work->query, rest->arena, rest->service->options.limits.query.groups);
        err = work->groups == NULL ? ERR_MEMORY : ERR_NONE;
    }
    return err == ERR_NONE ? admit(rest) : err;
}

/* ---- what is answered ----------------------------------------------------------------------- */

static enum err add_token(
    struct rest *rest, const struct query_work *work, const struct query_token *token)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct span value;
    if (!query_token_write(token, work->text, rest->hub_id, &text) ||
        !arena_span(rest->arena, buf_span(&text), &value))
        return ERR_MEMORY;
    respond_header(rest->call, "x-ms-continuation", value);
    return ERR_NONE;
}

static struct span item_type(const struct query *query)
{
    if (query_collection(query) == QUERY_JOBS)
        return SPAN_LIT("deviceJob");
    return query_is_whole(query) ? SPAN_LIT("twin") : SPAN_LIT("raw");
}

/* `token` is where the next page begins; NULL: this is the last. */
static enum err respond_rows(
    struct rest *rest, const struct query_work *work, const struct query_token *token)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_byte(&body, '[');
    buf_add(&body, buf_span(&work->rows));
    buf_add_byte(&body, ']');
    enum err err = work->rows.failed ? ERR_MEMORY : respond_json(rest, 200, &body);
    if (err != ERR_NONE)
        return err;
    respond_header(rest->call, "x-ms-item-type", item_type(work->query));
    return token == NULL ? ERR_NONE : add_token(rest, work, token);
}

static enum err respond_groups(struct rest *rest, struct query_work *work)
{
    const struct query_place place = {.prefix = work->place.after, .skip = work->place.skip};
    struct query_place next;
    uint64_t written = 0;
    bool more = false;
    uint64_t left = work->place.left;
    enum err err = query_groups_write(work->groups, &place, left < work->items ? left : work->items,
        PAGE_BYTES, &work->rows, &written, &next, &more);
    if (err != ERR_NONE)
        return err;
    const struct query_token token = {.left = left == UINT64_MAX ? left : left - written,
        .skip = next.skip,
        .after = next.prefix};
    return respond_rows(rest, work, more && token.left > 0 ? &token : NULL);
}

static enum err respond_page(struct rest *rest, struct query_work *work, bool more)
{
    if (query_is_grouped(work->query))
        return respond_groups(rest, work);
    uint64_t left = work->place.left;
    const struct query_token token = {.left = left == UINT64_MAX ? left : left - work->count,
        .skip = (uint64_t)work->after_job,
        .after = {work->after, work->after_len},
        .after_module = {work->after_module, work->module_len}};
    return respond_rows(rest, work, more && token.left > 0 ? &token : NULL);
}

/* ---- one document --------------------------------------------------------------------------- */

static enum err note_place(
    struct query_work *work, int64_t job, struct span device_id, struct span module_id)
{
    if (device_id.len >= ID_BYTES || module_id.len >= ID_BYTES)
        return ERR_CORRUPT;
    memcpy(work->after, device_id.ptr, device_id.len);
    work->after_len = device_id.len;
    if (module_id.len > 0)
        memcpy(work->after_module, module_id.ptr, module_id.len);
    work->module_len = module_id.len;
    work->after_job = job;
    return ERR_NONE;
}

static bool page_is_full(const struct query_work *work)
{
    if (query_is_grouped(work->query))
        return false;
    return work->count >= work->items || work->rows.len >= PAGE_BYTES;
}

static enum err write_document(
    struct query_work *work, const struct query_document *document, struct arena *arena)
{
    if (query_is_grouped(work->query))
        return query_groups_add(work->groups, &document->source, arena, work->rest->why);
    struct buf *out = &work->rows;
    if (work->count++ > 0)
        buf_add_byte(out, ',');
    if (!query_is_whole(work->query))
        return query_write_row(work->query, &document->source, arena, out);
    write_twin(document->identity, document->twin, out);
    return out->failed ? ERR_MEMORY : ERR_NONE;
}

/* A page that is full ends before the next document that would have been in it: so the last page is
 * known to be the last. */
static enum err take_document(
    struct query_work *work, const struct identity *identity, const struct twin_doc *twin)
{
    AUTO(arena_done) struct arena arena;
    struct query_document document = query_document_of(identity, twin);
    bool matches = false;
    arena_init(&arena, work->rest->service->options.limits.request_bytes);
    enum err err = query_matches(work->query, &document.source, &arena, &matches);
    if (err == ERR_NONE && matches && page_is_full(work)) {
        work->stop = STOP_PAGE;
        return ERR_CANCELLED;
    }
    if (err == ERR_NONE && matches)
        err = write_document(work, &document, &arena);
    if (err == ERR_NONE)
        err = note_place(work, 0, identity->device_id, identity->module_id);
    if (err == ERR_NONE && !query_is_grouped(work->query) && work->count >= work->place.left) {
        work->stop = STOP_PAGE;
        return ERR_CANCELLED;
    }
    return err;
}

/* Whether the slice goes on behind a document. */
static enum err watch_time(struct query_work *work)
{
    if (++work->looks % LOOKS_PER_CLOCK != 0)
        return ERR_NONE;
    int64_t now = clock_mono_us(work->rest->service->options.clock);
    if (now < work->slice_us && now < work->end_us)
        return ERR_NONE;
    work->stop = now < work->end_us ? STOP_SLICE : STOP_TIME;
    return ERR_CANCELLED;
}

/* Of what is counted by its ids alone. */
static enum err count_unseen(struct query_work *work, const struct identity *identity)
{
    enum err err = query_groups_count(work->groups, 1);
    return err == ERR_NONE ? note_place(work, 0, identity->device_id, identity->module_id) : err;
}

static enum err visit(void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct query_work *work = self;
    bool needs_twin = (query_uses(work->query) & QUERY_USES_TWIN) != 0;
    enum err err = work->scan.only_ids          ? count_unseen(work, identity)
                   : needs_twin && twin == NULL ? ERR_NONE
                                                : take_document(work, identity, twin);
    return err == ERR_NONE ? watch_time(work) : err;
}

/* As take_document(), of devices.jobs, which are shown as a whole. */
static enum err visit_job(void *self, const struct device_job *job)
{
    struct query_work *work = self;
    AUTO(arena_done) struct arena arena;
    struct device_job_document document = device_job_document_of(job);
    bool matches = false;
    arena_init(&arena, work->rest->service->options.limits.request_bytes);
    enum err err = query_matches(work->query, &document.source, &arena, &matches);
    if (err == ERR_NONE && matches && page_is_full(work)) {
        work->stop = STOP_PAGE;
        return ERR_CANCELLED;
    }
    if (err == ERR_NONE && matches) {
        buf_add_text(&work->rows, work->count++ > 0 ? "," : "");
        device_job_write(job, &work->rows);
        err = work->rows.failed ? ERR_MEMORY : ERR_NONE;
    }
    if (err == ERR_NONE)
        err = note_place(work, job->job_id, job->device_id, job->module_id);
    if (err == ERR_NONE && work->count >= work->place.left) {
        work->stop = STOP_PAGE;
        return ERR_CANCELLED;
    }
    return err == ERR_NONE ? watch_time(work) : err;
}

/* ---- a slice -------------------------------------------------------------------------------- */

static void go_on(struct rest *rest)
{
    rest_submit(rest);
}

static enum err walk(struct rest *rest, struct query_work *work)
{
    /* The visitor moves the place while the store still reads from it. */
    char after[ID_BYTES];
    char after_module[ID_BYTES];
    memcpy(after, work->after, ID_BYTES);
    memcpy(after_module, work->after_module, ID_BYTES);
    if (query_collection(work->query) == QUERY_JOBS) {
        const struct device_job_range range = {.job_name = query_job_id(work->query),
            .device_id = query_job_device_id(work->query),
            .after_job = work->after_job,
            .after = {after, work->after_len},
            .after_module = {after_module, work->module_len}};
        return store_device_job_scan(rest->txn, rest->hub_id, &range, visit_job, work);
    }
    struct twin_scan scan = work->scan;
    scan.after = (struct span){after, work->after_len};
    scan.after_module = (struct span){after_module, work->module_len};
    return store_twin_scan(rest->txn, rest->hub_id, &scan, visit, work);
}

static enum err scan(struct rest *rest, struct query_work *work)
{
    work->stop = STOP_NONE;
    enum err err = walk(rest, work);
    if (err != ERR_NONE && work->stop == STOP_NONE)
        return err;
    if (work->stop == STOP_SLICE) {
        rest->park = go_on;
        return ERR_NONE;
    }
    if (work->stop == STOP_TIME && query_is_grouped(work->query))
        return fail(ERR_TIMEOUT, rest->why,
            "the query took longer than %u s (limits.query_seconds): ask for less with WHERE",
            rest->service->options.limits.query.seconds);
    return respond_page(rest, work, work->stop != STOP_NONE);
}

/* Asks the indexes for what they can count. `*ret_done`: nothing is left to be scanned. */
static enum err count(struct rest *rest, struct query_work *work, bool *ret_done)
{
    uint64_t found = 0;
    enum err err;
    if (query_facet(work->query) != NULL) {
        err = query_scan_facets(rest->txn, rest->hub_id, rest->arena, work->query, work->groups,
            &work->scan.term, rest->why);
        *ret_done = err == ERR_NONE && work->scan.term == NULL;
        return err;
    }
    if (!query_is_counting(work->query) || !query_is_sieved(work->query))
        return ERR_NONE;
    work->scan.only_ids = true;
    err = store_twin_count(rest->txn, rest->hub_id, &work->scan, ret_done, &found);
    if (err == ERR_NONE && *ret_done)
        err = query_groups_count(work->groups, found);
    return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
}

enum err queries_run(struct rest *rest)
{
    struct query_work *work = rest->input;
    int64_t now = clock_mono_us(rest->service->options.clock);
    bool first = !work->begun;
    bool done = false;
    enum err err = ERR_NONE;
    if (first)
        work->end_us = now + (int64_t)rest->service->options.limits.query.seconds * 1000000;
    work->begun = true;
    work->slice_us = now + SLICE_US;
    if (work->place.left == 0)
        return respond_rows(rest, work, NULL);
    if (first && query_is_grouped(work->query))
        err = count(rest, work, &done);
    if (err == ERR_NONE && done)
        return respond_groups(rest, work);
    return err == ERR_NONE ? scan(rest, work) : err;
}
