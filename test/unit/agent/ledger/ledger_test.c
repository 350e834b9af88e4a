/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <setjmp.h>

#include <cmocka.h>

static struct ledger ledger;

static int set_up(void **state UNUSED)
{
    ledger_init(&ledger);
    return 0;
}

static struct ledger_tallies tally(size_t entry, uint64_t number)
{
    struct ledger_tallies tallies = {{0}};
    tallies.of[entry] = number;
    return tallies;
}

static void every_loss_has_a_name_of_its_own(void **state UNUSED)
{
    for (size_t i = 0; i < LOSS_COUNT; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(loss_name((enum loss)i), loss_name((enum loss)k));
}

static void an_entry_is_found_by_its_name(void **state UNUSED)
{
    size_t process = ledger_entry(&ledger, SPAN_LIT("Process"));
    assert_int_not_equal(process, LEDGER_OTHER);
    assert_int_equal(ledger_entry(&ledger, SPAN_LIT("Process")), process);
    assert_int_not_equal(ledger_entry(&ledger, SPAN_LIT("Proces")), process);
}

static void names_that_are_none_and_those_past_the_bound_are_others(void **state UNUSED)
{
    const char *const bad[] = {"", "a b", "a/b", "\xc3\xa4", "12345678901234567890123456789012"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(ledger_entry(&ledger, span_of(bad[i])), LEDGER_OTHER);
    for (size_t i = ledger.count; i < LEDGER_ENTRIES_MAX; i++) {
        char name[2] = {(char)('0' + i), '\0'};
        if (i >= 10)
            name[0] = (char)('A' + (i - 10) % 26 + (i - 10) / 26 * 32);
        assert_int_equal(ledger_entry(&ledger, span_of(name)), i);
    }
    assert_int_equal(ledger_entry(&ledger, SPAN_LIT("one_more")), LEDGER_OTHER);
}

static void sums_stop_at_what_a_number_can_say(void **state UNUSED)
{
    assert_int_equal(ledger_sum(1, 2), 3);
    assert_int_equal(ledger_sum(LEDGER_NUMBER_MAX, 1), LEDGER_NUMBER_MAX);
    assert_int_equal(ledger_sum(UINT64_MAX, UINT64_MAX), LEDGER_NUMBER_MAX);
}

static void what_is_written_is_read_again(void **state UNUSED)
{
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    struct ledger again;
    size_t process = ledger_entry(&ledger, SPAN_LIT("Process"));
    struct ledger_tallies tallies = tally(process, 7);
    ledger_accept(&ledger, &tallies);
    ledger_lose(&ledger, LOSS_EXPIRED, &tallies);
    ledger.entries[process].seen = 12;
    ledger.messages.overflow = 3;
    ledger_encode(&ledger, &bytes);
    assert_true(ledger_decode(buf_span(&bytes), &again));
    assert_int_equal(again.count, ledger.count);
    assert_memory_equal(again.entries, ledger.entries, ledger.count * sizeof(ledger.entries[0]));
    assert_int_equal(again.messages.overflow, 3);
}

static void no_shorter_text_and_no_absurd_number_is_a_ledger(void **state UNUSED)
{
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    struct ledger again;
    ledger_entry(&ledger, SPAN_LIT("Process"));
    ledger_encode(&ledger, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        assert_false(ledger_decode(span_first(buf_span(&bytes), len), &again));
    for (size_t at = 7; at < 64; at += 8) { /* the highest byte of each number in front */
        bytes.ptr[at] = 0x7f;
        assert_false(ledger_decode(buf_span(&bytes), &again));
        bytes.ptr[at] = 0;
    }
    assert_true(ledger_decode(buf_span(&bytes), &again));
    assert_int_equal(again.count, 2);
}

/* A newer version knows one loss more: an entry is longer, and nothing gets lost. */
static void losses_that_only_a_newer_version_knows_count_as_damaged(void **state UNUSED)
{
    AUTO(buf_done) struct buf old = BUF_EMPTY;
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    struct ledger again;
    ledger_encode(&ledger, &old);
    old.ptr[0]++;
    size_t behind_losses = old.len - 8 * (1 + LOSS_COUNT);
    const struct span five = {"\5\0\0\0\0\0\0\0", 8};
    buf_add(&bytes, span_first(buf_span(&old), behind_losses));
    buf_add(&bytes, five);
    buf_add(&bytes, span_from(buf_span(&old), behind_losses));
    buf_add(&bytes, five);
    assert_true(ledger_decode(buf_span(&bytes), &again));
    assert_int_equal(again.entries[LEDGER_OTHER].lost[LOSS_DAMAGED], 5);
}

static void tallies_are_read_again_by_an_agent_with_other_entries(void **state UNUSED)
{
    unsigned char bytes[LEDGER_TALLIES_BYTES];
    struct ledger other;
    struct ledger_tallies tallies = tally(ledger_entry(&ledger, SPAN_LIT("Process")), 9);
    tallies.of[ledger_entry(&ledger, SPAN_LIT("Login"))] = 1;
    size_t len = ledger_write_tallies(&ledger, &tallies, bytes);
    ledger_init(&other);
    size_t login = ledger_entry(&other, SPAN_LIT("Login"));
    assert_true(ledger_read_tallies(&other, (struct span){(char *)bytes, len}, &tallies));
    assert_int_equal(tallies.of[login], 1);
    assert_int_equal(tallies.of[ledger_entry(&other, SPAN_LIT("Process"))], 9);
    for (size_t cut = 1; cut < len; cut++)
        if (cut != 1 + 7 + 8) /* the first of the two alone is whole */
            assert_false(ledger_read_tallies(&other, (struct span){(char *)bytes, cut}, &tallies));
}

static void what_a_kill_left_in_memory_is_counted(void **state UNUSED)
{
    size_t at = ledger_entry(&ledger, SPAN_LIT("Process"));
    const struct ledger_tallies none = {{0}};
    const uint64_t lost[LOSS_COUNT] = {[LOSS_KERNEL_BUFFER] = 50, [LOSS_CACHE_BOUND] = 10};
    struct ledger_tallies queued = tally(at, 60);
    ledger_set_collected(&ledger, at, 100, lost);
    ledger_accept(&ledger, &queued);
    ledger_balance(&ledger, &none, &queued);
    assert_int_equal(ledger.entries[at].lost[LOSS_RESTART], 30);
    assert_int_equal(ledger.entries[at].seen, 100);
    assert_int_equal(ledger.entries[at].lost[LOSS_KERNEL_BUFFER], 50);

    /* 45 more came into the outbox than the ledger had heard of, and 5 that it knew are gone. */
    struct ledger_tallies unheard = tally(at, 45);
    queued = tally(at, 100);
    ledger_balance(&ledger, &unheard, &queued);
    assert_int_equal(ledger.entries[at].lost[LOSS_DAMAGED], 5);
    assert_int_equal(ledger.entries[at].accepted, 105);
    assert_int_equal(ledger.entries[at].seen, 105 + 10 + 30);
    assert_int_equal(ledger_queued(&ledger.entries[at]), 100);
}

static void what_is_seen_again_was_not_lost_by_the_kill(void **state UNUSED)
{
    size_t at = ledger_entry(&ledger, SPAN_LIT("Login"));
    const struct ledger_tallies none = {{0}};
    const uint64_t lost[LOSS_COUNT] = {[LOSS_RESTART] = 4};
    ledger_set_collected(&ledger, at, 11, lost);
    ledger_balance(&ledger, &none, &none);
    assert_int_equal(ledger.entries[at].lost[LOSS_RESTART], 11);
    ledger_resume(&ledger, at);
    assert_int_equal(ledger.entries[at].lost[LOSS_RESTART], 4);
    assert_int_equal(ledger.entries[at].seen, 4);
}

static void a_second_kill_before_it_is_seen_again_changes_nothing(void **state UNUSED)
{
    struct ledger again;
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    size_t at = ledger_entry(&ledger, SPAN_LIT("Login"));
    const struct ledger_tallies none = {{0}};
    const uint64_t lost[LOSS_COUNT] = {[LOSS_RESTART] = 4};
    ledger_set_collected(&ledger, at, 11, lost);
    ledger_balance(&ledger, &none, &none);
    ledger_encode(&ledger, &bytes);
    assert_true(ledger_decode(buf_span(&bytes), &again));
    ledger_balance(&again, &none, &none);
    assert_int_equal(again.entries[at].lost[LOSS_RESTART], 11);
    assert_int_equal(again.entries[at].seen, 11);
    ledger_resume(&again, at);
    assert_int_equal(again.entries[at].lost[LOSS_RESTART], 4);
    assert_int_equal(again.entries[at].seen, 4);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_loss_has_a_name_of_its_own),
        TEST(an_entry_is_found_by_its_name),
        TEST(names_that_are_none_and_those_past_the_bound_are_others),
        TEST(sums_stop_at_what_a_number_can_say), TEST(what_is_written_is_read_again),
        TEST(no_shorter_text_and_no_absurd_number_is_a_ledger),
        TEST(losses_that_only_a_newer_version_knows_count_as_damaged),
        TEST(tallies_are_read_again_by_an_agent_with_other_entries),
        TEST(what_a_kill_left_in_memory_is_counted),
        TEST(what_is_seen_again_was_not_lost_by_the_kill),
        TEST(a_second_kill_before_it_is_seen_again_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
