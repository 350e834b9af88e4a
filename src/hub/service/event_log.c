/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /gemel/v1/events reads the event log, and waits for more where there is none:
 *
 *   read --(some)--> reply
 *    ^ \--(none)--> parked --(time is up, drain)--> reply with none
 *    |________________|  events were appended
 *
 * Nothing gets lost between reading and parking: the number of appends is noted before each read
 * and looked at again before parking.
 */
#include "service_priv.h"

#include "base64.h"
#include "log.h"

#define WAIT_MAX_SECONDS 60
#define LIMIT_DEFAULT 100
#define PAGE_BYTES (1024u * 1024u)

/* A store looks at a bounded number of events in one call; so do we in one job. */
#define READS_MAX 16

#define PRUNE_EVERY_US 60000000
#define PRUNE_ITEMS 2000

struct parked {
    struct parked *next;
    struct rest *rest;
    uint64_t from;
    bool from_latest; /* still to be found out */
    struct span device_id;
    struct span module_id;
    size_t limit;
    bool waits;
    int64_t deadline_mono_us;
    uint64_t seen; /* appends before the last read */
};

/* ---- what is asked -------------------------------------------------------------------------- */

static enum err read_from(struct rest *rest, struct parked *query)
{
    struct span from;
    enum err err = rest_parameter(rest, "from", &from);
    if (err != ERR_NONE)
        return err;
    query->from_latest = from.len == 0 || span_is(from, "latest");
    if (query->from_latest || span_is(from, "earliest") || span_u64(from, INT64_MAX, &query->from))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why,
        "from is \"%.*s\", it must be \"earliest\", \"latest\" or a sequence number",
        SPAN_ARG(from));
}

static uint64_t *appends_of(struct service *service, int64_t hub_id)
{
    return &service->appends[(uint64_t)hub_id % COUNT_OF(service->appends)];
}

enum err events_prepare(struct rest *rest)
{
    struct service *service = rest->service;
    struct parked *query = arena_alloc(rest->arena, sizeof(*query));
    uint64_t wait = 0;
    uint64_t limit = 0;
    if (query == NULL)
        return ERR_MEMORY;
    query->rest = rest;
    enum err err = read_from(rest, query);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "device", &query->device_id);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "module", &query->module_id);
    if (err == ERR_NONE)
        err = rest_number(rest, "wait", WAIT_MAX_SECONDS, 0, &wait);
    if (err == ERR_NONE)
        err = rest_number(rest, "limit", service->options.limits.list_items, LIMIT_DEFAULT, &limit);
    query->limit = limit == 0 ? 1 : (size_t)limit;
    query->waits = wait > 0;
    query->deadline_mono_us = clock_mono_us(service->options.clock) + (int64_t)wait * 1000000;
    pthread_mutex_lock(&service->lock);
    query->seen = *appends_of(service, rest->hub_id);
    pthread_mutex_unlock(&service->lock);
    rest->input = query;
    return err;
}

/* ---- what is answered ----------------------------------------------------------------------- */

static bool says_json(struct span content_type)
{
    size_t end = span_find(content_type, ';');
    return span_eq_nocase(span_trim(span_first(content_type, end)), SPAN_LIT("application/json"));
}

static bool looks_like_container(struct span body)
{
    body = span_trim(body);
    return body.len > 0 && (body.ptr[0] == '{' || body.ptr[0] == '[');
}

/* JSON as itself: what says that it is, or says nothing and is an object or array. Other text as a
 * string, other bytes as {"base64":…}. */
static void write_body(const struct event *event, struct buf *out)
{
    AUTO(arena_done) struct arena arena;
    struct json *system;
    struct json *value;
    struct span type = SPAN_NONE;
    arena_init(&arena, 0);
    if (json_parse(&arena, event->system_properties, 0, &system, NULL) == ERR_NONE)
        type = json_string_of(system, "content-type");
    bool try = type.len == 0 ? looks_like_container(event->body) : says_json(type);
    if (try && json_parse(&arena, event->body, 0, &value, NULL) == ERR_NONE) {
        json_write(value, out);
    } else if (span_is_utf8(event->body)) {
        json_write_string(event->body, out);
    } else {
        buf_add_text(out, "{\"base64\":\"");
        base64_write(event->body, out);
        buf_add_text(out, "\"}");
    }
}

struct page {
    struct buf body;
    size_t count;
};

static enum err add_event(void *self, const struct event *event)
{
    struct page *page = self;
    struct buf *out = &page->body;
    char time[CLOCK_TEXT_SIZE];
    buf_add_format(out, "%s{\"sequenceNumber\":%llu,\"enqueuedTime\":\"%s\"",
        page->count == 0 ? "" : ",", (unsigned long long)event->sequence,
        clock_format(event->enqueued_us, time));
    write_text_member(out, "deviceId", event->device_id);
    write_text_or_null(out, "moduleId", event->module_id);
    buf_add_text(out, ",\"systemProperties\":");
    buf_add(out, event->system_properties);
    buf_add_text(out, ",\"properties\":");
    buf_add(out, event->properties);
    buf_add_text(out, ",\"body\":");
    write_body(event, out);
    buf_add_byte(out, '}');
    page->count++;
    return out->failed ? ERR_MEMORY : ERR_NONE;
}

static enum err read_page(struct rest *rest, struct parked *query, struct page *page)
{
    struct event_range range = {.device_id = query->device_id,
        .module_id = query->module_id,
        .limit = query->limit,
        .limit_bytes = PAGE_BYTES};
    uint64_t end = 0;
    enum err err = store_event_next(rest->txn, rest->hub_id, &end);
    if (err == ERR_NONE && query->from_latest) {
        query->from = end;
        query->from_latest = false;
    }
    for (int i = 0; err == ERR_NONE && page->count == 0 && query->from < end && i < READS_MAX;
         i++) {
        range.from = query->from;
        err = store_event_read(rest->txn, rest->hub_id, &range, add_event, page, &query->from);
    }
    return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
}

