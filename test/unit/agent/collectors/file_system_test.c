/* SPDX-License-Identifier: Apache-2.0 */
/* The FileSystem collector on the real inotify, before directories that other processes fill. */
#include "harness.h"
#include "schema_check.h"

#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *schema_dir;

static const struct collector *const table[] = {&file_system_collector};

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char dir[64];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    harness_real_clock(&f->harness);
    settings_init(&f->settings);
    f->settings.values[SETTING_FILE_SYSTEM_CACHE_SIZE].number = 65536;
    snprintf(f->dir, sizeof(f->dir), "/tmp/gemel-files-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    *state = f;
    return 0;
}

static int remove_one(
    const char *path, const struct stat *stat UNUSED, int kind UNUSED, struct FTW *at UNUSED)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    test_free(f);
    return 0;
}

static const char *in(const struct fixture *f, const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned at;
    char *path = paths[at++ % 8];
    snprintf(path, PATH_MAX, "%s%s%s", f->dir, name[0] == '\0' ? "" : "/", name);
    return path;
}

static void apply(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    if (collectors_apply(f->collectors, &f->settings, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

static void watch(struct fixture *f, const char *paths)
{
    struct setting_value *value = &f->settings.values[SETTING_FILE_SYSTEM_PATHS];
    mem_free(value->text);
    value->text = mem_text(span_of(paths));
    apply(f);
}

static void set(struct fixture *f, enum setting_id id, int64_t number)
{
    f->settings.values[id].number = number;
    apply(f);
}

static int64_t counter(struct fixture *f, const char *name)
{
    return harness_counter(&f->harness, f->collectors, "FileSystem", name);
}

/* Runs until nothing comes any more. */
static void settle(struct fixture *f)
{
    unsigned calm = 0;
    while (calm < 3) {
        int fds[COLLECTORS_DESCRIPTORS_MAX];
        size_t count = collectors_descriptors(f->collectors, fds);
        struct pollfd polls[COLLECTORS_DESCRIPTORS_MAX];
        for (size_t i = 0; i < count; i++)
            polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        calm = poll(polls, count, 5) > 0 ? 0 : calm + 1;
        collectors_run(f->collectors);
    }
}

static void collect(struct fixture *f)
{
    settle(f);
    collectors_flush(f->collectors);
    struct why why = {""};
    for (size_t i = 0; i < f->harness.count && i < 2; i++) /* of a storm, not all */
        if (!schema_check(schema_dir, "message.schema.json", f->harness.messages[i], &why))
            fail_msg("%s", why.text);
}

/* How often that was told of a path so far; `mask` is "Moved FROM" or "Moved TO" for moves. */
static int64_t hits(const struct fixture *f, const char *mask, const char *path)
{
    int64_t sum = 0;
    for (size_t m = 0; m < f->harness.count; m++)
        json_each (event, json_find_text(f->harness.messages[m], "events")) {
            const struct json *payload = json_find_text(event, "payload");
            char word[64];
            struct span direction = json_string_of(payload, "direction");
            snprintf(word, sizeof(word), "%.*s%s%.*s", SPAN_ARG(json_string_of(payload, "mask")),
                direction.len == 0 ? "" : " ", SPAN_ARG(direction));
            if (strcmp(word, mask) == 0 && span_is(json_string_of(payload, "path"), path))
                sum += harness_number(payload, "hit_count");
        }
    return sum;
}

static int64_t all_hits(const struct fixture *f, const char *mask)
{
    int64_t sum = 0;
    for (size_t m = 0; m < f->harness.count; m++)
        json_each (event, json_find_text(f->harness.messages[m], "events")) {
            const struct json *payload = json_find_text(event, "payload");
            if (mask == NULL || span_is(json_string_of(payload, "mask"), mask))
                sum += harness_number(payload, "hit_count");
        }
    return sum;
}

static void expect(const struct fixture *f, const char *mask, const char *path, int64_t wanted)
{
    int64_t got = hits(f, mask, path);
    if (got != wanted)
        fail_msg("%s %s: %lld, not %lld", mask, path, (long long)got, (long long)wanted);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void make(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- what is told ---- */

static void each_thing_that_happens_to_a_file_is_told(void **state)
{
    struct fixture *f = *state;
    touch(in(f, "old"));
    watch(f, f->dir);
    settle(f);
    write_file(in(f, "a"), "x");
    assert_int_equal(chmod(in(f, "a"), 0640), 0);
    assert_int_equal(rename(in(f, "a"), in(f, "b")), 0);
    assert_int_equal(unlink(in(f, "b")), 0);
    collect(f);
    expect(f, "Created", in(f, "a"), 1);
    expect(f, "Modified", in(f, "a"), 1);
    expect(f, "Metadata changed", in(f, "a"), 1);
    expect(f, "Moved FROM", in(f, "a"), 1);
    expect(f, "Moved TO", in(f, "b"), 1);
    expect(f, "Deleted", in(f, "b"), 1);
    assert_int_equal(all_hits(f, NULL), 6); /* nothing of what was there before */
    for (size_t i = 0; i < harness_events(&f->harness, NULL); i++) {
        const struct json *payload = harness_payload(&f->harness, "FileSystem", i);
        if (span_is(json_string_of(payload, "direction"), "TO"))
            assert_true(span_is(json_string_of(payload, "moved_from"), in(f, "a")));
    }
}

static void the_same_again_is_counted_and_the_oldest_gives_way(void **state)
{
    struct fixture *f = *state;
    set(f, SETTING_FILE_SYSTEM_CACHE_SIZE, 4);
    watch(f, f->dir);
    for (unsigned i = 0; i < 50; i++) {
        touch(in(f, "a"));
        assert_int_equal(unlink(in(f, "a")), 0);
    }
    collect(f);
    expect(f, "Created", in(f, "a"), 50);
    expect(f, "Deleted", in(f, "a"), 50);
    for (unsigned i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%u", i);
        touch(in(f, name));
    }
    collect(f);
    assert_int_equal(counter(f, "seen"), 110);
    assert_int_equal(counter(f, "sent"), 104);
    assert_int_equal(counter(f, "lost.cache_bound"), 6);
    expect(f, "Created", in(f, "f9"), 1);
    expect(f, "Created", in(f, "f5"), 0);
}

static void names_of_any_bytes_are_told(void **state)
{
    struct fixture *f = *state;
    char longest[NAME_MAX + 1];
    watch(f, f->dir);
    memset(longest, 'n', NAME_MAX);
    longest[NAME_MAX] = '\0';
    touch(in(f, "line\nend"));
    touch(in(f, "bad\xff"));
    touch(in(f, "\"quoted\""));
    touch(in(f, longest));
    collect(f);
    expect(f, "Created", in(f, "line\nend"), 1);
    expect(f, "Created", in(f, "bad\xef\xbf\xbd"), 1);
    expect(f, "Created", in(f, "\"quoted\""), 1);
    expect(f, "Created", in(f, longest), 1);
}

/* ---- directories ---- */

static void what_is_made_in_new_directories_at_once_is_not_missed(void **state)
{
    struct fixture *f = *state;
    watch(f, f->dir);
    settle(f);
    for (unsigned i = 0; i < 100; i++) { /* all before the collector looks */
        char name[64];
        snprintf(name, sizeof(name), "d%u", i);
        make(in(f, name));
        snprintf(name, sizeof(name), "d%u/a", i);
        make(in(f, name));
        snprintf(name, sizeof(name), "d%u/a/f", i);
        touch(in(f, name));
    }
    settle(f);
    touch(in(f, "d7/a/later"));
    collect(f);
    expect(f, "Created", in(f, "d7/a/later"), 1);
    expect(f, "Created", in(f, "d99/a"), 1);
    expect(f, "Created", in(f, "d99/a/f"), 1);
    assert_int_equal(all_hits(f, "Created"), 301);
    assert_int_equal(counter(f, "watched"), 201);
}

/* Trees that others make while the collector looks: every creation once, no more. */
static void directories_that_race_are_told_once_each(void **state)
{
    struct fixture *f = *state;
    enum { CHILDREN = 3, TREES = 30, FILES = 5 };
    watch(f, f->dir);
    settle(f);
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
    collect(f);
    assert_int_equal(counter(f, "lost.kernel_buffer"), 0);
    int64_t made = CHILDREN * TREES * (1 + 3 * (FILES + 1));
    assert_int_equal(all_hits(f, "Created"), made);
    assert_int_equal(harness_events(&f->harness, "FileSystem"), made); /* each once */
    assert_int_equal(counter(f, "watched"), 1 + CHILDREN * TREES * 4);
}

static void a_renamed_directory_keeps_telling_with_its_new_path(void **state)
{
    struct fixture *f = *state;
    make(in(f, "a"));
    make(in(f, "a/b"));
    watch(f, f->dir);
    settle(f);
    assert_int_equal(rename(in(f, "a"), in(f, "c")), 0);
    touch(in(f, "c/b/f"));
    make(in(f, "a"));
    touch(in(f, "a/g"));
    settle(f);
    assert_int_equal(rename(in(f, "c"), in(f, "a/d")), 0);
    touch(in(f, "a/d/b/h"));
    collect(f);
    expect(f, "Moved FROM", in(f, "a"), 1);
    expect(f, "Moved TO", in(f, "c"), 1);
    expect(f, "Moved TO", in(f, "a/d"), 1);
    expect(f, "Created", in(f, "a/g"), 1);
    expect(f, "Created", in(f, "a/d/b/h"), 1);
    assert_int_equal(hits(f, "Created", in(f, "c/b/f")) + hits(f, "Created", in(f, "a/d/b/f")), 1);
    assert_int_equal(all_hits(f, "Created"), 4);
    assert_int_equal(counter(f, "watched"), 4);
}

static void a_directory_moved_out_is_left_and_one_moved_in_is_watched(void **state)
{
    struct fixture *f = *state;
    make(in(f, "w"));
    make(in(f, "w/a"));
    make(in(f, "out"));
    make(in(f, "out/b"));
    touch(in(f, "out/b/old"));
    watch(f, in(f, "w"));
    settle(f);
    assert_int_equal(rename(in(f, "w/a"), in(f, "out/a")), 0);
    assert_int_equal(rename(in(f, "out/b"), in(f, "w/b")), 0);
    settle(f);
    while (counter(f, "watched") != 2)
        collectors_run(f->collectors);
    touch(in(f, "out/a/unseen"));
    touch(in(f, "w/b/new"));
    collect(f);
    expect(f, "Moved FROM", in(f, "w/a"), 1);
    expect(f, "Moved TO", in(f, "w/b"), 1);
    expect(f, "Created", in(f, "w/b/new"), 1);
    assert_int_equal(all_hits(f, NULL), 3);
}

/* What happens in it at once, before anybody can know that it arrives nowhere, is no news either.
 */
static void what_happens_in_a_directory_that_was_moved_out_is_not_told(void **state)
{
    struct fixture *f = *state;
    make(in(f, "w"));
    make(in(f, "w/a"));
    make(in(f, "w/a/b"));
    make(in(f, "out"));
    watch(f, in(f, "w"));
    settle(f);
    assert_int_equal(rename(in(f, "w/a"), in(f, "out/a")), 0);
    touch(in(f, "out/a/unseen"));
    make(in(f, "out/a/b/unseen"));
    collect(f);
    while (counter(f, "watched") != 1)
        collectors_run(f->collectors);
    collect(f);
    expect(f, "Moved FROM", in(f, "w/a"), 1);
    assert_int_equal(all_hits(f, NULL), 1);
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
    make(in(f, "w"));
    make(in(f, "w/a"));
    watch(f, in(f, "w"));
    settle(f);
    int dir = open(in(f, "w/a"), O_PATH | O_DIRECTORY | O_CLOEXEC);
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
    collect(f);
    assert_int_equal(all_hits(f, "Created"), MOVES);
    assert_int_equal(all_hits(f, "Moved"), 2 * MOVES);
    assert_int_equal(counter(f, "watched"), 2);
}

/* A directory is told of, and gone to another name before it could be entered. */
static void what_is_in_a_directory_that_moves_before_it_is_looked_at_is_told(void **state)
{
    struct fixture *f = *state;
    watch(f, f->dir);
    make(in(f, "m"));
    settle(f);
    make(in(f, "m/x"));
    touch(in(f, "m/x/a"));
    assert_int_equal(rename(in(f, "m"), in(f, "n")), 0);
    make(in(f, "n/x/y"));
    touch(in(f, "n/x/y/c"));
    settle(f);
    touch(in(f, "n/x/y/later"));
    collect(f);
    expect(f, "Created", in(f, "m/x"), 1);
    expect(f, "Created", in(f, "n/x/a"), 1);
    expect(f, "Created", in(f, "n/x/y"), 1);
    expect(f, "Created", in(f, "n/x/y/c"), 1);
    expect(f, "Created", in(f, "n/x/y/later"), 1);
    assert_int_equal(counter(f, "watched"), 4);
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
    collectors_free(f->collectors);
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    watch(f, in(f, "w"));
    make(in(f, "new"));
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        char name[64];
        snprintf(name, sizeof(name), "new/d%u", i);
        make(in(f, name));
        for (unsigned k = 0; k < FILES; k++) {
            snprintf(name, sizeof(name), "new/d%u/f%u", i, k);
            touch(in(f, name));
        }
    }
    assert_int_equal(rename(in(f, "new"), in(f, "w")), 0);
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
    assert_int_equal(counter(f, "watched"), 1 + DIRECTORIES);
    touch(in(f, "w/d39/later"));
    collect(f);
    expect(f, "Created", in(f, "w/d39/later"), 1);
    assert_int_equal(all_hits(f, "Created"), 1); /* what was moved there is no news */
}

static void links_inside_are_not_followed(void **state)
{
    struct fixture *f = *state;
    make(in(f, "w"));
    make(in(f, "else"));
    watch(f, in(f, "w"));
    settle(f);
    assert_int_equal(symlink(in(f, "else"), in(f, "w/link")), 0);
    settle(f);
    touch(in(f, "else/f"));
    collect(f);
    expect(f, "Created", in(f, "w/link"), 1);
    assert_int_equal(all_hits(f, NULL), 1);
    assert_int_equal(counter(f, "watched"), 1);
}

/* ---- the paths of the settings ---- */

static void a_path_that_appears_later_is_watched(void **state)
{
    struct fixture *f = *state;
    watch(f, in(f, "x/y/z"));
    settle(f);
    make(in(f, "x"));
    make(in(f, "x/other"));
    settle(f);
    make(in(f, "x/y"));
    make(in(f, "x/y/z"));
    make(in(f, "x/y/z/sub"));
    touch(in(f, "x/y/z/sub/f"));
    settle(f);
    touch(in(f, "x/y/z/sub/g"));
    collect(f);
    expect(f, "Created", in(f, "x/y/z"), 1);
    expect(f, "Created", in(f, "x/y/z/sub"), 1);
    expect(f, "Created", in(f, "x/y/z/sub/f"), 1);
    expect(f, "Created", in(f, "x/y/z/sub/g"), 1);
    assert_int_equal(all_hits(f, NULL), 4);
}

static void a_path_that_goes_and_comes_back_is_watched_again(void **state)
{
    struct fixture *f = *state;
    make(in(f, "w"));
    watch(f, in(f, "w"));
    settle(f);
    for (int64_t i = 1; i <= 3; i++) {
        touch(in(f, "w/f"));
        assert_int_equal(unlink(in(f, "w/f")), 0);
        assert_int_equal(rmdir(in(f, "w")), 0);
        make(in(f, "w"));
        collect(f);
        expect(f, "Created", in(f, "w/f"), i);
        expect(f, "Deleted", in(f, "w/f"), i);
        expect(f, "Deleted", in(f, "w"), i);
        expect(f, "Created", in(f, "w"), i);
    }
}

static void the_parent_of_a_path_may_be_renamed(void **state)
{
    struct fixture *f = *state;
    make(in(f, "p"));
    make(in(f, "p/w"));
    watch(f, in(f, "p/w"));
    settle(f);
    assert_int_equal(rename(in(f, "p"), in(f, "q")), 0);
    settle(f);
    assert_int_equal(counter(f, "watched"), 0);
    touch(in(f, "q/w/unseen"));
    assert_int_equal(rename(in(f, "q"), in(f, "p")), 0);
    settle(f);
    touch(in(f, "p/w/f"));
    collect(f);
    expect(f, "Created", in(f, "p/w/f"), 1);
    expect(f, "Deleted", in(f, "p/w"), 1);
    expect(f, "Created", in(f, "p/w"), 1);
}

static void a_link_as_path_is_followed_and_noticed_when_it_changes(void **state)
{
    struct fixture *f = *state;
    make(in(f, "one"));
    make(in(f, "two"));
    assert_int_equal(symlink("one", in(f, "link")), 0);
    watch(f, in(f, "link"));
    settle(f);
    touch(in(f, "one/f"));
    settle(f);
    assert_int_equal(symlink("two", in(f, "new")), 0);
    assert_int_equal(rename(in(f, "new"), in(f, "link")), 0);
    settle(f);
    touch(in(f, "one/unseen"));
    touch(in(f, "two/g"));
    collect(f);
    expect(f, "Created", in(f, "link/f"), 1);
    expect(f, "Created", in(f, "link/g"), 1);
    expect(f, "Created", in(f, "link/unseen"), 0);
}

static void a_file_that_an_editor_replaces_stays_watched(void **state)
{
    struct fixture *f = *state;
    touch(in(f, "conf"));
    watch(f, in(f, "conf"));
    settle(f);
    for (int64_t i = 1; i <= 3; i++) {
        touch(in(f, "conf.new"));
        assert_int_equal(rename(in(f, "conf.new"), in(f, "conf")), 0);
        settle(f);
        write_file(in(f, "conf"), "x");
        collect(f);
        expect(f, "Moved TO", in(f, "conf"), i);
        expect(f, "Modified", in(f, "conf"), i);
    }
    assert_int_equal(unlink(in(f, "conf")), 0);
    collect(f);
    expect(f, "Deleted", in(f, "conf"), 1);
    assert_int_equal(all_hits(f, NULL), 7);
}

static void what_is_mounted_below_a_path_is_watched(void **state)
{
    struct fixture *f = *state;
    make(in(f, "w"));
    make(in(f, "w/m"));
    /* The collector's descriptors of its mounts are opened after. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        print_message("# skipped: no mount namespace: %s\n", strerror(errno));
        skip();
    }
    watch(f, in(f, "w"));
    settle(f);
    assert_int_equal(mount("none", in(f, "w/m"), "tmpfs", 0, NULL), 0);
    settle(f);
    touch(in(f, "w/m/f"));
    settle(f);
    assert_int_equal(umount(in(f, "w/m")), 0);
    settle(f);
    while (counter(f, "watched") != 2) /* looks through everything are a second apart */
        collectors_run(f->collectors);
    touch(in(f, "w/m/g"));
    collect(f);
    expect(f, "Created", in(f, "w/m/f"), 1);
    expect(f, "Created", in(f, "w/m/g"), 1);
    assert_int_equal(counter(f, "watched"), 2);
}

/* ---- settings ---- */

static void paths_inside_one_another_are_told_once(void **state)
{
    struct fixture *f = *state;
    char paths[512];
    make(in(f, "w"));
    make(in(f, "w/a"));
    touch(in(f, "w/a/file"));
    for (unsigned recursive = 0; recursive < 2; recursive++) {
        harness_clear(&f->harness);
        watch(f, "");
        set(f, SETTING_FILE_SYSTEM_RECURSIVE, recursive);
        snprintf(paths, sizeof(paths), "%s,%s,%s", in(f, "w/a/file"), in(f, "w/a/"), in(f, "w"));
        watch(f, paths);
        settle(f);
        write_file(in(f, "w/a/file"), "x");
        touch(in(f, "w/a/g"));
        assert_int_equal(unlink(in(f, "w/a/g")), 0);
        make(in(f, "w/b"));
        settle(f);
        assert_int_equal(rmdir(in(f, "w/b")), 0);
        collect(f);
        expect(f, "Modified", in(f, "w/a/file"), 1);
        expect(f, "Created", in(f, "w/a/g"), 1);
        expect(f, "Created", in(f, "w/b"), 1);
        assert_int_equal(all_hits(f, NULL), 5);
    }
}

/* Somebody makes files all the time while the settings change: each is told once. */
static void settings_that_change_lose_nothing(void **state)
{
    struct fixture *f = *state;
    enum { FILES = 2000 };
    char both[1024], inner[256], outer[256];
    make(in(f, "w"));
    make(in(f, "w/a"));
    make(in(f, "v"));
    snprintf(inner, sizeof(inner), "%s", in(f, "w/a"));
    snprintf(outer, sizeof(outer), "%s", in(f, "w"));
    snprintf(both, sizeof(both), "%s,%s,%s", inner, outer, in(f, "v"));
    watch(f, inner);
    settle(f);
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
        watch(f, lists[turn % 4]);
        collectors_run(f->collectors);
    }
    assert_int_equal(result, 0);
    collect(f);
    assert_int_equal(counter(f, "lost.kernel_buffer"), 0);
    assert_int_equal(counter(f, "seen"), FILES);
    assert_int_equal(all_hits(f, "Created"), FILES);
    assert_int_equal(harness_events(&f->harness, "FileSystem"), FILES);
}

/* The look that follows the change comes before the events that waited. */
static void what_is_new_while_settings_change_is_told_with_all_in_it(void **state)
{
    struct fixture *f = *state;
    watch(f, f->dir);
    make(in(f, "d"));
    make(in(f, "d/e"));
    touch(in(f, "d/e/f"));
    set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
    touch(in(f, "d/e/g"));
    collect(f);
    expect(f, "Created", in(f, "d"), 1);
    expect(f, "Created", in(f, "d/e"), 1);
    expect(f, "Created", in(f, "d/e/f"), 1);
    expect(f, "Created", in(f, "d/e/g"), 1);
    assert_int_equal(all_hits(f, NULL), 4);

    make(in(f, "m"));
    make(in(f, "m/e"));
    touch(in(f, "m/e/f"));
    set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1001);
    assert_int_equal(rename(in(f, "m"), in(f, "n")), 0);
    collect(f);
    expect(f, "Created", in(f, "m"), 1);
    expect(f, "Created", in(f, "n/e"), 1);
    expect(f, "Created", in(f, "n/e/f"), 1);
    assert_int_equal(all_hits(f, "Created"), 7);
}

static void more_directories_than_allowed_go_unwatched_and_are_counted(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_FILE_SYSTEM_WATCHES_MAX].number = 64;
    watch(f, f->dir);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%u", i);
        make(in(f, name));
    }
    collect(f);
    assert_int_equal(all_hits(f, "Created"), 100);
    assert_int_equal(counter(f, "watched"), 64);
    assert_int_equal(counter(f, "unwatched"), 37);
    set(f, SETTING_FILE_SYSTEM_WATCHES_MAX, 1000);
    assert_int_equal(counter(f, "watched"), 101);
    assert_int_equal(counter(f, "unwatched"), 0);
    touch(in(f, "d99/f"));
    collect(f);
    expect(f, "Created", in(f, "d99/f"), 1);
    assert_int_equal(all_hits(f, NULL), 101);
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
    watch(f, f->dir);
    settle(f);
    pid_t pid = fork();
    if (pid == 0) {
        storm(f, FILES);
        _exit(0);
    }
    int result;
    while (waitpid(pid, &result, WNOHANG) == 0)
        collectors_run(f->collectors);
    assert_int_equal(result, 0);
    collect(f);
    if (counter(f, "lost.kernel_buffer") > 0) {
        print_message("# skipped: the machine is too loaded for the kernel's queue\n");
        skip();
    }
    assert_int_equal(all_hits(f, "Created"), FILES);
    assert_int_equal(all_hits(f, "Modified"), FILES);
    assert_int_equal(all_hits(f, "Deleted"), FILES);
    assert_int_equal(all_hits(f, "Moved"), 2 * FILES);
    assert_int_equal(counter(f, "seen"), 5 * FILES);
    assert_int_equal(counter(f, "sent"), 5 * FILES);
}

