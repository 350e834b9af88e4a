/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox when the disk takes nothing, and when it holds very much. */
#include "outbox.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_US ((int64_t)1000000)
#define BODY 10000u
#define FULL                                                                                       \
    40000u /* bytes that a file may have on the "full disk": three messages, and the ledger */

static int64_t now_us;

static int64_t fake_now(void *self UNUSED)
{
    return now_us;
}

static const struct clock fake_clock = {fake_now, fake_now, NULL};

static uint32_t counted(void)
{
    static uint32_t word;
    return ++word;
}

static char dir[64];
static struct outbox_options options;

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-outbox-XXXXXX");
    now_us = 1700000000 * SECOND_US;
    options = (struct outbox_options){.clock = &fake_clock,
        .dir = dir,
        .max_bytes = 8u << 20,
        .segment_bytes = 1u << 20,
        .memory_bytes = 100000, /* in segments that fit in FULL */
        .random = counted};
    signal(SIGXFSZ, SIG_IGN);
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

/* The kernel's own limit of a file's size stands for a full disk. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Appends a message of 10 kB that stands for two occurrences of Process. */
static enum err append(struct outbox *outbox, int number)
{
    char body[BODY] = {0};
    struct ledger_tallies tallies = {{0}};
    tallies.of[ledger_entry(outbox_ledger(outbox), SPAN_LIT("Process"))] = 2;
    snprintf(body, sizeof(body), "message %d", number);
    return outbox_append(outbox, (struct span){body, sizeof(body)}, 2, &tallies, NULL);
}

static void append_numbers(struct outbox *outbox, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(append(outbox, i), ERR_NONE);
}

static uint64_t expect_numbers(struct outbox *outbox, int from, int to)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct outbox_message message = {0};
    for (int i = from; i < to; i++) {
        int number = -1;
        assert_int_equal(outbox_next(outbox, &body, &message), ERR_NONE);
        assert_int_equal(sscanf(body.ptr, "message %d", &number), 1);
        assert_int_equal(number, i);
    }
    uint64_t last = message.sequence;
    assert_int_equal(outbox_next(outbox, &body, &message), ERR_NOT_FOUND);
    return last;
}

static void expect_counts(struct outbox *outbox, uint64_t kept, uint64_t sent, uint64_t unwritten)
{
    const struct outbox_counters *counters = outbox_counters(outbox);
    struct ledger *ledger = outbox_ledger(outbox);
    const struct ledger_entry *process =
        &ledger->entries[ledger_entry(ledger, SPAN_LIT("Process"))];
    assert_int_equal(counters->kept, kept);
    assert_int_equal(counters->sent, sent);
    assert_int_equal(counters->unwritten, unwritten);
    assert_int_equal(counters->damaged, 0);
    assert_int_equal(counters->appended, kept + sent);
    assert_int_equal(ledger_queued(process), 2 * kept);
    assert_int_equal(process->delivered, 2 * sent);
    assert_int_equal(process->accepted,
        process->delivered + ledger_queued(process) + ledger_lost(process, LOSS_STAGE_OUTBOX));
}

