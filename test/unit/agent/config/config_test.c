/* SPDX-License-Identifier: Apache-2.0 */
#include "config_world.h"

#include "log.h"
#include "mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the first report ---- */

static void an_empty_twin_gets_the_whole_report(void **state UNUSED)
{
    start();
    expect_calls("apply;");
    config_connected(config);
    expect_calls("read;");
    answer_read("{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    expect_calls("report;");
    assert_true(patch_has("\"latest_state\":\"success\""));
    assert_true(patch_has("\"latest_invalid_fields\":\"\""));
    assert_true(patch_has("\"latest_desired_version\":1"));
    assert_true(patch_has("\"agent_version\":\"9.8.7\""));
    assert_true(patch_has("\"Process_CacheSize\":256"));
    answer_report(204);
    expect_calls("");
}

static void only_differences_are_sent_and_foreign_keys_go(void **state UNUSED)
{
    AUTO(buf_done) struct buf twin = BUF_EMPTY;
    come_in_step();
    buf_add_text(&twin, "{\"desired\":{\"$version\":1},\"reported\":");
    world.patch.ptr[world.patch.len - 1] = ',';
    buf_add(&twin, buf_span(&world.patch));
    buf_add_text(&twin, "\"$version\":2,\"$metadata\":{},\"Old_Key\":5,\"Process_CacheSize\":1}}");
    restart();
    config_connected(config);
    /* The duplicate name makes the text invalid, so take the old value out first. */
    char *at = strstr(twin.ptr, "\"Process_CacheSize\":256,");
    assert_non_null(at);
    memset(at, ' ', strlen("\"Process_CacheSize\":256,"));
    answer_read(twin.ptr);
    expect_patch("{\"Process_CacheSize\":256,\"Old_Key\":null}");
}

static void a_reconnect_without_a_change_reports_nothing(void **state UNUSED)
{
    AUTO(buf_done) struct buf twin = BUF_EMPTY;
    come_in_step();
    buf_add_format(&twin, "{\"desired\":{\"$version\":1},\"reported\":%s}", world.patch.ptr);
    config_lost(config);
    config_connected(config);
    answer_read(twin.ptr);
    expect_calls("read;");
}

/* ---- changes ---- */

static void a_good_change_is_flushed_applied_kept_and_reported_in_this_order(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    expect_calls("flush;apply;report;");
    expect_patch("{\"Process_CacheSize\":77,\"latest_desired_version\":2}");
    assert_int_equal(world.process_cache, 77);
    assert_true(file_holds("cache.json", "\"desired\":{\"$version\":2,\"Process_CacheSize\":77}"));
}

static void a_bad_field_leaves_everything_as_it_was(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"Process_Mode\":9,\"Foo\":1,\"$version\":2}");
    config_run(config);
    expect_calls("report;");
    assert_true(patch_has("\"latest_state\":\"failed\""));
    assert_true(patch_has("\"latest_invalid_fields\":\"Foo,Process_Mode\""));
    assert_true(patch_has("\"latest_desired_version\":2"));
    assert_false(patch_has("Process_CacheSize"));
    assert_int_equal(world.process_cache, 256);
    assert_true(file_holds("cache.json", "\"desired\":{\"$version\":1}"));

    answer_report(204);
    desired(3, "{\"Process_Mode\":null,\"Foo\":null,\"$version\":3}");
    config_run(config);
    assert_true(patch_has("\"latest_state\":\"success\""));
    assert_true(patch_has("\"Process_CacheSize\":77"));
    assert_true(patch_has("\"latest_errors\""));
}

static void a_removed_key_returns_to_its_default(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    answer_report(204);
    desired(3, "{\"Process_CacheSize\":null,\"$version\":3}");
    config_run(config);
    expect_patch("{\"Process_CacheSize\":256,\"latest_desired_version\":3}");
}

static void what_cannot_be_put_in_force_is_failed_with_its_field(void **state UNUSED)
{
    come_in_step();
    world.bad_field = "Process_Mode";
    desired(2, "{\"Process_Mode\":2,\"$version\":2}");
    config_run(config);
    expect_calls("flush;apply;report;");
    assert_true(patch_has("\"latest_state\":\"failed\""));
    assert_true(patch_has("\"latest_invalid_fields\":\"Process_Mode\""));
    assert_true(patch_has("the kernel says no"));
    assert_false(patch_has("\"Process_Mode\":2"));
    assert_int_equal(settings_int(config_settings(config), SETTING_PROCESS_MODE), 1);
}

