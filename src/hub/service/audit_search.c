/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log, searched page by page, or sent whole as JSON lines. What is sent whole goes in
 * pieces of bounded size, each read from the store when the one before was sent: neither a reader
 * of the store nor memory is held by a client that is slow.
 */
#include "service_priv.h"

#define ITEMS_DEFAULT 100
#define PAGE_BYTES (1024u * 1024u)
#define PIECE_BYTES (128u * 1024u)

/* One call of the store looks at a bounded number of entries; so do we in one job. */
#define READS_MAX 16

struct search {
    struct audit_range range;
    struct buf text;
    char *piece; /* of an export: where all its pieces lie */
    size_t piece_size;
    size_t count;
};

/* ---- what is asked --------------------------------------------------------------------------- */

static enum err read_time(
    struct rest *rest, const char *name, int64_t fallback, int64_t *ret_time_us)
{
    struct span text;
    *ret_time_us = fallback;
    enum err err = rest_parameter(rest, name, &text);
    if (err != ERR_NONE || text.len == 0)
        return err;
    err = clock_parse(text, ret_time_us, rest->why);
    if (err == ERR_NONE)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why,
        "%s is \"%.*s\", it must be a time as 2026-01-02T03:04:05Z", name, SPAN_ARG(text));
}

static enum err read_range(struct rest *rest, struct audit_range *range)
{
    enum err err = rest_parameter(rest, "search", &range->search);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "user", &range->user);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "hub", &range->hub);
    if (err == ERR_NONE)
        err = read_time(rest, "since", INT64_MIN, &range->since_us);
    if (err == ERR_NONE)
        err = read_time(rest, "until", INT64_MAX, &range->until_us);
    range->before = UINT64_MAX;
    return err;
}

enum err audit_prepare_list(struct rest *rest)
{
    struct search *search = arena_alloc(rest->arena, sizeof(*search));
    uint64_t limit = 0;
    uint64_t before = 0;
    if (search == NULL)
        return ERR_MEMORY;
    enum err err = read_range(rest, &search->range);
    if (err == ERR_NONE)
        err = rest_number(rest, "before", INT64_MAX, UINT64_MAX, &before);
    if (err == ERR_NONE)
        err = rest_number(
            rest, "limit", rest->service->options.limits.access.audit_items, ITEMS_DEFAULT, &limit);
    search->range.before = before;
    search->range.limit = limit == 0 ? 1 : (size_t)limit;
    search->range.limit_bytes = PAGE_BYTES;
    rest->input = search;
    return err;
}

enum err audit_prepare_export(struct rest *rest)
{
    struct search *search = arena_alloc(rest->arena, sizeof(*search));
    if (search == NULL)
        return ERR_MEMORY;
    enum err err = read_range(rest, &search->range);
    search->range.limit = SIZE_MAX;
    search->range.limit_bytes = PIECE_BYTES;
    rest->input = search;
    return err;
}

/* ---- what is answered ------------------------------------------------------------------------ */

static void write_entry(const struct audit_entry *entry, struct buf *out)
{
    char time[CLOCK_TEXT_SIZE];
    buf_add_format(out, "{\"id\":%llu,\"time\":\"%s\"", (unsigned long long)entry->id,
        clock_format(entry->time_us, time));
    write_text_member(out, "user", entry->user);
    write_text_member(out, "from", entry->origin);
    write_text_member(out, "address", entry->address);
    write_text_member(out, "hub", entry->hub);
    write_text_member(out, "action", entry->action);
    write_text_member(out, "target", entry->target);
    write_text_member(out, "outcome", entry->outcome);
    buf_add_text(out, ",\"detail\":");
    buf_add(out, entry->detail);
    buf_add_byte(out, '}');
}

static enum err add_item(void *self, const struct audit_entry *entry)
{
    struct search *search = self;
    if (search->count++ > 0)
        buf_add_byte(&search->text, ',');
    write_entry(entry, &search->text);
    return search->text.failed ? ERR_MEMORY : ERR_NONE;
}

static enum err add_line(void *self, const struct audit_entry *entry)
{
    struct search *search = self;
    search->count++;
    write_entry(entry, &search->text);
    buf_add_byte(&search->text, '\n');
    return search->text.failed ? ERR_MEMORY : ERR_NONE;
}

/* Reads until there is something; the range is moved on. */
static enum err read_some(
    struct rest *rest, struct search *search, struct audit_range *range, audit_visitor *visit)
{
    enum err err = ERR_NONE;
    for (int i = 0; err == ERR_NONE && search->count == 0 && range->before > 0 && i < READS_MAX;
         i++)
        err = store_audit_read(rest->txn, range, visit, search, &range->before);
    return err;
}

enum err audit_list(struct rest *rest)
{
    struct search search = *(const struct search *)rest->input;
    buf_add_text(&search.text, "{\"items\":[");
    enum err err = read_some(rest, &search, &search.range, add_item);
    if (search.range.before > 0)
        buf_add_format(&search.text, "],\"next\":%llu}", (unsigned long long)search.range.before);
    else
        buf_add_text(&search.text, "],\"next\":null}");
    if (err == ERR_NONE)
        err = respond_json(rest, 200, &search.text);
    buf_done(&search.text);
    return err;
}

/* ---- everything ------------------------------------------------------------------------------ */

static enum err begin_export(struct rest *rest, struct search *search, size_t size)
{
    /* An entry may be larger than the piece that it ends; then there is a larger place for all that
     * follow. */
    if (search->piece_size < size) {
        search->piece_size = size < 2 * PIECE_BYTES ? 2 * PIECE_BYTES : 2 * size;
        search->piece = arena_alloc(rest->arena, search->piece_size);
    }
    return search->piece == NULL ? ERR_MEMORY : ERR_NONE;
}

static enum err respond_piece(struct rest *rest, struct search *search, const struct buf *text)
{
    enum err err = begin_export(rest, search, text->len);
    if (err != ERR_NONE)
        return err;
    if (text->len > 0)
        memcpy(search->piece, text->ptr, text->len);
    err = respond_empty(rest, 200);
    respond_header(
        rest->call, "content-disposition", SPAN_LIT("attachment; filename=\"gemel-audit.jsonl\""));
    rest->call->content_type_out = SPAN_LIT("application/x-ndjson");
    rest->call->body_out = (struct span){search->piece, text->len};
    rest->call->more = search->range.before > 0;
    return err;
}

enum err audit_export(struct rest *rest)
{
    struct search *search = rest->input;
    struct search piece = {.range = search->range};
    enum err err = read_some(rest, &piece, &piece.range, add_line);
    if (err == ERR_NONE) {
        search->range.before = piece.range.before;
        err = respond_piece(rest, search, &piece.text);
    }
    buf_done(&piece.text);
    return err;
}