/* Runs a story in a process that ends as if it was killed. */
static void in_a_process_that_is_killed(void (*story)(void))
{
    pid_t child = fork();
    if (child == 0) {
        story();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void on_a_full_disk_messages_wait_in_memory_and_are_sent(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    limit_files(FULL);
    append_numbers(outbox, 0, 9);
    assert_int_equal(outbox_counters(outbox)->unwritten, 0);
    outbox_ack(outbox, expect_numbers(outbox, 0, 9));
    assert_int_equal(outbox_counters(outbox)->kept, 0);
    assert_int_equal(outbox_counters(outbox)->sent, 9);
    append_numbers(outbox, 9, 11);
    outbox_ack(outbox, expect_numbers(outbox, 9, 11));
    limit_files(RLIM_INFINITY);
    now_us += 6 * SECOND_US;
    append_numbers(outbox, 11, 20);
    outbox_close(outbox);
    outbox = open_it();
    expect_counts(outbox, 9, 11, 0);
    expect_numbers(outbox, 11, 20);
    outbox_close(outbox);
}

static void fill_a_full_disk(void)
{
    struct outbox *outbox = open_it();
    limit_files(FULL);
    append_numbers(outbox, 0, 8);
}

static void what_waited_in_memory_is_lost_by_a_kill_and_counted(void **state UNUSED)
{
    in_a_process_that_is_killed(fill_a_full_disk);
    struct outbox *outbox = open_it();
    expect_counts(outbox, 3, 0, 5);
    struct ledger *ledger = outbox_ledger(outbox);
    size_t at = ledger_entry(ledger, SPAN_LIT("Process"));
    assert_int_equal(ledger->entries[at].lost[LOSS_UNWRITTEN], 2 * 5);
    append_numbers(outbox, 8, 9);
    outbox_close(outbox);
    outbox = open_it();
    expect_counts(outbox, 4, 0, 5);
    outbox_close(outbox);
}

static void fill_a_full_disk_that_has_room_again(void)
{
    struct outbox *outbox = open_it();
    limit_files(FULL);
    append_numbers(outbox, 0, 8);
    int64_t due_us = outbox_settle(outbox, false);
    assert_true(due_us > now_us && due_us < now_us + 60 * SECOND_US);
    limit_files(RLIM_INFINITY);
    assert_int_equal(outbox_settle(outbox, false), due_us);
    now_us = due_us;
    assert_int_equal(outbox_settle(outbox, false), INT64_MAX);
    append_numbers(outbox, 8, 9);
}

static void what_waited_in_memory_goes_to_the_disk_in_its_place(void **state UNUSED)
{
    in_a_process_that_is_killed(fill_a_full_disk_that_has_room_again);
    struct outbox *outbox = open_it();
    expect_counts(outbox, 9, 0, 0);
    expect_numbers(outbox, 0, 9);
    outbox_close(outbox);
}

static void a_stop_tries_the_disk_once_more(void **state UNUSED)
{
    struct outbox *outbox = open_it();
    limit_files(FULL);
    append_numbers(outbox, 0, 8);
    limit_files(RLIM_INFINITY);
    outbox_close(outbox);
    outbox = open_it();
    expect_counts(outbox, 8, 0, 0);
    expect_numbers(outbox, 0, 8);
    outbox_close(outbox);
}

static void memory_in_place_of_the_disk_has_a_bound(void **state UNUSED)
{
    options.memory_bytes = 30000;
    struct outbox *outbox = open_it();
    limit_files(FULL);
    append_numbers(outbox, 0, 5);
    assert_int_equal(append(outbox, 5), ERR_STORAGE_FULL);
    assert_int_equal(outbox_counters(outbox)->unwritten, 1);
    outbox_ack(outbox, expect_numbers(outbox, 0, 5));
    append_numbers(outbox, 6, 7);
    outbox_ack(outbox, expect_numbers(outbox, 6, 7));
    limit_files(RLIM_INFINITY);
    outbox_close(outbox);
}

static void a_directory_that_cannot_be_made_anew_is_waited_for(void **state UNUSED)
{
    char moved[80];
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 3);
    assert_int_equal(tear_down(NULL), 0);
    FILE *file = fopen(dir, "w"); /* where the directory was */
    assert_non_null(file);
    fclose(file);
    assert_int_equal(append(outbox, 3), ERR_NOT_FOUND);
    assert_int_not_equal(outbox_renew(outbox, NULL), ERR_NONE);
    append_numbers(outbox, 3, 6);
    outbox_ack(outbox, expect_numbers(outbox, 0, 6));
    append_numbers(outbox, 6, 8);
    snprintf(moved, sizeof(moved), "%s.moved", dir);
    assert_int_equal(rename(dir, moved), 0);
    now_us += 6 * SECOND_US;
    assert_int_equal(append(outbox, 8), ERR_NOT_FOUND);
    assert_int_equal(outbox_renew(outbox, NULL), ERR_NONE);
    append_numbers(outbox, 8, 9);
    outbox_close(outbox);
    unlink(moved);
    outbox = open_it();
    expect_counts(outbox, 3, 6, 0);
    expect_numbers(outbox, 6, 9);
    outbox_close(outbox);
}

/* ---- anything, in any order ---- */

#define STEPS 3000
#define QUEUE_MAX 4000

static struct {
    int queue[QUEUE_MAX]; /* what was accepted and has not left */
    size_t count;
    size_t handed_out;
    uint64_t last; /* sequence handed out last */
    uint64_t sent;
    uint64_t unwritten;
    int next;
    uint32_t seed;
} model;

static uint32_t roll(uint32_t sides)
{
    model.seed = model.seed * 1103515245u + 12345u;
    return (model.seed >> 16) % sides;
}

static void drop_first(size_t count)
{
    memmove(model.queue, model.queue + count, (model.count - count) * sizeof(model.queue[0]));
    model.count -= count;
}

static void roll_append(struct outbox *outbox)
{
    if (append(outbox, model.next) == ERR_NONE)
        model.queue[model.count++] = model.next;
    else
        model.unwritten++;
    model.next++;
}

static void roll_send(struct outbox *outbox)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct outbox_message message;
    int number = -1;
    enum err err = outbox_next(outbox, &body, &message);
    assert_int_equal(err, model.handed_out < model.count ? ERR_NONE : ERR_NOT_FOUND);
    if (err != ERR_NONE)
        return;
    assert_int_equal(sscanf(body.ptr, "message %d", &number), 1);
    assert_int_equal(number, model.queue[model.handed_out]);
    model.handed_out++;
    model.last = message.sequence;
}

