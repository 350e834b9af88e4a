/* SPDX-License-Identifier: Apache-2.0 */
/* The collector of the security baseline, with the installed checks before a machine of few files.
 */
#include "harness.h"

#include <setjmp.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char dir[64];
    char etc[80];
};

static const struct collector *const table[] = {&baseline_collector};

static void write_file(const struct fixture *f, const char *path, const char *content)
{
    char full[256];
    snprintf(full, sizeof(full), "%s%s", f->dir, path);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    assert_int_equal(chmod(full, 0644), 0);
}

static void make_folder(const struct fixture *f, const char *path)
{
    char full[256];
    snprintf(full, sizeof(full), "%s%s", f->dir, path);
    assert_int_equal(mkdir(full, 0755), 0);
}

static void open_collectors(struct fixture *f)
{
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    settings_init(&f->settings);
    strcpy(f->dir, "/tmp/baseline_collector_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0755), 0);
    make_folder(f, "/etc");
    make_folder(f, "/tmp");
    write_file(f, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    write_file(f, "/etc/group", "root:x:0:\n");
    write_file(f, "/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    snprintf(f->etc, sizeof(f->etc), "%s/etc", f->dir);
    f->harness.options.root_dir = f->dir;
    f->harness.options.etc_dir = f->etc;
    open_collectors(f);
    *state = f;
    return 0;
}

static int remove_one(
    const char *path, const struct stat *stat UNUSED, int kind UNUSED, struct FTW *place UNUSED)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    test_free(f);
    return 0;
}

static void set(struct fixture *f, enum setting_id id, const char *text)
{
    mem_free(f->settings.values[id].text);
    f->settings.values[id].text = mem_text(span_of(text));
}

/* Applies the settings and collects. */
static void collect(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    harness_clear(&f->harness);
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
    f->harness.mono_us += 1440 * 60 * SECOND;
    collectors_run(f->collectors);
}

/* The check with an id in any event; NULL: there is none. */
static const struct json *find(const struct fixture *f, const char *id)
{
    for (size_t i = 0; i < harness_events(&f->harness, "Baseline"); i++) {
        const struct json *payload = harness_payload(&f->harness, "Baseline", i);
        json_each (check, json_find_text(payload, "baseline_checks"))
            if (span_is(json_string_of(check, "id"), id))
                return check;
    }
    return NULL;
}

static size_t count_checks(const struct fixture *f)
{
    size_t count = 0;
    for (size_t i = 0; i < harness_events(&f->harness, "Baseline"); i++)
        count +=
            json_find_text(harness_payload(&f->harness, "Baseline", i), "baseline_checks")->count;
    return count;
}

static void expect(const struct fixture *f, const char *id, const char *member, const char *value)
{
    const struct json *check = find(f, id);
    if (check == NULL)
        fail_msg("there is no %s", id);
    if (!span_is(json_string_of(check, member), value))
        fail_msg("%s of %s is %.*s", member, id, SPAN_ARG(json_string_of(check, member)));
}

#define TRIAL "CIS-debian-12-DEFENDER_FOR_IOT_TEST_CHECKS-0.0"

static void the_trial_file_makes_its_check_fail(void **state)
{
    struct fixture *f = *state;
    collect(f);
    assert_int_equal(harness_events(&f->harness, NULL), 1);
    expect(f, TRIAL, "result", "PASS");
    assert_null(json_find_text(find(f, TRIAL), "error"));
    assert_null(json_find_text(find(f, TRIAL), "remediation"));
    write_file(f, "/tmp/DefenderForIoTOSBaselineTrigger.txt", "");
    collect(f);
    expect(f, TRIAL, "result", "FAIL");
    expect(f, TRIAL, "error", "/tmp/DefenderForIoTOSBaselineTrigger.txt exists");
    expect(f, TRIAL, "remediation",
        "Remove the trial file: rm /tmp/DefenderForIoTOSBaselineTrigger.txt");
}

static void an_id_names_distribution_version_and_group(void **state)
{
    struct fixture *f = *state;
    collect(f);
    assert_non_null(find(f, "CIS-debian-12-Filesystem_Configuration-1.1.2"));
    write_file(f, "/etc/os-release", "ID=odd-os\nVERSION_ID=\"1 a\"\n");
    collect(f);
    assert_non_null(find(f, "CIS-odd_os-1_a-Filesystem_Configuration-1.1.2"));
    write_file(f, "/etc/os-release", "");
    collect(f);
    assert_non_null(find(f, "CIS-linux-unknown-Filesystem_Configuration-1.1.2"));
}

static void disabled_checks_and_groups_are_not_sent(void **state)
{
    struct fixture *f = *state;
    collect(f);
    size_t all = count_checks(f);
    set(f, SETTING_BASELINE_CHECKS_DISABLED, "1.1.2, 3.3.5,9.9.9");
    collect(f);
    assert_int_equal(count_checks(f), all - 2);
    assert_null(find(f, "CIS-debian-12-Filesystem_Configuration-1.1.2"));
    assert_non_null(find(f, "CIS-debian-12-Filesystem_Configuration-1.1.21"));
    set(f, SETTING_BASELINE_CHECKS_DISABLED, "");
    set(f, SETTING_BASELINE_GROUPS_DISABLED, "Time Synchronization, Network Parameters Host");
    collect(f);
    assert_true(count_checks(f) < all - 2);
    assert_null(find(f, "CIS-debian-12-Network_Parameters_Host-3.1.1"));
    /* Not the group whose name begins alike. */
    assert_non_null(find(f, "CIS-debian-12-Network_Parameters_Host_and_Router-3.2.1"));
    set(f, SETTING_BASELINE_GROUPS_DISABLED, "");
    collect(f);
    assert_int_equal(count_checks(f), all);
}

static void a_scan_is_one_event_unless_the_message_is_too_small(void **state)
{
    struct fixture *f = *state;
    collect(f);
    size_t all = count_checks(f);
    assert_int_equal(harness_events(&f->harness, NULL), 1);
    assert_true(f->harness.largest_bytes < COLLECTORS_MESSAGE_BYTES);
    collectors_free(f->collectors);
    f->harness.options.message_limit_bytes = 20000;
    open_collectors(f);
    collect(f);
    size_t events = harness_events(&f->harness, "Baseline");
    assert_true(events > 2);
    assert_int_equal(count_checks(f), all);
    struct span scan = json_string_of(harness_payload(&f->harness, "Baseline", 0), "scan_id");
    assert_int_equal(scan.len, 36);
    for (size_t i = 1; i < events; i++)
        assert_true(
            span_eq(scan, json_string_of(harness_payload(&f->harness, "Baseline", i), "scan_id")));
    /* What fits in no message is lost, and counted. */
    collectors_free(f->collectors);
    f->harness.options.message_limit_bytes = 560;
    open_collectors(f);
    collect(f);
    int64_t lost = harness_counter(&f->harness, f->collectors, "Baseline", "lost.too_large");
    assert_true(lost > 0);
    assert_int_equal(count_checks(f) + (size_t)lost, all);
}

static void without_check_files_one_finding_says_so(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    f->harness.options.baseline_dir = "/nonexistent";
    open_collectors(f);
    collect(f);
    assert_int_equal(count_checks(f), 1);
    expect(f, "CIS-debian-12-Check_Files-0.1", "result", "ERROR");
    expect(f, "CIS-debian-12-Check_Files-0.1", "severity", "IMPORTANT");
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Baseline", "files_refused"), 1);
}

/* A clock on which every look takes half a millisecond. */
static int64_t slow_mono(void *self)
{
    return ((struct harness *)self)->mono_us += 500;
}

static void nothing_is_done_before_a_collection_is_due(void **state)
{
    struct fixture *f = *state;
    const char *field;
    struct why why = {""};
    f->harness.options.first_delay_us = 60 * SECOND;
    collectors_free(f->collectors);
    open_collectors(f);
    write_file(f, "/tmp/open", "");
    char path[128];
    snprintf(path, sizeof(path), "%s/tmp/open", f->dir);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
    int64_t due_us = collectors_run(f->collectors);
    assert_int_equal(harness_events(&f->harness, NULL), 0);
    assert_int_equal(remove(path), 0); /* nobody has looked yet */
    f->harness.mono_us = due_us;
    due_us = collectors_run(f->collectors);
    expect(f, "CIS-debian-12-System_File_Permissions-6.1.10", "result", "PASS");
    assert_true(due_us >= f->harness.mono_us + 3600 * SECOND);
    /* A scan out of turn, as after a change of settings, does with a walk of just now. */
    write_file(f, "/tmp/open", "");
    assert_int_equal(chmod(path, 0666), 0);
    for (unsigned i = 0; i < 2; i++) {
        harness_clear(&f->harness);
        set(f, SETTING_BASELINE_CHECKS_DISABLED, i == 0 ? "1.1.2" : "");
        assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
        collectors_run(f->collectors);
        if (i == 0)
            expect(f, "CIS-debian-12-System_File_Permissions-6.1.10", "result", "PASS");
        f->harness.mono_us += 61 * SECOND;
    }
    expect(f, "CIS-debian-12-System_File_Permissions-6.1.10", "error", "1 found: /tmp/open");
}

static void the_walk_is_made_in_slices_with_long_pauses(void **state)
{
    struct fixture *f = *state;
    const char *field;
    struct why why = {""};
    f->harness.clock.mono_us = slow_mono;
    for (unsigned i = 0; i < 1500; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/tmp/file-%u", i);
        write_file(f, path, "");
    }
    char path[128];
    snprintf(path, sizeof(path), "%s/tmp/file-1499", f->dir);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
    int64_t worked_us = 0, paused_us = 0;
    unsigned turns = 0;
    do {
        int64_t begin_us = f->harness.mono_us;
        int64_t next_us = collectors_run(f->collectors);
        if (harness_events(&f->harness, NULL) > 0)
            break;
        worked_us += f->harness.mono_us - begin_us;
        assert_true(f->harness.mono_us - begin_us < 10000);
        paused_us += next_us - f->harness.mono_us;
        f->harness.mono_us = next_us;
    } while (++turns < 1000);
    assert_in_range(turns, 2, 999);
    assert_true(worked_us * 10 < paused_us);
    expect(f, "CIS-debian-12-System_File_Permissions-6.1.10", "error", "1 found: /tmp/file-1499");
}

static void it_says_how_it_went_in_its_status(void **state)
{
    struct fixture *f = *state;
    collect(f);
    static const char *const names[] = {"passed", "failed", "skipped", "errors"};
    int64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        sum += harness_counter(&f->harness, f->collectors, "Baseline", names[i]);
    assert_int_equal(sum, count_checks(f));
}

static void without_memory_nothing_is_sent_or_all_and_nothing_leaks(void **state)
{
    struct fixture *f = *state;
    const char *field;
    struct why why = {""};
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
    f->harness.memory_fails = true;
    for (long n = 0; n < 1500; n += n < 20 ? 1 : 149) {
        f->harness.mono_us += 1440 * 60 * SECOND;
        mem_fail_after(n);
        collectors_run(f->collectors);
        mem_fail_after(-1);
    }
    f->harness.memory_fails = false;
    collect(f);
    assert_true(count_checks(f) > 150);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_trial_file_makes_its_check_fail),
        T(an_id_names_distribution_version_and_group),
        T(disabled_checks_and_groups_are_not_sent),
        T(a_scan_is_one_event_unless_the_message_is_too_small),
        T(without_check_files_one_finding_says_so),
        T(nothing_is_done_before_a_collection_is_due),
        T(the_walk_is_made_in_slices_with_long_pauses),
        T(it_says_how_it_went_in_its_status),
        T(without_memory_nothing_is_sent_or_all_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
