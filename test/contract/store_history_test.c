/* SPDX-License-Identifier: Apache-2.0 */
/* What a store keeps of a twin's history: newest first, so many, and no longer than its identity.
 */
#include "store_harness.h"

#include <stdio.h>

struct history_call {
    int64_t hub_id;
    const char *device_id;
    const char *module_id;
    struct history_entry entry;
    size_t keep;
    int64_t before;
    size_t limit;
    int64_t id;
    struct arena arena;
    char listed[256]; /* "3 2 1" */
    int64_t next;
};

static enum err put(struct store_txn *txn, void *argument)
{
    struct history_call *call = argument;
    return store_history_put(txn, call->hub_id, span_of(call->device_id), span_of(call->module_id),
        &call->entry, call->keep);
}

static enum err note(void *self, const struct history_entry *entry)
{
    struct history_call *call = self;
    size_t len = strlen(call->listed);
    assert_true(entry->tags.len == 0 && entry->desired.len == 0);
    snprintf(call->listed + len, sizeof(call->listed) - len, "%s%lld", len == 0 ? "" : " ",
        (long long)entry->id);
    return ERR_NONE;
}

static enum err list(struct store_txn *txn, void *argument)
{
    struct history_call *call = argument;
    call->listed[0] = '\0';
    return store_history_list(txn, call->hub_id, span_of(call->device_id), span_of(call->module_id),
        call->before, call->limit, note, call);
}

static enum err get(struct store_txn *txn, void *argument)
{
    struct history_call *call = argument;
    return store_history_get(txn, &call->arena, call->hub_id, span_of(call->device_id),
        span_of(call->module_id), call->id, &call->entry);
}

static enum err prune(struct store_txn *txn, void *argument)
{
    struct history_call *call = argument;
    return store_history_prune(txn, call->next, call->before, call->limit, &call->next);
}

static enum err delete_identity(struct store_txn *txn, void *argument)
{
    struct history_call *call = argument;
    return store_identity_delete(
        txn, call->hub_id, span_of(call->device_id), span_of(call->module_id));
}

static struct history_call call_of(
    struct fixture *fixture, const char *device_id, const char *module_id)
{
    return (struct history_call){.hub_id = fixture->hub_id,
        .device_id = device_id,
        .module_id = module_id,
        .keep = 50,
        .limit = 100};
}

static void add(struct fixture *fixture, const char *device_id, const char *module_id,
    int64_t time_us, size_t keep)
{
    struct history_call call = call_of(fixture, device_id, module_id);
    call.keep = keep;
    call.entry = (struct history_entry){.time_us = time_us,
        .kind = HISTORY_PATCH,
        .desired_changed = true,
        .author = SPAN_LIT("owner"),
        .from = SPAN_LIT("rest"),
        .address = SPAN_LIT("127.0.0.1:1"),
        .desired_version = time_us,
        .tags = SPAN_LIT("{}"),
        .desired = SPAN_LIT("{\"a\":1}")};
    assert_int_equal(in_write(fixture, put, &call), ERR_NONE);
}

static void check_list(struct fixture *fixture, const char *device_id, const char *module_id,
    int64_t before, size_t limit, const char *expected)
{
    struct history_call call = call_of(fixture, device_id, module_id);
    call.before = before;
    call.limit = limit;
    assert_int_equal(in_read(fixture, list, &call), ERR_NONE);
    assert_string_equal(call.listed, expected);
}

static void an_entry_comes_back_member_by_member(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    add_identity(fixture, "d", "m");
    struct history_call call = call_of(fixture, "d", "m");
    call.entry = (struct history_entry){.time_us = 17,
        .kind = HISTORY_REVERT,
        .tags_changed = true,
        .author = SPAN_LIT("who"),
        .from = SPAN_LIT("portal"),
        .address = SPAN_LIT("::1:2"),
        .desired_version = 9,
        .tags = SPAN_LIT("{\"t\":\"\xc3\xa4\"}"),
        .desired = SPAN_LIT("{\"d\":2}")};
    assert_int_equal(in_write(fixture, put, &call), ERR_NONE);
    arena_init(&call.arena, 0);
    call.id = 1;
    call.entry = (struct history_entry){0};
    assert_int_equal(in_read(fixture, get, &call), ERR_NONE);
    assert_int_equal(call.entry.id, 1);
    assert_int_equal(call.entry.time_us, 17);
    assert_int_equal(call.entry.kind, HISTORY_REVERT);
    assert_true(call.entry.tags_changed && !call.entry.desired_changed);
    check_span(call.entry.author, "who");
    check_span(call.entry.from, "portal");
    check_span(call.entry.address, "::1:2");
    assert_int_equal(call.entry.desired_version, 9);
    check_span(call.entry.tags, "{\"t\":\"\xc3\xa4\"}");
    check_span(call.entry.desired, "{\"d\":2}");
    call.device_id = "d";
    call.module_id = "";
    assert_int_equal(in_read(fixture, get, &call), ERR_NOT_FOUND);
    arena_done(&call.arena);
}