static void roll_ack(struct outbox *outbox)
{
    if (model.handed_out == 0)
        return;
    outbox_ack(outbox, model.last);
    drop_first(model.handed_out);
    model.sent += model.handed_out;
    model.handed_out = 0;
}

/* What is still there after a stop are messages of before, in their order; the others are counted.
 */
static struct outbox *roll_restart(struct outbox *outbox)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct outbox_message message;
    size_t at = 0;
    size_t left = 0;
    outbox_close(outbox);
    limit_files(RLIM_INFINITY);
    outbox = open_it();
    while (outbox_next(outbox, &body, &message) == ERR_NONE) {
        int number = -1;
        assert_int_equal(sscanf(body.ptr, "message %d", &number), 1);
        while (at < model.count && model.queue[at] != number)
            at++;
        assert_true(at < model.count);
        model.queue[left++] = number;
    }
    model.unwritten += model.count - left;
    model.count = left;
    model.handed_out = 0;
    outbox_rewind(outbox);
    return outbox;
}

static void whatever_happens_to_the_disk_the_order_and_the_numbers_hold(void **state UNUSED)
{
    options.segment_bytes = 5 * BODY;
    options.max_bytes = 1u << 30;
    for (uint32_t seed = 1; seed <= 3; seed++) {
        memset(&model, 0, sizeof(model));
        model.seed = seed;
        struct outbox *outbox = open_it();
        for (int step = 0; step < STEPS / 3; step++) {
            uint32_t side = roll(100);
            if (side < 40)
                roll_append(outbox);
            else if (side < 75)
                roll_send(outbox);
            else if (side < 85)
                roll_ack(outbox);
            else if (side < 88)
                limit_files(FULL);
            else if (side < 91)
                limit_files(RLIM_INFINITY);
            else if (side < 96)
                now_us += roll(8) * SECOND_US;
            else if (side < 98)
                (void)outbox_settle(outbox, false);
            else if (side < 99)
                outbox = roll_restart(outbox);
            else {
                outbox_rewind(outbox);
                model.handed_out = 0;
            }
            expect_counts(outbox, model.count, model.sent, model.unwritten);
        }
        outbox_close(outbox);
        limit_files(RLIM_INFINITY);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

/* ---- very much ---- */

static size_t open_files(void)
{
    size_t count = 0;
    DIR *list = opendir("/proc/self/fd");
    assert_non_null(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

static void many_segments_need_few_open_files(void **state UNUSED)
{
    options.segment_bytes = BODY;
    size_t before = open_files();
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 200);
    assert_true(open_files() < before + 80);
    outbox_close(outbox);
    outbox = open_it();
    assert_true(open_files() < before + 80);
    uint64_t last = expect_numbers(outbox, 0, 200);
    assert_true(open_files() < before + 80);
    outbox_rewind(outbox);
    expect_numbers(outbox, 0, 200);
    outbox_ack(outbox, last);
    assert_true(open_files() < before + 10);
    outbox_close(outbox);
    outbox = open_it();
    expect_counts(outbox, 0, 200, 0);
    outbox_close(outbox);
}

/* Changes a byte in the body of the message at a place of the segment that begins with a sequence.
 */
static void spoil(unsigned first)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%016x.segment", dir, first);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, BODY / 2, SEEK_SET), 0);
    assert_int_equal(fputc('!', file), '!');
    fclose(file);
}

static void append_and_be_killed(void)
{
    struct outbox *outbox = open_it();
    append_numbers(outbox, 0, 3);
    outbox_ack(outbox, expect_numbers(outbox, 0, 3));
    append_numbers(outbox, 3, 100);
}

/* That the damage is found by whoever comes to the message, shows that the start did not read it.
 */
static void a_start_reads_only_the_first_and_the_last_segment(void **state UNUSED)
{
    options.segment_bytes = 5 * (BODY + 100);
    in_a_process_that_is_killed(append_and_be_killed);
    spoil(51);
    spoil(96);
    struct outbox *outbox = open_it();
    assert_int_equal(outbox_counters(outbox)->kept, 92);
    assert_int_equal(outbox_counters(outbox)->damaged, 5);
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct outbox_message message;
    for (uint64_t wanted = 4; outbox_next(outbox, &body, &message) == ERR_NONE; wanted++) {
        wanted += wanted == 51 ? 5 : 0;
        assert_int_equal(message.sequence, wanted);
    }
    assert_int_equal(outbox_counters(outbox)->damaged, 10);
    assert_int_equal(outbox_counters(outbox)->kept, 87);
    outbox_close(outbox);
}

static void the_summary_of_a_segment_is_checked(void **state UNUSED)
{
    static char bytes[64000];
    char path[128];
    options.segment_bytes = 5 * (BODY + 100);
    in_a_process_that_is_killed(append_and_be_killed);
    snprintf(path, sizeof(path), "%s/%016x.segment", dir, 51u);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t at = size - 80; at < size; at += 3) {
        bytes[at] ^= 0x41;
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        fclose(file);
        bytes[at] ^= 0x41;
        struct outbox *outbox = open_it();
        expect_counts(outbox, 97, 3, 0);
        outbox_close(outbox);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(on_a_full_disk_messages_wait_in_memory_and_are_sent),
        TEST(what_waited_in_memory_is_lost_by_a_kill_and_counted),
        TEST(what_waited_in_memory_goes_to_the_disk_in_its_place),
        TEST(a_stop_tries_the_disk_once_more),
        TEST(memory_in_place_of_the_disk_has_a_bound),
        TEST(a_directory_that_cannot_be_made_anew_is_waited_for),
        TEST(whatever_happens_to_the_disk_the_order_and_the_numbers_hold),
        TEST(many_segments_need_few_open_files),
        TEST(a_start_reads_only_the_first_and_the_last_segment),
        TEST(the_summary_of_a_segment_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
