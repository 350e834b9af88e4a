/* SPDX-License-Identifier: Apache-2.0 */
#include "judging.h"

#include <stdlib.h>

#define B "true and false"
#define CACHE_BAD "integers from 1 to 65536 (default 256)"

/* A value and what comes of it: what is in force, or (bad) what the sentence says. */
struct value_case {
    const char *name;
    const char *value;
    const char *effect; /* in force, or NULL: bad */
    const char *says;
};

#define SWITCH(name, fallback)                                                                     \
    {name, "true", "true", NULL}, {name, "false", "false", NULL}, {name, "null", fallback, NULL},  \
        {name, "\"true\"", NULL,                                                                   \
            "\"true\" is a string, not a boolean; allowed are true and false "                     \
            "(default " fallback ")"},                                                             \
        {name, "\"True\"", NULL, B}, {name, "1", NULL, "1 is an integer, not a boolean"},          \
        {name, "0", NULL, B}, {name, "[true]", NULL, "the value is an array"},                     \
    {                                                                                              \
        name, "{\"value\":true}", NULL, "the value is an object"                                   \
    }

#define FREQUENCY(name, fallback)                                                                  \
    {name, "\"Low\"", "\"Low\"", NULL}, {name, "\"Medium\"", "\"Medium\"", NULL},                  \
        {name, "\"High\"", "\"High\"", NULL}, {name, "null", "\"" fallback "\"", NULL},            \
        {name, "\"low\"", NULL,                                                                    \
            "\"low\" must be written exactly as \"Low\"; allowed are Low, "                        \
            "Medium and High (default \"" fallback "\")"},                                         \
        {name, "\" High\"", NULL, "exactly"}, {name, "\"\"", NULL, "is none of the words"},        \
        {name, "\"Hourly\"", NULL, "\"Hourly\" is none"}, {name, "1", NULL, "not a string"},       \
        {name, "true", NULL, "true is a boolean, not a string"}, {name, "[]", NULL, "an array"},   \
    {                                                                                              \
        name, "{}", NULL, "an object"                                                              \
    }

#define INTEGER(name, below, smallest, largest, above, fallback)                                   \
    {name, smallest, smallest, NULL}, {name, largest, largest, NULL},                              \
        {name, fallback, fallback, NULL}, {name, "null", fallback, NULL},                          \
        {name, below, NULL, below " is below the smallest value " smallest},                       \
        {name, above, NULL, above " is above the largest value " largest},                         \
        {name, "-1", NULL, "below"}, {name, "0", NULL, "(default " fallback ")"},                  \
        {name, "-0", NULL, "below"}, {name, smallest ".0", NULL, "is not written as an integer"},  \
        {name, "1e3", NULL, "1e3 is not written as an integer"},                                   \
        {name, "9223372036854775808", NULL, "above"},                                              \
        {name, "-9223372036854775809", NULL, "below"},                                             \
        {name, "99999999999999999999999999999999999999999999", NULL, "above"},                     \
        {name, "\"" smallest "\"", NULL, "is a string, not an integer"},                           \
        {name, "true", NULL, "not an integer"}, {name, "[1]", NULL, "an array"},                   \
    {                                                                                              \
        name, "{}", NULL, "an object"                                                              \
    }

#define CACHE(name) INTEGER(name, "0", "1", "65536", "65537", "256")

#define NO_STRING(name)                                                                            \
    {name, "true", NULL, "not a string"}, {name, "5", NULL, "5 is an integer, not a string"},      \
        {name, "5.5", NULL, "5.5 is a number, not a string"}, {name, "[\"a\"]", NULL, "an array"}, \
    {                                                                                              \
        name, "{\"a\":1}", NULL, "an object"                                                       \
    }

#define TEXT(name)                                                                                 \
    {name, "\"ACME & Söhne, Typ 5\"", "\"ACME & Söhne, Typ 5\"", NULL},                            \
        {name, "\"\"", "absent", NULL}, {name, "null", "absent", NULL},                            \
        {name, "\"a\\u0000b\"", NULL, "\"a?b\" is not of the form"},                               \
        {name, "\"a\\nb\"", NULL, "texts without control characters, at most 256 bytes"},          \
        {name, "\"a\\u009bb\"", NULL, "\"a??b\""}, NO_STRING(name)

