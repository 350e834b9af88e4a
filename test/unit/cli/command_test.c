/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#define WORDS_MAX (REPEATED_MAX + 8)

/* Words are separated by single blanks; "~" stands for an empty word. */
static enum err parse(const char *line, struct arguments *ret_arguments, struct why *why)
{
    static char text[16 * WORDS_MAX];
    char *words[WORDS_MAX];
    int count = 0;
    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        must(count < WORDS_MAX);
        words[count++] = strcmp(word, "~") == 0 ? word + 1 : word;
    }
    return arguments_parse(count, words, ret_arguments, why);
}

static void options_are_taken_in_every_way_they_are_written(void **state UNUSED)
{
    const char *const lines[] = {
        "module-twin show -d d1 -m m1 --output table",
        "module-twin show --device-id d1 --module-id m1 -o table",
        "module-twin show --device-id=d1 --module-id=m1 --output=table",
        "-o table module-twin -d d1 show -m m1",
        "module-twin show -dd1 -mm1 -otable",
        "--output table -d d1 -m m1 -- module-twin show",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct arguments a;
        struct why why = {""};
        if (parse(lines[i], &a, &why) != ERR_NONE)
            fail_msg("%s: %s", lines[i], why.text);
        assert_string_equal(a.command->path, "module-twin show");
        assert_string_equal(a.values[OPTION_DEVICE_ID], "d1");
        assert_string_equal(a.values[OPTION_MODULE_ID], "m1");
        assert_string_equal(a.values[OPTION_OUTPUT], "table");
    }
}

static void a_value_may_look_like_an_option_where_it_is_attached(void **state UNUSED)
{
    struct arguments a;
    assert_int_equal(parse("device-twin show --device-id=--x", &a, NULL), ERR_NONE);
    assert_string_equal(a.values[OPTION_DEVICE_ID], "--x");
    assert_int_equal(parse("device-twin show -d -x", &a, NULL), ERR_NONE);
    assert_string_equal(a.values[OPTION_DEVICE_ID], "-x");
    assert_int_equal(parse("device-twin update -d x --desired -", &a, NULL), ERR_NONE);
    assert_string_equal(a.values[OPTION_DESIRED], "-");
}

static void az_short_forms_are_known(void **state UNUSED)
{
    struct arguments a;
    assert_int_equal(
        parse("device-identity create -d x --am x509_thumbprint --ptp AA --sta enabled", &a, NULL),
        ERR_NONE);
    assert_string_equal(a.values[OPTION_AUTH_METHOD], "x509_thumbprint");
    assert_string_equal(a.values[OPTION_PRIMARY_THUMBPRINT], "AA");
    assert_string_equal(a.values[OPTION_STATUS], "enabled");
}

static void a_host_name_may_be_given_several_times(void **state UNUSED)
{
    struct arguments a;
    assert_int_equal(parse("hub create -n h --host-name a --host-name b", &a, NULL), ERR_NONE);
    assert_int_equal(a.repeated_count, 2);
    assert_string_equal(a.repeated[0], "a");
    assert_string_equal(a.repeated[1], "b");
}

static void wrong_usage_is_told_precisely(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *part;
        const char *command; /* whose help is to be offered; NULL: of all */
    } rows[] = {
        {"", "no command is given", NULL},
        {"device-twin", "\"device-twin\" is a group of commands", "device-twin"},
        {"device-twins show", "there is no command \"device-twins\"", NULL},
        {"device-twin frobnicate -d x", "there is no command \"device-twin frobnicate\"",
            "device-twin"},
        {"device-twin show extra -d x", "\"extra\" has no place behind \"device-twin show\"",
            "device-twin show"},
        {"device-twin show", "needs --device-id", "device-twin show"},
        {"module-twin show -d x", "needs --module-id", "module-twin show"},
        {"device-twin show -d x -m y", "takes no --module-id", "device-twin show"},
        {"device-twin show -d x --desired {}", "takes no --desired", "device-twin show"},
        {"device-twin show -d", "--device-id needs a value: ID", "device-twin show"},
        {"device-twin show -d --output json", "--device-id needs a value", "device-twin show"},
        {"device-twin show -d ~", "--device-id is empty", "device-twin show"},
        {"device-twin show -d x -d y", "--device-id is given twice", "device-twin show"},
        {"device-twin show -d x --output xml", "allowed are: json table", "device-twin show"},
        {"device-twin show -x", "there is no option -x", "device-twin show"},
        {"device-twin show --device x", "there is no option --device", "device-twin show"},
        {"device-twin show --help=yes", "--help takes no value", "device-twin show"},
        {"device-identity create -d x --status off", "allowed are: enabled disabled",
            "device-identity create"},
        {"module-twin undo -d x -m y", "there is no command", "module-twin"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arguments a;
        struct why why = {""};
        assert_int_equal(parse(rows[i].line, &a, &why), ERR_ARGUMENT);
        if (strstr(why.text, rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].line, why.text);
        if (rows[i].command == NULL)
            assert_null(a.command);
        else
            assert_string_equal(a.command->path, rows[i].command);
    }
}

