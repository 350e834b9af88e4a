/* SPDX-License-Identifier: Apache-2.0 */
/* gemel hub import and export: every form of a file, what is refused, and hubs that go away. */
#include "fake_hub.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FINE "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[]}"

static char directory[64];
static char file[96];
static char report[96];

static int make_place(void **state UNUSED)
{
    strcpy(directory, "/tmp/gemel-import-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/in", directory);
    snprintf(report, sizeof(report), "%s/report", directory);
    return 0;
}

static int drop_place(void **state UNUSED)
{
    unlink(file);
    unlink(report);
    return rmdir(directory);
}

static int import(struct fake_hub *hub, const char *text, const char *options)
{
    char line[300];
    FILE *out = fopen(file, "we");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    snprintf(line, sizeof(line), "hub import --file %s %s", file, options);
    return fake_run(hub, line);
}

struct form_row {
    const char *text;
    const char *sent; /* the body */
};

static void each_form_becomes_the_same_operation(void **state UNUSED)
{
#define KEYS "{\"symmetricKey\":{\"primaryKey\":\"k\",\"secondaryKey\":\"l\"},\"type\":\"sas\"}"
    static const struct form_row rows[] = {
        /* lines of an export, with what only the hub that wrote them knows */
        {"\xEF\xBB\xBF{\"id\":\"a\",\"eTag\":\"MQ==\",\"status\":\"disabled\",\"statusReason\":"
         "\"x\","
         "\"authentication\":" KEYS ",\"twinETag\":\"AAAAAAAAAAI=\",\"tags\":{\"t\":1},"
         "\"properties\":{\"desired\":{\"d\":1.50,\"$metadata\":{},\"$version\":2},"
         "\"reported\":{\"r\":1}},\"capabilities\":{\"iotEdge\":false}}\r\n\n"
         "{\"id\":\"a\",\"moduleId\":\"m\",\"managedBy\":\"me\"}\n",
            "[{\"id\":\"a\",\"importMode\":\"create\",\"status\":\"disabled\",\"statusReason\":"
            "\"x\","
            "\"authentication\":" KEYS
            ",\"capabilities\":{\"iotEdge\":false},\"tags\":{\"t\":1},\"properties\":{\"desired\":{"
            "\"d\":1.50}}},{\"id\":\"a\",\"moduleId\":\"m\",\"importMode\":\"create\","
            "\"managedBy\":\"me\"}]"},
        /* etags count where they are compared; the system modules come with their device */
        {"{\"id\":\"a\",\"importMode\":\"UPDATEIFMATCHETAG\",\"eTag\":\"MQ==\"}\n"
         "{\"id\":\"a\",\"moduleId\":\"$edgeHub\",\"authentication\":{\"type\":\"none\"},"
         "\"properties\":{\"desired\":{\"d\":1}}}",
            "[{\"id\":\"a\",\"importMode\":\"updateIfMatchETag\",\"eTag\":\"MQ==\"},"
            "{\"id\":\"a\",\"moduleId\":\"$edgeHub\",\"importMode\":\"updateTwin\","
            "\"properties\":{\"desired\":{\"d\":1}}}]"},
        /* a list of twins, as az prints it */
        {"[\n  {\n    \"deviceId\": \"a\", \"etag\": \"AAAAAAAAAAE=\", \"deviceEtag\": \"MQ==\",\n"
         "    \"authenticationType\": \"selfSigned\",\n"
         "    \"x509Thumbprint\": {\"primaryThumbprint\": \"AA]}\\\"\"}, \"tags\": {\"t\": null}\n "
         " },\n"
         "  {\"deviceId\": \"b\", \"authentication\": {\"type\": \"certificateAuthority\"}}\n]\n",
            "[{\"id\":\"a\",\"importMode\":\"create\",\"authentication\":{\"type\":\"selfSigned\","
            "\"x509Thumbprint\":{\"primaryThumbprint\":\"AA]}\\\"\"}},\"tags\":{\"t\":null}},"
            "{\"id\":\"b\",\"importMode\":\"create\",\"authentication\":{\"type\":"
            "\"certificateAuthority\"}}]"},
        /* the state of a hub, in both of its forms */
        {"{\"configurations\":[],\"devices\":{\"a\":{\"deviceId\":\"a\",\"authenticationType\":"
         "\"sas\","
         "\"symmetricKey\":{\"primaryKey\":\"k\"}}},\"modules\":{\"a\":[[{\"device_id\":\"a\","
         "\"module_id\":\"m\",\"managed_by\":null},{\"tags\":{\"t\":2}}]]}}",
            "[{\"id\":\"a\",\"importMode\":\"create\",\"authentication\":{\"type\":\"sas\","
            "\"symmetricKey\":{\"primaryKey\":\"k\"}}},{\"id\":\"a\",\"moduleId\":\"m\","
            "\"importMode\":\"create\",\"tags\":{\"t\":2}}]"},
        {"{\n\"devices\":{\"a\":{\"identity\":{\"deviceId\":\"a\"},\"twin\":{\"tags\":{\"t\":3}},"
         "\"modules\":{\"m\":{\"identity\":{\"deviceId\":\"a\",\"moduleId\":\"m\"},\"twin\":{}}}}}"
         "}",
            "[{\"id\":\"a\",\"importMode\":\"create\",\"tags\":{\"t\":3}},{\"id\":\"a\","
            "\"moduleId\":\"m\",\"importMode\":\"create\"}]"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answer = {.status = 200, .body = FINE};
        struct fake_hub hub = {.answers = &answer, .answer_count = 1};
        assert_int_equal(import(&hub, rows[i].text, ""), EXIT_DONE);
        assert_string_equal(strstr(fake_asked(&hub, 0), "\n\n") + 2, rows[i].sent);
        assert_non_null(strstr(hub.out, "\"done\": 2"));
        fake_done(&hub);
    }
#undef KEYS
}

static void what_is_refused_stands_in_the_report(void **state UNUSED)
{
    static const struct fake_answer answer = {.status = 400,
        .body =
            "{\"isSuccessful\":false,\"errors\":[{\"deviceId\":\"a\",\"errorCode\":"
            "\"DeviceAlreadyExists\",\"errorStatus\":\"there\"},{\"deviceId\":\"c\",\"errorCode\":"
            "\"ArgumentInvalid\",\"errorStatus\":\"bad\"}],\"warnings\":[{\"deviceId\":\"b\","
            "\"warningCode\":\"DeviceRegisteredWithoutTwin\",\"warningStatus\":\"so\"}]}"};
    static const char text[] = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{]\n{\"id\":\"/\"}\n7\n{}\n"
                               "{\"id\":\"x\",\"importMode\":\"no\"}\n{\"id\":\"c\"}\n";
    static const char *const want[] = {"{\"line\":3,\"errorCode\":\"IotHubFormatError\"",
        "{\"line\":4,\"deviceId\":\"/\",\"errorCode\":\"ArgumentInvalid\"", "{\"line\":5,",
        "{\"line\":6,\"errorCode\":\"ArgumentInvalid\",\"errorStatus\":\"it has no id\"}",
        "{\"line\":7,\"deviceId\":\"x\"",
        "{\"line\":8,\"deviceId\":\"c\",\"operation\":\"create\",\"errorCode\":\"ArgumentInvalid\","
        "\"errorStatus\":\"bad\"}",
        "{\"line\":2,\"deviceId\":\"b\",\"operation\":\"create\",\"warningCode\":"
        "\"DeviceRegisteredWithoutTwin\"",
        "{\"summary\":{\"done\":1,\"skipped\":1,\"refused\":6,\"warnings\":1,"};
    char options[160];
    char told[4096];
    struct fake_hub hub = {.answers = &answer, .answer_count = 1};
    snprintf(options, sizeof(options), "--on-conflict skip --report %s", report);
    assert_int_equal(import(&hub, text, options), EXIT_REFUSED);
    FILE *in = fopen(report, "re");
    assert_non_null(in);
    told[fread(told, 1, sizeof(told) - 1, in)] = '\0';
    fclose(in);
    for (size_t i = 0; i < COUNT_OF(want); i++)
        if (strstr(told, want[i]) == NULL)
            fail_msg("%s\nis not in\n%s", want[i], told);
    assert_null(strstr(told, "\"line\":1,"));
    fake_done(&hub);
}

static void a_hub_that_goes_away_is_asked_again(void **state UNUSED)
{
    static const struct fake_answer answers[] = {
        {.status = 413},
        {.status = 200, .body = FINE},
        {.err = ERR_UNAVAILABLE},
        {.status = 503},
        {.status = 400,
            .body = "{\"isSuccessful\":false,\"errors\":[{\"deviceId\":\"b\",\"errorCode\":"
                    "\"DeviceAlreadyExists\",\"errorStatus\":\"there\"}]}"},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 5};
    assert_int_equal(
        import(&hub, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n", ""), EXIT_REFUSED);
    assert_non_null(strstr(hub.err, "Asking again"));
    assert_non_null(
        strstr(hub.err, "line 2, b: DeviceAlreadyExists: there (perhaps by the attempt"));
    assert_non_null(strstr(hub.out, "\"complete\": true"));
    fake_done(&hub);
    static const struct fake_answer refusal = {.status = 401};
    struct fake_hub strange = {.answers = &refusal, .answer_count = 1};
    assert_int_equal(import(&strange, "\n{\"id\":\"a\"}\n", ""), EXIT_REFUSED);
    assert_non_null(strstr(strange.err, "go on with --from-line 1"));
    assert_non_null(strstr(strange.out, "\"complete\": false"));
    fake_done(&strange);
    /* The first request of all tells what is wrong with the address. */
    static const struct fake_answer away = {.err = ERR_UNAVAILABLE};
    struct fake_hub none = {.answers = &away, .answer_count = 1};
    assert_int_equal(import(&none, "{\"id\":\"a\"}\n", ""), EXIT_NO_HUB);
    fake_done(&none);
}

static void a_dry_run_says_what_exists_already(void **state UNUSED)
{
    static const char *const text =
        "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\",\"importMode\":\"createOrUpdate\"}\n"
        "{\"id\":\"a\",\"moduleId\":\"m\"}\n{\"id\":\"a\",\"moduleId\":\"n\"}\n";
    static const struct fake_answer answers[] = {{.status = 200, .body = "[{\"deviceId\":\"a\"}]"},
        {.status = 200,
            .body = "[{\"deviceId\":\"a\",\"moduleId\":\"n\"}]",
            .continuation = "next"},
        {.status = 200, .body = "[{\"deviceId\":\"a\",\"moduleId\":\"other\"}]"}};
    struct fake_hub hub = {.answers = answers, .answer_count = COUNT_OF(answers)};
    assert_int_equal(import(&hub, text, "--dry-run"), EXIT_REFUSED);
    assert_non_null(
        strstr(fake_asked(&hub, 0), "FROM devices WHERE deviceId IN [\\\"a\\\",\\\"b\\\"]"));
    assert_non_null(strstr(fake_asked(&hub, 2), "x-ms-continuation: next"));
    assert_int_equal(hub.asked_count, 3);
    assert_non_null(strstr(hub.out, "\"done\": 3"));
    assert_non_null(strstr(hub.err, "line 1, a: DeviceAlreadyExists: it is registered already"));
    assert_non_null(strstr(hub.err, "line 5, a/n: ModuleAlreadyExistsOnDevice"));
    fake_done(&hub);

    struct fake_hub skipping = {.answers = answers, .answer_count = COUNT_OF(answers)};
    assert_int_equal(import(&skipping, text, "--dry-run --on-conflict skip"), EXIT_DONE);
    assert_non_null(strstr(skipping.out, "\"skipped\": 2"));
    fake_done(&skipping);

    static const struct fake_answer refused = {
        .status = 401, .body = "{\"Message\":\"ErrorCode:IotHubUnauthorized;no right\"}"};
    struct fake_hub blind = {.answers = &refused, .answer_count = 1};
    assert_int_equal(import(&blind, text, "--dry-run"), EXIT_DONE);
    assert_non_null(strstr(blind.err, "not looked at"));
    fake_done(&blind);
}

static void it_goes_on_from_a_line_and_can_be_tried_dry(void **state UNUSED)
{
    static const struct fake_answer answer = {.status = 200, .body = FINE};
    struct fake_hub hub = {.answers = &answer, .answer_count = 1};
    assert_int_equal(import(&hub, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n",
                         "--from-line 3 --on-conflict overwrite"),
        EXIT_DONE);
    assert_string_equal(strstr(fake_asked(&hub, 0), "\n\n") + 2,
        "[{\"id\":\"c\",\"importMode\":\"createOrUpdate\"}]");
    fake_done(&hub);
    static const struct fake_answer none_exists = {.status = 200, .body = "[]"};
    struct fake_hub dry = {.answers = &none_exists, .answer_count = 1};
    assert_int_equal(
        import(&dry,
            "{\"id\":\"a\",\"tags\":{\"a.b\":1}}\n{\"id\":\"b\",\"status\":\"on\"}\n"
            "{\"id\":\"c\",\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"AA==\"}}}\n"
            "{\"id\":\"d\"}\n",
            "--dry-run"),
        EXIT_REFUSED);
    assert_non_null(strstr(dry.out, "\"done\": 1"));
    assert_non_null(strstr(dry.out, "\"refused\": 3"));
    fake_done(&dry);
    static const char *const broken[] = {"[{\"id\":\"a\"", "{\n\"x\":1}", "{\"devices\":[]}"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct fake_hub none = {.answer_count = 0};
        assert_int_equal(import(&none, broken[i], ""), EXIT_USAGE);
        fake_done(&none);
    }
}

static void an_export_asks_page_by_page(void **state UNUSED)
{
    static const struct fake_answer answers[] = {
        {.status = 200, .body = "{\"totalDeviceCount\":2}"},
        {.status = 200, .body = "[{\"id\":\"a\"},{\"id\":\"b&\"}]"},
        {.status = 200, .body = "[]"},
        {.status = 200, .body = "[{\"id\":\"a\",\"moduleId\":\"m\"}]"},
        {.status = 200, .body = "[]"},
    };
    char line[200];
    struct fake_hub hub = {.answers = answers, .answer_count = 5};
    snprintf(line, sizeof(line), "hub export --include-keys --file %s", file);
    assert_int_equal(fake_run(&hub, line), EXIT_DONE);
    assert_non_null(
        strstr(fake_asked(&hub, 1), "/gemel/v1/identities?limit=1000&modules=false&keys=true\n"));
    assert_non_null(strstr(fake_asked(&hub, 2), "&keys=true&after=b%26\n"));
    assert_non_null(strstr(fake_asked(&hub, 4), "&modules=true&keys=true&after=a&afterModule=m\n"));
    fake_done(&hub);
    /* A file that is there stays; one that could not be whole is none. */
    struct fake_hub again = {.answer_count = 0};
    assert_int_equal(fake_run(&again, line), EXIT_USAGE);
    fake_done(&again);
    unlink(file);
    static const struct fake_answer fails[] = {{.status = 200, .body = "{}"},
        {.status = 200, .body = "[{\"id\":\"a\"}]"}, {.status = 401}};
    struct fake_hub failing = {.answers = fails, .answer_count = 3};
    assert_int_equal(fake_run(&failing, line), EXIT_REFUSED);
    assert_int_equal(access(file, F_OK), -1);
    fake_done(&failing);
    struct fake_hub open = {.answer_count = 0};
    assert_int_equal(fake_run(&open, "hub export --include-keys --file -"), EXIT_USAGE);
    fake_done(&open);
}

static void keys_are_renewed_a_hundred_at_a_time(void **state UNUSED)
{
    static const struct fake_answer answers[] = {
        {.status = 200, .body = "[{\"deviceId\":\"a\"}]", .continuation = "more"},
        {.status = 200, .body = "[{\"deviceId\":\"b\"}]"},
        {.status = 207,
            .body = "{\"policyKey\":\"both\",\"rotatedKeys\":[{\"id\":\"a\"}],\"errors\":[{\"id\":"
                    "\"b\"}]}"},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 3};
    assert_int_equal(fake_run(&hub, "device-identity renew-key -d * --kt both"), EXIT_REFUSED);
    assert_non_null(strstr(fake_asked(&hub, 2),
        "{\"policyKey\":\"both\",\"devices\":[{\"id\":\"a\"},{\"id\":\"b\"}]}"));
    assert_non_null(strstr(hub.out, "\"rotatedKeys\": ["));
    fake_done(&hub);
    static const struct fake_answer swap[] = {
        {.status = 200,
            .body = "{\"deviceId\":\"a\",\"moduleId\":\"m\",\"etag\":\"MQ==\",\"authentication\":"
                    "{\"symmetricKey\":{\"primaryKey\":\"one\",\"secondaryKey\":\"two\"}}}"},
        {.status = 200, .body = "{}"},
    };
    struct fake_hub swapping = {.answers = swap, .answer_count = 2};
    assert_int_equal(
        fake_run(&swapping, "module-identity renew-key -d a -m m --kt swap"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&swapping, 1), "If-Match: \"MQ==\"\n"));
    assert_non_null(
        strstr(fake_asked(&swapping, 1), "\"primaryKey\":\"two\",\"secondaryKey\":\"one\""));
    fake_done(&swapping);
}

/* Each allocation fails once: the command ends with a word, and leaves nothing behind. */
static void without_memory_nothing_is_half_done(void **state UNUSED)
{
    static const struct fake_answer answers[] = {
        {.status = 200, .body = FINE}, {.status = 200, .body = FINE}};
    static const struct fake_answer pages[] = {{.status = 200, .body = "{\"totalDeviceCount\":1}"},
        {.status = 200, .body = "[{\"id\":\"a\"}]"}, {.status = 200, .body = "[]"},
        {.status = 200, .body = "[]"}, {.status = 200, .body = "[]"}};
    static const char text[] =
        "[{\"deviceId\":\"a\",\"authenticationType\":\"sas\",\"tags\":{\"t\":1}},"
        "{\"deviceId\":\"/\"}]";
    char line[200];
    int status = EXIT_USAGE;
    for (long n = 0; !(status == EXIT_REFUSED && n > 10); n++) {
        struct fake_hub hub = {
            .answers = answers, .answer_count = 2, .fails_memory = true, .fail_after = n};
        status = import(&hub, text, "");
        bool whole = hub.out != NULL && strstr(hub.out, "\"complete\": true") != NULL;
        if (!whole)
            status = EXIT_USAGE;
        fake_done(&hub);
        assert_true(n < 1000);
    }
    unlink(file);
    snprintf(line, sizeof(line), "hub export --file %s", file);
    status = EXIT_USAGE;
    for (long n = 0; status != EXIT_DONE; n++) {
        struct fake_hub hub = {
            .answers = pages, .answer_count = 5, .fails_memory = true, .fail_after = n};
        status = fake_run(&hub, line);
        assert_int_equal(access(file, F_OK), status == EXIT_DONE ? 0 : -1);
        fake_done(&hub);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
        TEST(each_form_becomes_the_same_operation),
        TEST(what_is_refused_stands_in_the_report),
        TEST(a_hub_that_goes_away_is_asked_again),
        TEST(a_dry_run_says_what_exists_already),
        TEST(it_goes_on_from_a_line_and_can_be_tried_dry),
        TEST(an_export_asks_page_by_page),
        TEST(keys_are_renewed_a_hundred_at_a_time),
        TEST(without_memory_nothing_is_half_done),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
