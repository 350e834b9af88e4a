/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of settings that do not prove good. */
#include "config_world.h"

#include <setjmp.h>

#include <cmocka.h>

#define PROBATION (300 * SECOND_US) /* the default of Agent_ProbationSeconds */

static void pass(int64_t us)
{
    now_us += us;
    config_run(config);
}

/* A change of version 2 is in force, reported and on probation. */
static void change(void)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    assert_true(patch_has("\"Process_CacheSize\":77"));
    answer_report(204);
    assert_int_equal(world.process_cache, 77);
    assert_true(file_holds("cache.json", "\"proven\":{\"$version\":1},\"starts\":1"));
    world.calls[0] = '\0';
}

static void expect_taken_back(const char *reason)
{
    assert_int_equal(world.process_cache, 256);
    assert_true(file_holds("cache.json", "\"desired\":{\"$version\":1}"));
    assert_true(file_holds("cache.json", "\"refused\":{\"version\":2,"));
    assert_true(file_holds("cache.json", reason));
    assert_false(file_holds("cache.json", "\"proven\""));
}

static void reconnect(void)
{
    config_connected(config);
    answer_read("{\"desired\":{\"Process_CacheSize\":77,\"$version\":2},\"reported\":{}}");
}

static void expect_failed_report(const char *reason)
{
    assert_true(patch_has("\"latest_state\":\"failed\""));
    assert_true(patch_has("\"latest_invalid_fields\":\"Process_CacheSize\""));
    assert_true(patch_has("\"Process_CacheSize\":256"));
    assert_true(patch_has(reason));
}

static void a_change_proves_good_when_the_hub_is_reached_at_the_end(void **state UNUSED)
{
    change();
    assert_int_equal(config_run(config), now_us + PROBATION);
    pass(PROBATION - 1);
    assert_true(file_holds("cache.json", "\"proven\""));
    pass(1);
    assert_false(file_holds("cache.json", "\"proven\""));
    assert_true(file_holds("cache.json", "\"desired\":{\"$version\":2,"));
    assert_int_equal(config_run(config), INT64_MAX);
    expect_calls("");
}

static void a_change_without_effect_needs_no_proof(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":256,\"$version\":2}");
    config_run(config);
    assert_false(file_holds("cache.json", "\"proven\""));
}

static void a_connection_that_comes_back_in_time_is_no_fault(void **state UNUSED)
{
    change();
    config_lost(config);
    pass(PROBATION - SECOND_US);
    reconnect();
    pass(PROBATION);
    assert_int_equal(world.process_cache, 77);
    assert_false(file_holds("cache.json", "\"proven\""));
}

static void a_connection_lost_just_before_the_end_gets_time_to_come_back(void **state UNUSED)
{
    change();
    pass(PROBATION - SECOND_US);
    config_lost(config);
    pass(60 * SECOND_US);
    assert_int_equal(world.process_cache, 77);
    reconnect();
    config_run(config);
    assert_false(file_holds("cache.json", "\"proven\""));
    assert_int_equal(world.process_cache, 77);
}

static void without_the_hub_the_last_good_document_comes_back_and_is_told_of(void **state UNUSED)
{
    change();
    pass(SECOND_US);
    config_lost(config);
    pass(PROBATION);
    expect_calls("flush;apply;");
    expect_taken_back("lost the hub");
    pass(10 * SECOND_US);
    reconnect();
    expect_calls("read;report;");
    assert_true(patch_has("\"latest_desired_version\":2"));
    expect_failed_report("lost the hub and did not reach it again within "
                         "Agent_ProbationSeconds, 300 s");
    answer_report(204);
    pass(100 * PROBATION);
    expect_calls("");
    assert_int_equal(world.process_cache, 256);
}

static void what_was_taken_back_stays_so_over_restarts_until_desired_changes(void **state UNUSED)
{
    change();
    config_lost(config);
    pass(PROBATION);
    restart();
    assert_int_equal(world.process_cache, 256);
    reconnect();
    expect_failed_report("lost the hub");
    answer_report(204);
    desired(3, "{\"Process_Mode\":3,\"$version\":3}");
    config_run(config);
    assert_int_equal(world.process_cache, 77);
    assert_true(patch_has("\"latest_state\":\"success\""));
    assert_false(file_holds("cache.json", "\"refused\""));
    assert_true(file_holds("cache.json", "\"proven\":{\"$version\":1}"));
}

