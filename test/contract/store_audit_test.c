/* SPDX-License-Identifier: Apache-2.0 */
/* What a store keeps of the changes that were made, and how it is searched. */
#include "store_harness.h"

#include <stdio.h>

static enum err append(struct store_txn *txn, void *argument)
{
    return store_audit_append(txn, argument);
}

static void add_entry(
    struct fixture *fixture, int64_t at, const char *user, const char *hub, const char *target)
{
    struct audit_entry entry = {.time_us = at,
        .user = span_of(user),
        .origin = SPAN_LIT("rest"),
        .address = SPAN_LIT("192.0.2.1"),
        .hub = span_of(hub),
        .action = SPAN_LIT("device.update"),
        .target = span_of(target),
        .outcome = SPAN_LIT("done"),
        .detail = SPAN_LIT("{\"Note\":1}")};
    assert_int_equal(in_write(fixture, append, &entry), ERR_NONE);
}

struct reading {
    struct audit_range range;
    char targets[512]; /* of what was found, each with a blank behind it */
    uint64_t before;
    struct audit_entry last;
};

static enum err note(void *self, const struct audit_entry *entry)
{
    struct reading *reading = self;
    size_t used = strlen(reading->targets);
    snprintf(
        reading->targets + used, sizeof(reading->targets) - used, "%.*s ", SPAN_ARG(entry->target));
    reading->last.id = entry->id;
    reading->last.time_us = entry->time_us;
    if (!span_is(entry->action, "device.update") || !span_is(entry->outcome, "done") ||
        !span_is(entry->origin, "rest") || !span_is(entry->address, "192.0.2.1") ||
        !span_is(entry->detail, "{\"Note\":1}"))
        return ERR_CORRUPT;
    return ERR_NONE;
}

static enum err read_entries(struct store_txn *txn, void *argument)
{
    struct reading *reading = argument;
    return store_audit_read(txn, &reading->range, note, reading, &reading->before);
}

static const struct audit_range everything = {.since_us = INT64_MIN,
    .until_us = INT64_MAX,
    .before = UINT64_MAX,
    .limit = 100,
    .limit_bytes = 10000};

static void the_newest_comes_first_page_by_page(void **state)
{
    struct fixture *fixture = *state;
    struct reading reading = {.range = everything};
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_string_equal(reading.targets, "");
    assert_int_equal(reading.before, 0);
    add_entry(fixture, 10, "a", "h", "one");
    add_entry(fixture, 30, "a", "h", "two");
    add_entry(fixture, 20, "a", "h", "back"); /* the clock was set back */
    add_entry(fixture, 30, "a", "h", "same");
    reading.range.limit = 2;
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_string_equal(reading.targets, "same two ");
    assert_true(reading.before == reading.last.id);
    reading.range.before = reading.before;
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_string_equal(reading.targets, "same two back one ");
    reading.range.before = reading.before;
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_int_equal(reading.before, 0);
    struct reading small = {.range = everything};
    small.range.limit_bytes = 1;
    assert_int_equal(in_read(fixture, read_entries, &small), ERR_NONE);
    assert_string_equal(small.targets, "same ");
}

static void what_is_asked_for_is_found_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *search;
        const char *user;
        const char *hub;
        int64_t since;
        int64_t until;
        const char *found;
    } rows[] = {
        {"", "", "", INT64_MIN, INT64_MAX, "d3 D2 d1 "},
        {"", "ann", "", INT64_MIN, INT64_MAX, "d3 d1 "},
        {"", "Ann", "", INT64_MIN, INT64_MAX, ""},
        {"", "", "H", INT64_MIN, INT64_MAX, "D2 d1 "},
        {"", "ann", "h", INT64_MIN, INT64_MAX, "d1 "},
        {"d2", "", "", INT64_MIN, INT64_MAX, "D2 "},
        {"NOTE", "", "", INT64_MIN, INT64_MAX, "d3 D2 d1 "},
        {"update", "bob", "", INT64_MIN, INT64_MAX, "D2 "},
        {"%", "", "", INT64_MIN, INT64_MAX, ""},
        {"", "", "", 20, INT64_MAX, "d3 D2 "},
        {"", "", "", INT64_MIN, 20, "d1 "},
        {"", "", "", 20, 30, "D2 "},
        {"", "ann", "", 20, 31, "d3 "},
        {"", "", "h", 20, 31, "D2 "},
    };
    add_entry(fixture, 10, "ann", "h", "d1");
    add_entry(fixture, 20, "bob", "h", "D2");
    add_entry(fixture, 30, "ann", "other", "d3");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reading reading = {.range = everything};
        reading.range.search = span_of(rows[i].search);
        reading.range.user = span_of(rows[i].user);
        reading.range.hub = span_of(rows[i].hub);
        reading.range.since_us = rows[i].since;
        reading.range.until_us = rows[i].until;
        assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
        if (strcmp(reading.targets, rows[i].found) != 0)
            fail_msg("row %zu: %s", i, reading.targets);
        assert_int_equal(reading.before, 0);
    }
}

