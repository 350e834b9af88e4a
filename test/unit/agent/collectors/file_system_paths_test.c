/* SPDX-License-Identifier: Apache-2.0 */
/* The paths that the FileSystem collector watches: when they come, go, lead elsewhere or change in
 * the settings; and storms. */
#include "files_place.h"

#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the paths of the settings ---- */

static void a_path_that_appears_later_is_watched(void **state)
{
    struct fixture *f = *state;
    files_watch(f, files_in(f, "x/y/z"));
    files_settle(f);
    files_make(files_in(f, "x"));
    files_make(files_in(f, "x/other"));
    files_settle(f);
    files_make(files_in(f, "x/y"));
    files_make(files_in(f, "x/y/z"));
    files_make(files_in(f, "x/y/z/sub"));
    files_touch(files_in(f, "x/y/z/sub/f"));
    files_settle(f);
    files_touch(files_in(f, "x/y/z/sub/g"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "x/y/z"), 1);
    files_expect(f, "Created", files_in(f, "x/y/z/sub"), 1);
    files_expect(f, "Created", files_in(f, "x/y/z/sub/f"), 1);
    files_expect(f, "Created", files_in(f, "x/y/z/sub/g"), 1);
    assert_int_equal(files_all_hits(f, NULL), 4);
}

static void a_path_that_goes_and_comes_back_is_watched_again(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "w"));
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    for (int64_t i = 1; i <= 3; i++) {
        files_touch(files_in(f, "w/f"));
        assert_int_equal(unlink(files_in(f, "w/f")), 0);
        assert_int_equal(rmdir(files_in(f, "w")), 0);
        files_make(files_in(f, "w"));
        files_collect(f);
        files_expect(f, "Created", files_in(f, "w/f"), i);
        files_expect(f, "Deleted", files_in(f, "w/f"), i);
        files_expect(f, "Deleted", files_in(f, "w"), i);
        files_expect(f, "Created", files_in(f, "w"), i);
    }
}

static void the_parent_of_a_path_may_be_renamed(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "p"));
    files_make(files_in(f, "p/w"));
    files_watch(f, files_in(f, "p/w"));
    files_settle(f);
    assert_int_equal(rename(files_in(f, "p"), files_in(f, "q")), 0);
    files_settle(f);
    assert_int_equal(fixture_counter(f, "watched"), 0);
    files_touch(files_in(f, "q/w/unseen"));
    assert_int_equal(rename(files_in(f, "q"), files_in(f, "p")), 0);
    files_settle(f);
    files_touch(files_in(f, "p/w/f"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "p/w/f"), 1);
    files_expect(f, "Deleted", files_in(f, "p/w"), 1);
    files_expect(f, "Created", files_in(f, "p/w"), 1);
}

static void a_link_as_path_is_followed_and_noticed_when_it_changes(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "one"));
    files_make(files_in(f, "two"));
    assert_int_equal(symlink("one", files_in(f, "link")), 0);
    files_watch(f, files_in(f, "link"));
    files_settle(f);
    files_touch(files_in(f, "one/f"));
    files_settle(f);
    assert_int_equal(symlink("two", files_in(f, "new")), 0);
    assert_int_equal(rename(files_in(f, "new"), files_in(f, "link")), 0);
    files_settle(f);
    files_touch(files_in(f, "one/unseen"));
    files_touch(files_in(f, "two/g"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "link/f"), 1);
    files_expect(f, "Created", files_in(f, "link/g"), 1);
    files_expect(f, "Created", files_in(f, "link/unseen"), 0);
}

static void a_file_that_an_editor_replaces_stays_watched(void **state)
{
    struct fixture *f = *state;
    files_touch(files_in(f, "conf"));
    files_watch(f, files_in(f, "conf"));
    files_settle(f);
    for (int64_t i = 1; i <= 3; i++) {
        files_touch(files_in(f, "conf.new"));
        assert_int_equal(rename(files_in(f, "conf.new"), files_in(f, "conf")), 0);
        files_settle(f);
        files_write(files_in(f, "conf"), "x");
        files_collect(f);
        files_expect(f, "Moved TO", files_in(f, "conf"), i);
        files_expect(f, "Modified", files_in(f, "conf"), i);
    }
    assert_int_equal(unlink(files_in(f, "conf")), 0);
    files_collect(f);
    files_expect(f, "Deleted", files_in(f, "conf"), 1);
    assert_int_equal(files_all_hits(f, NULL), 7);
}

