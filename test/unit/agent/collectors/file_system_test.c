/* SPDX-License-Identifier: Apache-2.0 */
/* What the FileSystem collector tells of files and directories, also of those that others make,
 * move and fill while it looks. */
#include "files_place.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what is told ---- */

static void each_thing_that_happens_to_a_file_is_told(void **state)
{
    struct fixture *f = *state;
    files_touch(files_in(f, "old"));
    files_watch(f, f->dir);
    files_settle(f);
    files_write(files_in(f, "a"), "x");
    assert_int_equal(chmod(files_in(f, "a"), 0640), 0);
    assert_int_equal(rename(files_in(f, "a"), files_in(f, "b")), 0);
    assert_int_equal(unlink(files_in(f, "b")), 0);
    files_collect(f);
    files_expect(f, "Created", files_in(f, "a"), 1);
    files_expect(f, "Modified", files_in(f, "a"), 1);
    files_expect(f, "Metadata changed", files_in(f, "a"), 1);
    files_expect(f, "Moved FROM", files_in(f, "a"), 1);
    files_expect(f, "Moved TO", files_in(f, "b"), 1);
    files_expect(f, "Deleted", files_in(f, "b"), 1);
    assert_int_equal(files_all_hits(f, NULL), 6); /* nothing of what was there before */
    for (size_t i = 0; i < harness_events(&f->harness, NULL); i++) {
        const struct json *payload = harness_payload(&f->harness, "FileSystem", i);
        if (span_is(json_string_of(payload, "direction"), "TO"))
            assert_true(span_is(json_string_of(payload, "moved_from"), files_in(f, "a")));
    }
}

static void the_same_again_is_counted_and_the_oldest_gives_way(void **state)
{
    struct fixture *f = *state;
    files_set(f, SETTING_FILE_SYSTEM_CACHE_SIZE, 4);
    files_watch(f, f->dir);
    for (unsigned i = 0; i < 50; i++) {
        files_touch(files_in(f, "a"));
        assert_int_equal(unlink(files_in(f, "a")), 0);
    }
    files_collect(f);
    files_expect(f, "Created", files_in(f, "a"), 50);
    files_expect(f, "Deleted", files_in(f, "a"), 50);
    for (unsigned i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%u", i);
        files_touch(files_in(f, name));
    }
    files_collect(f);
    assert_int_equal(fixture_counter(f, "seen"), 110);
    assert_int_equal(fixture_counter(f, "sent"), 104);
    assert_int_equal(fixture_counter(f, "lost.cache_bound"), 6);
    files_expect(f, "Created", files_in(f, "f9"), 1);
    files_expect(f, "Created", files_in(f, "f5"), 0);
}

static void names_of_any_bytes_are_told(void **state)
{
    struct fixture *f = *state;
    char longest[NAME_MAX + 1];
    files_watch(f, f->dir);
    memset(longest, 'n', NAME_MAX);
    longest[NAME_MAX] = '\0';
    files_touch(files_in(f, "line\nend"));
    files_touch(files_in(f, "bad\xff"));
    files_touch(files_in(f, "\"quoted\""));
    files_touch(files_in(f, longest));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "line\nend"), 1);
    files_expect(f, "Created", files_in(f, "bad\xef\xbf\xbd"), 1);
    files_expect(f, "Created", files_in(f, "\"quoted\""), 1);
    files_expect(f, "Created", files_in(f, longest), 1);
}

/* ---- directories ---- */

static void what_is_made_in_new_directories_at_once_is_not_missed(void **state)
{
    struct fixture *f = *state;
    files_watch(f, f->dir);
    files_settle(f);
    for (unsigned i = 0; i < 100; i++) { /* all before the collector looks */
        char name[64];
        snprintf(name, sizeof(name), "d%u", i);
        files_make(files_in(f, name));
        snprintf(name, sizeof(name), "d%u/a", i);
        files_make(files_in(f, name));
        snprintf(name, sizeof(name), "d%u/a/f", i);
        files_touch(files_in(f, name));
    }
    files_settle(f);
    files_touch(files_in(f, "d7/a/later"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "d7/a/later"), 1);
    files_expect(f, "Created", files_in(f, "d99/a"), 1);
    files_expect(f, "Created", files_in(f, "d99/a/f"), 1);
    assert_int_equal(files_all_hits(f, "Created"), 301);
    assert_int_equal(fixture_counter(f, "watched"), 201);
}