static const struct value_case value_cases[] = {
    {"Baseline_ChecksDisabled", "\"3.3.5, 2.2.1.1\"", "\"3.3.5,2.2.1.1\"", NULL},
    {"Baseline_ChecksDisabled", "\"\"", "\"\"", NULL},
    {"Baseline_ChecksDisabled", "\"  \"", "\"\"", NULL},
    {"Baseline_ChecksDisabled", "null", "\"\"", NULL},
    {"Baseline_ChecksDisabled", "\"3.3.5 2.2\"", NULL, "ids of checks without blanks"},
    {"Baseline_ChecksDisabled", "\"3.3.5,\"", NULL, "item 2 of the list is empty"},
    {"Baseline_ChecksDisabled", "\",3.3.5\"", NULL, "item 1 of the list is empty"},
    NO_STRING("Baseline_ChecksDisabled"),
    SWITCH("Baseline_Disabled", "false"),
    {"Baseline_GroupsDisabled", "\"Time Synchronization, Network Parameters Host\"",
        "\"Time Synchronization,Network Parameters Host\"", NULL},
    {"Baseline_GroupsDisabled", "\"Ä,Ä , Ä\"", "\"Ä\"", NULL},
    {"Baseline_GroupsDisabled", "\"a\\u0007b\"", NULL, "\"a?b\", is not of the form"},
    {"Baseline_GroupsDisabled", "\"a,,b\"", NULL, "item 2"},
    {"Baseline_GroupsDisabled", "null", "\"\"", NULL},
    NO_STRING("Baseline_GroupsDisabled"),
    FREQUENCY("Baseline_MessageFrequency", "Low"),
    {"CollectorsCore_PriorityIntervals", "\"30,120,1440\"", "\"30,120,1440\"", NULL},
    {"CollectorsCore_PriorityIntervals", "\" 1 ,1,\\t1 \"", "\"1,1,1\"", NULL},
    {"CollectorsCore_PriorityIntervals", "\"10080,10080,10080\"", "\"10080,10080,10080\"", NULL},
    {"CollectorsCore_PriorityIntervals", "\"2,3,7\"", "\"2,3,7\"", NULL},
    {"CollectorsCore_PriorityIntervals", "null", "\"30,120,1440\"", NULL},
    {"CollectorsCore_PriorityIntervals", "\"0,120,1440\"", NULL,
        "\"0\" for High is no integer from 1 to 10080; allowed are strings of three integers from "
        "1 to 10080, \"High,Medium,Low\", none smaller than the one before (default "
        "\"30,120,1440\")"},
    {"CollectorsCore_PriorityIntervals", "\"30,120,10081\"", NULL, "\"10081\" for Low"},
    {"CollectorsCore_PriorityIntervals", "\"30,20,1440\"", NULL,
        "20 for Medium is smaller than 30 for High"},
    {"CollectorsCore_PriorityIntervals", "\"30,120,60\"", NULL, "60 for Low is smaller"},
    {"CollectorsCore_PriorityIntervals", "\"30,120\"", NULL, "is not three integers"},
    {"CollectorsCore_PriorityIntervals", "\"30,120,1440,2880\"", NULL, "is not three integers"},
    {"CollectorsCore_PriorityIntervals", "\"30,120,1440,\"", NULL, "is not three integers"},
    {"CollectorsCore_PriorityIntervals", "\"\"", NULL, "\"\" for High"},
    {"CollectorsCore_PriorityIntervals", "\"30;120;1440\"", NULL, "for High"},
    {"CollectorsCore_PriorityIntervals", "\"-30,120,1440\"", NULL, "for High"},
    {"CollectorsCore_PriorityIntervals", "\"30.5,120,1440\"", NULL, "for High"},
    {"CollectorsCore_PriorityIntervals", "\"30,120,99999999999999999999\"", NULL, "for Low"},
    NO_STRING("CollectorsCore_PriorityIntervals"),
    SWITCH("CustomEvent_Disabled", "false"),
    CACHE("FileSystem_CacheSize"),
    SWITCH("FileSystem_Disabled", "false"),
    FREQUENCY("FileSystem_MessageFrequency", "Medium"),
    {"FileSystem_Paths", "\"/path/to/monitor, /another path/x\"",
        "\"/path/to/monitor,/another path/x\"", NULL},
    {"FileSystem_Paths", "\"/\"", "\"/\"", NULL},
    {"FileSystem_Paths", "\"\"", "\"\"", NULL},
    {"FileSystem_Paths", "null", "\"\"", NULL},
    {"FileSystem_Paths", "\"/a,b\"", NULL,
        "item 2 of the list, \"b\", is not of the form that is allowed; allowed are absolute "
        "paths"},
    {"FileSystem_Paths", "\"~/a\"", NULL, "absolute paths"},
    {"FileSystem_Paths", "\"/a\\u0001\"", NULL, "\"/a?\""},
    NO_STRING("FileSystem_Paths"),
    SWITCH("FileSystem_Recursive", "true"),
    SWITCH("Heartbeat_Disabled", "false"),
    FREQUENCY("Heartbeat_MessageFrequency", "Low"),
    INTEGER("IothubModule_MessageTimeout", "0", "1", "525600", "525601", "2880"),
    SWITCH("LogCollector_Disabled", "false"),
    FREQUENCY("LogCollector_MessageFrequency", "Low"),
    SWITCH("Login_Disabled", "false"),
    FREQUENCY("Login_MessageFrequency", "Medium"),
    SWITCH("Login_UsePAM", "false"),
    CACHE("NetworkActivity_CacheSize"),
    {"NetworkActivity_Devices", "\"eth0, eth1,wlan0.5,veth@x\"", "\"eth0,eth1,wlan0.5,veth@x\"",
        NULL},
    {"NetworkActivity_Devices", "\"doesnotexist9\"", "\"doesnotexist9\"", NULL},
    {"NetworkActivity_Devices", "\"abcdefghijklmno\"", "\"abcdefghijklmno\"", NULL},
    {"NetworkActivity_Devices", "\"abcdefghijklmnop\"", NULL, "has 16 bytes"},
    {"NetworkActivity_Devices", "\"\"", "\"\"", NULL},
    {"NetworkActivity_Devices", "null", "\"eth0\"", NULL},
    {"NetworkActivity_Devices", "\"eth/0\"", NULL, "names of interfaces without '/'"},
    {"NetworkActivity_Devices", "\"eth0 eth1\"", NULL, "item 1 of the list, \"eth0 eth1\""},
    {"NetworkActivity_Devices", "\"eth0:1\"", NULL, "(default \"eth0\")"},
    {"NetworkActivity_Devices", "\"..\"", NULL, "\"..\""},
    {"NetworkActivity_Devices", "\"éth0\"", NULL, "\"éth0\""},
    {"NetworkActivity_Devices", "\"eth0,,eth1\"", NULL, "item 2 of the list is empty"},
    NO_STRING("NetworkActivity_Devices"),
    SWITCH("NetworkActivity_Disabled", "false"),
    FREQUENCY("NetworkActivity_MessageFrequency", "Medium"),
    INTEGER(
        "NetworkActivity_PacketBufferSize", "4095", "4096", "1073741824", "1073741825", "2097152"),
    CACHE("Peripheral_CacheSize"),
    SWITCH("Peripheral_Disabled", "false"),
    FREQUENCY("Peripheral_MessageFrequency", "Medium"),
    CACHE("Process_CacheSize"),
    {"Process_CacheSize", "0", NULL, "0 is below the smallest value 1; allowed are " CACHE_BAD},
    SWITCH("Process_Disabled", "false"),
    {"Process_Events", "\" EXIT,EXEC, EXEC\"", "\"EXIT,EXEC\"", NULL},
    {"Process_Events", "\"\"", "\"\"", NULL},
    {"Process_Events", "null", "\"EXEC,FORK,EXIT\"", NULL},
    {"Process_Events", "\"exec\"", NULL, "the words EXEC, FORK and EXIT"},
    {"Process_Events", "\"EXEC,CLONE\"", NULL, "item 2 of the list"},
    NO_STRING("Process_Events"),
    FREQUENCY("Process_MessageFrequency", "Medium"),
    INTEGER("Process_Mode", "0", "1", "3", "4", "1"),
    {"Process_Mode", "7", NULL, "allowed are 1 (Auto), 2 (Netlink) and 3 (Polling) (default 1)"},
    INTEGER("Process_PollingInterval", "999", "1000", "3600000000", "3600000001", "100000"),
    SWITCH("SBoM_Disabled", "false"),
    FREQUENCY("SBoM_MessageFrequency", "Low"),
    CACHE("StatisticEvents_CacheSize"),
    SWITCH("StatisticEvents_Disabled", "false"),
    FREQUENCY("StatisticEvents_MessageFrequency", "Low"),
    SWITCH("SystemInformation_Disabled", "false"),
    TEXT("SystemInformation_FirmwareVendor"),
    TEXT("SystemInformation_FirmwareVersion"),
    TEXT("SystemInformation_HardwareModel"),
    TEXT("SystemInformation_HardwareSerialNumber"),
    TEXT("SystemInformation_HardwareVendor"),
    FREQUENCY("SystemInformation_MessageFrequency", "Low"),
};