static void what_is_mounted_below_a_path_is_watched(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "w"));
    files_make(files_in(f, "w/m"));
    /* The collector's descriptors of its mounts are opened after. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        print_message("# skipped: no mount namespace: %s\n", strerror(errno));
        skip();
    }
    files_watch(f, files_in(f, "w"));
    files_settle(f);
    assert_int_equal(mount("none", files_in(f, "w/m"), "tmpfs", 0, NULL), 0);
    files_settle(f);
    files_touch(files_in(f, "w/m/f"));
    files_settle(f);
    assert_int_equal(umount(files_in(f, "w/m")), 0);
    files_settle(f);
    while (fixture_counter(f, "watched") != 2) /* looks through everything are a second apart */
        collectors_run(f->collectors);
    files_touch(files_in(f, "w/m/g"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "w/m/f"), 1);
    files_expect(f, "Created", files_in(f, "w/m/g"), 1);
    assert_int_equal(fixture_counter(f, "watched"), 2);
}

/* ---- settings ---- */

static void paths_inside_one_another_are_told_once(void **state)
{
    struct fixture *f = *state;
    char paths[512];
    files_make(files_in(f, "w"));
    files_make(files_in(f, "w/a"));
    files_touch(files_in(f, "w/a/file"));
    for (unsigned recursive = 0; recursive < 2; recursive++) {
        harness_clear(&f->harness);
        files_watch(f, "");
        files_set(f, SETTING_FILE_SYSTEM_RECURSIVE, recursive);
        snprintf(paths, sizeof(paths), "%s,%s,%s", files_in(f, "w/a/file"), files_in(f, "w/a/"),
            files_in(f, "w"));
        files_watch(f, paths);
        files_settle(f);
        files_write(files_in(f, "w/a/file"), "x");
        files_touch(files_in(f, "w/a/g"));
        assert_int_equal(unlink(files_in(f, "w/a/g")), 0);
        files_make(files_in(f, "w/b"));
        files_settle(f);
        assert_int_equal(rmdir(files_in(f, "w/b")), 0);
        files_collect(f);
        files_expect(f, "Modified", files_in(f, "w/a/file"), 1);
        files_expect(f, "Created", files_in(f, "w/a/g"), 1);
        files_expect(f, "Created", files_in(f, "w/b"), 1);
        assert_int_equal(files_all_hits(f, NULL), 5);
    }
}

/* Somebody makes files all the time while the settings change: each is told once. */
static void settings_that_change_lose_nothing(void **state)
{
    struct fixture *f = *state;
    enum { FILES = 2000 };
    char both[1024], inner[256], outer[256];
    files_make(files_in(f, "w"));
    files_make(files_in(f, "w/a"));
    files_make(files_in(f, "v"));
    snprintf(inner, sizeof(inner), "%s", files_in(f, "w/a"));
    snprintf(outer, sizeof(outer), "%s", files_in(f, "w"));
    snprintf(both, sizeof(both), "%s,%s,%s", inner, outer, files_in(f, "v"));
    files_watch(f, inner);
    files_settle(f);
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < FILES; i++) {
            char path[PATH_MAX];
            snprintf(path, sizeof(path), "%s/f%u", inner, i);
            int fd = open(path, O_CREAT | O_WRONLY, 0600);
            if (fd < 0)
                _exit(1);
            close(fd);
        }
        _exit(0);
    }
    int result = 0;
    for (unsigned turn = 0; waitpid(pid, &result, WNOHANG) == 0; turn++) {
        const char *const lists[] = {both, outer, both, inner};
        f->settings.values[SETTING_FILE_SYSTEM_RECURSIVE].number = turn % 4 == 1 || turn % 3 > 0;
        files_watch(f, lists[turn % 4]);
        collectors_run(f->collectors);
    }
    assert_int_equal(result, 0);
    files_collect(f);
    assert_int_equal(fixture_counter(f, "lost.kernel_buffer"), 0);
    assert_int_equal(fixture_counter(f, "seen"), FILES);
    assert_int_equal(files_all_hits(f, "Created"), FILES);
    assert_int_equal(harness_events(&f->harness, "FileSystem"), FILES);
}

