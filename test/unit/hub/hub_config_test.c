/* SPDX-License-Identifier: Apache-2.0 */
#include "hub_config.h"
#include "store_sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char file_name[] = "/tmp/gemel-config-XXXXXX";

static enum err load_text(const char *text, struct hub_config *ret_config, struct why *why)
{
    FILE *file = fopen(file_name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return hub_config_load(file_name, NULL, 0, ret_config, why);
}

static void without_a_file_every_setting_has_its_default(void **state)
{
    (void)state;
    struct hub_config config;
    assert_int_equal(hub_config_load(NULL, NULL, 0, &config, NULL), ERR_NONE);
    assert_string_equal(config.listen.address, "::");
    assert_int_equal(config.listen.mqtt_port, 8883);
    assert_int_equal(config.listen.https_port, 443);
    assert_int_equal(config.store.group_jobs, 512);
    assert_int_equal(config.limits.twin.desired_bytes, 32768);
    assert_true(config.limits.twin.integer_min == -4503599627370496);
    assert_true(config.limits.twin.integer_max == 4503599627370495);
    assert_int_equal(config.log.level, LOG_LEVEL_INFO);
}

static void defaults_are_those_of_the_parts_that_they_configure(void **state)
{
    (void)state;
    struct hub_config config;
    hub_config_default(&config);
    assert_memory_equal(&config.limits, &service_limits_default, sizeof(config.limits));
    assert_int_equal(config.gateway.arena_bytes, SERVICE_ARENA_BYTES);
    assert_int_equal(config.store.readers, sqlite_options_default.readers);
    assert_int_equal(config.store.group_jobs, sqlite_options_default.group_jobs);
    assert_int_equal(config.store.busy_ms, sqlite_options_default.busy_ms);
    assert_int_equal(config.store.cache_bytes, sqlite_options_default.cache_kib * 1024);
    assert_int_equal(config.store.checkpoint_bytes, sqlite_options_default.checkpoint_kib * 1024);
    assert_int_equal(config.store.max_bytes, sqlite_options_default.max_bytes);
}

static void a_file_sets_what_it_names_and_leaves_the_rest(void **state)
{
    (void)state;
    struct hub_config config;
    struct why why;
    const char *text = "# a comment\n"
                       "[listen]\n"
                       "address = 127.0.0.1 ; behind a value\n"
                       "mqtt_port=1\n"
                       "\n"
                       "[limits]\n"
                       "event_bytes = 64 KiB\n"
                       "request_bytes=2MiB\n"
                       "twin_integer_min = -5\n"
                       "[log]\n"
                       "level = debug\n";
    assert_int_equal(load_text(text, &config, &why), ERR_NONE);
    assert_string_equal(config.listen.address, "127.0.0.1");
    assert_int_equal(config.listen.mqtt_port, 1);
    assert_int_equal(config.listen.https_port, 443);
    assert_int_equal(config.limits.event_bytes, 65536);
    assert_int_equal(config.limits.request_bytes, 2097152);
    assert_int_equal(config.limits.twin.integer_min, -5);
    assert_int_equal(config.log.level, LOG_LEVEL_DEBUG);
}

static void a_bad_line_is_refused_with_its_place_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"[listen]\nmqtt_prot = 1\n", "line 2: there is no setting listen.mqtt_prot (the nearest "
                                      "is listen.mqtt_port)"},
        {"[nowhere]\nx = 1\n", "line 2: there is no setting nowhere.x"},
        {"[lissen]\nmqtt_port = 1\n", "the nearest is listen.mqtt_port"},
        {"mqtt_port = 1\n", "the nearest is listen.mqtt_port"},
        {"[listen]\nmqtt_port = 65536\n", "from 0 to 65535"},
        {"[listen]\nmqtt_port = -1\n", "from 0 to 65535"},
        {"[listen]\nmqtt_port = 1x\n", "\"1x\""},
        {"[listen]\nmqtt_port =\n", "\"\""},
        {"[listen]\nmqtt_port = 1KiB\n", "whole numbers"},
        {"[limits]\nevent_bytes = 999999999999 GiB\n", "KiB, MiB, GiB"},
        {"[limits]\nevent_bytes = 99999999999999999999\n", "whole numbers"},
        {"[log]\nlevel = loud\n", "error, warn, info, debug"},
        {"[listen]\n\nnonsense\n", "line 3: this is neither"},
        {"[limits]\nevent_bytes = 16MiB\n", "gateway.packet_bytes"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct hub_config config;
        struct why why = {0};
        memset(&config, 0x5A, sizeof(config));
        assert_int_equal(load_text(rows[i].text, &config, &why), ERR_ARGUMENT);
        if (strstr(why.text, "nowhere.x (") != NULL)
            fail_msg("\"%s\": nothing is near that", why.text);
        if (strstr(why.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, why.text);
        assert_int_equal(config.listen.mqtt_port, 0x5A5A5A5A);
    }
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char set[CONFIG_TEXT_SIZE + 64];
    int prefix = snprintf(set, sizeof(set), "portal.directory=");
    memset(set + prefix, 'x', CONFIG_TEXT_SIZE);
    set[prefix + CONFIG_TEXT_SIZE] = '\0';
    const char *sets[] = {set};
    struct hub_config config;
    struct why why;
    assert_int_equal(hub_config_load(NULL, sets, 1, &config, &why), ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "255 bytes"));
    set[prefix + CONFIG_TEXT_SIZE - 1] = '\0';
    assert_int_equal(hub_config_load(NULL, sets, 1, &config, &why), ERR_NONE);
}

