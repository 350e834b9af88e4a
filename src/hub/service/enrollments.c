/* SPDX-License-Identifier: Apache-2.0 */
/* The service API of provisioning: enrollments, groups of them, and what came of them. */
#include "enrollment.h"

#include "provision.h"

enum err enrollments_not_found(struct rest *rest, struct span id, enum err err)
{
    if (err != ERR_NOT_FOUND)
        return err;
    return fail(
        ERR_ENROLLMENT_NOT_FOUND, rest->why, "the hub has no enrollment \"%.*s\"", SPAN_ARG(id));
}

enum enrollment_kind enrollments_kind(const struct rest *rest)
{
    return span_starts(span_of(rest->operation->path), SPAN_LIT("/enrollmentGroups"))
               ? ENROLLMENT_GROUP
               : ENROLLMENT_INDIVIDUAL;
}

/* ERR_NOT_FOUND, without a sentence. */
static enum err get(struct rest *rest, struct span name, struct enrollment *ret_enrollment,
    struct json **ret_document)
{
    struct span id = enrollment_id(rest->arena, name);
    enum err err = store_enrollment_get(
        rest->txn, rest->arena, rest->hub_id, enrollments_kind(rest), id, ret_enrollment);
    if (err != ERR_NONE)
        return err;
    err = json_parse(rest->arena, ret_enrollment->document, 0, ret_document, rest->why);
    return err == ERR_NONE || err == ERR_MEMORY ? err : ERR_CORRUPT;
}

/* ---- registrations --------------------------------------------------------------------------- */

static void write_state(
    const struct rest *rest, const struct registration *registration, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    buf_add_text(out, "{\"registrationId\":");
    json_write_string(registration->id, out);
    write_text_member(out, "assignedHub", rest->host_name);
    write_text_member(out, "deviceId", registration->device_id);
    buf_add_text(out, ",\"status\":\"assigned\",\"substatus\":\"initialAssignment\"");
    write_time_member(out, "createdDateTimeUtc", registration->created_us);
    write_time_member(out, "lastUpdatedDateTimeUtc", registration->updated_us);
    write_text_member(out, "etag", span_of(identity_etag(registration->etag, etag)));
    buf_add_byte(out, '}');
}

static enum err get_registration(struct rest *rest, struct registration *ret_registration)
{
    struct span id = enrollment_id(rest->arena, rest->arguments[0]);
    enum err err =
        store_registration_get(rest->txn, rest->arena, rest->hub_id, id, ret_registration);
    if (err == ERR_NOT_FOUND)
        return fail(ERR_REGISTRATION_NOT_FOUND, rest->why, "nothing is registered as \"%.*s\"",
            SPAN_ARG(rest->arguments[0]));
    return err;
}

enum err registrations_get(struct rest *rest)
{
    struct registration registration;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = get_registration(rest, &registration);
    if (err != ERR_NONE)
        return err;
    write_state(rest, &registration, &body);
    err = respond_json(rest, 200, &body);
    return err == ERR_NONE ? respond_etag(rest, identity_etag(registration.etag, etag)) : err;
}