static void fill(struct fixture *f, const char *directory, unsigned files)
{
    for (unsigned i = 0; i < files; i++) {
        char name[300];
        snprintf(name, sizeof(name), "%s/f%u", directory, i);
        files_touch(files_in(f, name));
        assert_int_equal(unlink(files_in(f, name)), 0);
    }
}

/* More than is read at once waits when a change ends the watch. */
static void what_waits_is_taken_in_before_a_watch_ends(void **state)
{
    struct fixture *f = *state;
    enum { FILES = 2000 };
    char path[256];
    files_make(files_in(f, "a"));
    files_make(files_in(f, "b"));
    for (unsigned i = 0; i < 70; i++) {
        snprintf(path, sizeof(path), "b/d%u", i);
        files_make(files_in(f, path));
    }
    snprintf(path, sizeof(path), "%s", files_in(f, "a"));
    files_watch(f, path);
    fill(f, "a", FILES);
    snprintf(path, sizeof(path), "%s", files_in(f, "b"));
    files_watch(f, path);
    collectors_flush(f->collectors);
    assert_int_equal(fixture_counter(f, "seen"), 2 * FILES);
    for (unsigned i = 0; i < 70; i++) {
        snprintf(path, sizeof(path), "b/d%u", i);
        fill(f, path, FILES / 70);
    }
    files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 64);
    assert_int_equal(fixture_counter(f, "seen"), 2 * FILES + 2 * (FILES / 70) * 70);
    files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
    fill(f, "b/d0", FILES);
    files_set(f, SETTING_FILE_SYSTEM_RECURSIVE, 0);
    assert_int_equal(fixture_counter(f, "watched"), 1);
    assert_int_equal(fixture_counter(f, "seen"), 4 * FILES + 2 * (FILES / 70) * 70);
    assert_int_equal(fixture_counter(f, "lost.kernel_buffer"), 0);
}

/* The look that follows the change comes before the events that waited. */
static void what_is_new_while_settings_change_is_told_with_all_in_it(void **state)
{
    struct fixture *f = *state;
    files_watch(f, f->dir);
    files_make(files_in(f, "d"));
    files_make(files_in(f, "d/e"));
    files_touch(files_in(f, "d/e/f"));
    files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
    files_touch(files_in(f, "d/e/g"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "d"), 1);
    files_expect(f, "Created", files_in(f, "d/e"), 1);
    files_expect(f, "Created", files_in(f, "d/e/f"), 1);
    files_expect(f, "Created", files_in(f, "d/e/g"), 1);
    assert_int_equal(files_all_hits(f, NULL), 4);

    files_make(files_in(f, "m"));
    files_make(files_in(f, "m/e"));
    files_touch(files_in(f, "m/e/f"));
    files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1001);
    assert_int_equal(rename(files_in(f, "m"), files_in(f, "n")), 0);
    files_collect(f);
    files_expect(f, "Created", files_in(f, "m"), 1);
    files_expect(f, "Created", files_in(f, "n/e"), 1);
    files_expect(f, "Created", files_in(f, "n/e/f"), 1);
    assert_int_equal(files_all_hits(f, "Created"), 7);
}

