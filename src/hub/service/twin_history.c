/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of twins: after every change of tags or desired the document is kept, with who made
 * it, in the transaction of the change. Under /gemel/v1/twin-history/{device}[/{module}]:
 *
 *   …?before=N&limit=N      the list, newest first        GET
 *   …/{id} or …?id=N        one document                  GET
 *   …/{id}/restore          makes it the twin again       POST, If-Match
 *
 * "{device}/5" is the module "5" where there is one, else the device's document 5.
 */
#include "service_priv.h"

#include "log.h"

#define LIMIT_DEFAULT 20
#define PRUNE_EVERY_US 60000000
#define PRUNE_ITEMS 5000

static const char *const kind_names[] = {
    [HISTORY_CREATE] = "create",
    [HISTORY_PATCH] = "patch",
    [HISTORY_REPLACE] = "replace",
    [HISTORY_REVERT] = "revert",
};

enum err history_note(struct rest *rest, struct span device_id, struct span module_id,
    enum history_kind kind, const struct twin_change *change)
{
    size_t keep = rest->service->options.limits.history_entries;
    const struct history_entry entry = {
        .time_us = now_us(rest->service),
        .kind = kind,
        .tags_changed = change->tags_changed,
        .desired_changed = change->desired_changed,
        .author = rest->caller.user,
        .from = rest->caller.origin,
        .address = rest->caller.address,
        .desired_version = change->doc.desired.version,
        .tags = change->doc.tags,
        .desired = change->doc.desired.values,
    };
    if (keep == 0)
        return ERR_NONE;
    return store_history_put(rest->txn, rest->hub_id, device_id, module_id, &entry, keep);
}

/* ---- what is asked -------------------------------------------------------------------------- */

struct asked {
    struct span device_id;
    struct span module_id;
    int64_t id;         /* 0: the list */
    int64_t device_one; /* the document of the device that the module's name may mean; 0: none */
    uint64_t before;
    size_t limit;
};

static enum err read_id(struct rest *rest, struct span text, int64_t *ret_id)
{
    uint64_t id;
    if (!span_u64(text, INT64_MAX, &id) || id == 0)
        return fail(
            ERR_ARGUMENT, rest->why, "\"%.*s\" is no number of a former document", SPAN_ARG(text));
    *ret_id = (int64_t)id;
    return ERR_NONE;
}

static enum err read_path(struct rest *rest, struct asked *asked, bool needs_id)
{
    uint64_t id;
    const struct span *arguments = rest->arguments;
    asked->device_id = arguments[0];
    if (needs_id && arguments[2].len == 0)
        return read_id(rest, arguments[1], &asked->id);
    asked->module_id = arguments[1];
    if (arguments[2].len > 0)
        return read_id(rest, arguments[2], &asked->id);
    if (span_u64(arguments[1], INT64_MAX, &id))
        asked->device_one = (int64_t)id;
    return ERR_NONE;
}

static enum err prepare(struct rest *rest, bool needs_id)
{
    uint64_t id = 0;
    uint64_t limit = 0;
    struct asked *asked = arena_alloc(rest->arena, sizeof(*asked));
    if (asked == NULL)
        return ERR_MEMORY;
    rest->input = asked;
    enum err err = read_path(rest, asked, needs_id);
    if (err == ERR_NONE && asked->id == 0) {
        err = rest_number(rest, "id", INT64_MAX, 0, &id);
        asked->id = (int64_t)id;
    }
    if (err == ERR_NONE)
        err = rest_number(rest, "before", INT64_MAX, 0, &asked->before);
    if (err == ERR_NONE)
        err = rest_number(
            rest, "limit", rest->service->options.limits.list_items, LIMIT_DEFAULT, &limit);
    asked->limit = limit == 0 ? 1 : (size_t)limit;
    return err;
}

enum err history_prepare(struct rest *rest)
{
    return prepare(rest, false);
}

enum err history_prepare_restore(struct rest *rest)
{
    return prepare(rest, true);
}

/* ---- the list ------------------------------------------------------------------------------- */

struct page {
    struct buf body;
    size_t limit;
    size_t count;
    int64_t last;
};

static void write_entry(const struct history_entry *entry, struct buf *out)
{
    bool both = entry->tags_changed && entry->desired_changed;
    buf_add_format(out, "{\"id\":%lld", (long long)entry->id);
    write_time_member(out, "time", entry->time_us);
    write_text_member(out, "author", entry->author);
    write_text_member(out, "from", entry->from);
    write_text_member(out, "address", entry->address);
    write_text_member(out, "kind", span_of(kind_names[entry->kind]));
    buf_add_format(out, ",\"desiredVersion\":%lld", (long long)entry->desired_version);
    write_text_member(out, "changed",
        span_of(both                  ? "both"
                : entry->tags_changed ? "tags"
                                      : "desired"));
}

static enum err add_entry(void *self, const struct history_entry *entry)
{
    struct page *page = self;
    if (page->count++ == page->limit)
        return ERR_NONE; /* it only shows that there are more */
    buf_add_text(&page->body, page->count == 1 ? "" : ",");
    write_entry(entry, &page->body);
    buf_add_byte(&page->body, '}');
    page->last = entry->id;
    return page->body.failed ? ERR_MEMORY : ERR_NONE;
}

static enum err respond_list(struct rest *rest, const struct asked *asked)
{
    struct page page = {.limit = asked->limit};
    buf_add_text(&page.body, "{\"items\":[");
    enum err err = store_history_list(rest->txn, rest->hub_id, asked->device_id, asked->module_id,
        (int64_t)asked->before, asked->limit + 1, add_entry, &page);
    if (page.count > page.limit)
        buf_add_format(&page.body, "],\"next\":%lld}", (long long)page.last);
    else
        buf_add_text(&page.body, "],\"next\":null}");
    if (err == ERR_NONE)
        err = respond_json(rest, 200, &page.body);
    buf_done(&page.body);
    return err;
}

