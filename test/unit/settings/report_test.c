/* SPDX-License-Identifier: Apache-2.0 */
#include "judging.h"

/* A twin's limits for what is reported. */
#define STRING_BYTES 4096u
#define SUBTREE_BYTES 4096u
#define SECTION_BYTES 32768u
#define KEY_BYTES 1024u

/* What agent 4.6.2 reports of its defaults, and behind it what is added here. */
static const char observed[] =
    "{\"Baseline_ChecksDisabled\":\"\",\"Baseline_Disabled\":false,"
    "\"Baseline_GroupsDisabled\":\"\",\"Baseline_MessageFrequency\":\"Low\","
    "\"CollectorsCore_PriorityIntervals\":\"30,120,1440\",\"CustomEvent_Disabled\":false,"
    "\"FileSystem_CacheSize\":256,\"FileSystem_Disabled\":false,"
    "\"FileSystem_MessageFrequency\":\"Medium\",\"FileSystem_Paths\":\"\","
    "\"FileSystem_Recursive\":true,\"Heartbeat_Disabled\":false,"
    "\"Heartbeat_MessageFrequency\":\"Low\",\"IothubModule_MessageTimeout\":2880,"
    "\"LogCollector_Disabled\":false,\"LogCollector_MessageFrequency\":\"Low\","
    "\"Login_Disabled\":false,\"Login_MessageFrequency\":\"Medium\",\"Login_UsePAM\":false,"
    "\"NetworkActivity_CacheSize\":256,\"NetworkActivity_Devices\":\"eth0\","
    "\"NetworkActivity_Disabled\":false,\"NetworkActivity_MessageFrequency\":\"Medium\","
    "\"NetworkActivity_PacketBufferSize\":2097152,\"Peripheral_CacheSize\":256,"
    "\"Peripheral_Disabled\":false,\"Peripheral_MessageFrequency\":\"Medium\","
    "\"Process_CacheSize\":256,\"Process_Disabled\":false,"
    "\"Process_MessageFrequency\":\"Medium\",\"Process_Mode\":1,"
    "\"Process_PollingInterval\":100000,\"SBoM_Disabled\":false,"
    "\"SBoM_MessageFrequency\":\"Low\",\"StatisticEvents_Disabled\":false,"
    "\"StatisticEvents_MessageFrequency\":\"Low\",\"SystemInformation_Disabled\":false,"
    "\"SystemInformation_MessageFrequency\":\"Low\",\"latest_state\":\"success\","
    "\"latest_invalid_fields\":\"\",\"latest_errors\":{},\"latest_desired_version\":1,"
    "\"agent_version\":\"0.1.0\"}";

static struct json *full_report(struct judging *judging)
{
    struct json *report = settings_report(&judging->arena, &judging->effective);
    assert_non_null(report);
    assert_true(verdict_report(&judging->arena, &judging->verdict, "0.1.0", report));
    return report;
}

static void the_defaults_are_reported_as_the_original_does(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"$version\":1}");
    struct json *report = full_report(&j);
    const struct json *original = parsed(&j.arena, span_of(observed));
    struct json *common = json_new(&j.arena, JSON_OBJECT);
    assert_non_null(common);
    for (struct json *member = report->first, *next; member != NULL; member = next) {
        next = member->next;
        if (json_find(original, member->key) == NULL)
            continue;
        struct span key = member->key;
        assert_true(json_set(&j.arena, common, key, json_take(report, key)));
    }
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    json_write(common, &text);
    assert_string_equal(text.ptr, observed);
    /* What is left are settings of ours, and one that the original documents and does not report.
     */
    enum setting_id id;
    json_each (member, report)
        assert_true(setting_find(member->key, &id));
    assert_non_null(json_find_text(report, "StatisticEvents_CacheSize"));
    judging_done(&j);
}

static void optional_texts_are_reported_only_when_they_are_set(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"SystemInformation_HardwareVendor\":\"ACME\"}");
    assert_string_equal(in_force(&j, "SystemInformation_HardwareVendor"), "\"ACME\"");
    assert_string_equal(in_force(&j, "SystemInformation_HardwareModel"), "absent");
    judging_done(&j);
}

