/* SPDX-License-Identifier: Apache-2.0 */
/* Peripherals: what the kernel says in words that it really used, a /sys of files, and network
 * interfaces that the real kernel makes in a network namespace of the test's own. */
#include "harness.h"
#include "peripherals.h"
#include "schema_check.h"

#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *schema_dir;

/* ---- with a /sys of files ---- */

struct fixture {
    struct peripherals peripherals;
    char sys[64];
    size_t count;
    struct peripheral_facts told[64];
};

static void keep(void *self, const struct peripheral_facts *facts)
{
    struct fixture *f = self;
    assert_true(f->count < COUNT_OF(f->told));
    f->told[f->count++] = *facts;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    snprintf(f->sys, sizeof(f->sys), "/tmp/gemel-sys-XXXXXX");
    assert_non_null(mkdtemp(f->sys));
    f->peripherals = (struct peripherals){.sys_dir = f->sys, .told = keep, .self = f};
    *state = f;
    return 0;
}

static int remove_one(
    const char *path, const struct stat *stat UNUSED, int kind UNUSED, struct FTW *at UNUSED)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    peripherals_done(&f->peripherals);
    nftw(f->sys, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    test_free(f);
    return 0;
}

static void make_directories(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
}

static void put(const struct fixture *f, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", f->sys, name);
    make_directories(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_link(const struct fixture *f, const char *name, const char *target)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", f->sys, name);
    make_directories(path);
    assert_int_equal(symlink(target, path), 0);
}

static void put_stick(const struct fixture *f, const char *number)
{
    put(f, "devices/pci0/usb1/1-1/busnum", "1\n");
    put(f, "devices/pci0/usb1/1-1/devnum", number);
    put(f, "devices/pci0/usb1/1-1/bDeviceClass", "00\n");
    put(f, "devices/pci0/usb1/1-1/bDeviceSubClass", "00\n");
    put(f, "devices/pci0/usb1/1-1/bDeviceProtocol", "00\n");
    put(f, "devices/pci0/usb1/1-1/idVendor", "0781\n");
    put(f, "devices/pci0/usb1/1-1/idProduct", "5567\n");
    put(f, "devices/pci0/usb1/1-1/1-1:1.0/bInterfaceClass", "08\n");
    put(f, "devices/pci0/usb1/1-1/1-1:1.0/bInterfaceSubClass", "06\n");
    put(f, "devices/pci0/usb1/1-1/1-1:1.0/bInterfaceProtocol", "50\n");
    put_link(f, "bus/usb/devices/1-1", "../../../devices/pci0/usb1/1-1");
}

/* Lines with ';' between stand for the kernel's NULs. */
static void say(struct fixture *f, const char *text, int64_t now_us)
{
    char bytes[1024];
    struct uevent event;
    size_t len = strlen(text) + 1;
    memcpy(bytes, text, len);
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == ';')
            bytes[i] = '\0';
    assert_true(uevent_parse((struct span){bytes, len}, &event));
    peripherals_take(&f->peripherals, &event, now_us);
}

#define STICK                                                                                      \
    "DEVPATH=/devices/pci0/usb1/1-1;SUBSYSTEM=usb;DEVTYPE=usb_device;"                             \
    "PRODUCT=781/5567/126;TYPE=0/0/0;BUSNUM=001;DEVNUM=004;SEQNUM=1"
#define STICK_INTERFACE                                                                            \
    "DEVPATH=/devices/pci0/usb1/1-1/1-1:1.0;SUBSYSTEM=usb;DEVTYPE=usb_interface;"                  \
    "PRODUCT=781/5567/126;TYPE=0/0/0;INTERFACE=8/6/80;SEQNUM=2"
#define CARD "/devices/pci0000:00/0000:02:01.0/net/"
#define ADD "add@x;ACTION=add;"
#define REMOVE "remove@x;ACTION=remove;"

