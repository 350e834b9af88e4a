/* SPDX-License-Identifier: Apache-2.0 */
/* Following files: rotation in its forms, restarts at every moment, torn and endless lines. */
#include "tail.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)

struct fixture {
    char dir[64];
    char path[96];
    char got[16384]; /* lines with ';' behind each */
    size_t count;
    struct tail_position after[64]; /* of each line */
    struct tail *tail;
    int64_t wall_us; /* 0: before any file was written */
    int64_t now_us;
};

static bool take(void *self, struct span bytes, const struct tail_position *after)
{
    struct fixture *f = self;
    size_t len = strlen(f->got);
    snprintf(f->got + len, sizeof(f->got) - len, "%.*s;", SPAN_ARG(bytes));
    if (f->count < COUNT_OF(f->after))
        f->after[f->count++] = *after;
    return true;
}

static void open_tail(struct fixture *f, size_t record_bytes)
{
    const struct tail_options options = {
        .path = f->path, .record_bytes = record_bytes, .take = take, .self = f};
    tail_free(f->tail);
    assert_int_equal(tail_new(&options, &f->tail), ERR_NONE);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "tail-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/log", f->dir);
    f->now_us = 100 * SECOND;
    open_tail(f, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tail_free(f->tail);
    for (unsigned i = 0; i < 10; i++) {
        char path[128];
        snprintf(path, sizeof(path), i == 0 ? "%s" : "%s.%u", f->path, i);
        (void)unlink(path);
    }
    rmdir(f->dir);
    test_free(f);
    return 0;
}

static void append_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void append(struct fixture *f, const char *text)
{
    append_to(f->path, text);
}

/* FILE.n becomes FILE.n+1, FILE becomes FILE.1. */
static void rotate(struct fixture *f)
{
    char from[128], to[128];
    for (unsigned i = 8; i > 0; i--) {
        snprintf(from, sizeof(from), "%s.%u", f->path, i);
        snprintf(to, sizeof(to), "%s.%u", f->path, i + 1);
        (void)rename(from, to);
    }
    snprintf(to, sizeof(to), "%s.1", f->path);
    assert_int_equal(rename(f->path, to), 0);
}

static void copy_and_truncate(struct fixture *f)
{
    char text[8192], to[128];
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    assert_true(len >= 0);
    close(fd);
    text[len] = '\0';
    snprintf(to, sizeof(to), "%s.1", f->path);
    (void)unlink(to);
    append_to(to, text);
    assert_int_equal(truncate(f->path, 0), 0);
}

/* Runs it, also past the time that a renamed file is waited for; returns what came. */
static const char *run(struct fixture *f)
{
    static char got[sizeof(f->got)];
    for (unsigned i = 0; i < 12; i++) {
        while (tail_run(f->tail, f->wall_us, f->now_us, 1000))
            ;
        f->now_us += 6 * SECOND;
    }
    memcpy(got, f->got, sizeof(got));
    f->got[0] = '\0';
    return got;
}

static void restart(struct fixture *f, bool expected)
{
    struct tail_position position = tail_position(f->tail);
    open_tail(f, 0);
    assert_int_equal(tail_begin_at(f->tail, &position, 0), expected);
}

static void it_begins_at_the_end_and_tells_whole_lines(void **state)
{
    struct fixture *f = *state;
    append(f, "old\nhalf");
    tail_begin_at_end(f->tail);
    assert_string_equal(run(f), "");
    append(f, " line\nnext");
    assert_string_equal(run(f), "half line;");
    append(f, "\n\n");
    assert_string_equal(run(f), "next;;");
}

static void a_file_that_appears_later_is_read_from_its_beginning(void **state)
{
    struct fixture *f = *state;
    tail_begin_at_end(f->tail);
    assert_string_equal(run(f), "");
    restart(f, true);
    append(f, "first\n");
    assert_string_equal(run(f), "first;");
}

static void after_a_rename_the_old_file_is_read_to_its_end_first(void **state)
{
    struct fixture *f = *state;
    char old[128];
    append(f, "a\n");
    tail_begin_at_end(f->tail);
    append(f, "b\n");
    rotate(f);
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    append(f, "d\n");
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    /* Its writer has not been told yet. */
    snprintf(old, sizeof(old), "%s.1", f->path);
    append_to(old, "c\n");
    assert_string_equal(run(f), "b;c;d;");
}

static void several_rotations_between_two_looks_lose_nothing(void **state)
{
    struct fixture *f = *state;
    append(f, "a\n");
    tail_begin_at_end(f->tail);
    const char *const lines[] = {"b\n", "c\n", "d\n", "e\n"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        append(f, lines[i]);
        rotate(f);
    }
    append(f, "f\n");
    assert_string_equal(run(f), "b;c;d;e;f;");
}

