/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

static void the_manual_page_is_what_the_tables_say(void **state UNUSED)
{
    struct buf want = BUF_EMPTY;
    struct buf got = BUF_EMPTY;
    help_write_manual(&want);
    FILE *page = fopen(MANUAL_PAGE, "re");
    assert_non_null(page);
    for (int c = fgetc(page); c != EOF; c = fgetc(page))
        buf_add_byte(&got, (char)c);
    fclose(page);
    if (!span_eq(buf_span(&want), buf_span(&got)))
        fail_msg("packaging/man/gemel.1 is old: gemel manual > packaging/man/gemel.1");
    buf_done(&want);
    buf_done(&got);
}

static void the_help_of_all_names_every_command(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    help_write(NULL, &out);
    for (size_t i = 0; i < command_count; i++)
        if (command_rows[i].run != NULL)
            assert_non_null(strstr(out.ptr, command_rows[i].path));
    buf_done(&out);
}

static bool is_called(const struct option_row *row, const char *name)
{
    return strcmp(row->name, name) == 0 || (row->alias != NULL && strcmp(row->alias, name) == 0);
}

static void the_help_of_a_command_names_its_options_alone(void **state UNUSED)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *row = &command_rows[i];
        struct buf out = BUF_EMPTY;
        if (row->run == NULL)
            continue;
        help_write(row, &out);
        for (unsigned j = 0; j < OPTION_COUNT; j++) {
            bool takes = false;
            for (unsigned k = 0; k < OPTION_COUNT; k++)
                takes = takes || ((command_takes(row, k) || k >= OPTION_FIRST_GLOBAL) &&
                                     is_called(&option_rows[k], option_rows[j].name));
            char name[64];
            snprintf(name, sizeof(name), "%s%s", option_rows[j].name,
                option_rows[j].value != NULL && option_rows[j].alias == NULL ? " " : "");
            char line_begin[80];
            snprintf(line_begin, sizeof(line_begin), "  %s", name);
            char behind_letter[80];
            snprintf(behind_letter, sizeof(behind_letter), ", %s", name);
            bool named =
                strstr(out.ptr, line_begin) != NULL || strstr(out.ptr, behind_letter) != NULL;
            if (takes != named)
                fail_msg("%s: %s", row->path, option_rows[j].name);
        }
        buf_done(&out);
    }
}

static void no_line_of_help_is_too_wide(void **state UNUSED)
{
    for (size_t i = 0; i <= command_count; i++) {
        struct buf out = BUF_EMPTY;
        struct span line;
        help_write(i == command_count ? NULL : &command_rows[i], &out);
        struct span rest = buf_span(&out);
        while (span_cut(&rest, '\n', &line))
            if (line.len > 100 && !span_starts(line, SPAN_LIT("  gemel ")))
                fail_msg("%.*s", SPAN_ARG(line));
        buf_done(&out);
    }
}

static void completion_knows_every_command_and_option(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    help_write_bash(&out);
    for (size_t i = 0; i < command_count; i++) {
        char label[PATH_MAX_BYTES + 8];
        snprintf(label, sizeof(label), "'%s')", command_rows[i].path);
        assert_non_null(strstr(out.ptr, label));
    }
    for (unsigned j = 0; j < OPTION_COUNT; j++)
        assert_non_null(strstr(out.ptr, option_rows[j].name));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_page_is_what_the_tables_say),
        cmocka_unit_test(the_help_of_all_names_every_command),
        cmocka_unit_test(the_help_of_a_command_names_its_options_alone),
        cmocka_unit_test(no_line_of_help_is_too_wide),
        cmocka_unit_test(completion_knows_every_command_and_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