static void a_stick_is_told_with_its_interface_and_leaves_with_all_facts(void **state)
{
    struct fixture *f = *state;
    peripherals_look(&f->peripherals, false, 0);
    say(f, ADD STICK, 0);
    assert_int_equal(f->count, 0);
    assert_int_equal(peripherals_run(&f->peripherals, 1), PERIPHERAL_WAIT_US);
    say(f, ADD STICK_INTERFACE, 5);
    assert_int_equal(f->count, 1);
    say(f, REMOVE STICK_INTERFACE, 6);
    say(f, REMOVE STICK, 6);
    assert_int_equal(f->count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct peripheral_facts *facts = &f->told[i];
        assert_int_equal(facts->kind, PERIPHERAL_USB);
        assert_int_equal(facts->connected, i == 0);
        assert_int_equal(facts->bus_number, 1);
        assert_int_equal(facts->device_number, 4);
        assert_true(facts->interface_known);
        assert_int_equal(facts->interface[0], 8);
        assert_int_equal(facts->interface[1], 6);
        assert_int_equal(facts->interface[2], 80);
        assert_string_equal(facts->vendor_id, "0781");
        assert_string_equal(facts->product_id, "5567");
    }
}

static void a_device_whose_interface_never_comes_is_told_without(void **state)
{
    struct fixture *f = *state;
    say(f, ADD STICK, 0);
    (void)peripherals_run(&f->peripherals, PERIPHERAL_WAIT_US - 1);
    assert_int_equal(f->count, 0);
    assert_int_equal(peripherals_run(&f->peripherals, PERIPHERAL_WAIT_US), INT64_MAX);
    assert_int_equal(f->count, 1);
    assert_false(f->told[0].interface_known);
}

static void what_is_there_at_the_start_is_no_event_but_leaves_with_its_facts(void **state)
{
    struct fixture *f = *state;
    put_stick(f, "4\n");
    peripherals_look(&f->peripherals, false, 0);
    say(f, ADD STICK, 0); /* had been on its way */
    (void)peripherals_run(&f->peripherals, INT64_MAX - 1);
    assert_int_equal(f->count, 0);
    say(f, REMOVE STICK, 0);
    assert_int_equal(f->count, 1);
    assert_false(f->told[0].connected);
    assert_int_equal(f->told[0].interface[2], 80);
    assert_string_equal(f->told[0].product_id, "5567");
}

static void after_an_overflow_a_look_tells_what_changed(void **state)
{
    struct fixture *f = *state;
    char path[128];
    put_stick(f, "4\n");
    peripherals_look(&f->peripherals, false, 0);
    put(f, "devices/pci0000:00/0000:02:01.0/net/enp2s1/uevent", "INTERFACE=enp2s1\n");
    put_link(f, "class/net/enp2s1", "../../devices/pci0000:00/0000:02:01.0/net/enp2s1");
    put(f, "devices/pci0000:00/0000:02:02.0/net/wlan0/uevent", "DEVTYPE=wlan\n");
    put_link(f, "class/net/wlan0", "../../devices/pci0000:00/0000:02:02.0/net/wlan0");
    put_link(f, "class/net/veth7", "../../devices/virtual/net/veth7");
    snprintf(path, sizeof(path), "%s/bus/usb/devices/1-1", f->sys);
    assert_int_equal(unlink(path), 0);
    peripherals_look(&f->peripherals, true, 9);
    (void)peripherals_run(&f->peripherals, 9);
    assert_int_equal(f->count, 2);
    assert_false(f->told[0].connected);
    assert_int_equal(f->told[0].kind, PERIPHERAL_USB);
    assert_true(f->told[1].connected);
    assert_string_equal(f->told[1].name, "enp2s1");
    assert_string_equal(f->told[1].bus_path, "0000:02:01.0");
    assert_int_equal(f->told[1].bus_number, 2);
}