static void a_refused_document_is_reported_with_names_and_sentences(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"$version\":7,\"Process_CacheSize\":0,\"Baseline_Disabled\":\"no\"}");
    struct json *report = full_report(&j);
    assert_true(span_is(json_string_of(report, "latest_state"), "failed"));
    assert_true(span_is(
        json_string_of(report, "latest_invalid_fields"), "Baseline_Disabled,Process_CacheSize"));
    struct json *errors = json_find_text(report, "latest_errors");
    assert_int_equal(errors->count, 2);
    assert_true(span_is(json_string_of(errors, "Process_CacheSize"),
        "0 is below the smallest value 1; allowed are integers from 1 to 65536 (default 256)"));
    assert_true(span_is(json_find_text(report, "latest_desired_version")->text, "7"));
    judging_done(&j);
}

static void a_setting_can_be_blamed_after_it_was_judged_good(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"Process_Mode\":2}");
    assert_true(verdict_ok(&j.verdict));
    assert_int_equal(
        verdict_blame(&j.verdict, SPAN_LIT("Process_Mode"), "netlink is %s", "refused\nhere"),
        ERR_NONE);
    assert_int_equal(verdict_blame(&j.verdict, SPAN_LIT("Process_Mode"), "another"), ERR_NONE);
    assert_false(verdict_ok(&j.verdict));
    assert_string_equal(bad_fields(&j), "Process_Mode");
    assert_string_equal(sentence_of(&j, "Process_Mode"), "netlink is refused here");
    judging_done(&j);
}

static bool is_twin_key(struct span key)
{
    if (key.len == 0 || key.len > KEY_BYTES)
        return false;
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] <= ' ' || (unsigned char)key.ptr[i] > '~' ||
            strchr(".$#", key.ptr[i]) != NULL)
            return false;
    return true;
}

/* What a value weighs at most, however a twin counts: its JSON text. */
static size_t weight(const struct json *value)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    json_write(value, &text);
    assert_false(text.failed);
    return text.len;
}

static void assert_within_limits(const struct json *report)
{
    assert_true(weight(report) <= SECTION_BYTES);
    json_each (member, report) {
        assert_true(is_twin_key(member->key));
        assert_true(weight(member) + member->key.len <= SUBTREE_BYTES);
        assert_true(member->kind != JSON_STRING || member->text.len <= STRING_BYTES);
        if (member->kind != JSON_OBJECT)
            continue;
        json_each (inner, member) {
            assert_true(is_twin_key(inner->key));
            assert_true(inner->text.len <= STRING_BYTES);
            assert_true(span_is_utf8(inner->text));
        }
    }
}

static void hostile_names_become_safe_ones(void **state)
{
    static const struct {
        const char *name; /* as JSON */
        const char *safe;
    } cases[] = {
        {"", "%"},
        {"a.b", "a%2Eb"},
        {"$a", "%24a"},
        {"a#b c", "a%23b%20c"},
        {"a,b", "a%2Cb"},
        {"100%", "100%25"},
        {"\\u0000\\n\\u007f", "%00%0A%7F"},
        {"Gr\\u00fc\\u00dfe", "Gr%C3%BC%C3%9Fe"},
        {"_left_out", "%5Fleft_out"},
        {"a_b", "a_b"},
        {"\\u2028", "%E2%80%A8"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        const char *document = arena_format(&j.arena, "{\"%s\":[]}", cases[i].name);
        assert_non_null(document);
        judge_text(&j, document);
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_string_equal(bad_fields(&j), cases[i].safe);
        assert_within_limits(full_report(&j));
        judging_done(&j);
    }
}

static void long_names_are_cut_and_stay_apart(void **state)
{
    static const char *const fills[] = {"x", "\\u0001", "\\u00fc", "."};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fills); i++) {
        struct judging j;
        judging_init(&j);
        AUTO(buf_done) struct buf text = BUF_EMPTY;
        buf_add_text(&text, "{\"");
        for (int n = 0; n < 5000; n++)
            buf_add_text(&text, fills[i]);
        buf_add_text(&text, "\":1,\"");
        for (int n = 0; n < 5001; n++)
            buf_add_text(&text, fills[i]);
        buf_add_text(&text, "\":1}");
        judge_text(&j, text.ptr);
        assert_int_equal(j.verdict.field_count, 2);
        struct json *report = full_report(&j);
        assert_within_limits(report);
        assert_int_equal(json_find_text(report, "latest_errors")->count, 2);
        assert_true(json_string_of(report, "latest_invalid_fields").len < 200);
        judging_done(&j);
    }
}