/* Trees that others make while the collector looks: every creation once, no more. */
static void directories_that_race_are_told_once_each(void **state)
{
    struct fixture *f = *state;
    enum { CHILDREN = 3, TREES = 30, FILES = 5 };
    files_watch(f, f->dir);
    files_settle(f);
    pid_t pids[CHILDREN];
    for (unsigned c = 0; c < CHILDREN; c++) {
        pids[c] = fork();
        if (pids[c] != 0)
            continue;
        for (unsigned i = 0; i < TREES; i++) {
            char path[64];
            snprintf(path, sizeof(path), "c%u-%u", c, i);
            if (chdir(f->dir) != 0 || mkdir(path, 0700) != 0 || chdir(path) != 0)
                _exit(1);
            for (unsigned depth = 0; depth < 3; depth++) {
                for (unsigned k = 0; k < FILES; k++) {
                    snprintf(path, sizeof(path), "f%u", k);
                    int fd = open(path, O_CREAT | O_WRONLY, 0600);
                    if (fd < 0)
                        _exit(1);
                    close(fd);
                }
                if (mkdir("in", 0700) != 0 || chdir("in") != 0)
                    _exit(1);
            }
        }
        _exit(0);
    }
    for (unsigned done = 0; done < CHILDREN;) {
        int result;
        collectors_run(f->collectors);
        pid_t pid = waitpid(-1, &result, WNOHANG);
        if (pid <= 0)
            continue;
        assert_int_equal(result, 0);
        done++;
    }
    files_collect(f);
    assert_int_equal(fixture_counter(f, "lost.kernel_buffer"), 0);
    int64_t made = CHILDREN * TREES * (1 + 3 * (FILES + 1));
    assert_int_equal(files_all_hits(f, "Created"), made);
    assert_int_equal(harness_events(&f->harness, "FileSystem"), made); /* each once */
    assert_int_equal(fixture_counter(f, "watched"), 1 + CHILDREN * TREES * 4);
}

static void a_renamed_directory_keeps_telling_with_its_new_path(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "a"));
    files_make(files_in(f, "a/b"));
    files_watch(f, f->dir);
    files_settle(f);
    assert_int_equal(rename(files_in(f, "a"), files_in(f, "c")), 0);
    files_touch(files_in(f, "c/b/f"));
    files_make(files_in(f, "a"));
    files_touch(files_in(f, "a/g"));
    files_settle(f);
    assert_int_equal(rename(files_in(f, "c"), files_in(f, "a/d")), 0);
    files_touch(files_in(f, "a/d/b/h"));
    files_collect(f);
    files_expect(f, "Moved FROM", files_in(f, "a"), 1);
    files_expect(f, "Moved TO", files_in(f, "c"), 1);
    files_expect(f, "Moved TO", files_in(f, "a/d"), 1);
    files_expect(f, "Created", files_in(f, "a/g"), 1);
    files_expect(f, "Created", files_in(f, "a/d/b/h"), 1);
    assert_int_equal(files_hits(f, "Created", files_in(f, "c/b/f")) +
                         files_hits(f, "Created", files_in(f, "a/d/b/f")),
        1);
    assert_int_equal(files_all_hits(f, "Created"), 4);
    assert_int_equal(fixture_counter(f, "watched"), 4);
}

static void a_directory_moved_out_is_left_and_one_moved_in_is_watched(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "w"));
    files_make(files_in(f, "w/a"));
    files_make(files_in(f, "out"));
    files_make(files_in(f, "out/b"));
    files_touch(files_in(f, "out/b/old"));
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    assert_int_equal(rename(files_in(f, "w/a"), files_in(f, "out/a")), 0);
    assert_int_equal(rename(files_in(f, "out/b"), files_in(f, "w/b")), 0);
    files_settle(f);
    while (fixture_counter(f, "watched") != 2)
        collectors_run(f->collectors);
    files_touch(files_in(f, "out/a/unseen"));
    files_touch(files_in(f, "w/b/new"));
    files_collect(f);
    files_expect(f, "Moved FROM", files_in(f, "w/a"), 1);
    files_expect(f, "Moved TO", files_in(f, "w/b"), 1);
    files_expect(f, "Created", files_in(f, "w/b/new"), 1);
    assert_int_equal(files_all_hits(f, NULL), 3);
}

/* What happens in it at once, before anybody can know that it arrives nowhere, is no news either.
 */
static void what_happens_in_a_directory_that_was_moved_out_is_not_told(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "w"));
    files_make(files_in(f, "w/a"));
    files_make(files_in(f, "w/a/b"));
    files_make(files_in(f, "out"));
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    assert_int_equal(rename(files_in(f, "w/a"), files_in(f, "out/a")), 0);
    files_touch(files_in(f, "out/a/unseen"));
    files_make(files_in(f, "out/a/b/unseen"));
    files_collect(f);
    while (fixture_counter(f, "watched") != 1)
        collectors_run(f->collectors);
    files_collect(f);
    files_expect(f, "Moved FROM", files_in(f, "w/a"), 1);
    assert_int_equal(files_all_hits(f, NULL), 1);
}

