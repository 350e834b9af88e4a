/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)
#define FIXED(literal)                                                                             \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

static const struct topic_owner device = {FIXED("d1"), {NULL, 0}};
static const struct topic_owner module = {FIXED("d1"), FIXED("m1")};
static const struct topic_owner odd = {FIXED("d%23@$'1"), {NULL, 0}};

static const struct topic_owner wild = {FIXED("d#1"), FIXED("+")};

struct row {
    const struct topic_owner *owner;
    struct span text;
    enum err err;
    struct topic topic;
};

typedef enum err parser(
    struct span text, const struct topic_owner *owner, struct topic *ret_topic, struct why *why);

static void expect(const struct row *row, parser *parse)
{
    struct topic topic = {0};
    struct why why = {""};
    enum err err = parse(row->text, row->owner, &topic, &why);
    bool same = err == row->err && topic.kind == row->topic.kind &&
                span_eq(topic.properties, row->topic.properties) &&
                span_eq(topic.rid, row->topic.rid) && span_eq(topic.method, row->topic.method) &&
                topic.version == row->topic.version && topic.status == row->topic.status;
    if (!same)
        fail_msg("%.*s: %s \"%s\"", SPAN_ARG(row->text), err_row(err)->name, why.text);
    assert_int_equal(why.text[0] != '\0', err != ERR_NONE);
}