static const char *document_of(
    struct arena *arena, const char *name, const char *value, const char *more)
{
    const char *text = arena_format(arena, "{\"%s\":%s%s}", name, value, more);
    assert_non_null(text);
    return text;
}

static void a_value_is_in_force_or_named_with_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(value_cases); i++) {
        const struct value_case *c = &value_cases[i];
        struct judging j;
        judging_init(&j);
        judge_text(&j, document_of(&j.arena, c->name, c->value, ""));
        if (c->effect != NULL) {
            if (j.err != ERR_NONE)
                fail_msg("%s: %s: %s", c->name, c->value, sentence_of(&j, c->name));
            assert_string_equal(in_force(&j, c->name), c->effect);
            assert_string_equal(bad_fields(&j), "");
        } else {
            if (j.err != ERR_ARGUMENT)
                fail_msg("%s: %s is accepted", c->name, c->value);
            assert_string_equal(bad_fields(&j), c->name);
            assert_contains(sentence_of(&j, c->name), c->says);
            assert_int_equal(settings_difference(&j.base, &j.effective), 0);
        }
        judging_done(&j);
    }
}

static void a_good_value_beside_a_bad_one_is_not_applied(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(value_cases); i++) {
        const struct value_case *c = &value_cases[i];
        if (c->effect == NULL)
            continue;
        struct judging j;
        judging_init(&j);
        judge_text(&j, document_of(&j.arena, c->name, c->value, ",\"Zzz\":1"));
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_string_equal(bad_fields(&j), "Zzz");
        assert_int_equal(settings_difference(&j.base, &j.effective), 0);
        judging_done(&j);
    }
}

