/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include "mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_US ((int64_t)1000000)
#define HEADER 48u /* of a record, as segment_priv.h draws it */

static struct {
    int64_t wall_us;
    int64_t mono_us;
} fake;

static int64_t fake_wall(void *self UNUSED)
{
    return fake.wall_us;
}

static int64_t fake_mono(void *self UNUSED)
{
    return fake.mono_us;
}

static const struct clock fake_clock = {fake_wall, fake_mono, NULL};

static void pass(int64_t us)
{
    fake.wall_us += us;
    fake.mono_us += us;
}

static uint32_t counted(void)
{
    static uint32_t word;
    return ++word;
}

/* A directory of its own for each test. */
static char dir[64];
static struct outbox_options options;

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-outbox-XXXXXX");
    fake.wall_us = 1700000000 * SECOND_US;
    fake.mono_us = 5 * SECOND_US;
    options = (struct outbox_options){
        .clock = &fake_clock, .dir = dir, .max_bytes = 1u << 20, .random = counted};
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int tear_down(void **state UNUSED)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static struct outbox *open_it(void)
{
    struct outbox *outbox = NULL;
    struct why why = {""};
    if (outbox_open(&options, &outbox, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    return outbox;
}

static void append_text(struct outbox *outbox, const char *text)
{
    assert_int_equal(outbox_append(outbox, span_of(text), 1, NULL, NULL), ERR_NONE);
}

static void append_numbers(struct outbox *outbox, int from, int to)
{
    char text[32];
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof(text), "message %d", i);
        append_text(outbox, text);
    }
}

/* The number of the next message, -1 when there is none. */
static int next_number(struct outbox *outbox, uint64_t *ret_sequence)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct outbox_message message;
    int number = -1;
    if (outbox_next(outbox, &body, &message) != ERR_NONE)
        return -1;
    assert_int_equal(sscanf(body.ptr, "message %d", &number), 1);
    if (ret_sequence != NULL)
        *ret_sequence = message.sequence;
    return number;
}

static void expect_numbers(struct outbox *outbox, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(next_number(outbox, NULL), i);
    assert_int_equal(next_number(outbox, NULL), -1);
}

static void what_goes_in_comes_out_in_order(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 100);
    expect_numbers(outbox, 0, 100);
    assert_int_equal(outbox_counters(outbox)->kept, 100);
    outbox_close(outbox);
}

static void a_message_keeps_its_id_time_and_bytes(void **state UNUSED)
{
    static const char bytes[] = "\0binary\xff";
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct outbox_message first;
    struct outbox_message again;
    struct outbox *outbox = open_it();
    assert_int_equal(
        outbox_append(outbox, (struct span){bytes, sizeof(bytes)}, 7, NULL, NULL), ERR_NONE);
    append_text(outbox, "");
    assert_int_equal(outbox_next(outbox, &body, &first), ERR_NONE);
    outbox_close(outbox);

    pass(100 * SECOND_US);
    outbox = open_it();
    assert_int_equal(outbox_next(outbox, &body, &again), ERR_NONE);
    assert_string_equal(first.id, again.id);
    assert_int_equal(strlen(again.id), 32);
    assert_int_equal(again.events, 7);
    assert_int_equal(again.wall_us, 1700000000 * SECOND_US);
    assert_int_equal(body.len, sizeof(bytes));
    assert_memory_equal(body.ptr, bytes, sizeof(bytes));
    assert_int_equal(outbox_next(outbox, &body, &again), ERR_NONE);
    assert_int_equal(body.len, 0);
    assert_string_not_equal(first.id, again.id);
    outbox_close(outbox);
}

static void only_what_is_acknowledged_leaves(void **state UNUSED)
{
    uint64_t sequence = 0;
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 10);
    for (int i = 0; i < 4; i++)
        next_number(outbox, &sequence);
    outbox_ack(outbox, sequence - 1);
    assert_int_equal(outbox_counters(outbox)->sent, 3);
    assert_int_equal(outbox_counters(outbox)->kept, 7);
    outbox_rewind(outbox);
    assert_int_equal(next_number(outbox, NULL), 3);
    outbox_close(outbox);

    outbox = open_it();
    expect_numbers(outbox, 3, 10);
    outbox_close(outbox);
}

static void an_acknowledgement_covers_only_what_was_handed_out(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 3);
    assert_int_equal(next_number(outbox, NULL), 0);
    outbox_ack(outbox, UINT64_MAX);
    assert_int_equal(outbox_counters(outbox)->kept, 2);
    expect_numbers(outbox, 1, 3);
    outbox_close(outbox);
}

