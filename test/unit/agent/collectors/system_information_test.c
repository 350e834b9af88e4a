/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "nics.h"
#include "os_release.h"
#include "users.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char dir[64];
};

static const char *const folders[] = {"class", "class/dmi", "class/dmi/id", "firmware",
    "firmware/devicetree", "firmware/devicetree/base"};
static const char *const files[] = {"class/dmi/id/sys_vendor", "class/dmi/id/product_name",
    "class/dmi/id/product_serial", "class/dmi/id/bios_vendor", "class/dmi/id/bios_version",
    "firmware/devicetree/base/model", "firmware/devicetree/base/serial-number", "sysinfo.json",
    "os-release", "passwd"};

static const struct collector *const table[] = {&system_information_collector};

/* One directory serves as /sys, /etc and the configuration. */
static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    settings_init(&f->settings);
    strcpy(f->dir, "/tmp/system_information_test_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    char path[128];
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    f->harness.options.sys_dir = f->harness.options.etc_dir = f->harness.options.config_dir =
        f->dir;
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
        unlink(path);
    }
    for (size_t i = COUNT_OF(folders); i-- > 0;) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, folders[i]);
        rmdir(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
    test_free(f);
    return 0;
}

static void write_bytes(struct fixture *f, const char *name, struct span bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    fclose(file);
}

static void write_text(struct fixture *f, const char *name, const char *text)
{
    write_bytes(f, name, span_of(text));
}

static void set(struct fixture *f, enum setting_id id, const char *text)
{
    mem_free(f->settings.values[id].text);
    f->settings.values[id].text = mem_text(span_of(text));
}

/* Applies the settings and collects; returns the payload. */
static const struct json *collect(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    harness_clear(&f->harness);
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
    f->harness.mono_us += 1440 * 60 * SECOND;
    collectors_run(f->collectors);
    assert_int_equal(harness_events(&f->harness, NULL), 1);
    return harness_payload(&f->harness, "SystemInformation", 0);
}

static void check(const struct json *payload, const char *member, const char *expected)
{
    const struct json *value = json_find_text(payload, member);
    if (expected == NULL) {
        assert_null(value);
        return;
    }
    if (value == NULL || !span_is(value->text, expected))
        fail_msg("%s is \"%.*s\", not \"%s\"", member,
            SPAN_ARG(value == NULL ? SPAN_NONE : value->text), expected);
}

static void the_system_is_what_uname_and_os_release_say(void **state)
{
    struct fixture *f = *state;
    struct utsname name;
    uname(&name);
    write_text(f, "os-release", "NAME=\"Some OS\"\n# ID=no\nID=debian\nVERSION_ID=\"12\"\n");
    const struct json *payload = collect(f);
    check(payload, "os_dist", "debian");
    check(payload, "os_version", "12");
    check(payload, "os_platform", "Linux");
    check(payload, "os_arch", name.machine);
    check(payload, "kernel_info", name.release);
    check(payload, "agent_type", "Standalone");
    assert_true(json_string_of(payload, "agent_version").len > 0);
    assert_true(json_is(json_find_text(payload, "nics"), JSON_ARRAY));
}

static void what_is_known_from_nowhere_is_absent(void **state)
{
    struct fixture *f = *state;
    write_text(f, "class/dmi/id/sys_vendor", " \n");
    const struct json *payload = collect(f);
    static const char *const members[] = {"os_dist", "os_version", "hardware_vendor",
        "hardware_model", "hardware_serial_number", "firmware_vendor", "firmware_version"};
    for (size_t i = 0; i < COUNT_OF(members); i++)
        check(payload, members[i], NULL);
}

static void a_setting_goes_before_the_file_and_the_file_before_the_firmware(void **state)
{
    struct fixture *f = *state;
    write_bytes(f, "firmware/devicetree/base/model", SPAN_LIT("Board 4\0"));
    write_bytes(f, "firmware/devicetree/base/serial-number", SPAN_LIT("S-4\0"));
    check(collect(f), "hardware_model", "Board 4");
    check(collect(f), "hardware_serial_number", "S-4");

    write_text(f, "class/dmi/id/product_name", "Table 3\n");
    write_text(f, "class/dmi/id/sys_vendor", "  Maker 3 \n");
    write_text(f, "class/dmi/id/product_serial", "S-3\n");
    write_text(f, "class/dmi/id/bios_vendor", "Firm 3\n");
    write_text(f, "class/dmi/id/bios_version", "V 3\n");
    const struct json *payload = collect(f);
    check(payload, "hardware_model", "Table 3");
    check(payload, "hardware_vendor", "Maker 3");
    check(payload, "hardware_serial_number", "S-3");
    check(payload, "firmware_vendor", "Firm 3");
    check(payload, "firmware_version", "V 3");

    write_text(f, "sysinfo.json",
        "{\"HardwareModel\":\"File 2\",\"FirmwareVersion\":\"V 2\",\"FirmwareVendor\":7}");
    payload = collect(f);
    check(payload, "hardware_model", "File 2");
    check(payload, "firmware_version", "V 2");
    check(payload, "firmware_vendor", "Firm 3");
    check(payload, "hardware_vendor", "Maker 3");

    set(f, SETTING_SYSTEM_INFORMATION_HARDWARE_MODEL, "Setting 1");
    set(f, SETTING_SYSTEM_INFORMATION_HARDWARE_VENDOR, "Vendor 1");
    set(f, SETTING_SYSTEM_INFORMATION_HARDWARE_SERIAL_NUMBER, "S-1");
    set(f, SETTING_SYSTEM_INFORMATION_FIRMWARE_VENDOR, "Firm 1");
    set(f, SETTING_SYSTEM_INFORMATION_FIRMWARE_VERSION, "V 1");
    payload = collect(f);
    check(payload, "hardware_model", "Setting 1");
    check(payload, "hardware_vendor", "Vendor 1");
    check(payload, "hardware_serial_number", "S-1");
    check(payload, "firmware_vendor", "Firm 1");
    check(payload, "firmware_version", "V 1");

    set(f, SETTING_SYSTEM_INFORMATION_HARDWARE_MODEL, "");
    check(collect(f), "hardware_model", "File 2");
}