static void a_passing_want_is_no_verdict_but_tried_again(void **state UNUSED)
{
    come_in_step();
    world.apply_error = ERR_MEMORY;
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    expect_calls("flush;apply;");
    world.apply_error = ERR_NONE;
    now_us += 10 * SECOND_US;
    config_run(config);
    expect_calls("flush;apply;report;");
    expect_patch("{\"Process_CacheSize\":77,\"latest_desired_version\":2}");
}

static void an_equal_document_restarts_nothing(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":256,\"$version\":2}");
    config_run(config);
    expect_calls("report;");
    expect_patch("{\"latest_desired_version\":2}");
}

static void changes_in_quick_succession_are_judged_at_the_newest_version(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":2,\"$version\":2}");
    desired(3, "{\"Process_CacheSize\":0,\"$version\":3}");
    desired(4, "{\"Process_CacheSize\":44,\"$version\":4}");
    config_run(config);
    expect_calls("flush;apply;report;");
    expect_patch("{\"Process_CacheSize\":44,\"latest_desired_version\":4}");
}

static void a_change_during_a_report_is_reported_after_it(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":2,\"$version\":2}");
    config_run(config);
    desired(3, "{\"Process_CacheSize\":3,\"$version\":3}");
    config_run(config);
    expect_calls("flush;apply;report;flush;apply;");
    answer_report(204);
    expect_calls("report;");
    expect_patch("{\"Process_CacheSize\":3,\"latest_desired_version\":3}");
}

/* ---- versions ---- */

static void a_gap_means_reading_again(void **state UNUSED)
{
    come_in_step();
    desired(3, "{\"Process_CacheSize\":3,\"$version\":3}");
    config_run(config);
    expect_calls("read;");
    answer_read("{\"desired\":{\"Process_CacheSize\":5,\"$version\":3},\"reported\":{}}");
    expect_calls("flush;apply;report;");
    assert_int_equal(world.process_cache, 5);
}

static void an_old_or_repeated_version_changes_nothing(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":2,\"$version\":2}");
    config_run(config);
    answer_report(204);
    world.calls[0] = '\0';
    desired(2, "{\"Process_CacheSize\":99,\"$version\":2}");
    desired(1, "{\"Process_CacheSize\":99,\"$version\":1}");
    config_run(config);
    expect_calls("");
    assert_int_equal(world.process_cache, 2);
}

static void a_change_that_overtakes_the_reading_is_not_lost(void **state UNUSED)
{
    start();
    config_connected(config);
    desired(8, "{\"Process_CacheSize\":8,\"$version\":8}");
    config_run(config);
    world.calls[0] = '\0';
    answer_read("{\"desired\":{\"Process_CacheSize\":7,\"$version\":7},\"reported\":{}}");
    expect_calls("");
    now_us += SECOND_US;
    config_run(config);
    expect_calls("read;");
    answer_read("{\"desired\":{\"Process_CacheSize\":8,\"$version\":8},\"reported\":{}}");
    expect_calls("flush;apply;report;");
    assert_int_equal(world.process_cache, 8);
}

static void a_module_that_was_made_anew_is_believed_in_the_end(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":2,\"$version\":2}");
    config_run(config);
    config_lost(config);
    config_connected(config);
    answer_read("{\"desired\":{\"Process_CacheSize\":9,\"$version\":1},\"reported\":{}}");
    assert_int_equal(world.process_cache, 2);
    now_us += SECOND_US;
    config_run(config);
    answer_read("{\"desired\":{\"Process_CacheSize\":9,\"$version\":1},\"reported\":{}}");
    assert_int_equal(world.process_cache, 9);
    assert_true(patch_has("\"latest_desired_version\":1"));
}

static void a_turn_in_which_nothing_changed_compares_nothing(void **state UNUSED)
{
    come_in_step();
    config_run(config);
    world.calls[0] = '\0';
    mem_fail_after(0); /* a comparison needs memory */
    config_run(config);
    mem_fail_after(-1);
    now_us += 400 * SECOND_US;
    config_run(config);
    expect_calls("");
    desired(2, "{\"Process_CacheSize\":7,\"$version\":2}");
    config_run(config);
    expect_calls("flush;apply;report;");
}

/* ---- a hub that does not do its part ---- */

