/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct heard {
    unsigned count;
    enum log_level level;
    char part[32];
    char sentence[2048];
};

static void listen(void *self, enum log_level level, const char *part, const char *sentence)
{
    struct heard *heard = self;
    heard->count++;
    heard->level = level;
    snprintf(heard->part, sizeof(heard->part), "%s", part);
    snprintf(heard->sentence, sizeof(heard->sentence), "%s", sentence);
}

static void only_what_the_level_allows_is_written(void **state UNUSED)
{
    struct heard heard = {0};
    log_set_writer(listen, &heard);
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        heard.count = 0;
        log_set_level((enum log_level)level);
        log_error("part", "1");
        log_warn("part", "2");
        log_info("part", "3");
        log_debug("part", "4");
        assert_int_equal(heard.count, level + 1);
    }
}

static void an_entry_carries_level_part_and_sentence(void **state UNUSED)
{
    struct heard heard = {0};
    log_set_writer(listen, &heard);
    log_set_level(LOG_LEVEL_INFO);
    log_warn("outbox", "%d of %s", 3, "many");
    assert_int_equal(heard.level, LOG_LEVEL_WARN);
    assert_string_equal(heard.part, "outbox");
    assert_string_equal(heard.sentence, "3 of many");
}

static void a_peers_text_cannot_forge_a_second_line(void **state UNUSED)
{
    struct heard heard = {0};
    log_set_writer(listen, &heard);
    log_info("gateway", "id '%s'", "x\nERROR gateway: forged\r\x1B[31m");
    assert_string_equal(heard.sentence, "id 'x ERROR gateway: forged  [31m'");
}

/* Logs a warning with standard error as the file, and gives what was written. */
static const char *written_to(FILE *file, const char *stream)
{
    static char text[64];
    struct stat stat;
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    rewind(file);
    assert_int_equal(fstat(fileno(file), &stat), 0);
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    log_use_journal(stream, stat.st_dev, stat.st_ino);
    log_warn("part", "sentence");
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    return text;
}

static void to_the_journal_an_entry_bears_its_priority(void **state UNUSED)
{
    char stream[64];
    struct stat stat;
    FILE *journal = tmpfile();
    FILE *other = tmpfile();
    assert_int_equal(fstat(fileno(journal), &stat), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)stat.st_dev, (uintmax_t)stat.st_ino);
    log_set_writer(NULL, NULL);
    assert_string_equal(written_to(journal, stream), "<4>warn part: sentence\n");
    assert_string_equal(written_to(other, stream), "warn part: sentence\n");
    assert_string_equal(written_to(other, NULL), "warn part: sentence\n");
    fclose(journal);
    fclose(other);
}

static void a_long_entry_is_cut_with_dots(void **state UNUSED)
{
    struct heard heard = {0};
    char text[4000];
    memset(text, 'x', sizeof(text));
    log_set_writer(listen, &heard);
    log_info("part", "%.*s", (int)sizeof(text), text);
    size_t len = strlen(heard.sentence);
    assert_true(len > 500 && len < sizeof(text));
    assert_string_equal(heard.sentence + len - 3, "...");
}

static struct log_entry last_entry;
static unsigned entries;

static void overhear(const struct log_entry *entry)
{
    last_entry = *entry;
    entries++;
}

static void a_listener_hears_at_its_own_level_and_from_where(void **state UNUSED)
{
    struct heard heard = {0};
    log_set_writer(listen, &heard);
    log_set_level(LOG_LEVEL_ERROR);
    log_set_listener(overhear, LOG_LEVEL_INFO);
    log_debug("part", "1");
    assert_int_equal(entries, 0);
    log_warn("part", "2");
    const unsigned line = __LINE__ - 1;
    assert_int_equal(entries, 1);
    assert_int_equal(heard.count, 0);
    assert_int_equal(last_entry.level, LOG_LEVEL_WARN);
    assert_string_equal(last_entry.part, "part");
    assert_string_equal(last_entry.filename, "log_test.c");
    assert_int_equal(last_entry.line, line);
    log_set_listener(overhear, LOG_LEVEL_ERROR);
    log_warn("part", "3");
    assert_int_equal(entries, 1);
    log_error("part", "4");
    assert_int_equal(entries, 2);
    assert_int_equal(heard.count, 1);
    log_set_listener(NULL, LOG_LEVEL_ERROR);
    log_error("part", "5");
    assert_int_equal(entries, 2);
    assert_int_equal(heard.count, 2);
}

static void names_of_levels_are_read_and_written(void **state UNUSED)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        enum log_level level;
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    enum log_level level = LOG_LEVEL_WARN;
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_LEVEL_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_level_allows_is_written),
        cmocka_unit_test(an_entry_carries_level_part_and_sentence),
        cmocka_unit_test(a_peers_text_cannot_forge_a_second_line),
        cmocka_unit_test(to_the_journal_an_entry_bears_its_priority),
        cmocka_unit_test(a_long_entry_is_cut_with_dots),
        cmocka_unit_test(a_listener_hears_at_its_own_level_and_from_where),
        cmocka_unit_test(names_of_levels_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
