/* SPDX-License-Identifier: Apache-2.0 */
#include "judging.h"

static void the_rows_stand_in_the_order_that_is_reported(void **state)
{
    (void)state;
    for (unsigned id = 1; id < SETTING_COUNT; id++)
        assert_true(span_compare(span_of(setting_row((enum setting_id)(id - 1))->name),
                        span_of(setting_row((enum setting_id)id)->name)) < 0);
}

static void every_row_is_complete(void **state)
{
    (void)state;
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = setting_row((enum setting_id)id);
        bool has_text = row->kind == SETTING_KIND_TEXT || row->kind == SETTING_KIND_LIST;
        assert_non_null(row->name);
        assert_non_null(row->title);
        assert_non_null(row->help);
        assert_true((unsigned)row->part < PART_COUNT);
        assert_true(row->kind != SETTING_KIND_INT || row->smallest < row->largest);
        assert_true(row->kind != SETTING_KIND_WORD || row->choices != NULL);
        assert_int_equal(has_text, row->form != NULL);
        assert_true(!has_text || row->local || row->form->pattern != NULL);
        assert_int_equal(
            has_text || row->kind == SETTING_KIND_INTERVALS, row->default_text != NULL);
        assert_true(row->kind != SETTING_KIND_LIST || row->items_max > 0);
    }
}

static void a_setting_is_named_after_a_part(void **state)
{
    (void)state;
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = setting_row((enum setting_id)id);
        struct span part = span_of(setting_part_row(row->part)->name);
        assert_true(span_starts(span_of(row->name), part));
        assert_int_equal(row->name[part.len], '_');
    }
}

static void every_default_is_a_good_value(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    struct json *report = settings_report(&j.arena, &j.base);
    assert_non_null(report);
    assert_int_equal(settings_judge(&j.base, report, &j.effective, &j.verdict), ERR_NONE);
    assert_int_equal(settings_difference(&j.base, &j.effective), 0);
    judging_done(&j);
}

static void a_setting_is_found_by_its_name_and_its_alias_and_nothing_else(void **state)
{
    (void)state;
    enum setting_id id;
    assert_true(setting_find(SPAN_LIT("Process_CacheSize"), &id));
    assert_int_equal(id, SETTING_PROCESS_CACHE_SIZE);
    assert_true(setting_find(SPAN_LIT("Statistics_Disabled"), &id));
    assert_int_equal(id, SETTING_STATISTIC_EVENTS_DISABLED);
    assert_true(setting_find(SPAN_LIT("StatisticEvents_Disabled"), &id));
    assert_int_equal(id, SETTING_STATISTIC_EVENTS_DISABLED);
    assert_false(setting_find(SPAN_LIT("process_cachesize"), &id));
    assert_false(setting_find(SPAN_LIT(""), &id));
    assert_false(setting_find(SPAN_NONE, &id));
}

static void values_are_got_in_their_own_types(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"FileSystem_Paths\":\" /etc , /usr/bin,/etc \",\"Login_UsePAM\":true,"
                   "\"Process_CacheSize\":17,\"Process_MessageFrequency\":\"High\"}");
    assert_int_equal(j.err, ERR_NONE);
    assert_true(settings_bool(&j.effective, SETTING_LOGIN_USE_PAM));
    assert_int_equal(settings_int(&j.effective, SETTING_PROCESS_CACHE_SIZE), 17);
    assert_int_equal(
        settings_frequency(&j.effective, SETTING_PROCESS_MESSAGE_FREQUENCY), FREQUENCY_HIGH);
    assert_string_equal(settings_text(&j.effective, SETTING_FILE_SYSTEM_PATHS), "/etc,/usr/bin");
    assert_string_equal(settings_text(&j.effective, SETTING_NETWORK_ACTIVITY_DEVICES), "eth0");
    assert_string_equal(settings_text(&j.effective, SETTING_SYSTEM_INFORMATION_HARDWARE_MODEL), "");
    assert_true(settings_list_has(&j.effective, SETTING_FILE_SYSTEM_PATHS, SPAN_LIT("/usr/bin")));
    assert_false(settings_list_has(&j.effective, SETTING_FILE_SYSTEM_PATHS, SPAN_LIT("/usr")));
    assert_true(j.effective.values[SETTING_LOGIN_USE_PAM].given);
    assert_false(j.effective.values[SETTING_LOGIN_DISABLED].given);
    judging_done(&j);
}