static void garbage_is_dropped_and_the_twin_read_again(void **state UNUSED)
{
    static const char *const twins[] = {"", "[", "[]", "null", "{}", "{\"desired\":{}}",
        "{\"desired\":5,\"reported\":{}}", "{\"desired\":{\"$version\":\"1\"}}",
        "{\"desired\":{\"$version\":0}}", "{\"desired\":{\"$version\":1.5}}", "\xff\xfe"};
    for (size_t i = 0; i < COUNT_OF(twins); i++) {
        start();
        config_connected(config);
        world.calls[0] = '\0';
        answer_read(twins[i]);
        expect_calls("");
        now_us += 400 * SECOND_US;
        config_run(config);
        expect_calls("read;");
        answer_read("{\"desired\":{\"$version\":1},\"reported\":{}}");
        expect_calls("report;");
        config_free(config);
        config = NULL;
    }
}

static void a_change_that_is_no_object_means_reading_again(void **state UNUSED)
{
    static const char *const patches[] = {"", "[1]", "{\"a\":", "null"};
    for (size_t i = 0; i < COUNT_OF(patches); i++) {
        come_in_step();
        desired(2, patches[i]);
        config_run(config);
        expect_calls("read;");
        config_free(config);
        config = NULL;
    }
}

static void a_question_without_answer_is_asked_again(void **state UNUSED)
{
    start();
    config_connected(config);
    expect_calls("apply;read;");
    assert_int_equal(config_run(config), now_us + CONFIG_ANSWER_US);
    now_us += CONFIG_ANSWER_US;
    config_run(config);
    now_us += SECOND_US;
    config_run(config);
    expect_calls("read;");
    answer_read("{\"desired\":{\"$version\":1},\"reported\":{}}");
    expect_calls("report;");
    now_us += CONFIG_ANSWER_US;
    config_run(config);
    now_us += 2 * SECOND_US;
    config_run(config);
    expect_calls("read;");
    answer_read("{\"desired\":{\"$version\":1},\"reported\":{}}");
    expect_calls("report;");
    answer_report(204);
    expect_calls("");
}

static void a_refused_report_is_tried_again_ever_more_slowly(void **state UNUSED)
{
    int64_t last = 0;
    write_file("conf.json", "{\"Agent_ProbationSeconds\":0}"); /* whose end would be due before */
    come_in_step();
    desired(2, "{\"Process_CacheSize\":2,\"$version\":2}");
    config_run(config);
    for (int i = 0; i < 12; i++) {
        answer_report(400);
        int64_t pause = config_run(config) - now_us;
        assert_true(pause >= last);
        assert_true(pause <= 300 * SECOND_US);
        last = pause;
        now_us += pause;
        world.calls[0] = '\0';
        config_run(config);
        expect_calls("read;");
        answer_read("{\"desired\":{\"Process_CacheSize\":2,\"$version\":2},\"reported\":{}}");
        expect_calls("report;");
    }
    assert_true(last >= 100 * SECOND_US);
    answer_report(204);
    expect_calls("");
}

static void a_refused_reading_is_tried_again(void **state UNUSED)
{
    start();
    config_connected(config);
    config_answer(config, world.read_request, 429, SPAN_LIT("{\"errorCode\":429001}"));
    world.calls[0] = '\0';
    now_us += SECOND_US;
    config_run(config);
    expect_calls("read;");
}

static void an_answer_of_an_earlier_connection_is_passed_over(void **state UNUSED)
{
    start();
    config_connected(config);
    uint32_t old = world.read_request;
    config_lost(config);
    config_connected(config);
    config_answer(config, old, 200, SPAN_LIT("{\"desired\":{\"$version\":5},\"reported\":{}}"));
    config_answer(config, 0, 204, SPAN_NONE);
    config_run(config);
    assert_null(strstr(world.calls, "report"));
}

static void a_connection_lost_in_every_state_begins_again(void **state UNUSED)
{
    start();
    for (int steps = 0; steps < 4; steps++) {
        config_connected(config);
        if (steps > 0)
            config_run(config);
        if (steps == 2)
            config_answer(config, world.read_request, 500, SPAN_NONE);
        if (steps == 3)
            answer_read("{\"desired\":{\"$version\":1},\"reported\":{}}");
        config_lost(config);
        config_run(config);
    }
    config_connected(config);
    answer_read("{\"desired\":{\"$version\":1},\"reported\":{}}");
    assert_true(patch_has("\"latest_state\""));
    answer_report(204);
}

/* ---- start ---- */

