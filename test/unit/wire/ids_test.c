/* SPDX-License-Identifier: Apache-2.0 */
#include "ids.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void every_allowed_character_may_stand_in_an_id(void **state UNUSED)
{
    const struct span id = S("azAZ09-:.+%_#*?!(),=@;$'");
    assert_int_equal(ids_check_device(id, NULL), ERR_NONE);
    assert_int_equal(ids_check_module(id, NULL), ERR_NONE);
    assert_int_equal(ids_check_module(S("$edgeAgent"), NULL), ERR_NONE);
}

static void no_other_character_may(void **state UNUSED)
{
    const char *allowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:.+%_#*?!(),=@;$'";
    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c, 'b'};
        bool good = c != 0 && strchr(allowed, c) != NULL;
        assert_int_equal(ids_check_device((struct span){text, sizeof(text)}, NULL),
            good ? ERR_NONE : ERR_ARGUMENT);
    }
}

static void an_id_has_1_to_128_characters(void **state UNUSED)
{
    char text[130];
    memset(text, 'x', sizeof(text));
    const struct {
        size_t len;
        enum err err;
    } rows[] = {{0, ERR_ARGUMENT}, {1, ERR_NONE}, {128, ERR_NONE}, {129, ERR_ARGUMENT}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct span id = {text, rows[i].len};
        assert_int_equal(ids_check_device(id, NULL), rows[i].err);
        assert_int_equal(ids_check_module(id, NULL), rows[i].err);
    }
}

static void the_sentence_names_the_character_and_its_place(void **state UNUSED)
{
    const struct {
        struct span id;
        const char *part;
    } rows[] = {
        {S("invalid/name"), "device id has '/' at character 8"},
        {S("a b"), "' ' at character 2"},
        {S("\n"), "byte 0x0A at character 1"},
        {S("g\xC3\xBC"), "byte 0xC3 at character 2"},
        {S(""), "device id is empty"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct why why = {""};
        assert_int_equal(ids_check_device(rows[i].id, &why), ERR_ARGUMENT);
        assert_non_null(strstr(why.text, rows[i].part));
        assert_null(strchr(why.text, ';')); /* the Node SDK would cut there */
    }
}

static void a_hub_name_is_letters_digits_and_inner_hyphens(void **state UNUSED)
{
    const struct {
        struct span name;
        enum err err;
    } rows[] = {
        {S("h"), ERR_NONE},
        {S("Plant-7"), ERR_NONE},
        {S("a--b"), ERR_NONE},
        {S(""), ERR_ARGUMENT},
        {S("-a"), ERR_ARGUMENT},
        {S("a-"), ERR_ARGUMENT},
        {S("-"), ERR_ARGUMENT},
        {S("a.b"), ERR_ARGUMENT},
        {S("a_b"), ERR_ARGUMENT},
        {S("0123456789012345678901234567890123456789012345678"), ERR_NONE},
        {S("01234567890123456789012345678901234567890123456789"), ERR_NONE},
        {S("012345678901234567890123456789012345678901234567890"), ERR_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(ids_check_hub(rows[i].name, NULL), rows[i].err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allowed_character_may_stand_in_an_id),
        cmocka_unit_test(no_other_character_may),
        cmocka_unit_test(an_id_has_1_to_128_characters),
        cmocka_unit_test(the_sentence_names_the_character_and_its_place),
        cmocka_unit_test(a_hub_name_is_letters_digits_and_inner_hyphens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