static void names_around_the_cut_are_whole_or_hashed(void **state)
{
    (void)state;
    for (size_t len = 70; len < 110; len++) {
        struct judging j;
        judging_init(&j);
        char name[128] = "";
        memset(name, 'n', len);
        const char *document = arena_format(&j.arena, "{\"%s\":1}", name);
        assert_non_null(document);
        judge_text(&j, document);
        const char *safe = bad_fields(&j);
        if (len <= 96) {
            assert_string_equal(safe, name);
        } else {
            assert_int_equal(strlen(safe), 89);
            assert_int_equal(safe[80], '~');
        }
        judging_done(&j);
    }
}

/* Judges a document with `count` unknown members with values that sentences would show. */
static void judge_many(struct judging *judging, int count, const char *stem)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    buf_add_text(&text, "{");
    for (int i = 0; i < count; i++)
        buf_add_format(&text, "%s\"%s%05d\":\"\\u00e9\\u00e9\"", i == 0 ? "" : ",", stem, i);
    buf_add_text(&text, "}");
    judge_text(judging, text.ptr);
}

static void many_bad_fields_stay_within_the_limits_and_are_counted(void **state)
{
    static const int counts[] = {
        1, 10, 60, 60, 100, 100, 500, 500, 1000, 1000, 1001, 1001, 3000, 3000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct judging j;
        judging_init(&j);
        judge_many(&j, counts[i], i % 2 == 0 ? "Unknown_Setting" : "U");
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_int_equal((int)(j.verdict.field_count + j.verdict.left_out), counts[i]);
        struct json *report = full_report(&j);
        assert_within_limits(report);
        int named = 1;
        int left = 0;
        const char *names = json_string_of(report, "latest_invalid_fields").ptr;
        for (const char *c = names; *c != '\0'; c++)
            named += *c == ',' ? 1 : 0;
        const char *rest = strstr(names, ",...+");
        if (rest != NULL) {
            assert_int_equal(sscanf(rest, ",...+%d", &left), 1);
            named--;
        }
        assert_int_equal(named + left, counts[i]);
        const struct json *errors = json_find_text(report, "latest_errors");
        const struct json *left_out = json_find_text(errors, "_left_out");
        int told = (int)errors->count - (left_out != NULL ? 1 : 0);
        int untold = 0;
        if (left_out != NULL)
            assert_int_equal(sscanf(left_out->text.ptr, "%d more", &untold), 1);
        assert_int_equal(told + untold, counts[i]);
        judging_done(&j);
    }
}

static void the_largest_good_document_fits_a_twin(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = setting_row((enum setting_id)id);
        if (row->local || row->form == NULL)
            continue;
        buf_add_format(&text, "%c\"%s\":\"", text.len == 0 ? '{' : ',', row->name);
        if (id == SETTING_PROCESS_EVENTS) { /* its words are few */
            buf_add_format(&text, "%s\"", row->default_text);
            continue;
        }
        size_t item = row->kind == SETTING_KIND_TEXT ? (size_t)row->largest
                                                     : (size_t)row->largest / row->items_max;
        if (item - 1 > row->form->largest_bytes)
            item = row->form->largest_bytes + 1;
        for (size_t at = 0; at < (size_t)row->largest; at++) {
            size_t in_item = at % item;
            bool comma = in_item == item - 1 && row->kind == SETTING_KIND_LIST;
            if (comma && at / item + 1 >= row->items_max)
                break;
            size_t salt = at / item; /* so that no item is repeated */
            char digit = (char)('a' + (in_item == 1 ? salt % 26 : salt / 26));
            buf_add_byte(&text, comma ? ',' : in_item == 0 ? '/' : digit);
        }
        buf_add_byte(&text, '"');
    }
    buf_add_byte(&text, '}');
    /* An interface has no '/'. */
    char *devices = strstr(text.ptr, "NetworkActivity_Devices\":\"");
    assert_non_null(devices);
    for (char *c = devices + 26; *c != '"'; c++)
        *c = *c == '/' ? 'e' : *c;
    judge_text(&j, text.ptr);
    if (j.err != ERR_NONE)
        fail_msg("%s: %s", bad_fields(&j), j.verdict.fields->sentence);
    assert_within_limits(full_report(&j));
    assert_true(weight(full_report(&j)) > 10000);
    /* And with the largest verdict on top of it. */
    struct judging many;
    judging_init(&many);
    judge_many(&many, 3000, "Unknown_Setting");
    struct json *report = settings_report(&j.arena, &j.effective);
    assert_true(verdict_report(&j.arena, &many.verdict, "0.1.0", report));
    assert_within_limits(report);
    judging_done(&many);
    judging_done(&j);
}