static void a_start_without_network_uses_the_last_good_document(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    desired(3, "{\"Process_CacheSize\":0,\"$version\":3}");
    config_run(config);
    restart();
    expect_calls("apply;");
    assert_int_equal(world.process_cache, 77);
    config_connected(config);
    answer_read("{\"desired\":{\"Process_CacheSize\":0,\"$version\":3},\"reported\":{}}");
    assert_true(patch_has("\"Process_CacheSize\":77"));
    assert_true(patch_has("\"latest_state\":\"failed\""));
}

/* The hub does not wait for the disk, and still a crash after the report loses nothing. */
static void what_is_reported_is_written_before_and_durable_after(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    assert_true(world.staged_at_report);
    assert_false(file_holds("cache.json.new", ""));
    assert_true(file_holds("cache.json", "\"$version\":2"));
}

static void what_was_written_before_a_crash_is_used_if_it_is_whole(void **state UNUSED)
{
    static const char old[] = "{\"format\":1,\"desired\":{\"Process_CacheSize\":7,\"$version\":4}}";
    static const struct {
        const char *staged;
        int64_t process_cache;
    } rows[] = {
        {"{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5}}", 8},
        {"{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$ver", 7},
        {"", 7},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_file("cache.json", old);
        write_file("cache.json.new", rows[i].staged);
        start();
        assert_int_equal(world.process_cache, rows[i].process_cache);
        config_run(config);
        assert_true(file_holds("cache.json", rows[i].process_cache == 8 ? rows[0].staged : old));
        config_free(config);
        config = NULL;
    }
}

static void a_damaged_cache_is_set_aside(void **state UNUSED)
{
    static const char *const caches[] = {"", "{", "[]", "{\"format\":1}",
        "{\"format\":2,\"desired\":{}}", "{\"format\":1,\"desired\":[]}"};
    for (size_t i = 0; i < COUNT_OF(caches); i++) {
        write_file("cache.json", caches[i]);
        world.process_cache = 0;
        start();
        assert_int_equal(world.process_cache, 256);
        assert_true(file_holds("cache.json.damaged", caches[i]));
        assert_false(file_holds("cache.json", ""));
        config_free(config);
        config = NULL;
    }
}

static void a_cached_document_that_is_no_longer_good_is_not_used(void **state UNUSED)
{
    write_file("cache.json", "{\"format\":1,\"latest_state\":\"success\",\"desired\":{\"Gone_"
                             "Field\":1,\"$version\":4}}");
    start();
    assert_int_equal(world.process_cache, 256);
    config_connected(config);
    answer_read("{\"desired\":{\"$version\":5},\"reported\":{}}");
    assert_true(patch_has("\"latest_state\":\"success\""));
}

static void desired_goes_over_conf_json_and_that_over_the_defaults(void **state UNUSED)
{
    write_file("conf.json", "{\"Process_CacheSize\":50,\"NetworkActivity_Devices\":\"wlan0\"}");
    come_in_step();
    assert_int_equal(world.process_cache, 50);
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    assert_int_equal(world.process_cache, 77);
    assert_string_equal(world.devices, "wlan0");
    desired(3, "{\"Process_CacheSize\":null,\"$version\":3}");
    config_run(config);
    assert_int_equal(world.process_cache, 50);
}

static void a_bad_conf_json_is_ignored_as_a_whole(void **state UNUSED)
{
    static const char *const confs[] = {"", "{", "[]", "5",
        "{\"Process_CacheSize\":50,\"Process_Mode\":12}", "{\"Process_CacheSize\":50,\"Nope\":1}"};
    for (size_t i = 0; i < COUNT_OF(confs); i++) {
        write_file("conf.json", confs[i]);
        start();
        assert_int_equal(world.process_cache, 256);
        config_free(config);
        config = NULL;
    }
}

static void settings_of_conf_json_that_cannot_be_put_in_force_do_not_stop_the_agent(
    void **state UNUSED)
{
    write_file("conf.json", "{\"Process_Mode\":2}");
    world.bad_field = "Process_Mode";
    start();
    world.bad_field = NULL;
    config_connected(config);
    answer_read("{\"desired\":{\"$version\":1},\"reported\":{}}");
    assert_true(patch_has("\"latest_state\":\"success\""));
    assert_true(patch_has("\"Process_Mode\":2"));
}

static void a_state_directory_that_is_gone_costs_only_the_cache(void **state UNUSED)
{
    char command[128];
    come_in_step();
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    expect_patch("{\"Process_CacheSize\":77,\"latest_desired_version\":2}");
}

/* ---- memory ---- */

