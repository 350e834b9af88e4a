/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of configurations over desired properties: what is put in, covered, and taken out. */
#include "overlay.h"
#include "twin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct arena arena;

static int set_up(void **state UNUSED)
{
    arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    arena_done(&arena);
    return 0;
}

static const struct json *parse(const char *text)
{
    struct json *value;
    assert_int_equal(json_parse(&arena, span_of(text), 0, &value, NULL), ERR_NONE);
    return value;
}

static const char *text_of(const struct json *value)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    if (value == NULL)
        return "";
    json_write(value, &out);
    return arena_text(&arena, buf_span(&out));
}

struct row {
    const char *values;
    const char *owned;
    const char *low; /* NULL: there is none */
    const char *high;
    const char *patch; /* of desired; "": none */
    const char *now_owned;
};

#define D "properties.desired"

static const struct row rows[] = {
    {"{\"own\":1}", "", "{\"" D ".a\":1}", NULL, "{\"a\":1}", "[\"" D ".a\"]"},
    {"{\"a\":1}", "", "{\"" D ".a\":1}", NULL, "", "[\"" D ".a\"]"},
    {"{\"a\":{\"x\":1,\"y\":2}}", "", "{\"" D ".a\":{\"x\":1}}", NULL, "{\"a\":{\"y\":null}}",
        "[\"" D ".a\"]"},
    {"{}", "", "{\"" D ".a.b.c\":1}", NULL, "{\"a\":{\"b\":{\"c\":1}}}", "[\"" D ".a.b.c\"]"},
    {"{\"a\":5}", "", "{\"" D ".a.b\":1}", NULL, "{\"a\":{\"b\":1}}", "[\"" D ".a.b\"]"},
    {"{\"a\":[1]}", "", "{\"" D ".a\":[1,2]}", NULL, "{\"a\":[1,2]}", "[\"" D ".a\"]"},
    {"{\"own\":1}", "", "{\"" D "\":{\"a\":1}}", NULL, "{\"a\":1,\"own\":null}", "[\"" D "\"]"},
    /* what meets */
    {"{}", "", "{\"" D ".a\":1}", "{\"" D ".a\":2}", "{\"a\":2}", "[\"" D ".a\"]"},
    {"{}", "", "{\"" D ".a\":{\"x\":1,\"y\":1}}", "{\"" D ".a.y\":2}", "{\"a\":{\"x\":1,\"y\":2}}",
        "[\"" D ".a\",\"" D ".a.y\"]"},
    {"{}", "", "{\"" D ".a.y\":1}", "{\"" D ".a\":{\"x\":2}}", "{\"a\":{\"x\":2}}",
        "[\"" D ".a.y\",\"" D ".a\"]"},
    {"{}", "", "{\"" D ".ab\":1}", "{\"" D ".a\":2}", "{\"ab\":1,\"a\":2}",
        "[\"" D ".ab\",\"" D ".a\"]"},
    /* what is taken out */
    {"{\"a\":1,\"own\":1}", "[\"" D ".a\"]", NULL, NULL, "{\"a\":null}", ""},
    {"{\"a\":{\"b\":{\"c\":1}}}", "[\"" D ".a.b.c\"]", NULL, NULL, "{\"a\":null}", ""},
    {"{\"a\":{\"b\":1,\"own\":2}}", "[\"" D ".a.b\"]", NULL, NULL, "{\"a\":{\"b\":null}}", ""},
    {"{\"own\":1}", "[\"" D ".a\"]", NULL, NULL, "", ""},
    {"{\"a\":2}", "[\"" D ".a\"]", "{\"" D ".b\":1}", NULL, "{\"b\":1,\"a\":null}",
        "[\"" D ".b\"]"},
    {"{\"a\":1}", "[\"" D "\"]", NULL, NULL, "{\"a\":null}", ""},
};

static size_t layers_of(const struct row *row, struct overlay_layer layers[2])
{
    size_t count = 0;
    if (row->low != NULL)
        layers[count++] = (struct overlay_layer){.content = parse(row->low)};
    if (row->high != NULL)
        layers[count++] = (struct overlay_layer){.content = parse(row->high)};
    return count;
}

static const struct json *desired_of(const struct overlay *overlay)
{
    return json_find_text(json_find_text(overlay->patch, "properties"), "desired");
}

static void contents_are_laid_over_and_taken_out(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct overlay_layer layers[2];
        struct overlay overlay;
        size_t count = layers_of(&rows[i], layers);
        assert_int_equal(overlay_apply(&arena, span_of(rows[i].values), span_of(rows[i].owned),
                             layers, count, &overlay),
            ERR_NONE);
        assert_string_equal(text_of(desired_of(&overlay)), rows[i].patch);
        assert_true(span_is(overlay.owned, rows[i].now_owned));
    }
}