static void note_complaint(void *self, const struct why *why)
{
    struct buf *all = self;
    buf_add_text(all, why->text);
    buf_add_byte(all, '\n');
}

static void everything_that_is_wrong_is_told(void **state)
{
    (void)state;
    static const char *const want[] = {"line 1: bulk_items stands before any [section]",
        "line 3: listen.mqtt_port is \"99999\": allowed are whole numbers from 0 to 65535",
        "line 4: there is no setting listen.htps_port (the nearest is listen.https_port)",
        "line 5: this is neither [section] nor key = value",
        "line 7: log.level is \"loud\": allowed are", "limits.bulk_items is \"0\"",
        "\"x\" is not of the form section.key=value"};
    static const char *const sets[] = {"limits.bulk_items=0", "x"};
    AUTO(buf_done) struct buf all = BUF_EMPTY;
    struct hub_config config;
    struct why why;
    assert_int_equal(load_text("bulk_items = 1\n[listen]\nmqtt_port = 99999\nhtps_port = 1\n"
                               "nonsense\n[log]\nlevel = loud\n",
                         &config, &why),
        ERR_ARGUMENT);
    assert_int_equal(
        hub_config_check(file_name, sets, COUNT_OF(sets), note_complaint, &all), ERR_ARGUMENT);
    for (size_t i = 0; i < COUNT_OF(want); i++)
        if (strstr(all.ptr, want[i]) == NULL)
            fail_msg("%s\nis not in\n%s", want[i], all.ptr);
    buf_clear(&all);
    assert_int_equal(hub_config_check("/tmp", NULL, 0, note_complaint, &all), ERR_IO);
    assert_string_equal(all.ptr, "/tmp: Is a directory\n");
    assert_int_equal(hub_config_check(NULL, NULL, 0, note_complaint, &all), ERR_NONE);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct hub_config config;
    struct why why;
    assert_int_equal(hub_config_load("/nowhere/gemel.conf", NULL, 0, &config, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "/nowhere/gemel.conf"));
}

static void the_command_line_wins_and_the_last_of_it(void **state)
{
    (void)state;
    assert_int_equal(access(file_name, R_OK), 0);
    struct hub_config config;
    struct why why;
    assert_int_equal(load_text("[listen]\nmqtt_port = 1\n", &config, &why), ERR_NONE);
    const char *sets[] = {
        "listen.mqtt_port=2", "listen.mqtt_port=3", "portal.directory=/a=b.c", "log.level=warn"};
    assert_int_equal(hub_config_load(file_name, sets, COUNT_OF(sets), &config, &why), ERR_NONE);
    assert_int_equal(config.listen.mqtt_port, 3);
    assert_string_equal(config.portal.directory, "/a=b.c");
    assert_int_equal(config.log.level, LOG_LEVEL_WARN);
    static const char *const bad[] = {
        "listen.mqtt_port", "mqtt_port=1", "=1", ".=1", "", "a.b=c", "listen.mqtt_port=x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(hub_config_load(NULL, &bad[i], 1, &config, &why), ERR_ARGUMENT);
}

static void the_example_file_sets_nothing_and_uncommented_sets_the_defaults(void **state)
{
    (void)state;
    struct buf page = BUF_EMPTY;
    hub_config_write_example(&page);
    struct hub_config defaults;
    struct hub_config config;
    struct why why = {0};
    hub_config_default(&defaults);
    assert_int_equal(load_text(page.ptr, &config, &why), ERR_NONE);
    assert_memory_equal(&config, &defaults, sizeof(config));
    size_t settings = 0;
    for (char *line = page.ptr; (line = strstr(line, "\n#")) != NULL; line++) {
        if (line[2] == ' ')
            continue;
        memmove(line + 1, line + 2, strlen(line + 2) + 1);
        settings++;
    }
    assert_true(settings > 30);
    if (load_text(page.ptr, &config, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    assert_memory_equal(&config, &defaults, sizeof(config));
    buf_done(&page);
}

static void the_reference_names_every_section(void **state)
{
    (void)state;
    struct buf page = BUF_EMPTY;
    hub_config_write_reference(&page);
    static const char *const parts[] = {"## [listen]", "## [gateway]", "## [store]", "## [limits]",
        "## [log]", "## [portal]", "| `twin_desired_bytes` | 32 KiB | 1 to 16 MiB |",
        "| `mqtt_port` | 8883 | 0 to 65535 |"};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (strstr(page.ptr, parts[i]) == NULL)
            fail_msg("missing: %s", parts[i]);
    buf_done(&page);
}

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(file_name);
    return file < 0 || close(file) != 0;
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(file_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_every_setting_has_its_default),
        cmocka_unit_test(defaults_are_those_of_the_parts_that_they_configure),
        cmocka_unit_test(a_file_sets_what_it_names_and_leaves_the_rest),
        cmocka_unit_test(a_bad_line_is_refused_with_its_place_and_what_is_allowed),
        cmocka_unit_test(a_text_that_is_too_long_is_refused),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(everything_that_is_wrong_is_told),
        cmocka_unit_test(the_command_line_wins_and_the_last_of_it),
        cmocka_unit_test(the_example_file_sets_nothing_and_uncommented_sets_the_defaults),
        cmocka_unit_test(the_reference_names_every_section),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