enum err registrations_delete(struct rest *rest)
{
    struct registration registration;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = get_registration(rest, &registration);
    if (err == ERR_NONE)
        err = match_check(&rest->match, span_of(identity_etag(registration.etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = store_registration_delete(rest->txn, rest->hub_id, registration.id);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

/* ---- one enrollment -------------------------------------------------------------------------- */

static enum err respond(struct rest *rest, const struct enrollment *enrollment,
    const struct json *document, bool with_keys)
{
    struct registration registration;
    char etag[IDENTITY_ETAG_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enrollment_write(rest->arena, enrollment, document, with_keys, &body);
    enum err err = ERR_NOT_FOUND;
    if (enrollment->kind == ENROLLMENT_INDIVIDUAL)
        err = store_registration_get(
            rest->txn, rest->arena, rest->hub_id, enrollment->id, &registration);
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NONE) {
        buf_add_text(&body, ",\"registrationState\":");
        write_state(rest, &registration, &body);
    }
    buf_add_byte(&body, '}');
    err = respond_json(rest, 200, &body);
    mem_wipe(body.ptr, body.len);
    return err == ERR_NONE ? respond_etag(rest, identity_etag(enrollment->etag, etag)) : err;
}

static enum err find(
    struct rest *rest, struct enrollment *ret_enrollment, struct json **ret_document)
{
    enum err err = get(rest, rest->arguments[0], ret_enrollment, ret_document);
    return enrollments_not_found(rest, rest->arguments[0], err);
}

enum err enrollments_get(struct rest *rest)
{
    struct enrollment enrollment;
    struct json *document = NULL;
    enum err err = find(rest, &enrollment, &document);
    return err == ERR_NONE ? respond(rest, &enrollment, document, false) : err;
}

enum err enrollments_attestation(struct rest *rest)
{
    struct enrollment enrollment;
    struct json *document = NULL;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = find(rest, &enrollment, &document);
    if (err != ERR_NONE)
        return err;
    enrollment_write_attestation(rest->arena, document, true, &body);
    err = respond_json(rest, 200, &body);
    mem_wipe(body.ptr, body.len);
    return err;
}

enum err enrollments_prepare(struct rest *rest)
{
    const char *name =
        enrollments_kind(rest) == ENROLLMENT_GROUP ? "enrollmentGroupId" : "registrationId";
    const struct json *id = json_find_text(rest->body, name);
    if (rest->body->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an object",
            json_kind_name(rest->body));
    if (id != NULL && !span_eq_nocase(id->text, rest->arguments[0]))
        return fail(ERR_ARGUMENT, rest->why, "%s of the body is not that of the path", name);
    return provision_check_id(rest->arguments[0], rest->why);
}

static enum err check_room(struct rest *rest, enum enrollment_kind kind)
{
    bool group = kind == ENROLLMENT_GROUP;
    const struct service_limits *limits = &rest->service->options.limits;
    size_t most = group ? limits->enrollment_groups : limits->enrollments;
    size_t count = 0;
    enum err err = store_enrollment_count(rest->txn, rest->hub_id, kind, &count);
    if (err == ERR_NONE && count >= most)
        return fail(ERR_QUOTA, rest->why, "the hub has %zu %s, at most %zu are allowed (limits.%s)",
            count, group ? "enrollment groups" : "enrollments", most,
            group ? "enrollment_groups" : "enrollments");
    return err;
}

static enum err put_document(
    struct rest *rest, struct enrollment *enrollment, const struct json *document)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    json_write(document, &text);
    bool copied = !text.failed && arena_span(rest->arena, buf_span(&text), &enrollment->document);
    mem_wipe(text.ptr, text.len);
    if (!copied)
        return ERR_MEMORY;
    enum err err = store_enrollment_put(rest->txn, rest->hub_id, enrollment);
    auth_wipe(enrollment->document);
    return err;
}

enum err enrollments_store(struct rest *rest, const struct enrollment_change *change,
    struct enrollment *ret_row, struct json **ret_document)
{
    struct enrollment row = {.etag = 0};
    struct json *before = NULL;
    struct json *document = NULL;
    char etag[IDENTITY_ETAG_SIZE];
    enum enrollment_kind kind = enrollments_kind(rest);
    enum err err = get(rest, change->id, &row, &before);
    if (err == ERR_NOT_FOUND && change->must_exist)
        return enrollments_not_found(rest, change->id, err);
    if (err == ERR_NOT_FOUND) {
        row = (struct enrollment){.kind = kind,
            .id = enrollment_id(rest->arena, change->id),
            .created_us = now_us(rest->service)};
        err = change->match->given && !change->match->any
                  ? fail(ERR_PRECONDITION, rest->why, "there is no enrollment of that etag")
                  : check_room(rest, kind);
    } else if (err == ERR_NONE && change->must_be_new) {
        return fail(ERR_ENROLLMENT_EXISTS, rest->why, "the hub has an enrollment \"%.*s\" already",
            SPAN_ARG(change->id));
    } else if (err == ERR_NONE) {
        err = match_check(change->match, span_of(identity_etag(row.etag, etag)), rest->why);
    }
    if (err == ERR_NONE)
        err = enrollment_make(rest, kind, change->body, before, &document);
    if (err != ERR_NONE)
        return err;
    row.etag++;
    row.updated_us = now_us(rest->service);
    err = put_document(rest, &row, document);
    *ret_row = row;
    *ret_document = document;
    return err;
}

enum err enrollments_put(struct rest *rest)
{
    struct enrollment row;
    struct json *document;
    const struct enrollment_change change = {.id = rest->arguments[0],
        .body = rest->body,
        .match = &rest->match,
        .must_be_new = !rest->match.given};
    enum err err = enrollments_store(rest, &change, &row, &document);
    return err == ERR_NONE ? respond(rest, &row, document, true) : err;
}

enum err enrollments_remove(struct rest *rest, struct span id, const struct match *match)
{
    struct enrollment enrollment;
    struct json *document = NULL;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = enrollments_not_found(rest, id, get(rest, id, &enrollment, &document));
    if (err == ERR_NONE)
        err = match_check(match, span_of(identity_etag(enrollment.etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = store_enrollment_delete(rest->txn, rest->hub_id, enrollment.kind, enrollment.id);
    return err;
}

enum err enrollments_delete(struct rest *rest)
{
    enum err err = enrollments_remove(rest, rest->arguments[0], &rest->match);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct page {
    struct rest *rest;
    struct buf body;
    size_t most;
    size_t count;
    struct span last; /* the id that the page ends with, if there is more */
    struct span next;
};

static enum err begin_page(struct rest *rest, struct page *page)
{
    size_t most = rest->service->options.limits.list_items;
    uint64_t items = 0;
    *page = (struct page){.rest = rest, .most = most};
    if (span_u64(rest->call->max_items, most, &items) && items > 0)
        page->most = (size_t)items;
    buf_add_byte(&page->body, '[');
    return ERR_NONE;
}

/* One more than fits tells that there are more. */
static bool begin_item(struct page *page, struct span id)
{
    if (page->count++ == page->most) {
        page->next = page->last;
        return false;
    }
    buf_add_text(&page->body, page->count == 1 ? "" : ",");
    return arena_span(page->rest->arena, id, &page->last);
}

static enum err end_page(struct page *page, const char *type, enum err err)
{
    buf_add_byte(&page->body, ']');
    if (err == ERR_NONE)
        err = respond_json(page->rest, 200, &page->body);
    buf_done(&page->body);
    if (err != ERR_NONE)
        return err;
    respond_header(page->rest->call, "x-ms-item-type", span_of(type));
    if (page->next.len > 0)
        respond_header(page->rest->call, "x-ms-continuation", page->next);
    return ERR_NONE;
}

static enum err add_enrollment(void *self, const struct enrollment *enrollment)
{
    struct page *page = self;
    struct json *document = NULL;
    if (!begin_item(page, enrollment->id))
        return page->next.len > 0 ? ERR_NONE : ERR_MEMORY;
    struct arena arena;
    arena_init(&arena, page->rest->arena->limit_bytes);
    enum err err = json_parse(&arena, enrollment->document, 0, &document, page->rest->why);
    if (err == ERR_NONE) {
        enrollment_write(&arena, enrollment, document, false, &page->body);
        buf_add_byte(&page->body, '}');
    }
    arena_done(&arena);
    return err == ERR_NONE && page->body.failed ? ERR_MEMORY : err;
}

/* SELECT * FROM enrollments: there is nothing else to ask. */
enum err enrollments_prepare_query(struct rest *rest)
{
    static const char *const words[] = {"select", "*", "from"};
    struct span query = json_string_of(rest->body, "query");
    struct span word;
    size_t count = 0;
    bool fits = true;
    while (fits && span_cut(&query, ' ', &word)) {
        if (word.len == 0)
            continue;
        bool names = count == 3 && (span_eq_nocase(word, SPAN_LIT("enrollments")) ||
                                       span_eq_nocase(word, SPAN_LIT("enrollmentGroups")) ||
                                       span_eq_nocase(word, SPAN_LIT("registrations")));
        fits = names || (count < 3 && span_eq_nocase(word, span_of(words[count])));
        count++;
    }
    if (fits && (count == 2 || count == 4))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why,
        "the query must be SELECT * or SELECT * FROM enrollments, without conditions");
}

enum err enrollments_query(struct rest *rest)
{
    struct page page;
    enum enrollment_kind kind = enrollments_kind(rest);
    enum err err = begin_page(rest, &page);
    if (err == ERR_NONE)
        err = store_enrollment_list(rest->txn, rest->hub_id, kind, rest->call->continuation,
            page.most + 1, add_enrollment, &page);
    return end_page(&page, kind == ENROLLMENT_GROUP ? "enrollmentGroup" : "enrollment", err);
}

static enum err add_registration(void *self, const struct registration *registration)
{
    struct page *page = self;
    if (!begin_item(page, registration->id))
        return page->next.len > 0 ? ERR_NONE : ERR_MEMORY;
    write_state(page->rest, registration, &page->body);
    return page->body.failed ? ERR_MEMORY : ERR_NONE;
}

enum err registrations_query(struct rest *rest)
{
    struct page page;
    struct span group_id = enrollment_id(rest->arena, rest->arguments[0]);
    enum err err = begin_page(rest, &page);
    if (err == ERR_NONE)
        err = store_registration_list(rest->txn, rest->hub_id, group_id, rest->call->continuation,
            page.most + 1, add_registration, &page);
    return end_page(&page, "deviceRegistration", err);
}