static void expect(const struct setting *row, const char *value, bool good)
{
    struct judging j;
    judging_init(&j);
    judge_text(&j, document_of(&j.arena, row->name, value, ""));
    if ((j.err == ERR_NONE) != good)
        fail_msg("%s: %s is %s", row->name, value, good ? "refused" : "accepted");
    if (!good)
        assert_string_equal(bad_fields(&j), row->name);
    judging_done(&j);
}

static void expect_number(const struct setting *row, int64_t number, bool good)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    expect(row, text, good);
}

static void every_row_holds_to_its_type_its_bounds_and_its_words(void **state)
{
    (void)state;
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = setting_row((enum setting_id)id);
        if (row->local)
            continue;
        expect(row, "null", true);
        expect(row, "[]", false);
        expect(row, "{}", false);
        expect(row, "true", row->kind == SETTING_KIND_BOOL);
        expect(row, "1.5", false);
        if (row->kind == SETTING_KIND_INT) {
            expect_number(row, row->smallest, true);
            expect_number(row, row->largest, true);
            expect_number(row, row->smallest - 1, false);
            expect_number(row, row->largest + 1, false);
        } else {
            expect(row, "1", false);
        }
        if (row->kind != SETTING_KIND_WORD)
            continue;
        expect(row, "\"\"", false);
        for (size_t i = 0; row->choices[i] != NULL; i++) {
            char word[64];
            snprintf(word, sizeof(word), "\"%s\"", row->choices[i]);
            expect(row, word, true);
        }
    }
}

/* What a form lets through is known to no row: its settings need cases of their own above. */
static void the_cases_name_every_setting_that_has_a_form(void **state)
{
    (void)state;
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = setting_row((enum setting_id)id);
        bool found = row->local || row->form == NULL;
        for (size_t i = 0; i < COUNT_OF(value_cases) && !found; i++)
            found = strcmp(value_cases[i].name, row->name) == 0;
        if (!found)
            fail_msg("no case tries %s", row->name);
    }
}

/* Fills a document with a text of `len` bytes made of `unit`s. */
static const char *long_document(
    struct arena *arena, const char *name, const char *unit, size_t len)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    buf_add_format(&text, "{\"%s\":\"", name);
    for (size_t at = 0; at < len; at++)
        buf_add_byte(&text, unit[at % strlen(unit)]);
    buf_add_text(&text, "\"}");
    const char *copy = arena_text(arena, buf_span(&text));
    assert_non_null(copy);
    return copy;
}

