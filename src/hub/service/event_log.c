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
#include "event_log.h"

#include "base64.h"
#include "log.h"
#include "metrics.h"
#include "notices.h"
#include "urlcode.h"

#define WAIT_MAX_SECONDS 60
#define LIMIT_DEFAULT 100
#define PAGE_BYTES (1024u * 1024u)

/* A store looks at a bounded number of events in one call; so do we in one job. */
#define READS_MAX 16

#define PRUNE_EVERY_US 60000000
#define SHRINK_EVERY_US 2000000 /* where the size is limited */
#define PRUNE_ITEMS 2000

const char *const event_source_names[EVENT_SOURCES] = {
    [EVENT_TELEMETRY] = "Telemetry",
    [EVENT_LIFECYCLE] = "deviceLifecycleEvents",
    [EVENT_TWIN] = "twinChangeEvents",
    [EVENT_CONNECTION] = "deviceConnectionStateEvents",
    [EVENT_FEEDBACK] = "feedback",
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

static enum err add_source(struct rest *rest, struct parked *query, struct span word)
{
    for (unsigned i = 0; i < EVENT_SOURCES; i++) {
        if (!span_eq_nocase(word, span_of(event_source_names[i])))
            continue;
        query->sources |= 1u << i;
        return ERR_NONE;
    }
    return fail(ERR_ARGUMENT, rest->why,
        "source is \"%.*s\", it must be all, or some of %s, %s, %s, %s and %s with commas between",
        SPAN_ARG(word), event_source_names[EVENT_TELEMETRY], event_source_names[EVENT_LIFECYCLE],
        event_source_names[EVENT_TWIN], event_source_names[EVENT_CONNECTION],
        event_source_names[EVENT_FEEDBACK]);
}

/* What clients sent, unless something else is asked for. */
static enum err read_sources(struct rest *rest, struct parked *query)
{
    struct span text;
    struct span word;
    enum err err = rest_parameter(rest, "source", &text);
    query->sources = 0;
    if (err != ERR_NONE || span_eq_nocase(text, SPAN_LIT("all")))
        return err;
    if (text.len == 0)
        query->sources = 1u << EVENT_TELEMETRY;
    while (err == ERR_NONE && span_cut(&text, ',', &word))
        err = add_source(rest, query, word);
    return err;
}

static enum err add_filter(struct rest *rest, struct parked *query, struct span encoded)
{
    struct span text = SPAN_NONE;
    enum err err = url_decode_text(rest->arena, encoded, &text, rest->why);
    size_t sign = span_find(text, '=');
    if (err == ERR_MEMORY)
        return err;
    if (err != ERR_NONE || sign == 0 || sign == text.len)
        return fail(ERR_ARGUMENT, rest->why, "property must be name=value, percent-encoded");
    if (query->filter_count == EVENT_FILTERS_MAX)
        return fail(
            ERR_ARGUMENT, rest->why, "property is given more than %d times", EVENT_FILTERS_MAX);
    query->filters[query->filter_count++] =
        (struct event_filter){span_first(text, sign), span_from(text, sign + 1)};
    return ERR_NONE;
}

static enum err read_filters(struct rest *rest, struct parked *query)
{
    static const struct span name = SPAN_INIT("property=");
    struct span all = rest->call->query;
    struct span part;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && span_cut(&all, '&', &part))
        if (span_starts(part, name))
            err = add_filter(rest, query, span_from(part, name.len));
    return err;
}

enum err events_read_query(struct rest *rest, struct parked *query)
{
    struct service *service = rest->service;
    query->rest = rest;
    query->limit_bytes = PAGE_BYTES;
    enum err err = read_from(rest, query);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "device", &query->device_id);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "module", &query->module_id);
    if (err == ERR_NONE)
        err = read_sources(rest, query);
    if (err == ERR_NONE)
        err = read_filters(rest, query);
    pthread_mutex_lock(&service->lock);
    query->seen = *appends_of(service, rest->hub_id);
    pthread_mutex_unlock(&service->lock);
    return err;
}

static void respond_none(struct parked *query);