static void a_message_can_be_put_back(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 2);
    assert_int_equal(next_number(outbox, NULL), 0);
    outbox_put_back(outbox);
    expect_numbers(outbox, 0, 2);
    outbox_close(outbox);
}

static void segments_come_and_go(void **state UNUSED)
{
    uint64_t sequence = 0;
    options.segment_bytes = 200;
    struct outbox *outbox = open_it();
    for (int round = 0; round < 20; round++) {
        append_numbers(outbox, round * 10, round * 10 + 10);
        for (int i = 0; i < 10; i++)
            assert_int_equal(next_number(outbox, &sequence), round * 10 + i);
        outbox_ack(outbox, sequence);
        assert_int_equal(outbox_counters(outbox)->kept, 0);
        assert_int_equal(outbox_counters(outbox)->kept_bytes, 0);
    }
    outbox_close(outbox);
    outbox = open_it();
    assert_int_equal(next_number(outbox, NULL), -1);
    append_numbers(outbox, 0, 1);
    next_number(outbox, &sequence);
    assert_true(sequence > 200);
    outbox_close(outbox);
}

static void the_oldest_go_when_there_is_no_room(void **state UNUSED)
{
    options.max_bytes = 10 * (HEADER + 9);
    options.segment_bytes = 150;
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 10);
    assert_int_equal(next_number(outbox, NULL), 0);
    append_text(outbox, "message A");
    append_text(outbox, "message B");
    append_text(outbox, "message C");
    assert_int_equal(outbox_counters(outbox)->overflow, 3);
    assert_int_equal(outbox_counters(outbox)->kept, 10);
    assert_true(outbox_counters(outbox)->kept_bytes <= options.max_bytes);
    assert_int_equal(next_number(outbox, NULL), 3);
    outbox_close(outbox);
    outbox = open_it();
    assert_int_equal(next_number(outbox, NULL), 3);
    outbox_close(outbox);
}

static void what_is_too_large_is_refused_and_counted(void **state UNUSED)
{
    static char large[OUTBOX_MESSAGE_MAX_BYTES + 1];
    struct why why = {""};
    struct outbox *outbox = open_it();
    struct span body = {large, sizeof(large)};
    assert_int_equal(outbox_append(outbox, body, 1, NULL, &why), ERR_TOO_LARGE);
    assert_int_equal(outbox_counters(outbox)->unwritten, 1);
    body.len--;
    assert_int_equal(outbox_append(outbox, body, 1, NULL, &why), ERR_NONE);
    outbox_close(outbox);
}

static void a_message_expires_by_the_timeout_unless_it_is_on_its_way(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    outbox_set_timeout(outbox, 60 * SECOND_US);
    append_numbers(outbox, 0, 1);
    pass(30 * SECOND_US);
    append_numbers(outbox, 1, 2);
    assert_int_equal(outbox_expire(outbox), fake.mono_us + 30 * SECOND_US);
    assert_int_equal(next_number(outbox, NULL), 0);
    pass(31 * SECOND_US);
    outbox_expire(outbox);
    assert_int_equal(outbox_counters(outbox)->expired, 0);
    outbox_rewind(outbox);
    assert_int_equal(outbox_expire(outbox), fake.mono_us + 29 * SECOND_US);
    assert_int_equal(outbox_counters(outbox)->expired, 1);
    expect_numbers(outbox, 1, 2);
    outbox_close(outbox);
}

static void a_clock_that_is_set_makes_nothing_old(void **state UNUSED)
{
    fake.wall_us = 1000 * SECOND_US;
    struct outbox *outbox = open_it();
    outbox_set_timeout(outbox, 60 * SECOND_US);
    append_numbers(outbox, 0, 1);
    fake.wall_us = 1700000000 * SECOND_US;
    outbox_expire(outbox);
    assert_int_equal(outbox_counters(outbox)->kept, 1);
    pass(61 * SECOND_US);
    outbox_expire(outbox);
    assert_int_equal(outbox_counters(outbox)->expired, 1);
    outbox_close(outbox);
}

static void a_second_outbox_on_the_directory_is_refused(void **state UNUSED)
{
    struct why why = {""};
    struct outbox *second = NULL;
    struct outbox *first = open_it();
    assert_int_equal(outbox_open(&options, &second, &why), ERR_REFUSED);
    assert_non_null(strstr(why.text, dir));
    outbox_close(first);
    outbox_close(open_it());
}

