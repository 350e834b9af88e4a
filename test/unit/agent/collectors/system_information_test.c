/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "nic_vlans.h"
#include "nics.h"
#include "os_release.h"
#include "oui.h"
#include "smbios.h"
#include "users.h"

#include <setjmp.h>

#include <cmocka.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char dir[64];
};

static const char *const folders[] = {"class", "class/dmi", "class/dmi/id", "firmware",
    "firmware/devicetree", "firmware/devicetree/base", "firmware/dmi", "firmware/dmi/tables", "usr",
    "usr/lib", "usr/share", "usr/share/ieee-data"};
static const char *const files[] = {"class/dmi/id/sys_vendor", "class/dmi/id/product_name",
    "class/dmi/id/product_serial", "class/dmi/id/bios_vendor", "class/dmi/id/bios_version",
    "firmware/devicetree/base/model", "firmware/devicetree/base/serial-number", "sysinfo.json",
    "os-release", "passwd", "aziot", "usr/lib/os-release", "firmware/dmi/tables/DMI",
    "usr/share/ieee-data/oui.txt"};

static const struct collector *const table[] = {&system_information_collector};

/* One directory serves as /sys, /etc, / and the configuration. */
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
        f->harness.options.root_dir = f->dir;
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

static void without_one_in_etc_the_systems_own_os_release_counts(void **state)
{
    struct fixture *f = *state;
    write_text(f, "usr/lib/os-release", "ID=vendor\nVERSION_ID=1\n");
    check(collect(f), "os_dist", "vendor");
    write_text(f, "os-release", "ID=local\n");
    check(collect(f), "os_dist", "local");
    check(collect(f), "os_version", NULL);
}

static void where_iot_edge_is_set_up_the_agent_is_of_an_edge_device(void **state)
{
    struct fixture *f = *state;
    check(collect(f), "agent_type", "Standalone");
    write_text(f, "aziot", "");
    check(collect(f), "agent_type", "Edge");
}

/* A table with a BIOS, something else, the system, and the end. */
#define TABLE                                                                                      \
    "\x00\x06\x01\x00\x01\x02"                                                                     \
    "Firm Inc\0F 9.1\0\0"                                                                          \
    "\x0b\x05\x02\x00\x01x\0\0"                                                                    \
    "\x01\x08\x03\x00\x02\x01\x00\x03M 7\0Maker\0 S 1 \0\0"                                        \
    "\x7f\x04\x04\x00\0\0"                                                                         \
    "\x01\x05\x05\x00\x01No\0\0"

static void the_firmwares_table_itself_tells_what_the_kernel_does_not(void **state)
{
    struct fixture *f = *state;
    write_bytes(f, "firmware/dmi/tables/DMI", SPAN_LIT(TABLE));
    write_text(f, "class/dmi/id/product_name", "Kernel's\n");
    const struct json *payload = collect(f);
    check(payload, "hardware_model", "Kernel's");
    check(payload, "hardware_vendor", "Maker");
    check(payload, "hardware_serial_number", "S 1");
    check(payload, "firmware_vendor", "Firm Inc");
    check(payload, "firmware_version", "F 9.1");
}

