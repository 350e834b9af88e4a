/* SPDX-License-Identifier: Apache-2.0 */
#include "login_places.h"

#include "files.h"
#include "json.h"
#include "log.h"

#define FILE_NAME "logins"
#define FILE_MAX (64u * 1024)

static const char *const names[] = {
    [LOGIN_WTMP] = "wtmp",
    [LOGIN_BTMP] = "btmp",
    [LOGIN_AUTH_LOG] = "auth.log",
    [LOGIN_PAM] = "pam.log",
    [LOGIN_JOURNAL] = "journal",
};

const char *login_source_name(enum login_source source)
{
    return names[source];
}

bool login_places_are_same(const struct login_places *a, const struct login_places *b)
{
    for (size_t i = 0; i < LOGIN_SOURCES; i++) {
        const struct login_place *x = &a->of[i], *y = &b->of[i];
        const struct tail_position *p = &x->at, *q = &y->at;
        if (x->known != y->known || x->last_us != y->last_us || strcmp(x->cursor, y->cursor) != 0 ||
            p->device != q->device || p->inode != q->inode || p->offset != q->offset ||
            p->print != q->print || p->in_line != q->in_line)
            return false;
    }
    return true;
}

/* A 64-bit number as JSON's signed one. */
static bool set_u64(struct arena *arena, struct json *object, const char *name, uint64_t number)
{
    return json_set_int(arena, object, name, (int64_t)number);
}

static uint64_t u64_of(const struct json *object, const char *name)
{
    int64_t number;
    return json_int64(json_find_text(object, name), &number) ? (uint64_t)number : 0;
}

static struct json *place_json(struct arena *arena, const struct login_place *place)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    bool done = object != NULL && set_u64(arena, object, "device", place->at.device) &&
                set_u64(arena, object, "inode", place->at.inode) &&
                set_u64(arena, object, "offset", place->at.offset) &&
                set_u64(arena, object, "print", place->at.print) &&
                json_set_bool(arena, object, "in_line", place->at.in_line) &&
                json_set_text(arena, object, "cursor", span_of(place->cursor)) &&
                json_set_int(arena, object, "last", place->last_us);
    return done ? object : NULL;
}

static struct json *places_json(struct arena *arena, const struct login_places *places)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    for (unsigned i = 0; object != NULL && i < LOGIN_SOURCES; i++)
        if (places->of[i].known &&
            !json_set(arena, object, span_of(names[i]), place_json(arena, &places->of[i])))
            return NULL;
    return object;
}

static void read_places(const struct json *object, struct login_places *ret_places)
{
    *ret_places = (struct login_places){0};
    for (unsigned i = 0; i < LOGIN_SOURCES; i++) {
        const struct json *from = json_find_text(object, names[i]);
        struct login_place *place = &ret_places->of[i];
        if (!json_is(from, JSON_OBJECT))
            continue;
        const struct json *in_line = json_find_text(from, "in_line");
        place->known = true;
        place->at = (struct tail_position){.device = u64_of(from, "device"),
            .inode = u64_of(from, "inode"),
            .offset = u64_of(from, "offset") & INT64_MAX,
            .print = u64_of(from, "print"),
            .in_line = json_is(in_line, JSON_BOOL) && in_line->truth};
        place->last_us = (int64_t)u64_of(from, "last");
        (void)span_copy(json_string_of(from, "cursor"), place->cursor, sizeof(place->cursor));
    }
}

void login_places_load(const char *state_dir, struct login_record *ret_record)
{
    *ret_record = (struct login_record){0};
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct why why = {""};
    char *path = state_dir == NULL ? NULL : files_path(state_dir, FILE_NAME);
    if (path == NULL)
        return;
    enum err err = files_read(path, FILE_MAX, &body, &why);
    mem_free(path);
    struct arena arena;
    arena_init(&arena, 16 * FILE_MAX);
    struct json *document = NULL;
    if (err == ERR_NONE)
        err = json_parse(&arena, buf_span(&body), 0, &document, &why);
    if (err == ERR_NONE) {
        ret_record->number = u64_of(document, "number");
        read_places(json_find_text(document, "before"), &ret_record->before);
        read_places(json_find_text(document, "after"), &ret_record->after);
    } else if (err != ERR_NOT_FOUND) {
        log_warn("login", "how far logins were read is not known, it begins with new ones: %s",
            why_text(&why, err));
    }
    arena_done(&arena);
}

enum err login_places_save(
    const char *state_dir, const struct login_record *record, struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct arena arena;
    arena_init(&arena, 0);
    struct json *document = json_new(&arena, JSON_OBJECT);
    bool done =
        document != NULL && set_u64(&arena, document, "number", record->number) &&
        json_set(&arena, document, SPAN_LIT("before"), places_json(&arena, &record->before)) &&
        json_set(&arena, document, SPAN_LIT("after"), places_json(&arena, &record->after));
    if (done)
        json_write(document, &body);
    arena_done(&arena);
    if (!done || body.failed)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    enum err err = files_stage(state_dir, FILE_NAME, buf_span(&body), why);
    return err == ERR_NONE ? files_commit(state_dir, FILE_NAME, why) : err;
}