static void a_text_may_be_as_long_as_its_row_says_and_no_longer(void **state)
{
    static const struct {
        const char *name;
        const char *unit;
        size_t len;
        bool good;
    } cases[] = {
        {"SystemInformation_HardwareModel", "x", 256, true},
        {"SystemInformation_HardwareModel", "x", 257, false},
        {"SystemInformation_HardwareModel", "\xC3\xA9", 256, true},
        {"SystemInformation_HardwareModel", "\xC3\xA9", 258, false},
        {"FileSystem_Paths", "/abcdefg", 4000, true},
        {"FileSystem_Paths", "/abcdefg", 4001, false},
        {"Baseline_ChecksDisabled", "x", 64, true},
        {"Baseline_ChecksDisabled", "x", 65, false},
        {"Baseline_GroupsDisabled", "x", 128, true},
        {"Baseline_GroupsDisabled", "x", 129, false},
        /* 32 interfaces, with a repeated one counted */
        {"NetworkActivity_Devices", "a,", 63, true},
        {"NetworkActivity_Devices", "a,", 65, false},
        {"FileSystem_Paths", "/,", 127, true},
        {"FileSystem_Paths", "/,", 129, false},
        {"Baseline_GroupsDisabled", "g,", 255, true},
        {"Baseline_GroupsDisabled", "g,", 257, false},
        {"Baseline_ChecksDisabled", "1,", 1023, true},
        {"Baseline_ChecksDisabled", "1,", 1025, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_text(&j, long_document(&j.arena, cases[i].name, cases[i].unit, cases[i].len));
        if ((j.err == ERR_NONE) != cases[i].good)
            fail_msg("%s with %zu bytes: %s", cases[i].name, cases[i].len,
                sentence_of(&j, cases[i].name));
        judging_done(&j);
    }
}

static void every_bad_field_is_named_by_alphabet(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"SBoM_Disabled\":1,\"Process_CacheSize\":0,\"Login_UsePAM\":true,"
                   "\"Baseline_MessageFrequency\":\"high\",\"NoSuch\":null,\"Zebra\":{},"
                   "\"Heartbeat_Disabled\":[],\"aaa\":\"\"}");
    assert_int_equal(j.err, ERR_ARGUMENT);
    assert_string_equal(bad_fields(&j), "Baseline_MessageFrequency,Heartbeat_Disabled,"
                                        "Process_CacheSize,SBoM_Disabled,Zebra,aaa");
    judging_done(&j);
}