static void a_table_that_is_cut_or_lies_gives_less_and_nothing_worse(void **state UNUSED)
{
    struct span whole = SPAN_LIT(TABLE);
    assert_true(span_is(smbios_find(whole, 1, 4), "Maker"));
    assert_int_equal(smbios_find(whole, 1, 6).len, 0);   /* 0: none */
    assert_int_equal(smbios_find(whole, 1, 200).len, 0); /* past its area */
    assert_int_equal(smbios_find(whole, 9, 4).len, 0);
    assert_true(span_is(smbios_find(whole, 11, 4), "x"));
    for (size_t len = 0; len < whole.len; len++) {
        char *exact = test_malloc(len + 1);
        memcpy(exact, whole.ptr, len);
        for (uint8_t type = 0; type < 12; type++)
            for (size_t offset = 0; offset < 10; offset++)
                assert_true(smbios_find((struct span){exact, len}, type, offset).len <= len);
        test_free(exact);
    }
    assert_int_equal(smbios_find(SPAN_LIT("\x01\x06\x00\x00\x09\x01x\0\0"), 1, 4).len, 0);
    assert_int_equal(smbios_find(SPAN_LIT("\x01\x03\x00\x00\0\0"), 1, 2).len, 0);
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
    write_text(f, "sysinfo.json", "\"HardwareModel\": \"C\",\n");
    check(collect(f), "hardware_model", "C");
    static const char *const damaged[] = {"", "{", "[1]", "{\"HardwareModel\":}", "\xff\xfe"};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        write_text(f, "sysinfo.json", damaged[i]);
        check(collect(f), "hardware_model", NULL);
    }
}

static void sysinfo_may_name_its_members_as_settings_with_blanks(void **state)
{
    struct fixture *f = *state;
    write_text(f, "sysinfo.json",
        "{\"SystemInformation_ FirmwareVersion\":\"F\",\" HardwareModel \":\"M\","
        "\"SystemInformation_HardwareVendor\":\"V\",\"Hardware Model\":\"no\"}");
    const struct json *payload = collect(f);
    check(payload, "firmware_version", "F");
    check(payload, "hardware_model", "M");
    check(payload, "hardware_vendor", "V");
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
    assert_int_equal(nics_list(&arena, "/sys", "", NICS_MAX, &whole, &left_out), ERR_NONE);
    assert_int_equal(left_out, 0);
    assert_int_equal(nics_list(&arena, "/sys", "", 0, &none, &left_out), ERR_NONE);
    assert_int_equal(none->count, 0);
    assert_int_equal(left_out, whole->count);
    json_each (nic, whole)
        assert_false(span_is(json_string_of(nic, "name"), "lo"));
    arena_done(&arena);
}