/* ---- one document --------------------------------------------------------------------------- */

static enum err get_entry(
    struct rest *rest, const struct asked *asked, struct history_entry *ret_entry)
{
    enum err err = store_history_get(rest->txn, rest->arena, rest->hub_id, asked->device_id,
        asked->module_id, asked->id, ret_entry);
    if (err == ERR_NOT_FOUND)
        return fail(ERR_NO_ROUTE, rest->why, "the twin has no former document %lld (any more)",
            (long long)asked->id);
    return err;
}

static enum err respond_one(struct rest *rest, const struct asked *asked)
{
    struct history_entry entry;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = get_entry(rest, asked, &entry);
    if (err != ERR_NONE)
        return err;
    write_entry(&entry, &body);
    buf_add_text(&body, ",\"tags\":");
    buf_add(&body, entry.tags);
    buf_add_text(&body, ",\"desired\":");
    buf_add(&body, entry.desired);
    buf_add_byte(&body, '}');
    return respond_json(rest, 200, &body);
}

enum err history_read(struct rest *rest)
{
    struct asked asked = *(const struct asked *)rest->input;
    struct identity identity;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, asked.device_id,
        asked.module_id, &identity, rest->why);
    if (err == ERR_MODULE_NOT_FOUND && asked.device_one > 0) {
        asked.id = asked.device_one;
        asked.module_id = SPAN_NONE;
        err = ERR_NONE;
    }
    if (err != ERR_NONE)
        return err;
    return asked.id > 0 ? respond_one(rest, &asked) : respond_list(rest, &asked);
}

/* ---- restoring ------------------------------------------------------------------------------ */

/* {"tags":{…},"properties":{"desired":{…}}}: what a replacement takes. */
static enum err make_document(
    struct rest *rest, const struct history_entry *entry, struct json **ret_document)
{
    struct json *tags = NULL;
    struct json *desired = NULL;
    struct json *properties = json_new(rest->arena, JSON_OBJECT);
    struct json *document = json_new(rest->arena, JSON_OBJECT);
    if (properties == NULL || document == NULL)
        return ERR_MEMORY;
    enum err err = json_parse(rest->arena, entry->tags, 0, &tags, rest->why);
    if (err == ERR_NONE)
        err = json_parse(rest->arena, entry->desired, 0, &desired, rest->why);
    if (err != ERR_NONE)
        return err == ERR_FORMAT ? ERR_CORRUPT : err;
    if (!json_set(rest->arena, properties, SPAN_LIT("desired"), desired) ||
        !json_set(rest->arena, document, SPAN_LIT("tags"), tags) ||
        !json_set(rest->arena, document, SPAN_LIT("properties"), properties))
        return ERR_MEMORY;
    *ret_document = document;
    return ERR_NONE;
}

enum err history_restore(struct rest *rest)
{
    const struct asked *asked = rest->input;
    struct history_entry entry;
    struct identity identity;
    struct twin_doc twin;
    struct json *document;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, asked->device_id,
        asked->module_id, &identity, rest->why);
    if (err == ERR_NONE)
        err = get_entry(rest, asked, &entry);
    if (err == ERR_NONE)
        err = make_document(rest, &entry, &document);
    if (err != ERR_NONE)
        return err;
    const struct twin_step step = {TWIN_REPLACE, HISTORY_REVERT, document, &rest->match};
    err = twins_change(rest, asked->device_id, asked->module_id, &step, &identity, &twin);
    if (err == ERR_NONE)
        err = twins_note_version(rest, &twin);
    return err == ERR_NONE ? respond_twin(rest, &identity, &twin) : err;
}

/* ---- age ------------------------------------------------------------------------------------ */

struct prune_job {
    struct store_job job;
    struct service *service;
    int64_t next;
};

static enum err run_prune(struct store_job *job, struct store_txn *txn)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct service *service = prune->service;
    int64_t before =
        now_us(service) - (int64_t)service->options.limits.history_days * 86400 * 1000000;
    return store_history_prune(txn, service->history_after, before, PRUNE_ITEMS, &prune->next);
}

static void prune_done(struct store_job *job, enum err result)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct service *service = prune->service;
    if (result != ERR_NONE)
        log_warn(
            "service", "old documents of twins cannot be dropped: %s", why_text(&job->why, result));
    pthread_mutex_lock(&service->lock);
    service->pruning_history = false;
    if (result == ERR_NONE)
        service->history_after = prune->next;
    pthread_mutex_unlock(&service->lock);
    mem_free(prune);
    own_job_end(service);
}

/* A part of all documents each minute, so that no update waits long behind it. */
void history_prune(struct service *service)
{
    int64_t now = clock_mono_us(service->options.clock);
    pthread_mutex_lock(&service->lock);
    bool due = !service->pruning_history && !service->draining && now >= service->history_mono_us &&
               service->options.limits.history_days > 0;
    struct prune_job *prune = due ? mem_alloc(sizeof(*prune)) : NULL;
    if (prune != NULL) {
        service->pruning_history = true;
        service->history_mono_us = now + PRUNE_EVERY_US;
    }
    pthread_mutex_unlock(&service->lock);
    if (prune == NULL)
        return;
    prune->service = service;
    prune->job.run = run_prune;
    prune->job.done = prune_done;
    own_job_begin(service);
    store_submit(service->options.store, STORE_WRITE, &prune->job);
}
