/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_priv.h"

#include "files.h"
#include "log.h"

#include <inttypes.h>

#define PART "config"
#define CACHE_NAME "cache.json"
#define CACHE_FORMAT 1
#define CACHE_MAX_BYTES (4u << 20)
#define CACHE_MEMORY_BYTES ((size_t)24 << 20)

void cache_init(struct cache *cache, const char *dir)
{
    *cache = (struct cache){.dir = dir};
}

void cache_done(struct cache *cache)
{
    struct buf *texts[] = {&cache->desired, &cache->proven, &cache->refused, &cache->written};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        buf_done(texts[i]);
}

bool cache_set(struct buf *text, const struct json *object)
{
    struct buf with = BUF_EMPTY;
    json_write(object, &with);
    if (with.failed) {
        buf_done(&with);
        return false;
    }
    buf_done(text);
    *text = with;
    return true;
}

/* What stands in the file besides "desired"; whatever is not of the form is passed over. */
static bool take_rest(struct cache *cache, const struct json *document)
{
    const struct json *proven = json_find_text(document, "proven");
    const struct json *refused = json_find_text(document, "refused");
    const struct json *fields = json_find_text(refused, "fields");
    int64_t number;
    cache->on_probation = json_is(proven, JSON_OBJECT);
    if (cache->on_probation) {
        bool counted = json_int64(json_find_text(document, "starts"), &number) && number >= 0;
        cache->starts = counted ? number : 1;
        return cache_set(&cache->proven, proven);
    }
    if (!json_is(fields, JSON_OBJECT) || !json_int64(json_find_text(refused, "version"), &number) ||
        number < 1)
        return true;
    cache->refused_version = number;
    return cache_set(&cache->refused, fields);
}

static enum err parse(struct cache *cache, struct span text, struct why *why)
{
    struct arena arena;
    struct json *document;
    int64_t format;
    arena_init(&arena, CACHE_MEMORY_BYTES);
    enum err err = json_parse(&arena, text, 0, &document, why);
    if (err == ERR_NONE) {
        const struct json *desired = json_find_text(document, "desired");
        if (!json_int64(json_find_text(document, "format"), &format) || format != CACHE_FORMAT ||
            !json_is(desired, JSON_OBJECT))
            err = fail(ERR_CORRUPT, why, "it is not of the form that this agent writes");
        else if (!cache_set(&cache->desired, desired) || !take_rest(cache, document))
            err = fail(ERR_MEMORY, why, "no memory to read it");
    }
    arena_done(&arena);
    return err;
}

static enum err read_and_parse(struct cache *cache, const char *path, struct why *why)
{
    enum err err =
        path == NULL ? ERR_MEMORY : files_read(path, CACHE_MAX_BYTES, &cache->written, why);
    if (err == ERR_NONE)
        err = parse(cache, buf_span(&cache->written), why);
    if (err != ERR_NONE)
        buf_clear(&cache->written);
    return err;
}

void cache_load(struct cache *cache)
{
    struct why why = {""};
    AUTO(buf_done) struct buf path = BUF_EMPTY;
    AUTO(buf_done) struct buf new_path = BUF_EMPTY;
    buf_add_format(&path, "%s/" CACHE_NAME, cache->dir);
    buf_add_format(&new_path, "%s/" CACHE_NAME ".new", cache->dir);
    /* What is no whole document there was cut off by a loss of power, and the one before holds. */
    cache->staged = read_and_parse(cache, new_path.ptr, &why) == ERR_NONE;
    if (cache->staged)
        return;
    enum err err = read_and_parse(cache, path.ptr, &why);
    if (err == ERR_NONE || err == ERR_NOT_FOUND)
        return;
    log_warn(
        PART, "%s is not used: %s", path.ptr == NULL ? CACHE_NAME : path.ptr, why_text(&why, err));
    if (err == ERR_FORMAT || err == ERR_CORRUPT || err == ERR_TOO_LARGE)
        files_set_aside(cache->dir, CACHE_NAME);
}

static void say_not_kept(enum err err, const struct why *why)
{
    log_warn(PART, "a start without network would use older settings: %s", why_text(why, err));
}

static void write_text(const struct cache *cache, struct buf *out)
{
    buf_add_format(out, "{\"format\":%d,\"latest_state\":\"success\",\"desired\":", CACHE_FORMAT);
    buf_add(out, buf_span(&cache->desired));
    if (cache->on_probation) {
        buf_add_text(out, ",\"proven\":");
        buf_add(out, buf_span(&cache->proven));
        buf_add_format(out, ",\"starts\":%" PRId64, cache->starts);
    } else if (cache->refused_version > 0) {
        buf_add_format(
            out, ",\"refused\":{\"version\":%" PRId64 ",\"fields\":", cache->refused_version);
        buf_add(out, buf_span(&cache->refused));
        buf_add_byte(out, '}');
    }
    buf_add_text(out, "}\n");
}

void cache_stage(struct cache *cache)
{
    struct why why = {""};
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    write_text(cache, &text);
    if (!text.failed && span_eq(buf_span(&text), buf_span(&cache->written)))
        return;
    enum err err =
        text.failed ? ERR_MEMORY : files_stage(cache->dir, CACHE_NAME, buf_span(&text), &why);
    buf_clear(&cache->written);
    cache->staged = err == ERR_NONE;
    if (err != ERR_NONE) {
        say_not_kept(err, &why);
        return;
    }
    struct buf old = cache->written;
    cache->written = text;
    text = old;
}

void cache_commit(struct cache *cache)
{
    struct why why = {""};
    if (!cache->staged)
        return;
    cache->staged = false;
    enum err err = files_commit(cache->dir, CACHE_NAME, &why);
    if (err == ERR_NONE)
        return;
    buf_clear(&cache->written);
    say_not_kept(err, &why);
}