static void an_empty_list_has_no_items(void **state)
{
    (void)state;
    struct settings settings;
    settings_init(&settings);
    struct span rest = settings_list(&settings, SETTING_FILE_SYSTEM_PATHS);
    struct span item;
    assert_false(span_cut(&rest, ',', &item));
    assert_false(settings_list_has(&settings, SETTING_FILE_SYSTEM_PATHS, SPAN_LIT("")));
}

static void a_frequency_lasts_as_long_as_the_intervals_say(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    assert_int_equal(settings_interval_seconds(&j.base, FREQUENCY_HIGH), 30 * 60);
    assert_int_equal(settings_interval_seconds(&j.base, FREQUENCY_MEDIUM), 120 * 60);
    assert_int_equal(settings_interval_seconds(&j.base, FREQUENCY_LOW), 1440 * 60);
    judge_text(&j, "{\"CollectorsCore_PriorityIntervals\":\"2,3,10080\"}");
    assert_int_equal(settings_interval_seconds(&j.effective, FREQUENCY_HIGH), 120);
    assert_int_equal(settings_interval_seconds(&j.effective, FREQUENCY_MEDIUM), 180);
    assert_int_equal(settings_interval_seconds(&j.effective, FREQUENCY_LOW), 604800);
    judging_done(&j);
}

static void only_the_parts_whose_values_changed_differ(void **state)
{
    static const struct {
        const char *desired;
        uint32_t parts;
    } cases[] = {
        {"{}", 0},
        {"{\"Process_CacheSize\":256,\"NetworkActivity_Devices\":\" eth0 \"}", 0},
        {"{\"SystemInformation_HardwareModel\":\"\"}", 0},
        {"{\"SystemInformation_HardwareModel\":\"X\"}", PART_BIT(PART_SYSTEM_INFORMATION)},
        {"{\"Process_CacheSize\":255}", PART_BIT(PART_PROCESS)},
        {"{\"Process_Disabled\":true,\"FileSystem_Paths\":\"/a\"}",
            PART_BIT(PART_PROCESS) | PART_BIT(PART_FILE_SYSTEM)},
        {"{\"IothubModule_MessageTimeout\":1}", PART_BIT(PART_OUTBOX)},
        {"{\"CollectorsCore_PriorityIntervals\":\"1,1,1\"}", PART_BIT(PART_CORE)},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_text(&j, cases[i].desired);
        assert_int_equal(j.err, ERR_NONE);
        assert_int_equal(settings_difference(&j.base, &j.effective), cases[i].parts);
        assert_int_equal(settings_difference(&j.effective, &j.base), cases[i].parts);
        judging_done(&j);
    }
}

static void a_copy_is_equal_and_stands_alone(void **state)
{
    (void)state;
    struct judging j;
    struct settings copy;
    judging_init(&j);
    judge_text(&j, "{\"FileSystem_Paths\":\"/a,/b\",\"Process_Mode\":3}");
    assert_int_equal(settings_copy(&j.effective, &copy), ERR_NONE);
    judging_done(&j);
    assert_string_equal(settings_text(&copy, SETTING_FILE_SYSTEM_PATHS), "/a,/b");
    assert_int_equal(settings_int(&copy, SETTING_PROCESS_MODE), 3);
    settings_done(&copy);
    assert_string_equal(settings_text(&copy, SETTING_FILE_SYSTEM_PATHS), "");
}

static void a_copy_without_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct judging j;
    struct settings copy;
    judging_init(&j);
    judge_text(&j, "{\"FileSystem_Paths\":\"/a\",\"Baseline_ChecksDisabled\":\"1\"}");
    enum err err = ERR_MEMORY;
    long allocation = 0;
    for (; err == ERR_MEMORY; allocation++) {
        mem_fail_after(allocation);
        err = settings_copy(&j.effective, &copy);
        mem_fail_after(-1);
    }
    assert_int_equal(err, ERR_NONE);
    assert_int_equal(allocation, 3);
    settings_done(&copy);
    judging_done(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_stand_in_the_order_that_is_reported),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(a_setting_is_named_after_a_part),
        cmocka_unit_test(every_default_is_a_good_value),
        cmocka_unit_test(a_setting_is_found_by_its_name_and_its_alias_and_nothing_else),
        cmocka_unit_test(values_are_got_in_their_own_types),
        cmocka_unit_test(an_empty_list_has_no_items),
        cmocka_unit_test(a_frequency_lasts_as_long_as_the_intervals_say),
        cmocka_unit_test(only_the_parts_whose_values_changed_differ),
        cmocka_unit_test(a_copy_is_equal_and_stands_alone),
        cmocka_unit_test(a_copy_without_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("settings/table", tests, NULL, NULL);
}