static void what_clients_publish_is_understood(void **state UNUSED)
{
    const struct row rows[] = {
        {&device, S("devices/d1/messages/events/"), ERR_NONE, {.kind = TOPIC_EVENTS}},
        {&device, S("devices/d1/messages/events"), ERR_NONE, {.kind = TOPIC_EVENTS}},
        {&device, S("devices/d1/messages/events/a=b&c"), ERR_NONE, {.properties = S("a=b&c")}},
        {&device, S("devices/d1/messages/events/?a=b"), ERR_NONE, {.properties = S("a=b")}},
        {&device, S("devices/d1/messages/events/a=b/"), ERR_NONE, {.properties = S("a=b")}},
        {&device, S("devices/d1/messages/events/a=/b"), ERR_NONE, {.properties = S("a=/b")}},
        {&module, S("devices/d1/modules/m1/messages/events/%24.on=out1/"), ERR_NONE,
            {.properties = S("%24.on=out1")}},
        {&odd, S("devices/d%23@$'1/messages/events/"), ERR_NONE, {.kind = TOPIC_EVENTS}},
        {&wild, S("devices/d#1/modules/+/messages/events/a=b"), ERR_NONE, {.properties = S("a=b")}},
        {&device, S("$iothub/twin/GET/?$rid=a%20b"), ERR_NONE,
            {.kind = TOPIC_TWIN_GET, .rid = S("a%20b")}},
        {&module, S("$iothub/twin/GET/?$rid=0"), ERR_NONE, {.kind = TOPIC_TWIN_GET, .rid = S("0")}},
        {&device, S("$iothub/twin/PATCH/properties/reported/?$rid=1"), ERR_NONE,
            {.kind = TOPIC_TWIN_REPORTED, .rid = S("1")}},
        {&device, S("$iothub/twin/PATCH/properties/reported/?$rid=1&$version=7"), ERR_NONE,
            {.kind = TOPIC_TWIN_REPORTED, .rid = S("1"), .version = 7}},
        {&device, S("$iothub/twin/PATCH/properties/reported/?$version=7&$rid=1"), ERR_NONE,
            {.kind = TOPIC_TWIN_REPORTED, .rid = S("1"), .version = 7}},
        {&device, S("$iothub/twin/PATCH/properties/reported/?$rid=1&$version=x"), ERR_NONE,
            {.kind = TOPIC_TWIN_REPORTED, .rid = S("1"), .version = -1}},
        {&device, S("$iothub/twin/PATCH/properties/reported/?$rid=1&$version=0"), ERR_NONE,
            {.kind = TOPIC_TWIN_REPORTED, .rid = S("1"), .version = -1}},
        {&device, S("$iothub/methods/res/200/?$rid=4f"), ERR_NONE,
            {.kind = TOPIC_METHOD_RESPONSE, .rid = S("4f"), .status = 200}},
        {&device, S("$iothub/methods/res/-2147483648/?$rid=1"), ERR_NONE,
            {.kind = TOPIC_METHOD_RESPONSE, .rid = S("1"), .status = INT32_MIN}},
        {&device, S("$iothub/methods/res/2147483647/?$rid=1"), ERR_NONE,
            {.kind = TOPIC_METHOD_RESPONSE, .rid = S("1"), .status = INT32_MAX}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(&rows[i], topic_parse_from_client);
}

static void near_misses_are_refused(void **state UNUSED)
{
    const struct row rows[] = {
        {&device, S("devices/d2/messages/events/"), ERR_FORBIDDEN, {0}},
        {&device, S("devices/D1/messages/events/"), ERR_FORBIDDEN, {0}},
        {&device, S("devices/d1/modules/m1/messages/events/"), ERR_FORBIDDEN, {0}},
        {&module, S("devices/d1/messages/events/"), ERR_FORBIDDEN, {0}},
        {&module, S("devices/d1/modules/m2/messages/events/"), ERR_FORBIDDEN, {0}},
        {&module, S("devices/d2/modules/m1/messages/events/"), ERR_FORBIDDEN, {0}},
        {&odd, S("devices/d%2523@$'1/messages/events/"), ERR_FORBIDDEN, {0}},
        {&device, S("devices/+/messages/events/"), ERR_FORBIDDEN, {0}},
        {&wild, S("devices/d#1/modules/m/messages/events/"), ERR_FORBIDDEN, {0}},
        {&device, S("devices/d1/messages/events/#"), ERR_ARGUMENT, {0}},
        {&wild, S("devices/d#1/modules/+/messages/events/a=+"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/GET/?$rid=+"), ERR_ARGUMENT, {0}},
        {&device, S("#"), ERR_ARGUMENT, {0}},
        {&device, S("devices//messages/events/"), ERR_FORBIDDEN, {0}},
        {&device, S("devices/d1/messages/eventsx"), ERR_NOT_FOUND, {0}},
        {&device, S("devices/d1/messages/Events/"), ERR_NOT_FOUND, {0}},
        {&device, S("devices/d1/messages/devicebound/"), ERR_NOT_FOUND, {0}},
        {&device, S("devices/d1"), ERR_NOT_FOUND, {0}},
        {&device, S("devices/"), ERR_NOT_FOUND, {0}},
        {&device, S("devices"), ERR_NOT_FOUND, {0}},
        {&device, S("/devices/d1/messages/events/"), ERR_NOT_FOUND, {0}},
        {&device, S("any/topic"), ERR_NOT_FOUND, {0}},
        {&device, S("$iothub/twin/GET"), ERR_NOT_FOUND, {0}},
        {&device, S("$iothub/twin/get/?$rid=1"), ERR_NOT_FOUND, {0}},
        {&device, S("$iothub/twin/res/200/?$rid=1"), ERR_NOT_FOUND, {0}},
        {&device, S("$iothub/clientproperties/get/?$rid=1"), ERR_NOT_FOUND, {0}},
        {&device, S("$iothub/twin/GET/"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/GET/?"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/GET/?$rid="), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/GET/?$rid=&x=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/GET/?rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/GET/$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/?$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/2x/?$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/-/?$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/2147483648/?$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/-2147483649/?$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/res/200"), ERR_ARGUMENT, {0}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(&rows[i], topic_parse_from_client);
}

static void what_the_hub_publishes_is_understood_by_a_client(void **state UNUSED)
{
    const struct row rows[] = {
        {&device, S("$iothub/twin/res/200/?$rid=a"), ERR_NONE,
            {.kind = TOPIC_TWIN_RESPONSE, .rid = S("a"), .status = 200}},
        {&device, S("$iothub/twin/res/204/?$rid=a&$version=5"), ERR_NONE,
            {.kind = TOPIC_TWIN_RESPONSE, .rid = S("a"), .status = 204, .version = 5}},
        {&device, S("$iothub/twin/PATCH/properties/desired/?$version=9"), ERR_NONE,
            {.kind = TOPIC_TWIN_DESIRED, .version = 9}},
        {&device, S("$iothub/methods/POST/reboot/?$rid=1f"), ERR_NONE,
            {.kind = TOPIC_METHOD, .method = S("reboot"), .rid = S("1f")}},
        {&device, S("devices/d1/messages/devicebound/%24.mid=x"), ERR_NONE,
            {.kind = TOPIC_C2D, .properties = S("%24.mid=x")}},
        {&module, S("devices/d1/modules/m1/messages/devicebound/"), ERR_NONE, {.kind = TOPIC_C2D}},
        {&device, S("$iothub/twin/res/x/?$rid=a"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/res/200/"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/PATCH/properties/desired/"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/twin/PATCH/properties/desired/?$version=-1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/POST//?$rid=1"), ERR_ARGUMENT, {0}},
        {&device, S("$iothub/methods/POST/reboot/"), ERR_ARGUMENT, {0}},
        {&device, S("devices/d2/messages/devicebound/"), ERR_FORBIDDEN, {0}},
        {&device, S("foo"), ERR_NOT_FOUND, {0}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(&rows[i], topic_parse_from_hub);
}

static void every_filter_the_sdks_use_is_known(void **state UNUSED)
{
    const struct {
        const struct topic_owner *owner;
        struct span text;
        enum err err;
        enum topic_filter filter;
    } rows[] = {
        {&device, S("devices/d1/messages/devicebound/#"), ERR_NONE, TOPIC_FILTER_C2D},
        {&device, S("devices/d1/messages/deviceBound/#"), ERR_NONE, TOPIC_FILTER_C2D},
        {&device, S("devices/+/messages/devicebound/#"), ERR_NONE, TOPIC_FILTER_C2D},
        {&module, S("devices/d1/modules/m1/messages/devicebound/#"), ERR_NONE, TOPIC_FILTER_C2D},
        {&module, S("devices/d1/modules/m1/inputs/#"), ERR_NONE, TOPIC_FILTER_INPUTS},
        {&module, S("devices/+/modules/+/inputs/#"), ERR_NONE, TOPIC_FILTER_INPUTS},
        {&module, S("devices/d1/modules/m1/#"), ERR_NONE, TOPIC_FILTER_MODULE},
        {&device, S("$iothub/twin/res/#"), ERR_NONE, TOPIC_FILTER_TWIN_RESPONSES},
        {&module, S("$iothub/twin/PATCH/properties/desired/#"), ERR_NONE,
            TOPIC_FILTER_TWIN_DESIRED},
        {&device, S("$iothub/methods/POST/#"), ERR_NONE, TOPIC_FILTER_METHODS},
        {&device, S("devices/d2/messages/devicebound/#"), ERR_FORBIDDEN, 0},
        {&device, S("devices/+/modules/+/messages/devicebound/#"), ERR_FORBIDDEN, 0},
        {&module, S("devices/d1/messages/devicebound/#"), ERR_FORBIDDEN, 0},
        {&module, S("devices/d1/modules/m2/#"), ERR_FORBIDDEN, 0},
        {&device, S("devices/d1/#"), ERR_NOT_FOUND, 0},
        {&device, S("devices/d1/inputs/#"), ERR_NOT_FOUND, 0},
        {&device, S("devices/d1/messages/devicebound"), ERR_NOT_FOUND, 0},
        {&device, S("devices/d1/messages/events/#"), ERR_NOT_FOUND, 0},
        {&device, S("devices/#"), ERR_FORBIDDEN, 0},
        {&device, S("$iothub/twin/#"), ERR_NOT_FOUND, 0},
        {&device, S("$iothub/methods/POST/+/#"), ERR_NOT_FOUND, 0},
        {&device, S("#"), ERR_NOT_FOUND, 0},
        {&device, S("+/+/#"), ERR_NOT_FOUND, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum topic_filter filter = 0;
        enum err err = topic_parse_filter(rows[i].text, rows[i].owner, &filter, NULL);
        if (err != rows[i].err || filter != rows[i].filter)
            fail_msg("%.*s: %s %u", SPAN_ARG(rows[i].text), err_row(err)->name, (unsigned)filter);
    }
}

static void a_filter_that_is_written_is_the_one_that_is_read(void **state UNUSED)
{
    for (unsigned i = 0; i < TOPIC_FILTER_KINDS; i++) {
        struct buf out = BUF_EMPTY;
        enum topic_filter filter = 0;
        topic_write_filter(&out, (enum topic_filter)(1u << i), &module);
        assert_int_equal(topic_parse_filter(buf_span(&out), &module, &filter, NULL), ERR_NONE);
        assert_int_equal(filter, 1u << i);
        buf_done(&out);
    }
}

static void written(struct buf *out, const char *want)
{
    assert_string_equal(out->ptr, want);
    buf_clear(out);
}

static void topics_are_written_as_the_sdks_expect_them(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    topic_write_twin_response(&out, 200, S("a%20b"), 0);
    written(&out, "$iothub/twin/res/200/?$rid=a%20b");
    topic_write_twin_response(&out, 204, S("1"), 12);
    written(&out, "$iothub/twin/res/204/?$rid=1&$version=12");
    topic_write_twin_desired(&out, 3);
    written(&out, "$iothub/twin/PATCH/properties/desired/?$version=3");
    assert_int_equal(topic_write_method(&out, S("re boot"), S("1"), NULL), ERR_NONE);
    written(&out, "$iothub/methods/POST/re boot/?$rid=1");
    topic_write_c2d(&out, &module, S("%24.to=x"));
    written(&out, "devices/d1/modules/m1/messages/devicebound/%24.to=x");
    topic_write_events(&out, &device, S("a=b"));
    written(&out, "devices/d1/messages/events/a=b");
    topic_write_twin_get(&out, S("1"));
    written(&out, "$iothub/twin/GET/?$rid=1");
    topic_write_twin_reported(&out, S("1"), 2);
    written(&out, "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=2");
    topic_write_method_response(&out, -5, S("1"));
    written(&out, "$iothub/methods/res/-5/?$rid=1");
    buf_done(&out);
}

static void a_method_name_must_fit_a_topic(void **state UNUSED)
{
    char longest[101];
    memset(longest, 'm', sizeof(longest));
    const struct {
        struct span name;
        enum err err;
    } rows[] = {
        {{longest, 100}, ERR_NONE},
        {{longest, 101}, ERR_ARGUMENT},
        {S(""), ERR_ARGUMENT},
        {S("a/b"), ERR_ARGUMENT},
        {S("a+"), ERR_ARGUMENT},
        {S("#"), ERR_ARGUMENT},
        {S("a\0"), ERR_ARGUMENT},
        {S("\xFF"), ERR_ARGUMENT},
        {S("\xC3\xBC"), ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_EMPTY;
        assert_int_equal(topic_write_method(&out, rows[i].name, S("1"), NULL), rows[i].err);
        assert_int_equal(out.len > 0, rows[i].err == ERR_NONE);
        buf_done(&out);
    }
}

static void a_will_goes_to_the_owners_events_alone(void **state UNUSED)
{
    struct span bag = SPAN_NONE;
    assert_true(topic_is_will(S("devices/d1/messages/events/a=b"), &device, &bag));
    assert_true(span_is(bag, "a=b"));
    assert_false(topic_is_will(S("devices/d2/messages/events/"), &device, &bag));
    assert_false(topic_is_will(S("$iothub/twin/GET/?$rid=1"), &device, &bag));
    assert_false(topic_is_will(S("last/words"), &device, &bag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_publish_is_understood),
        cmocka_unit_test(near_misses_are_refused),
        cmocka_unit_test(what_the_hub_publishes_is_understood_by_a_client),
        cmocka_unit_test(every_filter_the_sdks_use_is_known),
        cmocka_unit_test(a_filter_that_is_written_is_the_one_that_is_read),
        cmocka_unit_test(topics_are_written_as_the_sdks_expect_them),
        cmocka_unit_test(a_method_name_must_fit_a_topic),
        cmocka_unit_test(a_will_goes_to_the_owners_events_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
