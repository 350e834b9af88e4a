/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define V "?api-version=" API_VERSION
#define TWIN "{\"deviceId\":\"d1\",\"version\":2}"

static void a_patch_holds_what_was_given_to_the_letter(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *sent;
    } rows[] = {
        {"device-twin update -d d1 --desired {\"b\":1.0,\"a\":null}",
            "{\"properties\":{\"desired\":{\"b\":1.0,\"a\":null}}}"},
        {"device-twin update -d d1 --tags {\"x\":\"y\"}", "{\"tags\":{\"x\":\"y\"}}"},
        {"device-twin update -d d1 --tags {} --desired {}",
            "{\"tags\":{},\"properties\":{\"desired\":{}}}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = TWIN}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_DONE);
        const char *asked = fake_asked(&hub, 0);
        assert_non_null(strstr(asked, "PATCH hub.local:8443 /twins/d1" V "\n"));
        assert_null(strstr(asked, "If-Match"));
        assert_string_equal(strstr(asked, "\n\n") + 2, rows[i].sent);
        assert_string_equal(hub.out, "{\n  \"deviceId\": \"d1\",\n  \"version\": 2\n}\n");
        fake_done(&hub);
    }
}

static void an_etag_makes_a_patch_conditional(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 200, .body = TWIN}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1};
    assert_int_equal(
        fake_run(&hub, "module-twin update -d d1 -m m1 --desired {} --etag AAAAAAAAAAE="),
        EXIT_DONE);
    const char *asked = fake_asked(&hub, 0);
    assert_non_null(strstr(asked, "PATCH hub.local:8443 /twins/d1/modules/m1" V "\n"));
    assert_non_null(strstr(asked, "\nIf-Match: \"AAAAAAAAAAE=\"\n"));
    fake_done(&hub);
}

static void what_is_no_json_object_is_never_sent(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *part;
    } rows[] = {
        {"device-twin update -d d1", "nothing to change"},
        {"device-twin update -d d1 --desired {", "--desired is no JSON: line 1"},
        {"device-twin update -d d1 --desired [1]", "--desired is an array"},
        {"device-twin update -d d1 --tags null", "--tags is null"},
        {"device-twin update -d d1 --tags {\"a\":1,\"a\":2}", "--tags is no JSON"},
        {"device-twin update -d d1 --desired @/does/not/exist", "cannot be opened"},
        {"device-twin replace -d d1 -j /does/not/exist", "--json: /does/not/exist"},
        {"device-twin replace -d d1 -j /", "cannot be read"},
        {"device-twin list --top 0", "1 to 1000"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake_hub hub = {0};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_USAGE);
        if (strstr(hub.err, rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].line, hub.err);
        fake_done(&hub);
    }
}

static void a_document_may_come_from_a_file(void **state UNUSED)
{
    char name[] = "/tmp/gemel-twin-XXXXXX";
    char line[128];
    int file = mkstemp(name);
    assert_true(file >= 0);
    const char text[] = "\n{\"tags\": {\"a\": 1}, \"properties\": {\"desired\": {}}}\n";
    assert_int_equal(write(file, text, sizeof(text) - 1), sizeof(text) - 1);
    close(file);
    for (int i = 0; i < 2; i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = TWIN}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        snprintf(line, sizeof(line), "device-twin %s -d d1 %s%s", i == 0 ? "replace" : "update",
            i == 0 ? "-j " : "--tags @", name);
        assert_int_equal(fake_run(&hub, line), EXIT_DONE);
        assert_non_null(strstr(fake_asked(&hub, 0), i == 0 ? "PUT " : "PATCH "));
        assert_non_null(strstr(fake_asked(&hub, 0),
            i == 0 ? "\n\n{\"tags\":{\"a\":1}," : "\n\n{\"tags\":{\"tags\":{"));
        fake_done(&hub);
    }
    unlink(name);
}

static void a_list_walks_the_devices_and_passes_over_those_that_went(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200,
            .body = "[{\"deviceId\":\"a\"},{\"deviceId\":\"b#\"},{\"deviceId\":\"c\"}]"},
        {.status = 200, .body = "{\"deviceId\":\"a\"}"},
        {.status = 404, .body = "{}"},
        {.status = 200, .body = "{\"deviceId\":\"c\"}"},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 4};
    assert_int_equal(fake_run(&hub, "device-twin list --top 3"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 0), "/devices" V "&top=3\n"));
    assert_non_null(strstr(fake_asked(&hub, 2), "/twins/b%23" V "\n"));
    assert_string_equal(
        hub.out, "[\n  {\n    \"deviceId\": \"a\"\n  },\n  {\n    \"deviceId\": \"c\"\n  }\n]\n");
    fake_done(&hub);
}