static void help_is_given_for_what_was_named(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *command;
    } rows[] = {
        {"help", NULL},
        {"--help", NULL},
        {"-h", NULL},
        {"help device-twin", "device-twin"},
        {"device-twin --help", "device-twin"},
        {"help device-twin show", "device-twin show"},
        {"device-twin show --help", "device-twin show"},
        {"device-twin show -d x -h", "device-twin show"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arguments a;
        assert_int_equal(parse(rows[i].line, &a, NULL), ERR_NONE);
        assert_true(has_option(&a, OPTION_HELP));
        if (rows[i].command == NULL)
            assert_null(a.command);
        else
            assert_string_equal(a.command->path, rows[i].command);
    }
}

static void too_many_or_too_long_words_are_refused(void **state UNUSED)
{
    char long_word[300];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    struct arguments a;
    struct why why = {""};
    assert_int_equal(parse(long_word, &a, &why), ERR_ARGUMENT);
    char line[16 * (REPEATED_MAX + 2)] = "hub create -n h";
    for (int i = 0; i <= REPEATED_MAX; i++)
        strcat(line, " --host-name=h");
    assert_int_equal(parse(line, &a, &why), ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "more than 100"));
}

/* What the tables must keep to, so that parsing and help work for a new row too. */
static void every_row_of_the_tables_is_whole(void **state UNUSED)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        const char *blank = strrchr(row->path, ' ');
        size_t parent_len = blank == NULL ? 0 : (size_t)(blank - row->path);
        if (parent_len > 0)
            assert_non_null(command_find((struct span){row->path, parent_len}));
        assert_ptr_equal(command_find(span_of(row->path)), row);
        assert_true(strlen(row->path) < PATH_MAX_BYTES);
        assert_true(row->run == NULL || row->example != NULL);
        assert_true(row->run == NULL || strstr(row->example, row->path) != NULL);
    }
    for (size_t i = 0; i < OPTION_COUNT; i++)
        assert_int_equal(strncmp(option_rows[i].name, "--", 2), 0);
}

static bool is_taken(const struct command *command, unsigned option)
{
    return option >= OPTION_FIRST_GLOBAL || command_takes(command, option);
}

static bool have_a_name_in_common(const struct option_row *a, const struct option_row *b)
{
    const char *const of_a[] = {a->name, a->alias};
    const char *const of_b[] = {b->name, b->alias};
    bool common = a->letter != 0 && a->letter == b->letter;
    for (size_t i = 0; i < 4; i++) {
        const char *one = of_a[i / 2];
        const char *other = of_b[i % 2];
        common = common || (one != NULL && other != NULL && strcmp(one, other) == 0);
    }
    return common;
}

static void no_command_takes_two_options_of_one_name(void **state UNUSED)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        unsigned several = 0;
        for (unsigned a = 0; a < OPTION_COUNT; a++) {
            const char *value = option_rows[a].value;
            if (!is_taken(row, a))
                continue;
            several += value != NULL && strstr(value, "...") != NULL;
            for (unsigned b = 0; b < a; b++)
                if (is_taken(row, b) && have_a_name_in_common(&option_rows[a], &option_rows[b]))
                    fail_msg("%s: %s and %s", row->path, option_rows[a].name, option_rows[b].name);
        }
        assert_in_range(several, 0, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_taken_in_every_way_they_are_written),
        cmocka_unit_test(a_value_may_look_like_an_option_where_it_is_attached),
        cmocka_unit_test(az_short_forms_are_known),
        cmocka_unit_test(a_host_name_may_be_given_several_times),
        cmocka_unit_test(wrong_usage_is_told_precisely),
        cmocka_unit_test(help_is_given_for_what_was_named),
        cmocka_unit_test(too_many_or_too_long_words_are_refused),
        cmocka_unit_test(every_row_of_the_tables_is_whole),
        cmocka_unit_test(no_command_takes_two_options_of_one_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
