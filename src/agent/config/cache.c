/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_priv.h"

#include "files.h"
#include "log.h"

#define PART "config"
#define CACHE_NAME "cache.json"
#define CACHE_FORMAT 1
#define CACHE_MAX_BYTES (1u << 20)

void cache_init(struct cache *cache, const char *dir)
{
    *cache = (struct cache){.dir = dir};
}

void cache_done(struct cache *cache)
{
    buf_done(&cache->written);
}

static enum err parse(
    struct span text, struct arena *arena, struct json **ret_desired, struct why *why)
{
    struct json *document;
    int64_t format;
    enum err err = json_parse(arena, text, 0, &document, why);
    if (err != ERR_NONE)
        return err;
    struct json *desired = json_find_text(document, "desired");
    if (!json_int64(json_find_text(document, "format"), &format) || format != CACHE_FORMAT ||
        !json_is(desired, JSON_OBJECT))
        return fail(ERR_CORRUPT, why, "it is not of the form that this agent writes");
    *ret_desired = desired;
    return ERR_NONE;
}

static enum err read_and_parse(struct cache *cache, const char *path, struct arena *arena,
    struct json **ret_desired, struct why *why)
{
    enum err err =
        path == NULL ? ERR_MEMORY : files_read(path, CACHE_MAX_BYTES, &cache->written, why);
    if (err == ERR_NONE)
        err = parse(buf_span(&cache->written), arena, ret_desired, why);
    if (err != ERR_NONE)
        buf_clear(&cache->written);
    return err;
}

struct json *cache_load(struct cache *cache, struct arena *arena)
{
    struct why why = {""};
    struct json *desired = NULL;
    AUTO(buf_done) struct buf path = BUF_EMPTY;
    AUTO(buf_done) struct buf new_path = BUF_EMPTY;
    buf_add_format(&path, "%s/" CACHE_NAME, cache->dir);
    buf_add_format(&new_path, "%s/" CACHE_NAME ".new", cache->dir);
    /* What is no whole document there was cut off by a loss of power, and the one before holds. */
    cache->staged = read_and_parse(cache, new_path.ptr, arena, &desired, &why) == ERR_NONE;
    if (cache->staged)
        return desired;
    enum err err = read_and_parse(cache, path.ptr, arena, &desired, &why);
    if (err == ERR_NONE)
        return desired;
    if (err == ERR_NOT_FOUND)
        return NULL;
    log_warn(
        PART, "%s is not used: %s", path.ptr == NULL ? CACHE_NAME : path.ptr, why_text(&why, err));
    if (err == ERR_FORMAT || err == ERR_CORRUPT || err == ERR_TOO_LARGE)
        files_set_aside(cache->dir, CACHE_NAME);
    return NULL;
}

static void say_not_kept(enum err err, const struct why *why)
{
    log_warn(PART, "a start without network would use older settings: %s", why_text(why, err));
}

void cache_stage(struct cache *cache, const struct json *desired)
{
    struct why why = {""};
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    buf_add_format(&text, "{\"format\":%d,\"latest_state\":\"success\",\"desired\":", CACHE_FORMAT);
    json_write(desired, &text);
    buf_add_text(&text, "}\n");
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