static enum err respond_page(struct rest *rest, const struct parked *query, struct page *page)
{
    buf_add_format(&page->body, "],\"next\":%llu}", (unsigned long long)query->from);
    return respond_json(rest, 200, &page->body);
}

static bool is_time_up(const struct service *service, const struct parked *query)
{
    return clock_mono_us(service->options.clock) >= query->deadline_mono_us;
}

static void respond_none(struct parked *query)
{
    struct rest *rest = query->rest;
    struct page page = {BUF_EMPTY, 0};
    buf_add_text(&page.body, "{\"events\":[");
    enum err err = respond_page(rest, query, &page);
    buf_done(&page.body);
    rest_finish(rest, err, NULL);
}

/* Parks a call that found nothing, or runs it again if events came meanwhile. */
static void park(struct rest *rest)
{
    struct service *service = rest->service;
    struct parked *query = rest->input;
    pthread_mutex_lock(&service->lock);
    uint64_t appends = *appends_of(service, rest->hub_id);
    bool again = appends != query->seen;
    bool draining = service->draining;
    query->seen = appends;
    if (!again && !draining) {
        query->next = service->parked;
        service->parked = query;
    }
    pthread_mutex_unlock(&service->lock);
    if (draining)
        respond_none(query);
    else if (again)
        rest_submit(rest);
}

enum err events_read(struct rest *rest)
{
    struct parked *query = rest->input;
    struct page page = {BUF_EMPTY, 0};
    buf_add_text(&page.body, "{\"events\":[");
    enum err err = read_page(rest, query, &page);
    if (err == ERR_NONE && page.count == 0 && query->waits && !is_time_up(rest->service, query))
        rest->park = park;
    if (err == ERR_NONE && rest->park == NULL)
        err = respond_page(rest, query, &page);
    buf_done(&page.body);
    return err;
}

/* ---- waiting -------------------------------------------------------------------------------- */

void events_appended(void *self, int64_t hub_id, uint64_t sequence UNUSED)
{
    struct service *service = self;
    struct parked *woken = NULL;
    pthread_mutex_lock(&service->lock);
    uint64_t appends = ++*appends_of(service, hub_id);
    for (struct parked **link = &service->parked; *link != NULL;) {
        struct parked *query = *link;
        if (query->rest->hub_id != hub_id) {
            link = &query->next;
            continue;
        }
        *link = query->next;
        query->seen = appends;
        query->next = woken;
        woken = query;
    }
    pthread_mutex_unlock(&service->lock);
    while (woken != NULL) {
        struct parked *next = woken->next;
        rest_submit(woken->rest);
        woken = next;
    }
}

void events_release(struct service *service, bool all)
{
    struct parked *released = NULL;
    pthread_mutex_lock(&service->lock);
    service->draining = service->draining || all;
    for (struct parked **link = &service->parked; *link != NULL;) {
        struct parked *query = *link;
        if (!all && !is_time_up(service, query)) {
            link = &query->next;
            continue;
        }
        *link = query->next;
        query->next = released;
        released = query;
    }
    pthread_mutex_unlock(&service->lock);
    while (released != NULL) {
        struct parked *next = released->next;
        respond_none(released);
        released = next;
    }
}

/* ---- retention ------------------------------------------------------------------------------ */

struct prune_job {
    struct store_job job;
    struct service *service;
    struct arena arena;
    bool more;
};

static enum err run_prune(struct store_job *job, struct store_txn *txn)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct hub_record *hubs;
    size_t count;
    int64_t before = now_us(prune->service) -
                     (int64_t)prune->service->options.limits.event_retention_hours * 3600 * 1000000;
    prune->more = false;
    enum err err = store_hub_list(txn, &prune->arena, &hubs, &count);
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        size_t dropped = 0;
        err = store_event_prune(txn, hubs[i].id, before, PRUNE_ITEMS, &dropped);
        prune->more = prune->more || dropped == PRUNE_ITEMS;
    }
    if (err == ERR_NONE)
        err = audit_prune(prune->service, txn, &prune->more);
    if (err == ERR_NONE)
        err = web_session_prune(prune->service, txn);
    return err;
}

static void prune_done(struct store_job *job, enum err result)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct service *service = prune->service;
    if (result != ERR_NONE)
        log_warn("service", "what is too old cannot be dropped: %s", why_text(&job->why, result));
    pthread_mutex_lock(&service->lock);
    service->pruning = false;
    if (result == ERR_NONE && prune->more)
        service->prune_mono_us = clock_mono_us(service->options.clock);
    pthread_mutex_unlock(&service->lock);
    arena_done(&prune->arena);
    mem_free(prune);
    own_job_end(service);
}

void events_prune(struct service *service)
{
    int64_t now = clock_mono_us(service->options.clock);
    pthread_mutex_lock(&service->lock);
    bool due = !service->pruning && !service->draining && now >= service->prune_mono_us &&
               service->options.limits.event_retention_hours > 0;
    struct prune_job *prune = due ? mem_alloc(sizeof(*prune)) : NULL;
    if (prune != NULL) {
        service->pruning = true;
        service->prune_mono_us = now + PRUNE_EVERY_US;
    }
    pthread_mutex_unlock(&service->lock);
    if (prune == NULL)
        return;
    prune->service = service;
    prune->job.run = run_prune;
    prune->job.done = prune_done;
    arena_init(&prune->arena, 0);
    own_job_begin(service);
    store_submit(service->options.store, STORE_WRITE, &prune->job);
}