/* The only segment of a directory: its path, and its bytes if wanted. */
static void find_segment(char ret_path[160])
{
    char command[160];
    snprintf(command, sizeof(command), "ls '%s'/*.segment", dir);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    assert_non_null(fgets(ret_path, 160, list));
    pclose(list);
    ret_path[strcspn(ret_path, "\n")] = '\0';
}

static void a_segment_cut_at_any_byte_keeps_all_whole_messages(void **state UNUSED)
{
    char path[160];
    char bytes[4 * (HEADER + 9)];
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 4);
    outbox_close(outbox);
    find_segment(path);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    fclose(file);
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        file = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, cut, file), cut);
        fclose(file);
        outbox = open_it();
        int whole = (int)(cut / (HEADER + 9));
        expect_numbers(outbox, 0, whole);
        outbox_rewind(outbox);
        append_numbers(outbox, whole, whole + 1);
        expect_numbers(outbox, 0, whole + 1);
        outbox_close(outbox);
        unlink(path);
    }
}

static void a_changed_byte_costs_no_message_before_it(void **state UNUSED)
{
    char path[160];
    char bytes[4 * (HEADER + 9)];
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 4);
    outbox_close(outbox);
    find_segment(path);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    fclose(file);
    for (size_t at = 0; at < sizeof(bytes); at++) {
        bytes[at] ^= 0x41;
        file = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
        fclose(file);
        bytes[at] ^= 0x41;
        outbox = open_it();
        expect_numbers(outbox, 0, (int)(at / (HEADER + 9)));
        outbox_close(outbox);
        unlink(path);
    }
}

static void damage_in_the_middle_is_counted_and_passed_over(void **state UNUSED)
{
    char path[160];
    options.segment_bytes = 3 * (HEADER + 9);
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 9);
    outbox_close(outbox);
    find_segment(path);
    assert_int_equal(truncate(path, HEADER + 9 + 5), 0);
    outbox = open_it();
    assert_int_equal(outbox_counters(outbox)->damaged, 2);
    assert_int_equal(outbox_counters(outbox)->kept, 7);
    assert_int_equal(next_number(outbox, NULL), 0);
    expect_numbers(outbox, 3, 9);
    outbox_close(outbox);
}

static void damage_while_it_runs_is_counted_and_passed_over(void **state UNUSED)
{
    char path[160];
    options.segment_bytes = 3 * (HEADER + 9);
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 6);
    find_segment(path);
    assert_int_equal(truncate(path, HEADER + 9 + 5), 0);
    assert_int_equal(next_number(outbox, NULL), 0);
    expect_numbers(outbox, 3, 6);
    assert_int_equal(outbox_counters(outbox)->damaged, 2);
    assert_int_equal(outbox_counters(outbox)->kept, 4);
    outbox_ack(outbox, UINT64_MAX);
    assert_int_equal(outbox_counters(outbox)->kept, 0);
    assert_int_equal(outbox_counters(outbox)->kept_bytes, 0);
    outbox_close(outbox);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void a_damaged_ledger_only_sends_twice(void **state UNUSED)
{
    static const char zeros[40000];
    uint64_t sequence = 0;
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 3);
    next_number(outbox, &sequence);
    outbox_ack(outbox, sequence);
    outbox_close(outbox);
    write_file("ledger", zeros, sizeof(zeros));
    outbox = open_it();
    expect_numbers(outbox, 0, 3);
    outbox_close(outbox);
}

/* ---- the ledger ---- */

static struct ledger_tallies two(struct outbox *outbox, uint64_t process, uint64_t login)
{
    struct ledger *ledger = outbox_ledger(outbox);
    struct ledger_tallies tallies = {{0}};
    tallies.of[ledger_entry(ledger, SPAN_LIT("Process"))] = process;
    tallies.of[ledger_entry(ledger, SPAN_LIT("Login"))] = login;
    return tallies;
}

static const struct ledger_entry *entry_of(struct outbox *outbox, const char *name)
{
    struct ledger *ledger = outbox_ledger(outbox);
    size_t at = ledger_entry(ledger, span_of(name));
    assert_int_not_equal(at, LEDGER_OTHER);
    return &ledger->entries[at];
}

static void append_tallied(struct outbox *outbox, int number, uint64_t process, uint64_t login)
{
    char text[32];
    struct ledger_tallies tallies = two(outbox, process, login);
    snprintf(text, sizeof(text), "message %d", number);
    assert_int_equal(outbox_append(outbox, span_of(text), 1, &tallies, NULL), ERR_NONE);
}

