/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random documents and changes against a second, naive implementation: plain trees, whole copies,
 * linear searches. Seeds are fixed; a failure prints the seed.
 */
#include "clock.h"
#include "twin.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#define START 1700000000000000

static struct arena arena;
static uint64_t random_state;
static uint64_t story_seed;

static unsigned pick(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

static struct json *random_value(unsigned depth, bool nulls);

static struct json *random_object(unsigned depth, bool nulls)
{
    struct json *object = json_new(&arena, JSON_OBJECT);
    assert_non_null(object);
    for (unsigned i = pick(5); i > 0; i--) {
        char name[2] = {(char)('a' + pick(6)), '\0'};
        assert_true(json_set(&arena, object, span_of(name), random_value(depth, nulls)));
    }
    return object;
}

static struct json *random_value(unsigned depth, bool nulls)
{
    struct json *array;
    switch (pick(depth == 0 ? 5 : 8)) {
    case 0:
        return json_new_bool(&arena, pick(2) == 1);
    case 1:
        return json_new_string(&arena, pick(2) == 1 ? SPAN_LIT("x") : SPAN_LIT("\n\"y\""));
    case 2:
        return nulls ? json_new(&arena, JSON_NULL) : json_new_int(&arena, 0);
    case 3:
        array = json_new(&arena, JSON_ARRAY);
        for (unsigned i = pick(3); i > 0; i--)
            assert_true(json_append(array, json_new_int(&arena, pick(3))));
        return array;
    case 4:
        return json_new_int(&arena, (int64_t)pick(100) - 50);
    default:
        return random_object(depth - 1, nulls);
    }
}

/* RFC 7396 in six lines, on a tree of values. */
static void naive_merge(struct json *target, const struct json *patch)
{
    json_each (member, patch) {
        struct json *old = json_find(target, member->key);
        if (member->kind == JSON_NULL) {
            (void)json_take(target, member->key);
        } else if (member->kind != JSON_OBJECT) {
            assert_true(json_set(&arena, target, member->key, json_copy(&arena, member)));
        } else {
            if (!json_is(old, JSON_OBJECT)) {
                old = json_new(&arena, JSON_OBJECT);
                assert_true(json_set(&arena, target, member->key, old));
            }
            naive_merge(old, member);
        }
    }
}

static struct json *number_of(int64_t number)
{
    return json_new_int(&arena, number);
}

static void naive_stamp(struct json *metadata, const char *time, int64_t version)
{
    assert_true(json_set(
        &arena, metadata, SPAN_LIT("$lastUpdated"), json_new_string(&arena, span_of(time))));
    if (version > 0)
        assert_true(
            json_set(&arena, metadata, SPAN_LIT("$lastUpdatedVersion"), number_of(version)));
}

/* The metadata of `values` after `patch`, from the metadata before. */
static struct json *naive_metadata(const struct json *values, const struct json *before,
    const struct json *patch, const char *time, int64_t version)
{
    struct json *metadata = json_new(&arena, JSON_OBJECT);
    if (patch != NULL) {
        naive_stamp(metadata, time, version);
    } else {
        json_each (member, before) {
            if (member->key.ptr[0] == '$')
                assert_true(json_set(&arena, metadata, member->key, json_copy(&arena, member)));
        }
    }
    if (values->kind != JSON_OBJECT)
        return metadata;
    json_each (member, values) {
        const struct json *inner_patch = json_find(patch, member->key);
        const struct json *inner_before = json_find(before, member->key);
        assert_true(json_set(&arena, metadata, member->key,
            naive_metadata(member, inner_before, inner_patch, time, version)));
    }
    return metadata;
}

static struct json *parse(struct span text)
{
    struct json *value;
    assert_int_equal(json_parse(&arena, text, 0, &value, NULL), ERR_NONE);
    return value;
}

static void assert_json(struct span actual, const struct json *expected)
{
    struct buf text = BUF_EMPTY;
    json_write(expected, &text);
    char *got = arena_text(&arena, actual);
    char *want = arena_text(&arena, buf_span(&text));
    buf_done(&text);
    assert_string_equal(got, want);
}

/* What an SDK's cache holds after a notification equals what the hub holds. */
static void assert_cache_follows(struct span before, const struct twin_change *change)
{
    struct json *cache = parse(before);
    struct json *told = parse(change->notification);
    struct json *version = json_take(told, SPAN_LIT("$version"));
    int64_t number;
    assert_true(json_int64(version, &number));
    assert_int_equal(number, change->doc.desired.version);
    naive_merge(cache, told);
    assert_true(json_equal(cache, parse(change->doc.desired.values)));
}

static struct json *body_of(struct json *desired)
{
    struct json *body = json_new(&arena, JSON_OBJECT);
    struct json *properties = json_new(&arena, JSON_OBJECT);
    assert_true(json_set(&arena, properties, SPAN_LIT("desired"), desired));
    assert_true(json_set(&arena, body, SPAN_LIT("properties"), properties));
    return body;
}

static void assert_desired(const struct twin_doc *before, const struct twin_change *change,
    enum twin_change_kind kind, const struct json *patch, int64_t now)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(now, time);
    struct json *values =
        kind == TWIN_REPLACE ? json_new(&arena, JSON_OBJECT) : parse(before->desired.values);
    naive_merge(values, patch);
    assert_json(change->doc.desired.values, values);
    struct json *metadata = naive_metadata(
        values, parse(before->desired.metadata), patch, time, change->doc.desired.version);
    assert_json(change->doc.desired.metadata, metadata);
    assert_cache_follows(before->desired.values, change);
}

static void run_story(uint64_t seed)
{
    struct twin_doc doc;
    struct twin_change change;
    struct why why = {""};
    arena_init(&arena, 0);
    random_state = seed;
    assert_int_equal(twin_new(&arena, START, &doc), ERR_NONE);
    for (int step = 1; step <= 20; step++) {
        int64_t now = START + step * 1000;
        struct json *patch = random_object(3, true);
        unsigned what = pick(4);
        enum twin_change_kind kind = what == 0   ? TWIN_REPLACE
                                     : what == 1 ? TWIN_REPORT
                                                 : TWIN_PATCH;
        struct json *body =
            kind == TWIN_REPORT ? json_copy(&arena, patch) : body_of(json_copy(&arena, patch));
        if (kind == TWIN_PATCH && patch->count == 0)
            continue;
        enum err err =
            twin_apply(&arena, &doc, kind, body, &twin_limits_default, now, &change, &why);
        if (err != ERR_NONE)
            fail_msg("%s", why.text);
        if (kind == TWIN_REPORT) {
            struct json *values = parse(doc.reported.values);
            naive_merge(values, patch);
            assert_json(change.doc.reported.values, values);
            assert_true(span_eq(change.doc.desired.values, doc.desired.values));
        } else {
            assert_desired(&doc, &change, kind, patch, now);
        }
        doc = change.doc;
    }
    arena_done(&arena);
}

static void random_changes_agree_with_a_naive_implementation(void **state UNUSED)
{
    for (story_seed = 1; story_seed <= 300; story_seed++)
        run_story(story_seed);
}

static int tell_the_seed(void **state UNUSED)
{
    print_message("the last seed was %llu\n", (unsigned long long)story_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_changes_agree_with_a_naive_implementation, tell_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