static void an_interface_is_told_by_the_name_that_it_gets(void **state)
{
    struct fixture *f = *state;
    say(f, ADD "DEVPATH=" CARD "eth0;SUBSYSTEM=net;INTERFACE=eth0;IFINDEX=3", 0);
    say(f,
        "move@x;ACTION=move;DEVPATH=" CARD "enp2s1;SUBSYSTEM=net;DEVPATH_OLD=" CARD
        "eth0;INTERFACE=enp2s1",
        1);
    (void)peripherals_run(&f->peripherals, PERIPHERAL_WAIT_US);
    say(f,
        "move@x;ACTION=move;DEVPATH=" CARD "lan;SUBSYSTEM=net;DEVPATH_OLD=" CARD
        "enp2s1;INTERFACE=lan",
        2);
    say(f, REMOVE "DEVPATH=" CARD "lan;SUBSYSTEM=net;INTERFACE=lan", 3);
    assert_int_equal(f->count, 2);
    assert_true(f->told[0].connected);
    assert_string_equal(f->told[0].name, "enp2s1");
    assert_int_equal(f->told[0].bus_number, 2);
    assert_false(f->told[1].connected);
    assert_string_equal(f->told[1].name, "lan");
    assert_null(f->peripherals.first);
}

static void virtual_and_repeated_and_foreign_ones_are_not_told(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        ADD "DEVPATH=/devices/virtual/net/veth1;SUBSYSTEM=net;INTERFACE=veth1",
        REMOVE "DEVPATH=/devices/virtual/net/veth1;SUBSYSTEM=net;INTERFACE=veth1",
        ADD "DEVPATH=/devices/virtual/net/docker0;SUBSYSTEM=net;DEVTYPE=bridge;INTERFACE=docker0",
        ADD "DEVPATH=" CARD "wlan0;SUBSYSTEM=net;DEVTYPE=wlan;INTERFACE=wlan0",
        ADD "DEVPATH=" CARD "eth0;SUBSYSTEM=net;INTERFACE=eth0;SYNTH_UUID=0",
        ADD STICK ";SYNTH_UUID=0",
        ADD "DEVPATH=/devices/x;SUBSYSTEM=block;DEVTYPE=disk",
        "change@x;ACTION=change;" STICK,
        "bind@x;ACTION=bind;" STICK,
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        say(f, rows[i], 0);
    (void)peripherals_run(&f->peripherals, INT64_MAX - 1);
    assert_int_equal(f->count, 0);
}

static void more_devices_than_are_kept_are_told_all_the_same(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < PERIPHERALS_MAX; i++) {
        char text[256];
        snprintf(
            text, sizeof(text), ADD "DEVPATH=/devices/p/net/e%u;SUBSYSTEM=net;INTERFACE=e%u", i, i);
        say(f, text, 0);
    }
    assert_int_equal(f->count, 0);
    say(f, ADD "DEVPATH=/devices/p/net/last;SUBSYSTEM=net;INTERFACE=last", 0);
    assert_int_equal(f->count, 1);
    assert_string_equal(f->told[0].name, "last");
}

static void what_is_not_of_the_kernels_form_is_refused(void **state UNUSED)
{
    static const struct span rows[] = {SPAN_INIT(""), SPAN_INIT("x"), SPAN_INIT("libudev\0\1"),
        SPAN_INIT("a@b"), SPAN_INIT("a@b\0ACTION=add"), SPAN_INIT("a@b\0DEVPATH=/x"),
        SPAN_INIT("a@b\0ACTION=add\0DEVPATH=x")};
    unsigned char numbers[3];
    struct uevent event;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_false(uevent_parse(rows[i], &event));
    assert_false(uevent_triple(SPAN_LIT("1/2"), numbers));
    assert_false(uevent_triple(SPAN_LIT("1/2/3/4"), numbers));
    assert_false(uevent_triple(SPAN_LIT("1/2/256"), numbers));
    assert_false(uevent_triple(SPAN_LIT("1/2/-3"), numbers));
    assert_true(uevent_triple(SPAN_LIT("1/2/255"), numbers));
}

/* ---- with the real kernel ---- */

static const struct collector *const table[] = {&peripheral_collector};