/* What was accepted is queued, delivered or lost; and the queue is what stands in the messages. */
static void expect_balance(
    struct outbox *outbox, const char *name, uint64_t accepted, uint64_t delivered, uint64_t queued)
{
    const struct ledger_entry *entry = entry_of(outbox, name);
    assert_int_equal(entry->accepted, accepted);
    assert_int_equal(entry->delivered, delivered);
    assert_int_equal(ledger_queued(entry), queued);
    assert_int_equal(accepted, delivered + queued + ledger_lost(entry, LOSS_STAGE_OUTBOX));
}

static void what_becomes_of_messages_is_counted_by_collector(void **state UNUSED)
{
    uint64_t sequence = 0;
    options.max_bytes = 1000;
    options.segment_bytes = 300;
    struct outbox *outbox = open_it();
    outbox_set_timeout(outbox, 60 * SECOND_US);
    append_tallied(outbox, 0, 3, 1);
    append_tallied(outbox, 1, 4, 0);
    next_number(outbox, &sequence);
    outbox_ack(outbox, sequence);
    expect_balance(outbox, "Process", 7, 3, 4);
    expect_balance(outbox, "Login", 1, 1, 0);
    pass(61 * SECOND_US);
    append_tallied(outbox, 2, 100, 1000);
    outbox_expire(outbox);
    assert_int_equal(entry_of(outbox, "Process")->lost[LOSS_EXPIRED], 4);
    expect_balance(outbox, "Process", 107, 3, 100);
    for (int i = 3; i < 30; i++)
        append_tallied(outbox, i, 1, 1);
    assert_true(outbox_counters(outbox)->overflow > 10);
    const struct ledger_entry *login = entry_of(outbox, "Login");
    assert_int_equal(login->lost[LOSS_OUTBOX_BOUND], 1000 + outbox_counters(outbox)->overflow - 1);
    expect_balance(outbox, "Login", 1028, 1, outbox_counters(outbox)->kept);
    outbox_close(outbox);

    outbox = open_it();
    expect_balance(outbox, "Login", 1028, 1, outbox_counters(outbox)->kept);
    assert_int_equal(outbox_counters(outbox)->appended, 30);
    assert_int_equal(outbox_counters(outbox)->sent, 1);
    assert_int_equal(outbox_counters(outbox)->expired, 1);
    assert_int_equal(outbox_counters(outbox)->damaged, 0);
    assert_int_equal(outbox_ledger(outbox)->entries[LEDGER_OTHER].accepted, 0);
    outbox_close(outbox);
}

static void records_of_older_versions_count_as_others(void **state UNUSED)
{
    static const uint64_t head[2] = {2, ~UINT64_C(2)};
    char path[160];
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 4);
    outbox_close(outbox);
    snprintf(path, sizeof(path), "%s/ledger", dir);
    assert_int_equal(unlink(path), 0);
    write_file("head", head, sizeof(head));

    outbox = open_it();
    assert_int_equal(outbox_counters(outbox)->kept, 3);
    assert_int_equal(outbox_ledger(outbox)->entries[LEDGER_OTHER].accepted, 3);
    assert_int_equal(outbox_ledger(outbox)->entries[LEDGER_OTHER].seen, 3);
    append_tallied(outbox, 4, 2, 0);
    expect_numbers(outbox, 1, 5);
    outbox_ack(outbox, UINT64_MAX);
    assert_int_equal(outbox_ledger(outbox)->entries[LEDGER_OTHER].delivered, 3);
    expect_balance(outbox, "Process", 2, 2, 0);
    outbox_close(outbox);
}

static void damaged_messages_are_counted_by_collector(void **state UNUSED)
{
    char path[160];
    options.segment_bytes = 400;
    struct outbox *outbox = open_it();
    for (int i = 0; i < 12; i++)
        append_tallied(outbox, i, 1u << i, 1);
    find_segment(path);
    /* One is handed out and stays; the rest of its segment cannot be read. */
    assert_int_equal(truncate(path, HEADER + 2 + 16 + 14 + 9 + 5), 0);
    assert_int_equal(next_number(outbox, NULL), 0);
    assert_int_equal(next_number(outbox, NULL), 4);
    const struct ledger_entry *process = entry_of(outbox, "Process");
    assert_int_equal(process->lost[LOSS_DAMAGED], 2 + 4 + 8);
    expect_balance(outbox, "Process", 4095, 0, 4095 - 14);
    outbox_close(outbox);

    find_segment(path);
    assert_int_equal(truncate(path, 0), 0);
    outbox = open_it();
    expect_balance(outbox, "Process", 4095, 0, 4095 - 15);
    assert_int_equal(outbox_counters(outbox)->damaged, 4);
    assert_int_equal(entry_of(outbox, "Process")->lost[LOSS_DAMAGED], 15);
    outbox_close(outbox);
    outbox = open_it();
    assert_int_equal(outbox_counters(outbox)->damaged, 4);
    outbox_close(outbox);
}