static void the_newest_come_first_and_go_on_below_a_given_one(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    add_identity(fixture, "e", "");
    for (int64_t i = 1; i <= 5; i++) {
        add(fixture, "d", "", i, 50);
        add(fixture, "e", "", i, 50);
    }
    check_list(fixture, "d", "", 0, 100, "5 4 3 2 1");
    check_list(fixture, "d", "", 0, 2, "5 4");
    check_list(fixture, "d", "", 4, 2, "3 2");
    check_list(fixture, "d", "", 1, 2, "");
    check_list(fixture, "d", "", INT64_MAX, 1, "5");
}

static void only_the_newest_are_kept_and_no_number_comes_again(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    for (int64_t i = 1; i <= 5; i++)
        add(fixture, "d", "", i, 3);
    check_list(fixture, "d", "", 0, 100, "5 4 3");
    add(fixture, "d", "", 6, 1);
    check_list(fixture, "d", "", 0, 100, "6");
    add(fixture, "d", "", 7, 3);
    check_list(fixture, "d", "", 0, 100, "7 6");
}

struct counting {
    int64_t hub_id;
    size_t count;
    int64_t last;
};

static enum err count_one(void *self, const struct history_entry *entry)
{
    struct counting *counting = self;
    assert_true(counting->count++ == 0 || entry->id == counting->last - 1);
    counting->last = entry->id;
    return ERR_NONE;
}

static enum err count_all(struct store_txn *txn, void *argument)
{
    struct counting *counting = argument;
    counting->count = 0;
    return store_history_list(
        txn, counting->hub_id, SPAN_LIT("d"), SPAN_NONE, 0, 1000, count_one, counting);
}

static void no_more_than_an_eighth_stay_beyond_what_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct counting counting = {.hub_id = fixture->hub_id};
    add_identity(fixture, "d", "");
    for (int64_t i = 1; i <= 120; i++) {
        add(fixture, "d", "", i, 40);
        assert_int_equal(in_read(fixture, count_all, &counting), ERR_NONE);
        assert_in_range(counting.count, i < 40 ? (size_t)i : 40, 45);
    }
}

static void what_is_not_there_has_no_history(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t ids[] = {0, -1, 1, 2, INT64_C(1) << 31, INT64_MAX};
    struct history_call call = call_of(fixture, "d", "");
    call.entry = (struct history_entry){.tags = SPAN_LIT("{}"), .desired = SPAN_LIT("{}")};
    assert_int_equal(in_write(fixture, put, &call), ERR_NOT_FOUND);
    assert_int_equal(in_read(fixture, list, &call), ERR_NOT_FOUND);
    add_identity(fixture, "c", "");
    add_identity(fixture, "d", "");
    add(fixture, "c", "", 1, 50);
    add(fixture, "c", "", 2, 50);
    check_list(fixture, "d", "", 0, 100, "");
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        call.id = ids[i];
        assert_int_equal(in_read(fixture, get, &call), ERR_NOT_FOUND);
    }
}

static void a_deleted_identity_takes_its_history_along(void **state)
{
    struct fixture *fixture = *state;
    static const char *const modules[] = {"", "m"};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(modules); i++) {
            add_identity(fixture, "d", modules[i]);
            check_list(fixture, "d", modules[i], 0, 100, "");
            add(fixture, "d", modules[i], 1, 50);
            check_list(fixture, "d", modules[i], 0, 100, "1");
        }
        struct history_call call = call_of(fixture, "d", "");
        assert_int_equal(in_write(fixture, delete_identity, &call), ERR_NONE);
    }
}

static void old_entries_are_dropped_but_the_newest_of_each(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    add_identity(fixture, "e", "");
    for (int64_t i = 1; i <= 5; i++)
        add(fixture, "d", "", i, 50);
    add(fixture, "e", "", 1, 50);
    struct history_call call = call_of(fixture, "d", "");
    call.before = 4;
    call.limit = 2;
    size_t calls = 0;
    do
        assert_int_equal(in_write(fixture, prune, &call), ERR_NONE);
    while (++calls < 10 && call.next != 0);
    assert_in_range(calls, 2, 4);
    check_list(fixture, "d", "", 0, 100, "5 4");
    check_list(fixture, "e", "", 0, 100, "1");
    call.before = 100;
    call.limit = 1000;
    assert_int_equal(in_write(fixture, prune, &call), ERR_NONE);
    assert_int_equal(call.next, 0);
    check_list(fixture, "d", "", 0, 100, "5");
    check_list(fixture, "e", "", 0, 100, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back_member_by_member),
        cmocka_unit_test(the_newest_come_first_and_go_on_below_a_given_one),
        cmocka_unit_test(only_the_newest_are_kept_and_no_number_comes_again),
        cmocka_unit_test(no_more_than_an_eighth_stay_beyond_what_is_kept),
        cmocka_unit_test(what_is_not_there_has_no_history),
        cmocka_unit_test(a_deleted_identity_takes_its_history_along),
        cmocka_unit_test(old_entries_are_dropped_but_the_newest_of_each),
    };
    return run_for_every_backend("store history", tests, COUNT_OF(tests));
}
