/* SPDX-License-Identifier: Apache-2.0 */
#include "files_place.h"

#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

const char *files_schema_dir;

int files_setup(void **state)
{
    struct fixture *f = fixture_new(&file_system_collector);
    harness_real_clock(&f->harness);
    f->settings.values[SETTING_FILE_SYSTEM_CACHE_SIZE].number = 65536;
    fixture_make_directory(f, "files");
    fixture_open(f);
    *state = f;
    return 0;
}

int files_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

const char *files_in(const struct fixture *f, const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned at;
    char *path = paths[at++ % 8];
    snprintf(path, PATH_MAX, "%s%s%s", f->dir, name[0] == '\0' ? "" : "/", name);
    return path;
}

void files_watch(struct fixture *f, const char *paths)
{
    fixture_set_text(f, SETTING_FILE_SYSTEM_PATHS, paths);
    fixture_apply(f);
}

void files_set(struct fixture *f, enum setting_id id, int64_t number)
{
    f->settings.values[id].number = number;
    fixture_apply(f);
}

/* Runs until nothing comes any more, and nothing is left to do. */
void files_settle(struct fixture *f)
{
    unsigned calm = 0;
    while (calm < 3) {
        int fds[COLLECTORS_DESCRIPTORS_MAX];
        size_t count = collectors_descriptors(f->collectors, fds);
        struct pollfd polls[COLLECTORS_DESCRIPTORS_MAX];
        for (size_t i = 0; i < count; i++)
            polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        bool busy = poll(polls, count, 5) > 0;
        collectors_woken(f->collectors, polls, count);
        int64_t next_us = collectors_run(f->collectors);
        calm = busy || next_us <= clock_mono_us(f->harness.options.clock) ? 0 : calm + 1;
    }
}

void files_collect(struct fixture *f)
{
    files_settle(f);
    collectors_flush(f->collectors);
    fixture_check_schema(f, files_schema_dir, 2); /* of a storm, not all */
}

/* How often that was told of a path so far; `mask` is "Moved FROM" or "Moved TO" for moves. */
int64_t files_hits(const struct fixture *f, const char *mask, const char *path)
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

int64_t files_all_hits(const struct fixture *f, const char *mask)
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

void files_expect(const struct fixture *f, const char *mask, const char *path, int64_t wanted)
{
    int64_t got = files_hits(f, mask, path);
    if (got != wanted)
        fail_msg("%s %s: %lld, not %lld", mask, path, (long long)got, (long long)wanted);
}

void files_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

void files_make(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

void files_touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}