enum err events_prepare(struct rest *rest)
{
    struct service *service = rest->service;
    struct parked *query = arena_alloc(rest->arena, sizeof(*query));
    uint64_t wait = 0;
    uint64_t limit = 0;
    if (query == NULL)
        return ERR_MEMORY;
    enum err err = events_read_query(rest, query);
    if (err == ERR_NONE)
        err = rest_number(rest, "wait", WAIT_MAX_SECONDS, 0, &wait);
    if (err == ERR_NONE)
        err = rest_number(rest, "limit", service->options.limits.list_items, LIMIT_DEFAULT, &limit);
    query->limit = limit == 0 ? 1 : (size_t)limit;
    query->waits = wait > 0;
    query->deadline_mono_us = clock_mono_us(service->options.clock) + (int64_t)wait * 1000000;
    query->give_up = respond_none;
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

static bool has_property(const struct json *properties, const struct event_filter *filter)
{
    const struct json *value = json_find(properties, filter->name);
    return value != NULL && span_eq(value->text, filter->value) &&
           (value->kind == JSON_STRING || value->kind == JSON_NUMBER);
}

/* False also for want of memory: then the page fails elsewhere. */
static bool passes(const struct parked *query, const struct event *event)
{
    AUTO(arena_done) struct arena arena;
    struct json *system;
    struct json *application;
    arena_init(&arena, 0);
    if (query->filter_count == 0)
        return true;
    if (json_parse(&arena, event->system_properties, 0, &system, NULL) != ERR_NONE ||
        json_parse(&arena, event->properties, 0, &application, NULL) != ERR_NONE)
        return false;
    for (size_t i = 0; i < query->filter_count; i++)
        if (!has_property(application, &query->filters[i]) &&
            !has_property(system, &query->filters[i]))
            return false;
    return true;
}

static enum err write_event(struct page *page, const struct event *event)
{
    struct buf *out = &page->body;
    char time[CLOCK_TEXT_SIZE];
    if (!passes(page->query, event))
        return ERR_NONE;
    if (page->as_stream)
        buf_add_format(out, "id: %llu\ndata: ", (unsigned long long)event->sequence);
    else if (page->count > 0)
        buf_add_byte(out, ',');
    buf_add_format(out, "{\"sequenceNumber\":%llu,\"enqueuedTime\":\"%s\"",
        (unsigned long long)event->sequence, clock_format(event->enqueued_us, time));
    write_text_member(out, "deviceId", event->device_id);
    write_text_or_null(out, "moduleId", event->module_id);
    buf_add_text(out, ",\"systemProperties\":");
    buf_add(out, event->system_properties);
    buf_add_text(out, ",\"properties\":");
    buf_add(out, event->properties);
    buf_add_text(out, ",\"body\":");
    write_body(event, out);
    buf_add_text(out, page->as_stream ? "}\n\n" : "}");
    page->count++;
    return out->failed ? ERR_MEMORY : ERR_NONE;
}

static enum err add_event(void *self, const struct event *stored)
{
    struct page *page = self;
    struct event event = *stored;
    AUTO(arena_done) struct arena arena;
    arena_init(&arena, 0);
    enum err err = notice_complete(&arena, page->query->rest->hub_name, &event);
    return err == ERR_NONE ? write_event(page, &event) : err;
}

enum err events_read_page(
    struct rest *rest, struct parked *query, struct page *page, uint64_t *ret_end)
{
    struct event_range range = {.device_id = query->device_id,
        .module_id = query->module_id,
        .sources = query->sources,
        .limit = query->limit,
        .limit_bytes = query->limit_bytes};
    uint64_t end = 0;
    page->query = query;
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
    *ret_end = end;
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
    struct page page = {.body = BUF_EMPTY};
    buf_add_text(&page.body, "{\"events\":[");
    enum err err = respond_page(rest, query, &page);
    buf_done(&page.body);
    rest_finish(rest, err, NULL);
}

/* Parks a call that found nothing, or runs it again if events came meanwhile. */
void events_park(struct rest *rest)
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
        query->give_up(query);
    else if (again)
        rest_submit(rest);
}

enum err events_read(struct rest *rest)
{
    struct parked *query = rest->input;
    struct page page = {.body = BUF_EMPTY};
    uint64_t end = 0;
    buf_add_text(&page.body, "{\"events\":[");
    enum err err = events_read_page(rest, query, &page, &end);
    /* Below the end there is more to look at: who asks goes on from there at once. */
    if (err == ERR_NONE && page.count == 0 && query->from >= end && query->waits &&
        !is_time_up(rest->service, query))
        rest->park = events_park;
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
        released->give_up(released);
        released = next;
    }
}

/* ---- retention ------------------------------------------------------------------------------ */

struct prune_job {
    struct store_job job;
    struct service *service;
    struct arena arena;
    size_t dropped[2]; /* by reason */
    bool more;
};

static enum err prune_hub(
    struct prune_job *prune, struct store_txn *txn, int64_t hub_id, int64_t before_us)
{
    size_t most = prune->service->options.limits.event_retention_bytes;
    size_t old = 0;
    size_t large = 0;
    enum err err = store_event_prune(txn, hub_id, before_us, PRUNE_ITEMS, &old);
    if (err == ERR_NONE && most > 0)
        err = store_event_shrink(txn, hub_id, most, PRUNE_ITEMS, &large);
    prune->dropped[BY_AGE] += old;
    prune->dropped[BY_SIZE] += large;
    prune->more = prune->more || old == PRUNE_ITEMS || large == PRUNE_ITEMS;
    return err;
}

static enum err run_prune(struct store_job *job, struct store_txn *txn)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct hub_record *hubs;
    size_t count;
    int64_t before = now_us(prune->service) -
                     (int64_t)prune->service->options.limits.event_retention_hours * 3600 * 1000000;
    prune->more = false;
    prune->dropped[BY_AGE] = prune->dropped[BY_SIZE] = 0;
    enum err err = store_hub_list(txn, &prune->arena, &hubs, &count);
    for (size_t i = 0; err == ERR_NONE && i < count; i++)
        err = prune_hub(prune, txn, hubs[i].id, before);
    size_t feedbacks = 0;
    if (err == ERR_NONE)
        err = store_feedback_prune(txn, before, PRUNE_ITEMS, &feedbacks);
    prune->more = prune->more || feedbacks == PRUNE_ITEMS;
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
    for (unsigned i = 0; result == ERR_NONE && i < COUNT_OF(prune->dropped); i++)
        metrics_add(METRIC_EVENTS_DROPPED, i, (int64_t)prune->dropped[i]);
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
        service->prune_mono_us =
            now +
            (service->options.limits.event_retention_bytes > 0 ? SHRINK_EVERY_US : PRUNE_EVERY_US);
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
