/* SPDX-License-Identifier: Apache-2.0 */
/* What the collectors really send is what docs/reference/events says, and the check can fail. */
#include "harness.h"
#include "schema_check.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *schema_dir;

static enum err parse(struct arena *arena, const char *text, struct json **ret_value)
{
    struct why why = {""};
    return json_parse(arena, span_of(text), 0, ret_value, &why);
}

#define MESSAGE(events)                                                                            \
    "{\"security_module_id\":\"defender-iot-micro-agent\",\"security_module_version\":65536,"      \
    "\"timezone\":1,\"events\":[" events "]}"
#define EVENT(type, payload)                                                                       \
    "{\"id\":\"01234567-89ab-4def-8123-456789abcdef\",\"time\":1,\"collection_interval\":2,"       \
    "\"payload_type\":\"" type "\",\"payload\":" payload "}"
#define HEARTBEAT "{\"sequence\":1,\"uptime_seconds\":0}"
#define PROCESS "\"process_id\":1,\"commandline\":\"x\",\"event_type\":\"EXEC\",\"hit_count\":1"

static void the_check_tells_good_from_bad(void **state UNUSED)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {MESSAGE(EVENT("Heartbeat", HEARTBEAT)), true},
        {MESSAGE(EVENT("Heartbeat", HEARTBEAT) "," EVENT("Process", "{" PROCESS "}")), true},
        {MESSAGE(""), false},
        {MESSAGE(EVENT("Heartbeat", "{}")), false},
        {MESSAGE(EVENT("Heartbeat", "{\"sequence\":1,\"uptime_seconds\":1,\"a\":1}")), false},
        {MESSAGE(EVENT("Heartbeat", "[]")), false},
        {MESSAGE(EVENT("Heartbeats", "{}")), false},
        {MESSAGE(EVENT("Process", "{}")), false},
        {MESSAGE(EVENT("Process", "{" PROCESS ",\"a\":1}")), false},
        {MESSAGE(EVENT("Process", "{" PROCESS ",\"user_id\":-1}")), false},
        {MESSAGE(EVENT("Process", "{" PROCESS ",\"user_id\":4294967296}")), false},
        {MESSAGE(EVENT("Process", "{" PROCESS ",\"user_id\":\"0\"}")), false},
        {MESSAGE(EVENT("Process", "{" PROCESS ",\"user_name\":\"\"}")), false},
        {MESSAGE(EVENT("Process", "{" PROCESS ",\"commandline_state\":\"LOST\"}")), false},
        {"{\"events\":[" EVENT("Heartbeat", HEARTBEAT) "]}", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct json *value;
        struct why why = {""};
        arena_init(&arena, 0);
        assert_int_equal(parse(&arena, rows[i].text, &value), ERR_NONE);
        bool good = schema_check(schema_dir, "message.schema.json", value, &why);
        if (good != rows[i].good)
            fail_msg("%s: %s", rows[i].text, why.text);
        arena_done(&arena);
    }
}

static void what_the_collectors_send_is_what_the_schemas_say(void **state UNUSED)
{
    struct harness harness;
    struct collectors *collectors;
    struct settings settings;
    const char *field;
    struct why why = {""};
    /* A machine without files: the walk of the baseline over them ends at once. */
    char root[] = "/tmp/schema_test_XXXXXX";
    assert_non_null(mkdtemp(root));
    harness_init(&harness);
    harness.options.root_dir = root;
    settings_init(&settings);
    settings.values[SETTING_PROCESS_POLLING_INTERVAL].number = 1000;
    settings.values[SETTING_SYSTEM_INFORMATION_HARDWARE_MODEL].text = mem_text(SPAN_LIT("a \"b\""));
    assert_int_equal(collectors_new(&harness.options, &collectors, &why), ERR_NONE);
    assert_int_equal(collectors_apply(collectors, &settings, &field, &why), ERR_NONE);
    for (unsigned i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/sleep", "sl\xff\n\"ep", "0.02", (char *)NULL);
            _exit(127);
        }
        waitpid(pid, NULL, 0);
    }
    settings.values[SETTING_PROCESS_DISABLED].number = 1; /* ends the thread, sends all it saw */
    collectors_run(collectors);
    assert_int_equal(collectors_apply(collectors, &settings, &field, &why), ERR_NONE);
    assert_int_equal(harness_events(&harness, "SystemInformation"), 1);
    assert_int_equal(harness_events(&harness, "Heartbeat"), 1);
    assert_int_equal(harness_events(&harness, "Baseline"), 1);
    assert_true(
        json_find_text(harness_payload(&harness, "Baseline", 0), "baseline_checks")->count > 150);
    assert_true(harness_events(&harness, "Process") > 0);
    for (size_t i = 0; i < harness.count; i++)
        if (!schema_check(schema_dir, "message.schema.json", harness.messages[i], &why))
            fail_msg("%s", why.text);
    collectors_free(collectors);
    settings_done(&settings);
    harness_done(&harness);
    assert_int_equal(rmdir(root), 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    schema_dir = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_tells_good_from_bad),
        cmocka_unit_test(what_the_collectors_send_is_what_the_schemas_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