static void a_list_of_vendors_is_read_in_the_forms_that_packages_have(void **state UNUSED)
{
    static const struct {
        const char *line, *vendor;
        uint32_t prefix;
    } rows[] = {{"28-6F-B9   (hex)\t\tNokia Bell Co., Ltd.\r", "Nokia Bell Co., Ltd.", 0x286fb9},
        {"286FB9     (base 16)\t\tNokia", "Nokia", 0x286fb9}, {"286fb9\tNokia", "Nokia", 0x286fb9},
        {"28:6F:B9 Nokia", "Nokia", 0x286fb9}, {"28-6F-B9-1 Part of it", NULL, 0},
        {"286FB91\tPart of it", NULL, 0}, {"286FB9", NULL, 0}, {"286FB9 ", NULL, 0},
        {"286FB9 (hex)", NULL, 0}, {"286FB9 (hex", NULL, 0}, {"OUI/MA-L  Organization", NULL, 0},
        {"\t\t\t\tStreet 5", NULL, 0}, {"28-6F-G9 x", NULL, 0}, {"", NULL, 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint32_t prefix;
        struct span vendor;
        bool found = oui_parse(span_of(rows[i].line), &prefix, &vendor);
        if (found != (rows[i].vendor != NULL))
            fail_msg("%s", rows[i].line);
        if (!found)
            continue;
        assert_int_equal(prefix, rows[i].prefix);
        assert_true(span_is(vendor, rows[i].vendor));
    }
}

/* ---- messages of rtnetlink, as the kernel writes them ---- */

struct answer {
    _Alignas(8) char bytes[1024];
    size_t len;
};

static size_t open_attribute(struct answer *answer, unsigned type, const void *data, size_t len)
{
    const struct rtattr attribute = {(unsigned short)RTA_LENGTH(len), (unsigned short)type};
    size_t start = answer->len;
    memcpy(answer->bytes + start, &attribute, sizeof(attribute));
    if (len > 0)
        memcpy(answer->bytes + start + sizeof(attribute), data, len);
    answer->len += RTA_SPACE(len);
    return start;
}

static void close_attribute(struct answer *answer, size_t start)
{
    unsigned short len = (unsigned short)(answer->len - start);
    memcpy(answer->bytes + start, &len, sizeof(len));
}

/* An interface; `kind` NULL: with no word about its kind; `parent` 0: not said. */
static void add_link(
    struct answer *answer, int index, const char *kind, uint16_t id, int parent, bool elsewhere)
{
    struct nlmsghdr header = {.nlmsg_type = RTM_NEWLINK};
    const struct ifinfomsg link = {.ifi_index = index};
    size_t start = answer->len;
    answer->len += NLMSG_SPACE(sizeof(link));
    memcpy(answer->bytes + start + NLMSG_HDRLEN, &link, sizeof(link));
    open_attribute(answer, IFLA_IFNAME, "name", 5);
    if (parent != 0)
        open_attribute(answer, IFLA_LINK, &parent, sizeof(parent));
    if (elsewhere)
        open_attribute(answer, IFLA_LINK_NETNSID, &(int){0}, sizeof(int));
    if (kind != NULL) {
        size_t info = open_attribute(answer, IFLA_LINKINFO, NULL, 0);
        open_attribute(answer, IFLA_INFO_KIND, kind, strlen(kind) + 1);
        size_t data = open_attribute(answer, IFLA_INFO_DATA | NLA_F_NESTED, NULL, 0);
        open_attribute(answer, IFLA_VLAN_ID, &id, sizeof(id));
        close_attribute(answer, data);
        close_attribute(answer, info);
    }
    header.nlmsg_len = (uint32_t)(answer->len - start);
    memcpy(answer->bytes + start, &header, sizeof(header));
}

static void vlans_are_read_from_what_the_kernel_answers(void **state UNUSED)
{
    static const struct nic_vlan expected[] = {{3, 2, 5}, {4, 2, 4094}, {6, 0, 7}};
    struct answer answer = {.len = 0};
    add_link(&answer, 2, NULL, 0, 0, false);
    add_link(&answer, 3, "vlan", 5, 2, false);
    add_link(&answer, 4, "vlan", 4094, 2, false);
    add_link(&answer, 5, "vxlan", 9, 2, false);
    add_link(&answer, 6, "vlan", 7, 2, true);
    AUTO(buf_done) struct buf vlans = BUF_EMPTY;
    assert_true(nic_vlans_parse(answer.bytes, answer.len, &vlans));
    assert_int_equal(vlans.len, sizeof(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        struct nic_vlan vlan;
        memcpy(&vlan, vlans.ptr + i * sizeof(vlan), sizeof(vlan));
        assert_int_equal(vlan.index, expected[i].index);
        assert_int_equal(vlan.parent, expected[i].parent);
        assert_int_equal(vlan.id, expected[i].id);
    }
    const struct nlmsghdr done = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE};
    assert_false(nic_vlans_parse(&done, sizeof(done), &vlans));
    for (size_t len = 0; len < answer.len; len++) { /* cut anywhere */
        char *exact = test_malloc(len + 1);
        memcpy(exact, answer.bytes, len);
        buf_clear(&vlans);
        assert_true(nic_vlans_parse(exact, len, &vlans));
        assert_true(vlans.len <= sizeof(expected));
        test_free(exact);
    }
}

static bool run_ip(const char *arguments)
{
    char words[256], *argv[16] = {(char[]){"ip"}}, *rest = words;
    size_t count = 1;
    snprintf(words, sizeof(words), "%s", arguments);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        argv[count++] = word;
    pid_t pid = fork();
    if (pid == 0) {
        fclose(stderr);
        execvp("ip", argv);
        _exit(127);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return status == 0;
}

static bool lists(const struct json *nics, const char *expected)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    json_write(nics, &text);
    if (strstr(text.ptr, expected) != NULL)
        return true;
    printf("# no %s in %s\n", expected, text.ptr);
    fflush(stdout);
    return false;
}

enum { FOUND = 10, NOT_FOUND, NOT_POSSIBLE };

/* In a network of its own: the child says by its status what it found. */
static int look_at_a_network_of_our_own(const char *root_dir)
{
    if (unshare(CLONE_NEWNET) != 0 || !run_ip("link add name low0 type veth peer name low1"))
        return NOT_POSSIBLE;
    bool vlans = run_ip("link add link low0 name tag5 type vlan id 5"); /* not every kernel can */
    bool made = run_ip("link set dev low0 address 28:6f:b9:00:00:01") &&
                run_ip("link set dev low1 address 2a:6f:b9:00:00:01") &&
                run_ip("addr add 192.0.2.7/24 dev low0") &&
                run_ip("addr add 2001:db8::7/64 dev low0 nodad");
    struct arena arena;
    struct json *nics;
    size_t left_out;
    arena_init(&arena, 0);
    if (!made || nics_list(&arena, "/sys", root_dir, NICS_MAX, &nics, &left_out) != ERR_NONE)
        return NOT_FOUND;
    bool found =
        lists(nics, "\"info\":[{\"mac\":\"28:6f:b9:00:00:01\",\"ipv4_address\":\"192.0.2.7\"},"
                    "{\"mac\":\"28:6f:b9:00:00:01\",\"ipv6_address\":\"2001:db8::7\"}],"
                    "\"vendor\":\"Nokia\"}") &&
        lists(nics, "{\"name\":\"low0\",\"type\":\"ETH\"") &&
        lists(nics, "{\"name\":\"low1\",\"type\":\"ETH\",\"info\":["
                    "{\"mac\":\"2a:6f:b9:00:00:01\"}]}") &&
        (!vlans || (lists(nics, "{\"name\":\"low0\",\"type\":\"ETH\",\"vlans\":[5],") &&
                       lists(nics, "{\"name\":\"tag5\",\"type\":\"ETH\",\"vlans\":[5],")));
    arena_done(&arena);
    return found ? FOUND : NOT_FOUND;
}

static void interfaces_have_vendors_and_addresses_of_both_families(void **state)
{
    struct fixture *f = *state;
    write_text(f, "usr/share/ieee-data/oui.txt",
        "OUI/MA-L  Organization\n\n00-22-72   (hex)\t\tOther\n28-6F-B9   (hex)\t\tNokia\n"
        "28-6F-B9   (hex)\t\tSecond\n");
    pid_t pid = fork();
    if (pid == 0)
        _exit(look_at_a_network_of_our_own(f->dir));
    int status = 1;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_POSSIBLE) {
        print_message("# no network of its own can be made here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), FOUND);
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
    for (long allocations = 0; allocations < 16; allocations++) {
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
        TEST(without_one_in_etc_the_systems_own_os_release_counts),
        TEST(where_iot_edge_is_set_up_the_agent_is_of_an_edge_device),
        TEST(the_firmwares_table_itself_tells_what_the_kernel_does_not),
        TEST(a_table_that_is_cut_or_lies_gives_less_and_nothing_worse),
        TEST(what_is_known_from_nowhere_is_absent),
        TEST(a_setting_goes_before_the_file_and_the_file_before_the_firmware),
        TEST(sysinfo_without_braces_is_read_and_a_damaged_one_is_left_aside),
        TEST(sysinfo_may_name_its_members_as_settings_with_blanks),
        TEST(hostile_bytes_in_a_file_are_bounded_and_sent_as_text),
        TEST(too_many_interfaces_are_left_out_and_counted),
        TEST(a_list_of_vendors_is_read_in_the_forms_that_packages_have),
        TEST(vlans_are_read_from_what_the_kernel_answers),
        TEST(interfaces_have_vendors_and_addresses_of_both_families),
        TEST(os_release_is_read_as_a_shell_would),
        TEST(users_are_found_in_the_passwd_file_alone),
        TEST(without_memory_nothing_is_sent_and_it_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