/* What the hub has is noted after each report; the note must not grow from report to report until
 * there is no room for it and the twin is read anew. Refused changes write no file. */
static void many_changes_take_no_more_memory_than_one(void **state UNUSED)
{
    come_in_step();
    for (int version = 2; version < 3000; version++) {
        AUTO(buf_done) struct buf patch = BUF_EMPTY;
        buf_add_format(&patch, "{\"$version\":%d", version);
        for (int field = 0; field < 40; field++)
            buf_add_format(&patch, ",\"Nope_%d_%d\":1", field, version % 2);
        for (int field = 0; field < 40; field++)
            buf_add_format(&patch, ",\"Nope_%d_%d\":null", field, 1 - version % 2);
        buf_add_text(&patch, "}");
        desired(version, patch.ptr);
        config_run(config);
        expect_calls("report;");
        answer_report(204);
        config_run(config);
        expect_calls("");
    }
}

static void without_memory_a_change_is_late_but_not_lost(void **state UNUSED)
{
    come_in_step();
    for (long n = 0, version = 2;; n++, version++) {
        AUTO(buf_done) struct buf patch = BUF_EMPTY;
        AUTO(buf_done) struct buf twin = BUF_EMPTY;
        buf_add_format(&patch, "{\"Process_CacheSize\":%ld,\"$version\":%ld}", 100 + n, version);
        buf_add_format(&twin, "{\"desired\":%s,\"reported\":{}}", patch.ptr);
        buf_clear(&world.patch);
        mem_fail_after(n);
        desired(version, patch.ptr);
        config_run(config);
        bool passed = world.process_cache == 100 + n && patch_has("latest_desired_version");
        mem_fail_after(-1);
        for (int tries = 0; tries < 10; tries++) {
            now_us += 400 * SECOND_US;
            world.calls[0] = '\0';
            config_run(config);
            if (strstr(world.calls, "read;") != NULL)
                answer_read(twin.ptr);
            answer_report(204);
        }
        assert_int_equal(world.process_cache, 100 + n);
        if (passed && n > 60)
            break;
        assert_true(n < 3000);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR); /* a hundred thousand lines on bad fields otherwise */
    const struct CMUnitTest tests[] = {TEST(an_empty_twin_gets_the_whole_report),
        TEST(only_differences_are_sent_and_foreign_keys_go),
        TEST(a_reconnect_without_a_change_reports_nothing),
        TEST(a_good_change_is_flushed_applied_kept_and_reported_in_this_order),
        TEST(a_bad_field_leaves_everything_as_it_was), TEST(a_removed_key_returns_to_its_default),
        TEST(what_cannot_be_put_in_force_is_failed_with_its_field),
        TEST(a_passing_want_is_no_verdict_but_tried_again),
        TEST(an_equal_document_restarts_nothing),
        TEST(changes_in_quick_succession_are_judged_at_the_newest_version),
        TEST(a_change_during_a_report_is_reported_after_it), TEST(a_gap_means_reading_again),
        TEST(an_old_or_repeated_version_changes_nothing),
        TEST(a_change_that_overtakes_the_reading_is_not_lost),
        TEST(a_module_that_was_made_anew_is_believed_in_the_end),
        TEST(a_turn_in_which_nothing_changed_compares_nothing),
        TEST(garbage_is_dropped_and_the_twin_read_again),
        TEST(a_change_that_is_no_object_means_reading_again),
        TEST(a_question_without_answer_is_asked_again),
        TEST(a_refused_report_is_tried_again_ever_more_slowly),
        TEST(a_refused_reading_is_tried_again),
        TEST(an_answer_of_an_earlier_connection_is_passed_over),
        TEST(a_connection_lost_in_every_state_begins_again),
        TEST(a_start_without_network_uses_the_last_good_document),
        TEST(what_is_reported_is_written_before_and_durable_after),
        TEST(what_was_written_before_a_crash_is_used_if_it_is_whole),
        TEST(a_damaged_cache_is_set_aside),
        TEST(a_cached_document_that_is_no_longer_good_is_not_used),
        TEST(desired_goes_over_conf_json_and_that_over_the_defaults),
        TEST(a_bad_conf_json_is_ignored_as_a_whole),
        TEST(settings_of_conf_json_that_cannot_be_put_in_force_do_not_stop_the_agent),
        TEST(a_state_directory_that_is_gone_costs_only_the_cache),
        TEST(many_changes_take_no_more_memory_than_one),
        TEST(without_memory_a_change_is_late_but_not_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