#define ITEM(id) "{\"id\":" id ",\"author\":\"owner\",\"kind\":\"patch\"}"

static void a_history_is_a_list_and_each_document_is_shown_by_its_number(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *target;
    } rows[] = {
        {"module-twin history -d d#1 -m m1", "/gemel/v1/twin-history/d%231/m1?limit=1000\n"},
        {"module-twin history -d d1 -m m1 --top 3", "/gemel/v1/twin-history/d1/m1?limit=3\n"},
        {"device-twin history -d d1", "/gemel/v1/twin-history/d1?limit=1000\n"},
        {"module-twin history -d d1 -m m1 --id 7", "/gemel/v1/twin-history/d1/m1?id=7\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {
            {.status = 200, .body = "{\"items\":[" ITEM("2") "],\"next\":null}"}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_DONE);
        assert_non_null(strstr(fake_asked(&hub, 0), rows[i].target));
        assert_int_equal(hub.out[0], i < 3 ? '[' : '{');
        fake_done(&hub);
    }
}

static void a_history_is_a_table_too(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = "{\"items\":[" ITEM("2") "],\"next\":null}"}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1};
    assert_int_equal(fake_run(&hub, "module-twin history -d d1 -m m1 --output table"), EXIT_DONE);
    assert_non_null(strstr(hub.out, "Id  Time  Author  From  Address  Kind   Changed\n"));
    assert_non_null(strstr(hub.out, "2         owner"));
    fake_done(&hub);
}

static void a_revert_names_a_document_or_undoes_the_last_change(void **state UNUSED)
{
    const struct fake_answer named[] = {{.status = 200, .body = TWIN}};
    struct fake_hub hub = {.answers = named, .answer_count = 1};
    assert_int_equal(
        fake_run(&hub, "module-twin revert -d d1 -m m1 --id 3 --etag AAAAAAAAAAE="), EXIT_DONE);
    assert_non_null(strstr(
        fake_asked(&hub, 0), "POST hub.local:8443 /gemel/v1/twin-history/d1/m1/3/restore\n"));
    assert_non_null(strstr(fake_asked(&hub, 0), "\nIf-Match: \"AAAAAAAAAAE=\"\n"));
    assert_non_null(strstr(hub.out, "\"version\": 2"));
    fake_done(&hub);

    const struct fake_answer last[] = {
        {.status = 200, .body = "{\"items\":[" ITEM("9") "," ITEM("8") "],\"next\":8}"},
        {.status = 200, .body = TWIN}};
    hub = (struct fake_hub){.answers = last, .answer_count = 2};
    assert_int_equal(fake_run(&hub, "device-twin revert -d d1"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 0), "/gemel/v1/twin-history/d1?limit=2\n"));
    assert_non_null(strstr(fake_asked(&hub, 1), "/gemel/v1/twin-history/d1/8/restore\n"));
    fake_done(&hub);
}

static void a_revert_without_a_document_is_refused(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *body;
        int status;
    } rows[] = {
        {"module-twin revert -d d1 -m m1 --id x", "{}", EXIT_USAGE},
        {"module-twin revert -d d1 -m m1 --id 0", "{}", EXIT_USAGE},
        {"module-twin history -d d1 -m m1 --id -1", "{}", EXIT_USAGE},
        {"module-twin history -d d1 -m m1 --top 1001", "{}", EXIT_USAGE},
        {"module-twin revert -d d1 -m m1", "{\"items\":[" ITEM("1") "]}", EXIT_REFUSED},
        {"module-twin revert -d d1 -m m1", "{}", EXIT_NO_HUB},
        {"module-twin revert -d d1 -m m1", "{\"items\":[{},{}]}", EXIT_NO_HUB},
        {"module-twin history -d d1 -m m1", "[]", EXIT_NO_HUB},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = rows[i].body}};
        struct fake_hub hub = {
            .answers = answers, .answer_count = rows[i].status == EXIT_USAGE ? 0 : 1};
        assert_int_equal(fake_run(&hub, rows[i].line), rows[i].status);
        assert_true(strlen(hub.err) > 0);
        fake_done(&hub);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_patch_holds_what_was_given_to_the_letter),
        cmocka_unit_test(an_etag_makes_a_patch_conditional),
        cmocka_unit_test(what_is_no_json_object_is_never_sent),
        cmocka_unit_test(a_document_may_come_from_a_file),
        cmocka_unit_test(a_history_is_a_list_and_each_document_is_shown_by_its_number),
        cmocka_unit_test(a_history_is_a_table_too),
        cmocka_unit_test(a_revert_names_a_document_or_undoes_the_last_change),
        cmocka_unit_test(a_revert_without_a_document_is_refused),
        cmocka_unit_test(a_list_walks_the_devices_and_passes_over_those_that_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
