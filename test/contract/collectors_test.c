/* SPDX-License-Identifier: Apache-2.0 */
/* What every collector of collectors.def must do, whatever it collects. */
#include "collector.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

static const struct collector *const all[] = {
#define COLLECTOR(name) &name##_collector,
#include "collectors.def"
#undef COLLECTOR
};

static const char *schema_dir;
static size_t messages;

static uint32_t no_random(void)
{
    return 4;
}

static enum err deliver(
    void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies UNUSED)
{
    const struct collector *collector = self;
    struct arena arena;
    struct json *message;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, body, 0, &message, NULL), ERR_NONE);
    assert_int_equal(json_find_text(message, "events")->count, event_count);
    json_each (event, json_find_text(message, "events"))
        assert_true(span_is(json_string_of(event, "payload_type"), collector->name));
    arena_done(&arena);
    messages++;
    return ERR_NONE;
}

static struct collectors_options options_for(const struct collector *collector)
{
    return (struct collectors_options){.clock = &clock_system,
        .random = no_random,
        .at_once = true,
        .deliver = deliver,
        .self = (void *)(uintptr_t)collector};
}

static struct collectors *open_one(const struct collector *const *collector)
{
    struct collectors *collectors;
    struct collectors_options options = options_for(*collector);
    assert_int_equal(collectors_new_of(&options, collector, 1, &collectors, NULL), ERR_NONE);
    return collectors;
}

static void apply(struct collectors *collectors, const struct settings *settings)
{
    const char *field;
    struct why why = {""};
    if (collectors_apply(collectors, settings, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

static void its_settings_bear_its_name_and_are_of_its_part(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        char name[128];
        const struct setting *disabled = setting_row(all[i]->disabled);
        const struct setting *frequency = setting_row(all[i]->frequency);
        snprintf(name, sizeof(name), "%s_Disabled", all[i]->name);
        assert_string_equal(disabled->name, name);
        snprintf(name, sizeof(name), "%s_MessageFrequency", all[i]->name);
        assert_string_equal(frequency->name, name);
        assert_int_equal(disabled->part, all[i]->part);
        assert_int_equal(frequency->part, all[i]->part);
        assert_int_equal(disabled->kind, SETTING_KIND_BOOL);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(all[i]->part, all[j]->part);
    }
}

static void its_payload_has_a_schema(void **state UNUSED)
{
    static const char *const files[] = {
#define COLLECTOR(name) #name,
#include "collectors.def"
#undef COLLECTOR
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s.schema.json", schema_dir, files[i]);
        if (access(path, R_OK) != 0)
            fail_msg("%s is missing", path);
    }
}

static void it_has_what_its_sort_needs(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_non_null(all[i]->collect);
        assert_true((all[i]->new == NULL) == (all[i]->free == NULL));
        assert_true(all[i]->snapshot || all[i]->count != NULL);
        assert_true(all[i]->stop == NULL || all[i]->start != NULL);
    }
}

static void without_memory_it_is_not_made_and_nothing_leaks(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        const struct collectors_options own = {.clock = &clock_system,
            .proc_dir = "/proc",
            .sys_dir = "/sys",
            .etc_dir = "/etc",
            .random = no_random,
            .deliver = deliver};
        enum err err = all[i]->new == NULL ? ERR_NONE : ERR_MEMORY;
        for (long allocations = 0; err != ERR_NONE; allocations++) {
            void *made = NULL;
            struct why why = {""};
            mem_fail_after(allocations);
            err = all[i]->new (&own, &made, &why);
            mem_fail_after(-1);
            assert_true(err == ERR_NONE || err == ERR_MEMORY);
            assert_true((err == ERR_NONE) == (made != NULL));
            all[i]->free(made);
        }
    }
}

static void it_may_be_stopped_and_freed_before_it_was_started(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct collectors *collectors = open_one(&all[i]);
        assert_true(collectors_run(collectors) > 0);
        collectors_flush(collectors);
        collectors_free(collectors);
    }
}

static void it_runs_with_the_defaults_and_is_silent_when_disabled(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct collectors *collectors = open_one(&all[i]);
        struct settings settings;
        settings_init(&settings);
        messages = 0;
        apply(collectors, &settings);
        (void)collectors_run(collectors);
        if (all[i]->snapshot)
            assert_true(messages > 0);
        settings.values[all[i]->disabled].number = 1;
        apply(collectors, &settings);
        messages = 0;
        (void)collectors_run(collectors);
        collectors_flush(collectors);
        assert_int_equal(messages, 0);
        settings.values[all[i]->disabled].number = 0;
        apply(collectors, &settings);
        collectors_free(collectors);
        settings_done(&settings);
    }
}

static void what_it_has_seen_waits_was_sent_or_is_lost(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct collectors *collectors = open_one(&all[i]);
        struct settings settings;
        struct arena arena;
        settings_init(&settings);
        arena_init(&arena, 0);
        apply(collectors, &settings);
        (void)collectors_run(collectors);
        struct json *status = json_new(&arena, JSON_OBJECT);
        assert_int_equal(collectors_status(collectors, &arena, status), ERR_NONE);
        const struct json *own = json_find_text(status, all[i]->name);
        int64_t seen, balance = 0, number;
        assert_true(json_int64(json_find_text(own, "seen"), &seen));
        static const char *const kept[] = {"waiting", "sent"};
        for (size_t j = 0; j < COUNT_OF(kept); j++) {
            assert_true(json_int64(json_find_text(own, kept[j]), &number));
            balance += number;
        }
        json_each (loss, json_find_text(own, "lost")) {
            assert_true(json_int64(loss, &number));
            balance += span_is(loss->key, "kernel_buffer") ? 0 : number;
        }
        assert_int_equal(seen, balance);
        arena_done(&arena);
        collectors_free(collectors);
        settings_done(&settings);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    schema_dir = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_settings_bear_its_name_and_are_of_its_part),
        cmocka_unit_test(its_payload_has_a_schema),
        cmocka_unit_test(it_has_what_its_sort_needs),
        cmocka_unit_test(without_memory_it_is_not_made_and_nothing_leaks),
        cmocka_unit_test(it_may_be_stopped_and_freed_before_it_was_started),
        cmocka_unit_test(it_runs_with_the_defaults_and_is_silent_when_disabled),
        cmocka_unit_test(what_it_has_seen_waits_was_sent_or_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