static void what_was_laid_asks_for_nothing_more(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct overlay_layer layers[2];
        struct overlay overlay;
        struct twin_doc twin;
        struct twin_change change;
        size_t count = layers_of(&rows[i], layers);
        assert_int_equal(twin_new(&arena, 0, &twin), ERR_NONE);
        AUTO(buf_done) struct buf first = BUF_EMPTY;
        buf_add_format(&first, "{\"properties\":{\"desired\":%s}}", rows[i].values);
        assert_int_equal(twin_apply(&arena, &twin, TWIN_PATCH, parse(first.ptr),
                             &twin_limits_default, 0, &change, NULL),
            ERR_NONE);
        twin = change.doc;
        assert_int_equal(overlay_apply(&arena, twin.desired.values, span_of(rows[i].owned), layers,
                             count, &overlay),
            ERR_NONE);
        if (overlay.patch != NULL)
            assert_int_equal(twin_apply(&arena, &twin, TWIN_PATCH, overlay.patch,
                                 &twin_limits_default, 0, &change, NULL),
                ERR_NONE);
        assert_int_equal(overlay_apply(&arena, change.doc.desired.values, overlay.owned, layers,
                             count, &overlay),
            ERR_NONE);
        assert_null(overlay.patch);
    }
}

static bool low_in_force(const char *low, const char *high)
{
    struct overlay overlay;
    struct overlay_layer layers[] = {{.content = parse(low)}, {.content = parse(high)}};
    assert_int_equal(
        overlay_apply(&arena, SPAN_LIT("{}"), SPAN_NONE, layers, 2, &overlay), ERR_NONE);
    assert_true(layers[1].in_force);
    return layers[0].in_force;
}

static void a_layer_is_in_force_while_a_path_of_it_is_uncovered(void **state UNUSED)
{
    assert_false(low_in_force("{\"" D ".a\":1}", "{\"" D ".a\":2}"));
    assert_false(low_in_force("{\"" D ".a.b\":1}", "{\"" D ".a\":2}"));
    assert_false(low_in_force("{\"" D ".a\":1}", "{\"" D "\":{\"b\":2}}"));
    assert_true(low_in_force("{\"" D ".a\":{\"b\":1}}", "{\"" D ".a.b\":2}"));
    assert_true(low_in_force("{\"" D ".a\":1,\"" D ".c\":1}", "{\"" D ".a\":2}"));
    assert_true(low_in_force("{\"" D ".ab\":1}", "{\"" D ".a\":2}"));
}

static enum err check(const char *content)
{
    struct why why;
    return overlay_check(&arena, parse(content), &twin_limits_default, &why);
}

static void a_content_is_judged_before_it_is_taken(void **state UNUSED)
{
    static const char *const bad[] = {"[]", "1", "{}", "{\"tags.a\":1}", "{\"properties\":{}}",
        "{\"properties.reported.a\":1}", "{\"" D ".\":1}", "{\"" D ".a.\":1}", "{\"" D "..a\":1}",
        "{\"" D "a\":1}", "{\"" D "\":1}", "{\"" D ".a\":null}", "{\"" D ".a\":{\"b\":null}}",
        "{\"" D ".a\":[null]}", "{\"" D ".a\":1,\"" D ".a.b\":1}", "{\"" D ".$version\":1}",
        "{\"" D "\":{\"$version\":1}}", "{\"" D ".a b\":1}",
        "{\"" D ".a.b.c.d.e.f.g.h.i.j.k.l.m\":{}}", "{\"" D ".a\":99999999999999999}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(check(bad[i]), ERR_ARGUMENT);
    assert_int_equal(check("{\"" D ".a\":1,\"" D ".b.c\":{\"d\":[1]}}"), ERR_NONE);
    assert_int_equal(check("{\"" D "\":{\"a\":1}}"), ERR_NONE);
    assert_int_equal(check("{\"" D "\":{}}"), ERR_NONE);
}

static void a_path_of_endless_names_is_refused(void **state UNUSED)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    buf_add_text(&text, "{\"" D);
    for (int i = 0; i < 100000; i++)
        buf_add_text(&text, ".a");
    buf_add_text(&text, "\":1}");
    assert_int_equal(check(text.ptr), ERR_ARGUMENT);
}

static void damaged_texts_are_told_from_ours(void **state UNUSED)
{
    struct overlay overlay;
    assert_int_equal(
        overlay_apply(&arena, SPAN_LIT("[]"), SPAN_NONE, NULL, 0, &overlay), ERR_CORRUPT);
    assert_int_equal(
        overlay_apply(&arena, SPAN_LIT("{}"), SPAN_LIT("{"), NULL, 0, &overlay), ERR_CORRUPT);
}

static void without_memory_nothing_is_said(void **state UNUSED)
{
    struct overlay overlay;
    for (size_t limit = 1;; limit += 200) {
        struct arena small;
        struct overlay_layer layer = {.content = parse("{\"" D ".a.b\":{\"c\":[1,2]}}")};
        arena_init(&small, limit);
        enum err err = overlay_apply(&small, SPAN_LIT("{\"a\":{\"x\":1},\"z\":1}"),
            SPAN_LIT("[\"" D ".z\"]"), &layer, 1, &overlay);
        arena_done(&small);
        if (err == ERR_NONE)
            break;
        assert_int_equal(err, ERR_MEMORY);
        assert_true(limit < 1000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contents_are_laid_over_and_taken_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_laid_asks_for_nothing_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_layer_is_in_force_while_a_path_of_it_is_uncovered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_content_is_judged_before_it_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_of_endless_names_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_texts_are_told_from_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
}