static void rotations_while_it_was_not_running_lose_nothing_and_repeat_nothing(void **state)
{
    struct fixture *f = *state;
    tail_begin_at_end(f->tail);
    append(f, "a\n");
    assert_string_equal(run(f), "a;");
    append(f, "b\n");
    rotate(f);
    append(f, "c\n");
    rotate(f);
    append(f, "d\n");
    restart(f, true);
    assert_string_equal(run(f), "b;c;d;");
    restart(f, true);
    assert_string_equal(run(f), "");
}

/* Gives a file a time of its own: files of one moment cannot be told apart by it. */
static void set_time(const char *path, time_t second)
{
    const struct timespec times[2] = {{.tv_sec = second}, {.tv_sec = second}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void what_was_begun_after_a_file_that_is_packed_by_now_is_read(void **state)
{
    struct fixture *f = *state;
    char path[128], packed[128];
    append(f, "a\n");
    tail_begin_at_end(f->tail);
    append(f, "b\n");
    set_time(f->path, 1000);
    rotate(f); /* of b, which becomes packed with the next one */
    append(f, "c\n");
    set_time(f->path, 2000);
    rotate(f);
    snprintf(path, sizeof(path), "%s.2", f->path);
    snprintf(packed, sizeof(packed), "%s.2.gz", f->path);
    append_to(packed, "packed\n");
    assert_int_equal(unlink(path), 0);
    append(f, "d\n");
    assert_string_equal(run(f), "b;c;d;");
    /* And where all that it knew is gone, what was written to since. */
    rotate(f);
    snprintf(path, sizeof(path), "%s.1", f->path);
    assert_int_equal(unlink(path), 0);
    append(f, "e\n");
    set_time(f->path, 4000);
    rotate(f);
    append(f, "f\n");
    struct tail_position position = tail_position(f->tail);
    open_tail(f, 0);
    assert_false(tail_begin_at(f->tail, &position, 3000 * SECOND));
    assert_string_equal(run(f), "e;f;");
    unlink(packed);
}

/* As when a device without a clock of its own hears the time: the old file looks long over. */
static void a_clock_that_jumps_does_not_end_the_wait_for_the_old_file(void **state)
{
    struct fixture *f = *state;
    char old[128];
    append(f, "a\n");
    tail_begin_at_end(f->tail);
    set_time(f->path, 1000);
    f->wall_us = 1000 * SECOND;
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    rotate(f);
    append(f, "c\n");
    f->wall_us = 900000 * SECOND;
    f->now_us += SECOND;
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    snprintf(old, sizeof(old), "%s.1", f->path);
    append_to(old, "b\n");
    assert_string_equal(run(f), "b;c;");
}

static void of_short_lives_none_waits_for_a_file_that_is_long_over(void **state)
{
    struct fixture *f = *state;
    append(f, "0\n");
    tail_begin_at_end(f->tail);
    append(f, "a\n");
    set_time(f->path, 1000);
    rotate(f);
    append(f, "b\n");
    f->wall_us = 1003 * SECOND; /* the old one may still be written to */
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    assert_string_equal(f->got, "a;");
    restart(f, true);
    f->wall_us = 1006 * SECOND;
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    assert_string_equal(f->got, "a;b;");
}

static void files_that_are_rotated_to_dates_are_followed(void **state)
{
    struct fixture *f = *state;
    static const char *const dates[] = {"-20261128", "-20261129-1795000000"};
    char paths[COUNT_OF(dates)][160];
    append(f, "a\n");
    tail_begin_at_end(f->tail);
    for (size_t i = 0; i < COUNT_OF(dates); i++) {
        append(f, i == 0 ? "b\n" : "c\n");
        set_time(f->path, 1000 * (time_t)(i + 1));
        snprintf(paths[i], sizeof(paths[i]), "%s%s", f->path, dates[i]);
        assert_int_equal(rename(f->path, paths[i]), 0);
    }
    append(f, "d\n");
    restart(f, true);
    assert_string_equal(run(f), "b;c;d;");
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        unlink(paths[i]);
}

static void what_was_copied_and_cut_is_read_from_the_copy(void **state)
{
    struct fixture *f = *state;
    tail_begin_at_end(f->tail);
    append(f, "a\n");
    assert_string_equal(run(f), "a;");
    append(f, "b\n");
    copy_and_truncate(f);
    append(f, "c\n");
    assert_string_equal(run(f), "b;c;");
    /* Also when the new one has grown past the old position, and across a restart. */
    append(f, "d\n");
    copy_and_truncate(f);
    append(f, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n");
    restart(f, true);
    assert_string_equal(run(f), "d;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee;");
}

static void what_is_gone_is_said_and_the_new_file_is_read_whole(void **state)
{
    struct fixture *f = *state;
    tail_begin_at_end(f->tail);
    append(f, "a\n");
    assert_string_equal(run(f), "a;");
    unlink(f->path);
    append(f, "x\ny\n");
    restart(f, false);
    assert_string_equal(run(f), "x;y;");
    assert_int_equal(truncate(f->path, 0), 0);
    append(f, "z\n");
    assert_string_equal(run(f), "z;");
}

static void a_restart_behind_any_line_goes_on_with_the_next(void **state)
{
    struct fixture *f = *state;
    static const char *const rests[] = {
        "bb;ccc;dddd;eeeee;", "ccc;dddd;eeeee;", "dddd;eeeee;", "eeeee;", ""};
    tail_begin_at_end(f->tail);
    append(f, "a\nbb\nccc\n");
    (void)run(f);
    rotate(f);
    append(f, "dddd\neeeee\n");
    (void)run(f);
    assert_int_equal(f->count, COUNT_OF(rests));
    for (size_t i = 0; i < COUNT_OF(rests); i++) {
        struct tail_position after = f->after[i];
        open_tail(f, 0);
        assert_true(tail_begin_at(f->tail, &after, 0));
        assert_string_equal(run(f), rests[i]);
    }
}

static void an_endless_line_is_skipped_and_costs_no_memory(void **state)
{
    struct fixture *f = *state;
    tail_begin_at_end(f->tail);
    char *piece = test_malloc(10001);
    memset(piece, 'x', 10000);
    piece[10000] = '\0';
    for (unsigned i = 0; i < 20; i++) {
        append(f, piece);
        assert_string_equal(run(f), "");
    }
    restart(f, true);
    append(f, "still the same line\nnext\n");
    assert_string_equal(run(f), "next;");
    test_free(piece);
}

static bool take_record(void *self, struct span bytes, const struct tail_position *after)
{
    return bytes.ptr[0] == '<' && bytes.ptr[3] == '>' && take(self, bytes, after);
}

static void behind_a_torn_record_the_next_is_found(void **state)
{
    struct fixture *f = *state;
    const struct tail_options options = {
        .path = f->path, .record_bytes = 4, .take = take_record, .self = f};
    tail_free(f->tail);
    assert_int_equal(tail_new(&options, &f->tail), ERR_NONE);
    append(f, "<11>");
    tail_begin_at_end(f->tail);
    append(f, "<22><3");
    assert_string_equal(run(f), "<22>;");
    append(f, "<44><5");
    assert_string_equal(run(f), "<44>;");
    append(f, "5>");
    assert_string_equal(run(f), "<55>;");
}

static void what_is_no_file_is_not_read(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    tail_begin_at_end(f->tail);
    assert_string_equal(run(f), "");
    assert_false(tail_exists(f->tail));
}

static void without_memory_it_reads_later(void **state)
{
    struct fixture *f = *state;
    tail_begin_at_end(f->tail);
    append(f, "a\n");
    mem_fail_after(0);
    assert_false(tail_run(f->tail, f->wall_us, f->now_us, 1000));
    mem_fail_after(-1);
    assert_string_equal(run(f), "a;");
}

static void looking_back_tells_what_was_before_and_moves_nothing(void **state)
{
    struct fixture *f = *state;
    append(f, "one\ntwo\nthree\nhal");
    tail_begin_at_end(f->tail);
    tail_look_back(f->tail, 9, take);
    assert_string_equal(f->got, "three;");
    f->got[0] = '\0';
    tail_look_back(f->tail, 1000, take);
    assert_string_equal(f->got, "one;two;three;");
    f->got[0] = '\0';
    append(f, "f\n");
    assert_string_equal(run(f), "half;");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_begins_at_the_end_and_tells_whole_lines),
        TEST(a_file_that_appears_later_is_read_from_its_beginning),
        TEST(after_a_rename_the_old_file_is_read_to_its_end_first),
        TEST(several_rotations_between_two_looks_lose_nothing),
        TEST(rotations_while_it_was_not_running_lose_nothing_and_repeat_nothing),
        TEST(what_was_begun_after_a_file_that_is_packed_by_now_is_read),
        TEST(of_short_lives_none_waits_for_a_file_that_is_long_over),
        TEST(a_clock_that_jumps_does_not_end_the_wait_for_the_old_file),
        TEST(files_that_are_rotated_to_dates_are_followed),
        TEST(what_was_copied_and_cut_is_read_from_the_copy),
        TEST(what_is_gone_is_said_and_the_new_file_is_read_whole),
        TEST(a_restart_behind_any_line_goes_on_with_the_next),
        TEST(an_endless_line_is_skipped_and_costs_no_memory),
        TEST(behind_a_torn_record_the_next_is_found),
        TEST(what_is_no_file_is_not_read),
        TEST(without_memory_it_reads_later),
        TEST(looking_back_tells_what_was_before_and_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
