/* SPDX-License-Identifier: Apache-2.0 */
/* What a store keeps of hubs, their names and policies. */
#include "store_harness.h"

#include <stdlib.h>

/* ---- hubs ------------------------------------------------------------------------------------ */

struct hubs {
    struct arena arena;
    struct hub_record *list;
    size_t count;
};

static enum err list_hubs(struct store_txn *txn, void *argument)
{
    struct hubs *hubs = argument;
    return store_hub_list(txn, &hubs->arena, &hubs->list, &hubs->count);
}

static void a_hub_comes_back_with_its_names_and_policies(void **state)
{
    struct fixture *fixture = *state;
    struct hubs hubs = {0};
    int64_t second = add_hub(fixture, "second", "s.test");
    assert_true(second > fixture->hub_id);
    assert_int_equal(in_read(fixture, list_hubs, &hubs), ERR_NONE);
    assert_int_equal(hubs.count, 2);
    assert_true(hubs.list[0].id == fixture->hub_id);
    check_span(hubs.list[0].name, "h");
    assert_int_equal(hubs.list[0].created_us, 17);
    assert_int_equal(hubs.list[0].host_name_count, 1);
    check_span(hubs.list[0].host_names[0], "h.test");
    assert_int_equal(hubs.list[0].policy_count, 1);
    check_span(hubs.list[0].policies[0].name, "iothubowner");
    check_span(hubs.list[0].policies[0].primary_key, "cHJpbWFyeQ==");
    check_span(hubs.list[0].policies[0].secondary_key, "c2Vjb25kYXJ5");
    assert_int_equal(hubs.list[0].policies[0].rights, 15);
    check_span(hubs.list[1].host_names[0], "s.test");
    arena_done(&hubs.arena);
}

struct hub_put {
    struct hub_record hub;
    int64_t id;
};

static enum err put_hub(struct store_txn *txn, void *argument)
{
    struct hub_put *put = argument;
    return store_hub_put(txn, &put->hub, &put->id);
}

static void a_name_that_is_taken_is_refused_and_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        const char *host_names[2];
        const char *says;
    } rows[] = {
        {"h", {"x.test", "y.test"}, "\"h\""},
        {"H", {"x.test", "y.test"}, "\"H\""},
        {"new", {"x.test", "h.test"}, "h.test belongs to the hub \"h\""},
        {"new", {"x.test", "x.test"}, "x.test is given twice"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span names[] = {span_of(rows[i].host_names[0]), span_of(rows[i].host_names[1])};
        struct hub_put put = {
            .hub = {.name = span_of(rows[i].name), .host_names = names, .host_name_count = 2}};
        struct test_job job = test_job_of(put_hub, &put);
        assert_int_equal(store_run(fixture->store, STORE_WRITE, &job.job), ERR_CONFLICT);
        if (strstr(job.job.why.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, job.job.why.text);
    }
    struct hubs hubs = {0};
    assert_int_equal(in_read(fixture, list_hubs, &hubs), ERR_NONE);
    assert_int_equal(hubs.count, 1);
    arena_done(&hubs.arena);
}

static void a_hub_that_is_put_again_replaces_names_and_keeps_devices(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    struct span names[] = {SPAN_LIT("h.test"), SPAN_LIT("more.test")};
    struct hub_put put = {.hub = {.id = fixture->hub_id,
                              .name = SPAN_LIT("renamed"),
                              .host_names = names,
                              .host_name_count = 2}};
    assert_int_equal(in_write(fixture, put_hub, &put), ERR_NONE);
    struct hubs hubs = {0};
    assert_int_equal(in_read(fixture, list_hubs, &hubs), ERR_NONE);
    check_span(hubs.list[0].name, "renamed");
    assert_int_equal(hubs.list[0].host_name_count, 2);
    assert_int_equal(hubs.list[0].policy_count, 0);
    arena_done(&hubs.arena);
    put.hub.id = 4711;
    put.hub.name = SPAN_LIT("ghost");
    put.hub.host_name_count = 0;
    assert_int_equal(in_write(fixture, put_hub, &put), ERR_NOT_FOUND);
}

/* ---- without memory -------------------------------------------------------------------------- */

static void a_list_without_memory_says_so(void **state)
{
    struct fixture *fixture = *state;
    for (size_t limit = 16; limit < 400; limit += 16) {
        struct hubs hubs = {0};
        arena_init(&hubs.arena, limit);
        enum err err = in_read(fixture, list_hubs, &hubs);
        assert_true(err == ERR_MEMORY || (err == ERR_NONE && hubs.count == 1));
        assert_true(limit < 384 || err == ERR_NONE);
        arena_done(&hubs.arena);
    }
}

struct day_put {
    int64_t hub_id;
    struct hub_day day;
};

static enum err put_day(struct store_txn *txn, void *argument)
{
    const struct day_put *put = argument;
    return store_hub_day_put(txn, put->hub_id, &put->day);
}

static enum err get_day(struct store_txn *txn, void *argument)
{
    struct day_put *get = argument;
    return store_hub_day_get(txn, get->hub_id, &get->day);
}

static void the_messages_of_a_day_are_kept_for_each_hub(void **state)
{
    struct fixture *fixture = *state;
    struct day_put one = {.hub_id = fixture->hub_id, .day = {1, 1}};
    struct day_put other = {.hub_id = add_hub(fixture, "other", "o.test"), .day = {20001, 7}};
    assert_int_equal(in_read(fixture, get_day, &one), ERR_NONE);
    assert_int_equal(one.day.day, 0);
    assert_int_equal(one.day.messages, 0);
    assert_int_equal(in_write(fixture, put_day, &other), ERR_NONE);
    one.day = (struct hub_day){20000, 400000};
    assert_int_equal(in_write(fixture, put_day, &one), ERR_NONE);
    struct day_put read = {.hub_id = one.hub_id};
    assert_int_equal(in_read(fixture, get_day, &read), ERR_NONE);
    assert_int_equal(read.day.day, 20000);
    assert_int_equal(read.day.messages, 400000);
    struct day_put nowhere = {.hub_id = 99};
    assert_int_equal(in_read(fixture, get_day, &nowhere), ERR_NOT_FOUND);
    assert_int_equal(in_write(fixture, put_day, &nowhere), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hub_comes_back_with_its_names_and_policies),
        cmocka_unit_test(a_name_that_is_taken_is_refused_and_named),
        cmocka_unit_test(a_hub_that_is_put_again_replaces_names_and_keeps_devices),
        cmocka_unit_test(the_messages_of_a_day_are_kept_for_each_hub),
        cmocka_unit_test(a_list_without_memory_says_so),
    };
    return run_for_every_backend("store hubs", tests, COUNT_OF(tests));
}