/* Those that were not watched come in as no news, in the middle of what is. */
static void what_happens_while_more_watches_are_allowed_is_told_once(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_FILE_SYSTEM_WATCHES_MAX].number = 3;
    files_make(files_in(f, "a"));
    files_make(files_in(f, "b"));
    files_make(files_in(f, "b/c"));
    files_watch(f, f->dir);
    files_settle(f);
    assert_int_equal(fixture_counter(f, "unwatched"), 1);
    files_make(files_in(f, "a/n"));
    files_touch(files_in(f, "a/n/f"));
    assert_int_equal(rename(files_in(f, "a"), files_in(f, "a2")), 0);
    files_touch(files_in(f, "a2/g"));
    files_make(files_in(f, "m"));
    files_touch(files_in(f, "m/h"));
    assert_int_equal(rename(files_in(f, "m"), files_in(f, "m2")), 0);
    assert_int_equal(unlink(files_in(f, "a2/n/f")), 0);
    assert_int_equal(rmdir(files_in(f, "a2/n")), 0);
    files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
    files_settle(f);
    files_touch(files_in(f, "b/c/i"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "a2/g"), 1);
    files_expect(f, "Created", files_in(f, "m"), 1);
    files_expect(f, "Created", files_in(f, "m2/h"), 1);
    files_expect(f, "Created", files_in(f, "b/c/i"), 1);
    files_expect(f, "Created", files_in(f, "a/n"), 1);
    files_expect(f, "Deleted", files_in(f, "a2/n"), 1);
    assert_int_equal(files_all_hits(f, "Created"), 5);
    assert_int_equal(files_all_hits(f, "Deleted"), 1);
    assert_int_equal(files_all_hits(f, "Moved"), 4);
}

static void more_directories_than_allowed_go_unwatched_and_are_counted(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_FILE_SYSTEM_WATCHES_MAX].number = 64;
    files_watch(f, f->dir);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%u", i);
        files_make(files_in(f, name));
    }
    files_collect(f);
    assert_int_equal(files_all_hits(f, "Created"), 100);
    assert_int_equal(fixture_counter(f, "watched"), 64);
    assert_int_equal(fixture_counter(f, "unwatched"), 37);
    files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
    assert_int_equal(fixture_counter(f, "watched"), 101);
    assert_int_equal(fixture_counter(f, "unwatched"), 0);
    files_touch(files_in(f, "d99/f"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "d99/f"), 1);
    assert_int_equal(files_all_hits(f, NULL), 101);
}

static void a_smaller_bound_ends_watches_and_a_larger_one_brings_them_back(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%u", i);
        files_make(files_in(f, name));
        snprintf(name, sizeof(name), "d%u/e", i);
        files_make(files_in(f, name));
    }
    files_watch(f, f->dir);
    assert_int_equal(fixture_counter(f, "watched"), 201);
    for (unsigned turn = 0; turn < 3; turn++) {
        files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 64);
        assert_int_equal(fixture_counter(f, "watched"), 64);
        assert_true(fixture_counter(f, "unwatched") > 0);
        files_collect(f); /* which tries again */
        assert_int_equal(fixture_counter(f, "watched"), 64);
        files_set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
        assert_int_equal(fixture_counter(f, "watched"), 201);
        assert_int_equal(fixture_counter(f, "unwatched"), 0);
    }
    files_touch(files_in(f, "d99/e/f"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "d99/e/f"), 1);
    assert_int_equal(files_all_hits(f, NULL), 1);
}

/* ---- storms ---- */

static void storm(const struct fixture *f, unsigned files)
{
    for (unsigned i = 0; i < files; i++) {
        char a[PATH_MAX], b[PATH_MAX];
        snprintf(a, sizeof(a), "%s/a%u", f->dir, i);
        snprintf(b, sizeof(b), "%s/b%u", f->dir, i);
        int fd = open(a, O_CREAT | O_WRONLY, 0600);
        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0 || rename(a, b) != 0 ||
            unlink(b) != 0)
            _exit(1);
    }
}