static void sysinfo_without_braces_is_read_and_a_damaged_one_is_left_aside(void **state)
{
    struct fixture *f = *state;
    write_text(f, "sysinfo.json", "\n\"HardwareVendor\": \"A\",\n\"HardwareModel\": \"B\"\n");
    check(collect(f), "hardware_model", "B");
    static const char *const damaged[] = {"", "{", "[1]", "{\"HardwareModel\":}", "\xff\xfe"};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        write_text(f, "sysinfo.json", damaged[i]);
        check(collect(f), "hardware_model", NULL);
    }
}

static void hostile_bytes_in_a_file_are_bounded_and_sent_as_text(void **state)
{
    struct fixture *f = *state;
    char noise[5000];
    memset(noise, '\xff', sizeof(noise));
    write_bytes(f, "class/dmi/id/product_name", (struct span){noise, sizeof(noise)});
    const struct json *payload = collect(f);
    assert_in_range(json_string_of(payload, "hardware_model").len, 1, 3 * 1024);
}

static void too_many_interfaces_are_left_out_and_counted(void **state UNUSED)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct json *whole, *none;
    size_t left_out;
    assert_int_equal(nics_list(&arena, "/sys", NICS_MAX, &whole, &left_out), ERR_NONE);
    assert_int_equal(left_out, 0);
    assert_int_equal(nics_list(&arena, "/sys", 0, &none, &left_out), ERR_NONE);
    assert_int_equal(none->count, 0);
    assert_int_equal(left_out, whole->count);
    json_each (nic, whole)
        assert_false(span_is(json_string_of(nic, "name"), "lo"));
    arena_done(&arena);
}

static void os_release_is_read_as_a_shell_would(void **state UNUSED)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {{"ID=debian", "debian"}, {"ID=\"a b\"\n", "a b"}, {"ID='x'\n", "x"},
        {"  ID=y  \n", "y"}, {"ID=\"a\\\"b\\\\c\"", "a\"b\\c"}, {"ID=", ""}, {"ID=\"", "\""},
        {"ID=\\", "\\"}, {"XID=1\nID=2", "2"}, {"IDX=1", NULL}, {"ID", NULL}, {"", NULL}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(buf_done) struct buf value = {0};
        bool found = os_release_find(span_of(rows[i].text), "ID", &value);
        assert_int_equal(found, rows[i].expected != NULL);
        if (found)
            assert_true(span_is(buf_span(&value), rows[i].expected));
    }
}

static void users_are_found_in_the_passwd_file_alone(void **state)
{
    struct fixture *f = *state;
    write_text(f, "passwd",
        "root:x:0:0::/:/bin/sh\nbad line\n:x\nann:x:1000:1000::/:/bin/sh\ntwin:x:1000:1\n"
        "neg:x:-1:0\nlast:x:7");
    struct users users;
    users_load(f->dir, &users);
    static const struct {
        uint32_t id;
        const char *name;
    } rows[] = {{0, "root"}, {1000, "ann"}, {7, "last"}, {1, ""}, {UINT32_MAX, ""}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_true(span_is(users_find(&users, rows[i].id), rows[i].name));
    users_done(&users);
    users_load("/nowhere", &users);
    assert_int_equal(users_find(&users, 0).len, 0);
    users_done(&users);
}

static void without_memory_nothing_is_sent_and_it_is_counted(void **state)
{
    struct fixture *f = *state;
    write_text(f, "sysinfo.json", "{\"HardwareModel\":\"File 2\"}");
    collect(f);
    int64_t lost = 0;
    f->harness.memory_fails = true;
    for (long allocations = 0; allocations < 12; allocations++) {
        harness_clear(&f->harness);
        f->harness.mono_us += 1440 * 60 * SECOND;
        mem_fail_after(allocations);
        collectors_run(f->collectors);
        mem_fail_after(-1);
        lost += harness_events(&f->harness, NULL) == 0;
        assert_int_equal(
            harness_counter(&f->harness, f->collectors, "SystemInformation", "lost.memory"), lost);
        assert_int_equal(harness_counter(&f->harness, f->collectors, "SystemInformation", "seen"),
            allocations + 2);
    }
    assert_true(lost > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_system_is_what_uname_and_os_release_say),
        TEST(what_is_known_from_nowhere_is_absent),
        TEST(a_setting_goes_before_the_file_and_the_file_before_the_firmware),
        TEST(sysinfo_without_braces_is_read_and_a_damaged_one_is_left_aside),
        TEST(hostile_bytes_in_a_file_are_bounded_and_sent_as_text),
        TEST(too_many_interfaces_are_left_out_and_counted),
        TEST(os_release_is_read_as_a_shell_would),
        TEST(users_are_found_in_the_passwd_file_alone),
        TEST(without_memory_nothing_is_sent_and_it_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