/* The hub was away, whatever the settings were: then they are given another chance. */
static void an_outage_that_outlasts_the_old_settings_too_acquits_the_new(void **state UNUSED)
{
    change();
    config_lost(config);
    pass(PROBATION);
    expect_taken_back("lost the hub");
    pass(PROBATION);
    assert_false(file_holds("cache.json", "\"refused\""));
    pass(1000 * PROBATION);
    world.calls[0] = '\0';
    reconnect();
    expect_calls("read;flush;apply;report;");
    assert_int_equal(world.process_cache, 77);
    assert_true(patch_has("\"latest_state\":\"success\""));
    pass(PROBATION);
    assert_false(file_holds("cache.json", "\"proven\""));
}

static void over_budget_the_change_is_taken_back_and_told_at_once(void **state UNUSED)
{
    change();
    config_over_budget(config, "uses 55 % of a core");
    config_run(config);
    expect_calls("flush;apply;report;");
    expect_taken_back("uses 55 % of a core");
    expect_failed_report("uses 55 % of a core");
    answer_report(204);
    /* Without anything on probation, nothing is to blame. */
    config_over_budget(config, "uses 55 % of a core");
    config_run(config);
    expect_calls("");
}

static void an_agent_that_dies_again_and_again_goes_back_by_itself(void **state UNUSED)
{
    change();
    for (int deaths = 1; deaths < 5; deaths++) {
        restart();
        assert_int_equal(world.process_cache, 77);
    }
    restart();
    expect_taken_back("the agent died 5 times");
    reconnect();
    expect_failed_report("the agent died 5 times");
    restart();
    assert_int_equal(world.process_cache, 256);
}

static void proper_stops_are_no_deaths(void **state UNUSED)
{
    change();
    for (int stops = 0; stops < 10; stops++) {
        config_stop(config);
        restart();
        assert_int_equal(world.process_cache, 77);
    }
}

/* The document is on disk before it is put in force: one that kills at once is caught too. */
static void a_change_is_written_down_before_it_is_put_in_force(void **state UNUSED)
{
    come_in_step();
    world.look_at_apply = true;
    desired(2, "{\"Process_CacheSize\":77,\"$version\":2}");
    config_run(config);
    assert_true(world.staged_at_apply);
}

static void what_cannot_be_put_in_force_leaves_no_trace(void **state UNUSED)
{
    change();
    world.bad_field = "Process_Mode";
    desired(3, "{\"Process_Mode\":2,\"$version\":3}");
    config_run(config);
    assert_true(file_holds("cache.json", "\"desired\":{\"$version\":2,"));
    assert_true(file_holds("cache.json", "\"proven\":{\"$version\":1}"));
    world.bad_field = NULL;
    config_lost(config);
    pass(PROBATION);
    assert_int_equal(world.process_cache, 256);
}

static void a_second_change_does_not_prove_the_first(void **state UNUSED)
{
    change();
    pass(PROBATION - SECOND_US);
    desired(3, "{\"Process_Mode\":3,\"$version\":3}");
    config_run(config);
    answer_report(204);
    pass(10 * SECOND_US);
    assert_true(file_holds("cache.json", "\"proven\":{\"$version\":1}"));
    config_over_budget(config, "uses too much");
    config_run(config);
    assert_int_equal(world.process_cache, 256);
    assert_true(patch_has("\"latest_invalid_fields\":\"Process_CacheSize,Process_Mode\""));
}

static void going_back_by_hand_ends_the_probation(void **state UNUSED)
{
    change();
    desired(3, "{\"Process_CacheSize\":null,\"$version\":3}");
    config_run(config);
    assert_int_equal(world.process_cache, 256);
    assert_false(file_holds("cache.json", "\"proven\""));
}

static void a_bad_document_meanwhile_leaves_the_probation_as_it_is(void **state UNUSED)
{
    change();
    desired(3, "{\"Foo\":1,\"$version\":3}");
    config_run(config);
    answer_report(204);
    config_over_budget(config, "uses too much");
    config_run(config);
    assert_int_equal(world.process_cache, 256);
    assert_true(patch_has("\"latest_invalid_fields\":\"Foo,Process_CacheSize\""));
    desired(4, "{\"Foo\":null,\"$version\":4}");
    config_run(config);
    assert_int_equal(world.process_cache, 77);
}

static void no_change_excuses_itself_from_probation(void **state UNUSED)
{
    come_in_step();
    desired(2, "{\"Process_CacheSize\":77,\"Agent_ProbationSeconds\":0,\"$version\":2}");
    config_run(config);
    answer_report(204);
    assert_true(file_holds("cache.json", "\"proven\""));
    pass(PROBATION);
    assert_false(file_holds("cache.json", "\"proven\""));
    desired(3, "{\"Process_CacheSize\":78,\"$version\":3}");
    config_run(config);
    assert_false(file_holds("cache.json", "\"proven\""));
}