struct many {
    int first;
    int count;
};

static enum err append_many(struct store_txn *txn, void *argument)
{
    const struct many *many = argument;
    struct audit_entry entry = {.user = SPAN_LIT("u"), .detail = SPAN_LIT("{}")};
    enum err err = ERR_NONE;
    for (int i = 0; i < many->count && err == ERR_NONE; i++) {
        entry.time_us = many->first + i;
        err = store_audit_append(txn, &entry);
    }
    return err;
}

static void a_search_for_what_is_rare_ends_and_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct many many = {.first = 100, .count = 50000};
    struct reading reading = {.range = everything};
    add_entry(fixture, 10, "u", "h", "rare");
    assert_int_equal(in_write(fixture, append_many, &many), ERR_NONE);
    reading.range.search = SPAN_LIT("rare");
    int reads = 0;
    do {
        assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
        reading.range.before = reading.before;
        reads++;
    } while (reading.before != 0);
    assert_string_equal(reading.targets, "rare ");
    assert_true(reads > 1);
}

struct prune {
    int64_t before_us;
    uint64_t keep;
    size_t limit;
    size_t dropped;
};

static enum err prune_entries(struct store_txn *txn, void *argument)
{
    struct prune *prune = argument;
    return store_audit_prune(txn, prune->before_us, prune->keep, prune->limit, &prune->dropped);
}

static void old_entries_are_dropped_and_numbers_never_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct prune prune = {.before_us = 30, .limit = 1};
    struct reading reading = {.range = everything};
    add_entry(fixture, 10, "u", "", "one");
    add_entry(fixture, 20, "u", "", "two");
    add_entry(fixture, 30, "u", "", "three");
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    uint64_t first = reading.last.id;
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 1);
    prune.limit = 10;
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 1);
    reading.targets[0] = '\0';
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_string_equal(reading.targets, "three ");
    prune.before_us = 100;
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    add_entry(fixture, 40, "u", "", "four");
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_int_equal(reading.last.id, first + 3);
    reading.range.before = first; /* gone: nothing is behind it */
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_int_equal(reading.before, 0);
}

static void only_the_newest_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct prune prune = {.keep = 2, .limit = 2};
    struct reading reading = {.range = everything};
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 0);
    for (int i = 0; i < 5; i++)
        add_entry(fixture, 50 - i, "u", "", (const char *[]){"a", "b", "c", "d", "e"}[i]);
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 2);
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 1);
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 0);
    assert_int_equal(in_read(fixture, read_entries, &reading), ERR_NONE);
    assert_string_equal(reading.targets, "d e ");
    prune.keep = 0; /* any number */
    assert_int_equal(in_write(fixture, prune_entries, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_comes_first_page_by_page),
        cmocka_unit_test(what_is_asked_for_is_found_and_nothing_else),
        cmocka_unit_test(a_search_for_what_is_rare_ends_and_goes_on),
        cmocka_unit_test(old_entries_are_dropped_and_numbers_never_come_back),
        cmocka_unit_test(only_the_newest_are_kept),
    };
    return run_for_every_backend("store audit", tests, COUNT_OF(tests));
}