static void an_overflow_is_counted_and_new_directories_are_found_after_it(void **state)
{
    struct fixture *f = *state;
    watch(f, f->dir);
    settle(f);
    storm(f, 4000); /* nobody reads meanwhile: more than the queue holds */
    make(in(f, "new"));
    make(in(f, "new/sub"));
    touch(in(f, "new/sub/f"));
    settle(f);
    assert_true(counter(f, "lost.kernel_buffer") >= 1);
    touch(in(f, "new/sub/g"));
    collect(f);
    expect(f, "Created", in(f, "new"), 1);
    expect(f, "Created", in(f, "new/sub/f"), 1);
    expect(f, "Created", in(f, "new/sub/g"), 1);
    assert_int_equal(counter(f, "seen"), counter(f, "sent") + counter(f, "lost.cache_bound"));
}

static void without_memory_nothing_is_forgotten_and_nothing_breaks(void **state)
{
    struct fixture *f = *state;
    make(in(f, "w"));
    for (long allocations = 0; allocations < 60; allocations++) {
        char path[64];
        const char *field;
        struct why why = {""};
        struct setting_value *value = &f->settings.values[SETTING_FILE_SYSTEM_PATHS];
        mem_free(value->text);
        value->text = mem_text(span_of(allocations % 2 == 0 ? in(f, "w") : f->dir));
        mem_fail_after(allocations % 30);
        enum err err = collectors_apply(f->collectors, &f->settings, &field, &why);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        snprintf(path, sizeof(path), "w/d%ld", allocations);
        make(in(f, path));
        collectors_run(f->collectors);
        mem_fail_after(-1);
    }
    watch(f, f->dir);
    settle(f);
    touch(in(f, "w/f"));
    collect(f);
    expect(f, "Created", in(f, "w/f"), 1);
    assert_int_equal(counter(f, "seen"), counter(f, "sent") + counter(f, "lost.memory"));
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3)
        return 2;
    schema_dir = argv[1];
    if (argc == 3)
        cmocka_set_test_filter(argv[2]);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_thing_that_happens_to_a_file_is_told),
        TEST(the_same_again_is_counted_and_the_oldest_gives_way),
        TEST(names_of_any_bytes_are_told),
        TEST(what_is_made_in_new_directories_at_once_is_not_missed),
        TEST(directories_that_race_are_told_once_each),
        TEST(a_renamed_directory_keeps_telling_with_its_new_path),
        TEST(a_directory_moved_out_is_left_and_one_moved_in_is_watched),
        TEST(what_happens_in_a_directory_that_was_moved_out_is_not_told),
        TEST(what_happens_in_a_directory_while_it_is_moved_is_told),
        TEST(what_is_in_a_directory_that_moves_before_it_is_looked_at_is_told),
        TEST(a_large_directory_is_looked_through_in_many_turns),
        TEST(links_inside_are_not_followed),
        TEST(a_path_that_appears_later_is_watched),
        TEST(a_path_that_goes_and_comes_back_is_watched_again),
        TEST(the_parent_of_a_path_may_be_renamed),
        TEST(a_link_as_path_is_followed_and_noticed_when_it_changes),
        TEST(a_file_that_an_editor_replaces_stays_watched),
        TEST(paths_inside_one_another_are_told_once),
        TEST(settings_that_change_lose_nothing),
        TEST(what_is_new_while_settings_change_is_told_with_all_in_it),
        TEST(more_directories_than_allowed_go_unwatched_and_are_counted),
        TEST(of_a_storm_every_event_is_told),
        TEST(an_overflow_is_counted_and_new_directories_are_found_after_it),
        TEST(without_memory_nothing_is_forgotten_and_nothing_breaks),
        TEST(what_is_mounted_below_a_path_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