static void a_start_without_network_goes_on_with_the_probation(void **state UNUSED)
{
    change();
    config_stop(config);
    restart();
    assert_int_equal(world.process_cache, 77);
    pass(PROBATION);
    expect_taken_back("lost the hub");
}

static void conf_json_read_again_is_in_force_at_once_and_below_desired(void **state UNUSED)
{
    change();
    write_file("conf.json", "{\"Process_CacheSize\":5,\"NetworkActivity_Devices\":\"lo\"}");
    config_reload(config);
    config_run(config);
    expect_calls("flush;apply;report;");
    assert_int_equal(world.process_cache, 77);
    assert_string_equal(world.devices, "lo");
    assert_true(patch_has("\"NetworkActivity_Devices\":\"lo\""));
    answer_report(204);
    /* What comes back is the last good document over it. */
    config_over_budget(config, "uses too much");
    assert_int_equal(world.process_cache, 5);
    assert_string_equal(world.devices, "lo");

    write_file("conf.json", "{\"Foo\":1}");
    config_reload(config);
    assert_string_equal(world.devices, "lo");
    write_file("conf.json", "{}");
    config_reload(config);
    assert_string_equal(world.devices, "eth0");
    assert_int_equal(world.process_cache, 256);
}

static void conf_json_is_read_again_before_any_document_came(void **state UNUSED)
{
    start();
    write_file("conf.json", "{\"Process_CacheSize\":5}");
    config_reload(config);
    config_run(config);
    assert_int_equal(world.process_cache, 5);
    assert_false(file_holds("cache.json", ""));
}

static void what_the_file_says_is_judged_and_never_trusted(void **state UNUSED)
{
    static const char *const caches[] = {
        "{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5},\"proven\":5}",
        "{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5},\"proven\":{\"Foo\":1},"
        "\"starts\":-5}",
        "{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5},\"proven\":{},"
        "\"starts\":\"many\"}",
        "{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5},\"refused\":[]}",
        "{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5},\"refused\":{"
        "\"version\":"
        "-1,\"fields\":{}}}",
        "{\"format\":1,\"desired\":{\"Process_CacheSize\":8,\"$version\":5},\"refused\":{"
        "\"version\":"
        "9,\"fields\":{\"a\":1,\"b\":[],\"c\":\"d\"}}}",
    };
    for (size_t i = 0; i < COUNT_OF(caches); i++) {
        write_file("cache.json", caches[i]);
        restart();
        assert_int_equal(world.process_cache, 8);
        reconnect();
        assert_int_equal(world.process_cache, 77);
    }
    write_file("cache.json", "{\"format\":1,\"desired\":{\"Foo\":8,\"$version\":5},\"proven\":"
                             "{\"Process_CacheSize\":9,\"$version\":4},\"starts\":1}");
    restart();
    assert_int_equal(world.process_cache, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_proves_good_when_the_hub_is_reached_at_the_end),
        TEST(a_change_without_effect_needs_no_proof),
        TEST(a_connection_that_comes_back_in_time_is_no_fault),
        TEST(a_connection_lost_just_before_the_end_gets_time_to_come_back),
        TEST(without_the_hub_the_last_good_document_comes_back_and_is_told_of),
        TEST(what_was_taken_back_stays_so_over_restarts_until_desired_changes),
        TEST(an_outage_that_outlasts_the_old_settings_too_acquits_the_new),
        TEST(over_budget_the_change_is_taken_back_and_told_at_once),
        TEST(an_agent_that_dies_again_and_again_goes_back_by_itself),
        TEST(proper_stops_are_no_deaths), TEST(a_change_is_written_down_before_it_is_put_in_force),
        TEST(what_cannot_be_put_in_force_leaves_no_trace),
        TEST(a_second_change_does_not_prove_the_first), TEST(going_back_by_hand_ends_the_probation),
        TEST(a_bad_document_meanwhile_leaves_the_probation_as_it_is),
        TEST(no_change_excuses_itself_from_probation),
        TEST(a_start_without_network_goes_on_with_the_probation),
        TEST(conf_json_read_again_is_in_force_at_once_and_below_desired),
        TEST(conf_json_is_read_again_before_any_document_came),
        TEST(what_the_file_says_is_judged_and_never_trusted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