static void only_differences_are_sent(void **state)
{
    static const struct {
        const char *previous; /* "": none */
        const char *reported;
        const char *patch;
    } cases[] = {
        {"", "{\"a\":1,\"e\":{}}", "{\"a\":1,\"e\":{}}"},
        {"{}", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1}", "{\"a\":1}", "{}"},
        {"{\"a\":1,\"$version\":4,\"$metadata\":{\"a\":{}}}", "{\"a\":1}", "{}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":\"1\"}", "{\"a\":\"1\",\"b\":null}"},
        {"{\"e\":{\"x\":\"1\",\"y\":\"2\"}}", "{\"e\":{\"y\":\"3\",\"z\":\"4\"}}",
            "{\"e\":{\"y\":\"3\",\"z\":\"4\",\"x\":null}}"},
        {"{\"e\":{\"x\":\"1\"}}", "{\"e\":{}}", "{\"e\":{\"x\":null}}"},
        {"{\"e\":{}}", "{\"e\":{}}", "{}"},
        {"{\"e\":1}", "{\"e\":{}}", "{\"e\":{}}"},
        {"{\"e\":{\"x\":1}}", "{\"e\":1}", "{\"e\":1}"},
        {"{\"a\":[1,2]}", "{\"a\":[1,3]}", "{\"a\":[1,3]}"},
        {"[]", "{\"a\":1}", "{\"a\":1}"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        arena_init(&arena, 0);
        struct json *previous =
            cases[i].previous[0] == '\0' ? NULL : parsed(&arena, span_of(cases[i].previous));
        struct json *patch = settings_report_difference(
            &arena, previous, parsed(&arena, span_of(cases[i].reported)));
        assert_non_null(patch);
        AUTO(buf_done) struct buf text = BUF_EMPTY;
        json_write(patch, &text);
        assert_string_equal(text.ptr, cases[i].patch);
        arena_done(&arena);
    }
}

static void without_memory_nothing_is_reported(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_many(&j, 100, "Unknown");
    struct json *previous = parsed(&j.arena, SPAN_LIT("{\"gone\":{\"x\":1},\"latest_errors\":{}}"));
    bool done = false;
    for (long allocation = 0; !done; allocation++) {
        assert_true(allocation < 1000);
        struct arena arena;
        arena_init(&arena, 0);
        mem_fail_after(allocation);
        struct json *report = settings_report(&arena, &j.effective);
        done = report != NULL && verdict_report(&arena, &j.verdict, "0.1.0", report) &&
               settings_report_difference(&arena, previous, report) != NULL;
        mem_fail_after(-1);
        arena_done(&arena);
    }
    judging_done(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_reported_as_the_original_does),
        cmocka_unit_test(optional_texts_are_reported_only_when_they_are_set),
        cmocka_unit_test(a_refused_document_is_reported_with_names_and_sentences),
        cmocka_unit_test(a_setting_can_be_blamed_after_it_was_judged_good),
        cmocka_unit_test(hostile_names_become_safe_ones),
        cmocka_unit_test(long_names_are_cut_and_stay_apart),
        cmocka_unit_test(names_around_the_cut_are_whole_or_hashed),
        cmocka_unit_test(many_bad_fields_stay_within_the_limits_and_are_counted),
        cmocka_unit_test(the_largest_good_document_fits_a_twin),
        cmocka_unit_test(only_differences_are_sent),
        cmocka_unit_test(without_memory_nothing_is_reported),
    };
    return cmocka_run_group_tests_name("settings/report", tests, NULL, NULL);
}