static void a_ledger_cut_or_changed_at_any_byte_is_found_out(void **state UNUSED)
{
    static char bytes[40000];
    char path[160];
    struct outbox *outbox = open_it();
    append_tallied(outbox, 0, 3, 1);
    append_tallied(outbox, 1, 3, 1);
    outbox_close(outbox);
    snprintf(path, sizeof(path), "%s/ledger", dir);
    FILE *file = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(size > 16384);
    for (size_t at = 0; at < size; at += at % 16384 < 600 ? 7 : 3900) {
        bytes[at] ^= 0x41;
        write_file("ledger", bytes, size);
        bytes[at] ^= 0x41;
        outbox = open_it();
        expect_balance(outbox, "Process", 6, 0, 6);
        assert_int_equal(outbox_counters(outbox)->damaged, 0);
        outbox_close(outbox);
        write_file("ledger", bytes, at);
        outbox = open_it();
        expect_balance(outbox, "Process", 6, 0, 6);
        outbox_close(outbox);
    }
}

/* What a full disk costs can be noted on it. */
static void the_ledger_has_its_room_from_the_start(void **state UNUSED)
{
    char path[160];
    struct stat stat_of;
    struct outbox *outbox = open_it();
    snprintf(path, sizeof(path), "%s/ledger", dir);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_true(stat_of.st_blocks * 512 >= 2 * 16384);
    outbox_close(outbox);
}

/* Whole segments go at once, and everything in them is counted. */
static void a_long_outage_is_dropped_by_the_segment(void **state UNUSED)
{
    options.max_bytes = 1u << 22;
    options.segment_bytes = 1u << 16;
    struct outbox *outbox = open_it();
    outbox_set_timeout(outbox, 60 * SECOND_US);
    for (int i = 0; i < 20000; i++)
        append_tallied(outbox, i, 2, i % 2 == 0);
    pass(61 * SECOND_US);
    append_tallied(outbox, 20000, 2, 0);
    int turns = 1;
    while (outbox_expire(outbox) == fake.mono_us)
        turns++;
    assert_true(turns < 5);
    assert_int_equal(outbox_counters(outbox)->expired, 20000);
    assert_int_equal(outbox_counters(outbox)->kept, 1);
    expect_balance(outbox, "Process", 40002, 0, 2);
    assert_int_equal(entry_of(outbox, "Login")->lost[LOSS_EXPIRED], 10000);
    expect_numbers(outbox, 20000, 20001);
    outbox_close(outbox);

    options.max_bytes = 1u << 22;
    outbox = open_it();
    for (int i = 0; i < 20000; i++)
        append_tallied(outbox, i, 2, 0);
    outbox_close(outbox);
    options.max_bytes = 1000; /* an operator needs the room */
    outbox = open_it();
    append_tallied(outbox, 77, 2, 0);
    assert_true(outbox_counters(outbox)->kept_bytes <= 1000);
    const struct ledger_entry *process = entry_of(outbox, "Process");
    assert_int_equal(ledger_queued(process), 2 * outbox_counters(outbox)->kept);
    outbox_close(outbox);
}

static void a_directory_that_was_removed_is_made_anew(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 3);
    for (int round = 1; round <= 2; round++) {
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(outbox_append(outbox, SPAN_LIT("x"), 1, NULL, NULL), ERR_NOT_FOUND);
        assert_int_equal(outbox_renew(outbox, NULL), ERR_NONE);
        if (round == 2) /* removed again before anything was in it */
            append_numbers(outbox, 3, 6);
    }
    assert_int_equal(outbox_counters(outbox)->unwritten, 0);
    expect_numbers(outbox, 0, 6);
    outbox_ack(outbox, 4);
    outbox_close(outbox);
    outbox = open_it();
    expect_numbers(outbox, 3, 6);
    outbox_close(outbox);
}

