/* SPDX-License-Identifier: Apache-2.0 */
/* The ListeningPorts collector before real sockets, and before /proc/net as files. */
#include "fixture.h"
#include "network_place.h"
#include "socket_diag.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

static const char *schema_dir;
static const char *fixture_dir;

static int setup(void **state)
{
    *state = fixture_new(&listening_ports_collector);
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void scan(struct fixture *f)
{
    if (f->collectors == NULL) {
        fixture_open(f);
        fixture_apply(f);
    } else {
        f->harness.mono_us += 86400 * SECOND;
    }
    harness_clear(&f->harness);
    (void)collectors_run(f->collectors);
    fixture_check_schema(f, schema_dir, SIZE_MAX);
}

static size_t find(struct fixture *f, const char *protocol, const char *address, int64_t port,
    const struct json **ret_port)
{
    size_t count = 0;
    for (size_t i = 0; i < harness_events(&f->harness, "ListeningPorts"); i++) {
        const struct json *payload = harness_payload(&f->harness, "ListeningPorts", i);
        json_each (one, json_find_text(payload, "ports")) {
            if (!span_is(json_string_of(one, "protocol"), protocol) ||
                !span_is(json_string_of(one, "local_address"), address) ||
                harness_number(one, "local_port") != port)
                continue;
            *ret_port = one;
            count++;
        }
    }
    return count;
}

static void what_listens_is_told_with_its_process(void **state)
{
    struct fixture *f = *state;
    const struct json *port = NULL;
    int tcp4 = place_socket(false, SOCK_STREAM, "0.0.0.0", 6001);
    int tcp6 = place_socket(false, SOCK_STREAM, "fd09::1", 6002);
    int idle = place_socket(false, SOCK_STREAM, "0.0.0.0", 6003);
    int udp4 = place_socket(false, SOCK_DGRAM, "127.0.0.1", 6004);
    int udp6 = place_socket(false, SOCK_DGRAM, "::", 6005);
    int client = place_socket(false, SOCK_DGRAM, "127.0.0.1", 6006);
    union place_address address = place_at("127.0.0.1", 6004);
    assert_int_equal(connect(client, &address.any, place_size(&address)), 0);
    assert_int_equal(listen(tcp4, 1), 0);
    assert_int_equal(listen(tcp6, 1), 0);
    scan(f);
    assert_int_equal(find(f, "TCP", "0.0.0.0", 6001, &port), 1);
    assert_int_equal(harness_number(port, "process_id"), getpid());
    assert_int_equal(harness_number(port, "user_id"), getuid());
    assert_true(json_string_of(port, "executable").len > 0);
    assert_int_equal(find(f, "TCP", "fd09::1", 6002, &port), 1);
    assert_int_equal(find(f, "TCP", "0.0.0.0", 6003, &port), 0);
    assert_int_equal(find(f, "UDP", "127.0.0.1", 6004, &port), 1);
    assert_int_equal(find(f, "UDP", "::", 6005, &port), 1);
    assert_int_equal(find(f, "UDP", "127.0.0.1", 6006, &port), 0);
    const struct json *payload = harness_payload(&f->harness, "ListeningPorts", 0);
    assert_int_equal(harness_number(payload, "port_count"), 4);
    const int all[] = {tcp4, tcp6, idle, udp4, udp6, client};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        close(all[i]);
    scan(f);
    payload = harness_payload(&f->harness, "ListeningPorts", 0);
    assert_int_equal(harness_number(payload, "port_count"), 0);
    assert_true(json_find_text(payload, "last")->truth);
}

static void many_ports_are_several_events_of_one_scan(void **state)
{
    struct fixture *f = *state;
    int fds[600];
    const struct json *port;
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        fds[i] = place_socket(false, SOCK_DGRAM, "127.0.0.1", (uint16_t)(7000 + i));
    f->harness.options.message_limit_bytes = 8192;
    scan(f);
    size_t events = harness_events(&f->harness, "ListeningPorts");
    assert_true(events > 3);
    struct span id = json_string_of(harness_payload(&f->harness, "ListeningPorts", 0), "scan_id");
    for (size_t i = 0; i < events; i++) {
        const struct json *payload = harness_payload(&f->harness, "ListeningPorts", i);
        assert_int_equal(harness_number(payload, "part"), i + 1);
        assert_int_equal(json_find_text(payload, "last")->truth, i + 1 == events);
        assert_true(span_eq(json_string_of(payload, "scan_id"), id));
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        assert_int_equal(find(f, "UDP", "127.0.0.1", (int64_t)(7000 + i), &port), 1);
        close(fds[i]);
    }
}

static void add(void *self, const struct socket_facts *facts)
{
    char text[PACKET_ADDRESS_TEXT], line[128];
    snprintf(line, sizeof(line), "%s %s %u %u %llu\n",
        facts->protocol == PACKET_TCP ? "TCP" : "UDP",
        packet_address_text(facts->ipv6, &facts->local, text), facts->local_port, facts->user_id,
        (unsigned long long)facts->inode);
    buf_add_text(self, line);
}

static void the_files_of_proc_say_the_same(void **state UNUSED)
{
    AUTO(buf_done) struct buf said = BUF_EMPTY;
    assert_int_equal(socket_files_listening(fixture_dir, add, &said), ERR_NONE);
    /* The fixture was written on a little-endian machine. */
    if (*(const uint8_t *)&(const uint16_t){1} == 1)
        assert_string_equal(said.ptr, "TCP 127.0.0.1 3306 106 22222\n"
                                      "TCP 0.0.0.0 22 0 1111\n"
                                      "TCP ::1 631 0 5555\n"
                                      "UDP 0.0.0.0 68 0 3333\n"
                                      "UDP fe80::1 546 101 4444\n");
    assert_int_equal(socket_files_listening("/nowhere", add, &said), ERR_IO);
}

static void the_kernel_and_its_files_agree(void **state UNUSED)
{
    AUTO(buf_done) struct buf asked = BUF_EMPTY;
    AUTO(buf_done) struct buf read = BUF_EMPTY;
    struct socket_diag diag;
    int fd = place_socket(false, SOCK_STREAM, "fd09::1", 6007);
    int other = place_socket(false, SOCK_DGRAM, "10.9.0.1", 6008);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(socket_diag_open(&diag, NULL), ERR_NONE);
    assert_int_equal(socket_diag_listening(&diag, add, &asked), ERR_NONE);
    assert_int_equal(socket_files_listening("/proc/self/net", add, &read), ERR_NONE);
    assert_non_null(asked.ptr);
    assert_string_equal(asked.ptr, read.ptr);
    socket_diag_close(&diag);
    close(fd);
    close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    schema_dir = argv[1];
    fixture_dir = argv[2];
    if (!place_make()) {
        puts("1..0 # SKIP network namespaces need root");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        TEST(what_listens_is_told_with_its_process),
        TEST(many_ports_are_several_events_of_one_scan),
        TEST(the_files_of_proc_say_the_same),
        TEST(the_kernel_and_its_files_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