static void an_unknown_name_is_answered_with_the_nearest_one(void **state)
{
    static const struct {
        const char *name;
        const char *safe_name;
        const char *says;
    } cases[] = {
        {"process_cachesize", "process_cachesize", "the nearest one is Process_CacheSize"},
        {"Proces_CachSize", "Proces_CachSize", "Process_CacheSize"},
        {"ProcessCacheSize", "ProcessCacheSize", "Process_CacheSize"},
        {"SystemInformation_ FirmwareVersion", "SystemInformation_%20FirmwareVersion",
            "the nearest one is SystemInformation_FirmwareVersion"},
        {" Heartbeat_Disabled", "%20Heartbeat_Disabled", "Heartbeat_Disabled"},
        {"Statistic_Disabled", "Statistic_Disabled", "StatisticEvents_Disabled"},
        {"Process_Enabled", "Process_Enabled", "Process_Disabled"},
        {"foo", "foo", "there is no setting of this name"},
        {"", "%", "there is no setting of this name"},
        {"$versions", "%24versions", "there is no setting"},
        {"IothubModule_ProxyConfigs", "IothubModule_ProxyConfigs", "there is no setting"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_text(&j, document_of(&j.arena, cases[i].name, "1", ""));
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_string_equal(bad_fields(&j), cases[i].safe_name);
        assert_contains(sentence_of(&j, cases[i].safe_name), cases[i].says);
        assert_null(strstr(sentence_of(&j, cases[i].safe_name), "ProxyConfig"));
        judging_done(&j);
    }
}

static void names_far_from_all_get_no_hint(void **state)
{
    static const char *const names[] = {"foo", "Firewall", "X", "", "NetworkActivityMonitorOff"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct judging j;
        judging_init(&j);
        judge_text(&j, document_of(&j.arena, names[i], "1", ""));
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_null(strstr(j.verdict.fields->sentence, "nearest"));
        judging_done(&j);
    }
}

static void an_alias_means_its_setting(void **state)
{
    static const struct {
        const char *desired;
        const char *bad; /* "": good, and 7 or true is in force */
    } cases[] = {
        {"{\"Statistics_CacheSize\":7,\"Statistics_Disabled\":true}", ""},
        {"{\"Statistics_CacheSize\":7,\"StatisticEvents_CacheSize\":7,"
         "\"StatisticEvents_Disabled\":true}",
            ""},
        {"{\"Statistics_CacheSize\":7,\"StatisticEvents_CacheSize\":null,"
         "\"Statistics_Disabled\":true}",
            ""},
        {"{\"Statistics_CacheSize\":7,\"StatisticEvents_CacheSize\":8}",
            "StatisticEvents_CacheSize,Statistics_CacheSize"},
        {"{\"StatisticEvents_CacheSize\":8,\"Statistics_CacheSize\":7}",
            "StatisticEvents_CacheSize,Statistics_CacheSize"},
        {"{\"StatisticEvents_CacheSize\":0,\"Statistics_CacheSize\":7}",
            "StatisticEvents_CacheSize"},
        {"{\"Statistics_CacheSize\":7,\"StatisticEvents_CacheSize\":0}",
            "StatisticEvents_CacheSize"},
        {"{\"Statistics_CacheSize\":0,\"StatisticEvents_CacheSize\":0}",
            "StatisticEvents_CacheSize,Statistics_CacheSize"},
        {"{\"Statistics_MessageFrequency\":\"High\",\"StatisticEvents_MessageFrequency\":\"Low\"}",
            "StatisticEvents_MessageFrequency,Statistics_MessageFrequency"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_text(&j, cases[i].desired);
        assert_string_equal(bad_fields(&j), cases[i].bad);
        if (cases[i].bad[0] == '\0') {
            assert_string_equal(in_force(&j, "StatisticEvents_CacheSize"), "7");
            assert_string_equal(in_force(&j, "StatisticEvents_Disabled"), "true");
            assert_string_equal(in_force(&j, "Statistics_CacheSize"), "absent");
        }
        judging_done(&j);
    }
}

static void the_documents_version_is_kept_and_its_metadata_skipped(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"$version\":42,\"$metadata\":{\"Zzz\":1},\"Process_Mode\":2}");
    assert_int_equal(j.err, ERR_NONE);
    assert_int_equal(j.verdict.desired_version, 42);
    judge_text(&j, "{\"$version\":43,\"Process_Mode\":9}");
    assert_int_equal(j.err, ERR_ARGUMENT);
    assert_int_equal(j.verdict.desired_version, 43);
    judge_text(&j, "{\"$version\":\"x\"}");
    assert_int_equal(j.err, ERR_NONE);
    assert_int_equal(j.verdict.desired_version, -1);
    judging_done(&j);
}

static void a_document_that_is_no_object_is_refused(void **state)
{
    static const char *const documents[] = {"[]", "null", "1", "\"x\"", "true"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        struct judging j;
        judging_init(&j);
        judge_text(&j, documents[i]);
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_string_equal(bad_fields(&j), "desired");
        assert_contains(sentence_of(&j, "desired"), "not an object");
        judging_done(&j);
    }
}

static void conf_json_stands_in_for_the_defaults(void **state)
{
    (void)state;
    struct judging local;
    struct judging j;
    judging_init(&local);
    judging_init(&j);
    judge_as(&local,
        "{\"Process_CacheSize\":9,\"Login_UsePAM\":true,"
        "\"SystemInformation_HardwareModel\":\"X\","
        "\"IothubModule_TransportProtocol\":\"MQTT_WebSocket_Protocol\","
        "\"IothubModule_ProxyConfig\":\"10.0.0.1,3128,me,pass,word\"}",
        true);
    assert_int_equal(local.err, ERR_NONE);
    assert_null(local.verdict.notes);
    assert_int_equal(settings_transport(&local.effective), TRANSPORT_MQTT_WEBSOCKET);
    assert_int_equal(settings_copy(&local.effective, &j.base), ERR_NONE);
    judge_text(&j, "{\"Process_CacheSize\":10,\"Login_UsePAM\":null,"
                   "\"SystemInformation_HardwareModel\":\"\"}");
    assert_int_equal(j.err, ERR_NONE);
    assert_string_equal(in_force(&j, "Process_CacheSize"), "10");
    assert_string_equal(in_force(&j, "Login_UsePAM"), "true");
    assert_string_equal(in_force(&j, "SystemInformation_HardwareModel"), "absent");
    assert_string_equal(in_force(&j, "IothubModule_ProxyConfig"), "absent");
    assert_string_equal(settings_text(&j.effective, SETTING_IOTHUB_MODULE_PROXY_CONFIG),
        "10.0.0.1,3128,me,pass,word");
    judging_done(&j);
    judging_done(&local);
}

static void local_settings_belong_in_conf_json(void **state)
{
    (void)state;
    struct judging j;
    judging_init(&j);
    judge_text(&j, "{\"IothubModule_TransportProtocol\":\"MQTT_Protocol\","
                   "\"IothubModule_ProxyConfig\":\"10.0.0.1,3128,me,hunter2\"}");
    assert_string_equal(bad_fields(&j), "IothubModule_ProxyConfig,IothubModule_TransportProtocol");
    assert_contains(sentence_of(&j, "IothubModule_ProxyConfig"), "belongs in conf.json");
    assert_contains(sentence_of(&j, "IothubModule_TransportProtocol"), "belongs in conf.json");
    judging_done(&j);
}

static void a_bad_conf_json_changes_nothing(void **state)
{
    static const struct {
        const char *conf;
        const char *bad;
        const char *says;
    } cases[] = {
        {"{\"Process_CacheSize\":9,\"Process_Mode\":0}", "Process_Mode", "below"},
        {"{\"IothubModule_TransportProtocol\":\"HTTP\"}", "IothubModule_TransportProtocol",
            "MQTT_Protocol, MQTT_WebSocket_Protocol, AMQP_Protocol and AMQP_WebSocket_Protocol"},
        {"{\"IothubModule_Proxy\":\"x\"}", "IothubModule_Proxy",
            "the nearest one is IothubModule_ProxyConfig"},
        {"[]", "conf%2Ejson", "not an object"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_as(&j, cases[i].conf, true);
        assert_int_equal(j.err, ERR_ARGUMENT);
        assert_string_equal(bad_fields(&j), cases[i].bad);
        assert_contains(sentence_of(&j, cases[i].bad), cases[i].says);
        assert_int_equal(settings_difference(&j.base, &j.effective), 0);
        judging_done(&j);
    }
}

/* Limits of this device: an operator sets them where the device is, and nobody from afar. */
static void a_limit_of_the_device_has_its_range_in_conf_json_and_is_not_reported(void **state)
{
    static const struct {
        const char *name;
        const char *smallest;
        const char *largest;
        const char *below;
        const char *above;
        int64_t standard;
    } rows[] = {
        {"IothubModule_BackOffFirst", "1", "3600", "0", "3601", 1},
        {"IothubModule_BackOffLongest", "1", "86400", "0", "86401", 300},
        {"IothubModule_InFlightMessages", "1", "100", "0", "101", 32},
        {"IothubModule_KeepAlive", "10", "1177", "9", "1178", 60},
        {"IothubModule_OutboxBytes", "1048576", "68719476736", "1048575", "68719476737", 67108864},
        {"IothubModule_OutboxMemoryBytes", "524288", "67108864", "524287", "67108865", 1048576},
        {"IothubModule_TokenLifetime", "5", "525600", "4", "525601", 60},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *good[] = {rows[i].smallest, rows[i].largest};
        const char *bad[] = {rows[i].below, rows[i].above, "\"60\"", "true", "60.0", "[]", "{}"};
        enum setting_id id;
        struct judging j;
        judging_init(&j);
        assert_true(setting_find(span_of(rows[i].name), &id));
        assert_int_equal(settings_int(&j.base, id), rows[i].standard);
        for (size_t k = 0; k < COUNT_OF(good); k++) {
            judge_as(&j, document_of(&j.arena, rows[i].name, good[k], ""), true);
            assert_int_equal(j.err, ERR_NONE);
            assert_int_equal(settings_int(&j.effective, id), strtoll(good[k], NULL, 10));
            assert_string_equal(in_force(&j, rows[i].name), "absent");
        }
        for (size_t k = 0; k < COUNT_OF(bad); k++) {
            judge_as(&j, document_of(&j.arena, rows[i].name, bad[k], ""), true);
            assert_string_equal(bad_fields(&j), rows[i].name);
        }
        judge_text(&j, document_of(&j.arena, rows[i].name, rows[i].smallest, ""));
        assert_string_equal(bad_fields(&j), rows[i].name);
        assert_contains(sentence_of(&j, rows[i].name), "belongs in conf.json");
        judging_done(&j);
    }
}

static void a_proxy_has_its_form_and_is_never_shown(void **state)
{
    static const struct {
        const char *value;
        bool good;
    } cases[] = {
        {"\"10.0.0.1,3128\"", true},
        {"\"proxy.example,1,u,p\"", true},
        {"\"10.0.0.1,65535,hunter2,hunter2\"", true},
        {"\"\"", true},
        {"\"10.0.0.1\"", false},
        {"\"10.0.0.1,0,hunter2,hunter2\"", false},
        {"\"10.0.0.1,65536,hunter2,hunter2\"", false},
        {"\"10.0.0.1,3128,hunter2\"", false},
        {"\"10.0.0.1,3128,hunter2,\"", false},
        {"\"10.0.0.1,3128,,hunter2\"", false},
        {"\",3128,hunter2,hunter2\"", false},
        {"\"http://hunter2,3128\"", false},
        {"\"-hunter2,3128\"", false},
        {"\"10.0.0.1,3128,hunter2,\\u0000\"", false},
        {"[\"hunter2\"]", false},
        {"{\"hunter2\":\"hunter2\"}", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_as(&j, document_of(&j.arena, "IothubModule_ProxyConfig", cases[i].value, ""), true);
        if ((j.err == ERR_NONE) != cases[i].good)
            fail_msg("%s", cases[i].value);
        assert_null(strstr(sentence_of(&j, "IothubModule_ProxyConfig"), "hunter2"));
        judging_done(&j);
    }
}

static void what_is_good_but_odd_is_noted(void **state)
{
    static const struct {
        const char *document;
        bool local;
        const char *name; /* "": no note */
        const char *says;
    } cases[] = {
        {"{}", false, "", ""},
        {"{\"CollectorsCore_PriorityIntervals\":\"30,120,1440\"}", false, "", ""},
        {"{\"CollectorsCore_PriorityIntervals\":\"30,100,1440\"}", false,
            "CollectorsCore_PriorityIntervals", "multiple"},
        {"{\"CollectorsCore_PriorityIntervals\":\"30,120,1441\"}", false,
            "CollectorsCore_PriorityIntervals", "multiple"},
        {"{\"IothubModule_TransportProtocol\":\"AMQP_Protocol\"}", true,
            "IothubModule_TransportProtocol", "not offered, use MQTT_WebSocket_Protocol"},
        {"{\"IothubModule_TransportProtocol\":\"AMQP_WebSocket_Protocol\"}", true,
            "IothubModule_TransportProtocol", "not offered, use MQTT_WebSocket_Protocol"},
        {"{\"IothubModule_TransportProtocol\":\"MQTT_WebSocket_Protocol\"}", true, "", ""},
        {"{\"IothubModule_ProxyConfig\":\"p,1\"}", true, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        judge_as(&j, cases[i].document, cases[i].local);
        assert_int_equal(j.err, ERR_NONE);
        assert_true((j.verdict.notes == NULL) == (cases[i].name[0] == '\0'));
        if (j.verdict.notes != NULL) {
            assert_true(span_is(j.verdict.notes->name, cases[i].name));
            assert_contains(j.verdict.notes->sentence, cases[i].says);
            assert_null(j.verdict.notes->next);
        }
        judging_done(&j);
    }
}

static void without_memory_nothing_is_judged_and_nothing_lost(void **state)
{
    static const struct {
        const char *desired;
        enum err err;
    } cases[] = {
        {"{\"FileSystem_Paths\":\"/a, /b\",\"SystemInformation_HardwareModel\":\"X\","
         "\"CollectorsCore_PriorityIntervals\":\"2,3,5\",\"Process_CacheSize\":3,"
         "\"Statistics_CacheSize\":3,\"StatisticEvents_CacheSize\":3}",
            ERR_NONE},
        {"{\"FileSystem_Paths\":\"/a, b\",\"SystemInformation_HardwareModel\":\"\\u0000\","
         "\"CollectorsCore_PriorityIntervals\":\"2,3,1\",\"Process_CacheSize\":0,\"Foo.bar\":1,"
         "\"Baseline_ChecksDisabled\":\"1\","
         "\"Statistics_CacheSize\":4,\"StatisticEvents_CacheSize\":3}",
            ERR_ARGUMENT},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judging j;
        judging_init(&j);
        struct json *document = parsed(&j.arena, span_of(cases[i].desired));
        enum err err = ERR_MEMORY;
        for (long allocation = 0; err == ERR_MEMORY; allocation++) {
            assert_true(allocation < 1000);
            mem_fail_after(allocation);
            err = settings_judge(&j.base, document, &j.effective, &j.verdict);
            mem_fail_after(-1);
        }
        assert_int_equal(err, cases[i].err);
        judging_done(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_in_force_or_named_with_its_sentence),
        cmocka_unit_test(a_good_value_beside_a_bad_one_is_not_applied),
        cmocka_unit_test(every_row_holds_to_its_type_its_bounds_and_its_words),
        cmocka_unit_test(the_cases_name_every_setting_that_has_a_form),
        cmocka_unit_test(a_text_may_be_as_long_as_its_row_says_and_no_longer),
        cmocka_unit_test(every_bad_field_is_named_by_alphabet),
        cmocka_unit_test(an_unknown_name_is_answered_with_the_nearest_one),
        cmocka_unit_test(names_far_from_all_get_no_hint),
        cmocka_unit_test(an_alias_means_its_setting),
        cmocka_unit_test(the_documents_version_is_kept_and_its_metadata_skipped),
        cmocka_unit_test(a_document_that_is_no_object_is_refused),
        cmocka_unit_test(conf_json_stands_in_for_the_defaults),
        cmocka_unit_test(local_settings_belong_in_conf_json),
        cmocka_unit_test(a_limit_of_the_device_has_its_range_in_conf_json_and_is_not_reported),
        cmocka_unit_test(a_bad_conf_json_changes_nothing),
        cmocka_unit_test(a_proxy_has_its_form_and_is_never_shown),
        cmocka_unit_test(what_is_good_but_odd_is_noted),
        cmocka_unit_test(without_memory_nothing_is_judged_and_nothing_lost),
    };
    return cmocka_run_group_tests_name("settings/judge", tests, NULL, NULL);
}