static void a_kill_while_appending_keeps_every_appended_message(void **state UNUSED)
{
    options.segment_bytes = 2000;
    for (int round = 0; round < 10; round++) {
        int pipe_fds[2];
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t child = fork();
        if (child == 0) {
            struct outbox *outbox = NULL;
            if (outbox_open(&options, &outbox, NULL) != ERR_NONE)
                _exit(1);
            for (int i = 0;; i++) {
                char text[32];
                snprintf(text, sizeof(text), "message %d", i);
                struct ledger_tallies tallies = two(outbox, 3, 0);
                AUTO(buf_done) struct buf body = BUF_EMPTY;
                struct outbox_message message;
                if (outbox_append(outbox, span_of(text), 1, &tallies, NULL) != ERR_NONE)
                    _exit(1);
                /* The first tenth of what it sends is acknowledged. */
                if (i % 10 == 0 && outbox_next(outbox, &body, &message) == ERR_NONE)
                    outbox_ack(outbox, message.sequence);
                if (write(pipe_fds[1], &i, sizeof(i)) != (ssize_t)sizeof(i))
                    _exit(1);
            }
        }
        /* The more rounds, the later the kill. */
        int told = -1;
        for (int i = 0; i <= round * 37; i++)
            assert_int_equal(read(pipe_fds[0], &told, sizeof(told)), sizeof(told));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(pipe_fds[1]);
        while (read(pipe_fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
            ;
        close(pipe_fds[0]);

        struct outbox *outbox = open_it();
        const struct outbox_counters *counters = outbox_counters(outbox);
        uint64_t sequence = 0;
        int first = next_number(outbox, &sequence);
        int found = first;
        while (found >= 0 && next_number(outbox, &sequence) == found + 1)
            found++;
        assert_true(found >= told || (told == 0 && found < 0));
        assert_int_equal(counters->damaged, 0);
        assert_int_equal(counters->appended, counters->sent + counters->kept);
        expect_balance(
            outbox, "Process", 3 * counters->appended, 3 * counters->sent, 3 * counters->kept);
        outbox_ack(outbox, sequence);
        outbox_close(outbox);
    }
}

static void want_of_memory_breaks_nothing(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 3);
    outbox_close(outbox);
    for (long n = 0;; n++) {
        AUTO(buf_done) struct buf body = BUF_EMPTY;
        struct outbox_message message;
        outbox = NULL;
        mem_fail_after(n);
        enum err err = outbox_open(&options, &outbox, NULL);
        if (err == ERR_NONE)
            err = outbox_next(outbox, &body, &message);
        mem_fail_after(-1);
        outbox_close(outbox);
        if (err == ERR_NONE)
            break;
        assert_int_equal(err, ERR_MEMORY);
        assert_true(n < 100);
    }
    outbox = open_it();
    expect_numbers(outbox, 0, 3);
    outbox_close(outbox);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(what_goes_in_comes_out_in_order),
        TEST(a_message_keeps_its_id_time_and_bytes), TEST(only_what_is_acknowledged_leaves),
        TEST(an_acknowledgement_covers_only_what_was_handed_out), TEST(a_message_can_be_put_back),
        TEST(segments_come_and_go), TEST(the_oldest_go_when_there_is_no_room),
        TEST(what_is_too_large_is_refused_and_counted),
        TEST(a_message_expires_by_the_timeout_unless_it_is_on_its_way),
        TEST(a_clock_that_is_set_makes_nothing_old),
        TEST(a_second_outbox_on_the_directory_is_refused),
        TEST(a_segment_cut_at_any_byte_keeps_all_whole_messages),
        TEST(a_changed_byte_costs_no_message_before_it),
        TEST(damage_in_the_middle_is_counted_and_passed_over),
        TEST(damage_while_it_runs_is_counted_and_passed_over),
        TEST(a_damaged_ledger_only_sends_twice),
        TEST(what_becomes_of_messages_is_counted_by_collector),
        TEST(records_of_older_versions_count_as_others),
        TEST(damaged_messages_are_counted_by_collector),
        TEST(a_ledger_cut_or_changed_at_any_byte_is_found_out),
        TEST(the_ledger_has_its_room_from_the_start), TEST(a_long_outage_is_dropped_by_the_segment),
        TEST(a_directory_that_was_removed_is_made_anew),
        TEST(a_kill_while_appending_keeps_every_appended_message),
        TEST(want_of_memory_breaks_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