#define MOVES 300

static void *move_to_and_fro(void *state)
{
    const struct fixture *f = state;
    char one[PATH_MAX], other[PATH_MAX];
    snprintf(one, sizeof(one), "%s/w/a", f->dir);
    snprintf(other, sizeof(other), "%s/w/b", f->dir);
    for (unsigned i = 0; i < MOVES; i++)
        must(rename(i % 2 == 0 ? one : other, i % 2 == 0 ? other : one) == 0);
    return NULL;
}

static void what_happens_in_a_directory_while_it_is_moved_is_told(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    files_make(files_in(f, "w"));
    files_make(files_in(f, "w/a"));
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    int dir = open(files_in(f, "w/a"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pthread_create(&thread, NULL, move_to_and_fro, f), 0);
    for (unsigned i = 0; i < MOVES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%u", i);
        int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
        collectors_run(f->collectors);
    }
    pthread_join(thread, NULL);
    close(dir);
    files_collect(f);
    assert_int_equal(files_all_hits(f, "Created"), MOVES);
    assert_int_equal(files_all_hits(f, "Moved"), 2 * MOVES);
    assert_int_equal(fixture_counter(f, "watched"), 2);
}

/* A directory is told of, and gone to another name before it could be entered. */
static void what_is_in_a_directory_that_moves_before_it_is_looked_at_is_told(void **state)
{
    struct fixture *f = *state;
    files_watch(f, f->dir);
    files_make(files_in(f, "m"));
    files_settle(f);
    files_make(files_in(f, "m/x"));
    files_touch(files_in(f, "m/x/a"));
    assert_int_equal(rename(files_in(f, "m"), files_in(f, "n")), 0);
    files_make(files_in(f, "n/x/y"));
    files_touch(files_in(f, "n/x/y/c"));
    files_settle(f);
    files_touch(files_in(f, "n/x/y/later"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "m/x"), 1);
    files_expect(f, "Created", files_in(f, "n/x/a"), 1);
    files_expect(f, "Created", files_in(f, "n/x/y"), 1);
    files_expect(f, "Created", files_in(f, "n/x/y/c"), 1);
    files_expect(f, "Created", files_in(f, "n/x/y/later"), 1);
    assert_int_equal(fixture_counter(f, "watched"), 4);
}

/* It comes from a new directory that nobody could watch yet, so nothing says where from. */
static void what_is_in_a_directory_that_leaves_an_unwatched_one_is_told(void **state)
{
    struct fixture *f = *state;
    files_watch(f, f->dir);
    files_settle(f);
    files_make(files_in(f, "m"));
    files_make(files_in(f, "m/x"));
    files_make(files_in(f, "m/x/y"));
    files_touch(files_in(f, "m/x/y/a"));
    assert_int_equal(rename(files_in(f, "m/x"), files_in(f, "x")), 0);
    files_collect(f);
    files_expect(f, "Created", files_in(f, "m"), 1);
    files_expect(f, "Moved TO", files_in(f, "x"), 1);
    files_expect(f, "Created", files_in(f, "x/y"), 1);
    files_expect(f, "Created", files_in(f, "x/y/a"), 1);
    assert_int_equal(files_all_hits(f, NULL), 4);
}

/* A clock on which every look takes half a millisecond. */
static int64_t slow_mono(void *self)
{
    return ((struct harness *)self)->mono_us += 500;
}

static void a_large_directory_is_looked_through_in_many_turns(void **state)
{
    struct fixture *f = *state;
    enum { DIRECTORIES = 40, FILES = 100 };
    f->harness.clock.mono_us = slow_mono;
    f->harness.options.clock = &f->harness.clock;
    fixture_open(f);
    files_watch(f, files_in(f, "w"));
    files_make(files_in(f, "new"));
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        char name[64];
        snprintf(name, sizeof(name), "new/d%u", i);
        files_make(files_in(f, name));
        for (unsigned k = 0; k < FILES; k++) {
            snprintf(name, sizeof(name), "new/d%u/f%u", i, k);
            files_touch(files_in(f, name));
        }
    }
    assert_int_equal(rename(files_in(f, "new"), files_in(f, "w")), 0);
    unsigned turns = 0;
    int64_t longest_us = 0, begin_us, next_us;
    do {
        begin_us = f->harness.mono_us;
        next_us = collectors_run(f->collectors);
        int64_t took_us = f->harness.mono_us - begin_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
        turns++;
    } while (next_us <= f->harness.mono_us);
    assert_true(turns > 3);
    assert_true(longest_us < 30000);
    assert_int_equal(fixture_counter(f, "watched"), 1 + DIRECTORIES);
    files_touch(files_in(f, "w/d39/later"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "w/d39/later"), 1);
    assert_int_equal(files_all_hits(f, "Created"), 1); /* what was moved there is no news */
}