static void run_program(const char *const *words)
{
    pid_t pid = fork();
    if (pid == 0) {
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_int_equal(result, 0);
}

#define RUN(...) run_program((const char *const[]){__VA_ARGS__, NULL})

static void apply(struct collectors *collectors, const struct settings *settings)
{
    const char *field;
    struct why why = {""};
    if (collectors_apply(collectors, settings, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

static void await_seen(struct harness *harness, struct collectors *collectors, int64_t wanted)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        collectors_run(collectors);
        if (harness_counter(harness, collectors, "Peripheral", "seen") >= wanted)
            return;
        poll(NULL, 0, 10);
    }
    fail_msg("fewer events than %lld", (long long)wanted);
}

static void interfaces_of_containers_are_no_alarm(void **state UNUSED)
{
    struct harness harness;
    struct collectors *collectors;
    struct settings settings;
    struct why why = {""};
    if (unshare(CLONE_NEWNET) != 0) {
        print_message("# skipped: no network namespace: %s\n", strerror(errno));
        skip();
    }
    harness_init(&harness);
    harness_real_clock(&harness);
    settings_init(&settings);
    assert_int_equal(collectors_new_of(&harness.options, table, 1, &collectors, &why), ERR_NONE);
    apply(collectors, &settings);
    RUN("ip", "link", "add", "veth-a", "type", "veth", "peer", "name", "veth-b");
    RUN("ip", "link", "add", "br-x", "type", "bridge");
    RUN("ip", "link", "del", "veth-a");
    collectors_run(collectors);
    settings.values[SETTING_PERIPHERAL_VIRTUAL_INTERFACES].number = 1;
    apply(collectors, &settings); /* the bridge is learnt, not told */
    RUN("ip", "link", "add", "veth-c", "type", "veth", "peer", "name", "veth-d");
    RUN("ip", "link", "set", "veth-d", "name", "inside");
    await_seen(&harness, collectors, 2);
    RUN("ip", "link", "del", "veth-c");
    await_seen(&harness, collectors, 4);
    RUN("ip", "link", "add", "veth-e", "type", "veth", "peer", "name", "veth-f");
    settings.values[SETTING_PERIPHERAL_VIRTUAL_INTERFACES].number = 0;
    apply(collectors, &settings); /* told of at once, but not that they go */
    assert_int_equal(harness_counter(&harness, collectors, "Peripheral", "seen"), 6);
    RUN("ip", "link", "del", "veth-e");
    collectors_run(collectors);
    collectors_flush(collectors);
    size_t inside = 0;
    assert_int_equal(harness_events(&harness, "Peripheral"), 6);
    for (size_t i = 0; i < 4; i++) {
        const struct json *payload = harness_payload(&harness, "Peripheral", i);
        assert_true(json_find_text(payload, "is_virtual")->truth);
        assert_true(span_is(
            json_string_of(payload, "action_type"), i < 2 ? "connection" : "disconnection"));
        inside += span_is(json_string_of(payload, "interface_name"), "inside");
    }
    assert_int_equal(inside, 2);
    for (size_t i = 0; i < harness.count; i++)
        if (!schema_check(schema_dir, "message.schema.json", harness.messages[i], &why))
            fail_msg("%s", why.text);
    collectors_free(collectors);
    settings_done(&settings);
    harness_done(&harness);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    schema_dir = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_stick_is_told_with_its_interface_and_leaves_with_all_facts),
        TEST(a_device_whose_interface_never_comes_is_told_without),
        TEST(what_is_there_at_the_start_is_no_event_but_leaves_with_its_facts),
        TEST(after_an_overflow_a_look_tells_what_changed),
        TEST(an_interface_is_told_by_the_name_that_it_gets),
        TEST(virtual_and_repeated_and_foreign_ones_are_not_told),
        TEST(more_devices_than_are_kept_are_told_all_the_same),
        cmocka_unit_test(what_is_not_of_the_kernels_form_is_refused),
        cmocka_unit_test(interfaces_of_containers_are_no_alarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