static void of_a_storm_every_event_is_told(void **state)
{
    struct fixture *f = *state;
    enum { FILES = 6000 };
    files_watch(f, f->dir);
    files_settle(f);
    pid_t pid = fork();
    if (pid == 0) {
        storm(f, FILES);
        _exit(0);
    }
    int result;
    while (waitpid(pid, &result, WNOHANG) == 0)
        collectors_run(f->collectors);
    assert_int_equal(result, 0);
    files_collect(f);
    if (fixture_counter(f, "lost.kernel_buffer") > 0) {
        print_message("# skipped: the machine is too loaded for the kernel's queue\n");
        skip();
    }
    assert_int_equal(files_all_hits(f, "Created"), FILES);
    assert_int_equal(files_all_hits(f, "Modified"), FILES);
    assert_int_equal(files_all_hits(f, "Deleted"), FILES);
    assert_int_equal(files_all_hits(f, "Moved"), 2 * FILES);
    assert_int_equal(fixture_counter(f, "seen"), 5 * FILES);
    assert_int_equal(fixture_counter(f, "sent"), 5 * FILES);
}

static void an_overflow_is_counted_and_new_directories_are_found_after_it(void **state)
{
    struct fixture *f = *state;
    files_watch(f, f->dir);
    files_settle(f);
    storm(f, 4000); /* nobody reads meanwhile: more than the queue holds */
    files_make(files_in(f, "new"));
    files_make(files_in(f, "new/sub"));
    files_touch(files_in(f, "new/sub/f"));
    files_settle(f);
    assert_true(fixture_counter(f, "lost.kernel_buffer") >= 1);
    files_touch(files_in(f, "new/sub/g"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "new"), 1);
    files_expect(f, "Created", files_in(f, "new/sub/f"), 1);
    files_expect(f, "Created", files_in(f, "new/sub/g"), 1);
    assert_int_equal(fixture_counter(f, "seen"),
        fixture_counter(f, "sent") + fixture_counter(f, "lost.cache_bound"));
}

static void without_memory_nothing_is_forgotten_and_nothing_breaks(void **state)
{
    struct fixture *f = *state;
    files_make(files_in(f, "w"));
    for (long allocations = 0; allocations < 60; allocations++) {
        char path[64];
        const char *field;
        struct why why = {""};
        struct setting_value *value = &f->settings.values[SETTING_FILE_SYSTEM_PATHS];
        mem_free(value->text);
        value->text = mem_text(span_of(allocations % 2 == 0 ? files_in(f, "w") : f->dir));
        mem_fail_after(allocations % 30);
        enum err err = collectors_apply(f->collectors, &f->settings, &field, &why);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        snprintf(path, sizeof(path), "w/d%ld", allocations);
        files_make(files_in(f, path));
        collectors_run(f->collectors);
        mem_fail_after(-1);
    }
    files_watch(f, f->dir);
    files_settle(f);
    files_touch(files_in(f, "w/f"));
    files_collect(f);
    files_expect(f, "Created", files_in(f, "w/f"), 1);
    assert_int_equal(
        fixture_counter(f, "seen"), fixture_counter(f, "sent") + fixture_counter(f, "lost.memory"));
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3)
        return 2;
    files_schema_dir = argv[1];
    if (argc == 3)
        cmocka_set_test_filter(argv[2]);
    const struct CMUnitTest tests[] = {
        FILES_TEST(a_path_that_appears_later_is_watched),
        FILES_TEST(a_path_that_goes_and_comes_back_is_watched_again),
        FILES_TEST(the_parent_of_a_path_may_be_renamed),
        FILES_TEST(a_link_as_path_is_followed_and_noticed_when_it_changes),
        FILES_TEST(a_file_that_an_editor_replaces_stays_watched),
        FILES_TEST(paths_inside_one_another_are_told_once),
        FILES_TEST(settings_that_change_lose_nothing),
        FILES_TEST(what_is_new_while_settings_change_is_told_with_all_in_it),
        FILES_TEST(what_happens_while_more_watches_are_allowed_is_told_once),
        FILES_TEST(more_directories_than_allowed_go_unwatched_and_are_counted),
        FILES_TEST(a_smaller_bound_ends_watches_and_a_larger_one_brings_them_back),
        FILES_TEST(what_waits_is_taken_in_before_a_watch_ends),
        FILES_TEST(of_a_storm_every_event_is_told),
        FILES_TEST(an_overflow_is_counted_and_new_directories_are_found_after_it),
        FILES_TEST(without_memory_nothing_is_forgotten_and_nothing_breaks),
        FILES_TEST(what_is_mounted_below_a_path_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