/* It is watched, but what is in it waits to be looked at. */
static void what_happens_in_a_directory_before_it_is_looked_through_is_told_once(void **state)
{
    struct fixture *f = *state;
    enum { DIRECTORIES = 100, FILES = 20 };
    char name[64], to[64];
    f->harness.clock.mono_us = slow_mono;
    f->harness.options.clock = &f->harness.clock;
    fixture_open(f);
    files_make(files_in(f, "w"));
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    files_make(files_in(f, "w/new"));
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        snprintf(name, sizeof(name), "w/new/d%u", i);
        files_make(files_in(f, name));
        for (unsigned k = 0; k < FILES; k++) {
            snprintf(name, sizeof(name), "w/new/d%u/f%u-%u", i, i, k);
            files_touch(files_in(f, name));
        }
    }
    collectors_run(f->collectors);
    assert_int_equal(fixture_counter(f, "watched"), 2 + DIRECTORIES);
    assert_true(fixture_counter(f, "seen") < DIRECTORIES * FILES); /* not done yet */
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        snprintf(name, sizeof(name), "w/new/d%u/f%u-0", i, i);
        assert_int_equal(unlink(files_in(f, name)), 0);
        snprintf(name, sizeof(name), "w/new/d%u/f%u-1", i, i);
        snprintf(to, sizeof(to), "w/new/d%u/g%u", i, i);
        assert_int_equal(rename(files_in(f, name), files_in(f, to)), 0);
        snprintf(name, sizeof(name), "w/new/d%u/late%u", i, i);
        files_touch(files_in(f, name));
        snprintf(name, sizeof(name), "w/new/d%u", i);
        snprintf(to, sizeof(to), "w/e%u", i);
        assert_int_equal(rename(files_in(f, name), files_in(f, to)), 0);
    }
    files_collect(f);
    for (unsigned i = 0; i < DIRECTORIES; i++) { /* at its place of then */
        snprintf(name, sizeof(name), "w/new/d%u/f%u-0", i, i);
        files_expect(f, "Created", files_in(f, name), 1);
        files_expect(f, "Deleted", files_in(f, name), 1);
        snprintf(name, sizeof(name), "w/new/d%u/late%u", i, i);
        files_expect(f, "Created", files_in(f, name), 1);
    }
    assert_int_equal(files_all_hits(f, "Created"), 1 + DIRECTORIES * (1 + FILES + 1));
    assert_int_equal(files_all_hits(f, "Deleted"), DIRECTORIES);
    assert_int_equal(files_all_hits(f, "Moved"), 4 * DIRECTORIES);
    assert_int_equal(fixture_counter(f, "watched"), 2 + DIRECTORIES);
}

static void links_inside_are_not_followed(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "w"));
    files_make(files_in(f, "else"));
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    assert_int_equal(symlink(files_in(f, "else"), files_in(f, "w/link")), 0);
    files_settle(f);
    files_touch(files_in(f, "else/f"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "w/link"), 1);
    assert_int_equal(files_all_hits(f, NULL), 1);
    assert_int_equal(fixture_counter(f, "watched"), 1);
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3)
        return 2;
    files_schema_dir = argv[1];
    if (argc == 3)
        cmocka_set_test_filter(argv[2]);
    const struct CMUnitTest tests[] = {
        FILES_TEST(each_thing_that_happens_to_a_file_is_told),
        FILES_TEST(the_same_again_is_counted_and_the_oldest_gives_way),
        FILES_TEST(names_of_any_bytes_are_told),
        FILES_TEST(what_is_made_in_new_directories_at_once_is_not_missed),
        FILES_TEST(directories_that_race_are_told_once_each),
        FILES_TEST(a_renamed_directory_keeps_telling_with_its_new_path),
        FILES_TEST(a_directory_moved_out_is_left_and_one_moved_in_is_watched),
        FILES_TEST(what_happens_in_a_directory_that_was_moved_out_is_not_told),
        FILES_TEST(what_happens_in_a_directory_while_it_is_moved_is_told),
        FILES_TEST(what_is_in_a_directory_that_moves_before_it_is_looked_at_is_told),
        FILES_TEST(what_is_in_a_directory_that_leaves_an_unwatched_one_is_told),
        FILES_TEST(what_happens_in_a_directory_before_it_is_looked_through_is_told_once),
        FILES_TEST(a_large_directory_is_looked_through_in_many_turns),
        FILES_TEST(links_inside_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
