/* SPDX-License-Identifier: Apache-2.0 */
/* The NetworkActivity collector on real interfaces: what it tells is what was sent, to the byte. */
#include "fixture.h"
#include "network_place.h"

#include <setjmp.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define HERE4 "10.9.0.1"
#define THERE4 "10.9.0.2"
#define HERE6 "fd09::1"
#define THERE6 "fd09::2"

static const char *schema_dir;

static int setup(void **state)
{
    struct fixture *f = fixture_new(&network_activity_collector);
    harness_real_clock(&f->harness);
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void watch(struct fixture *f, const char *devices)
{
    fixture_set_text(f, SETTING_NETWORK_ACTIVITY_DEVICES, devices);
    fixture_apply(f);
}

/* What the events so far say of a flow, together. */
struct sum {
    int64_t hits, in, out;
    const struct json *last;
};

static bool is_number(const struct json *payload, const char *name, int64_t wanted)
{
    return wanted < 0 || harness_number(payload, name) == wanted;
}

/* A port below 0: any. */
static struct sum sum_of(struct fixture *f, const char *protocol, const char *local, int local_port,
    const char *remote, int remote_port)
{
    struct sum sum = {0};
    for (size_t i = 0; i < f->harness.count; i++) {
        json_each (event, json_find_text(f->harness.messages[i], "events")) {
            const struct json *payload = json_find_text(event, "payload");
            if (!span_is(json_string_of(payload, "protocol"), protocol) ||
                !span_is(json_string_of(payload, "local_address"), local) ||
                !span_is(json_string_of(payload, "remote_address"), remote) ||
                !is_number(payload, "local_port", local_port) ||
                !is_number(payload, "remote_port", remote_port))
                continue;
            sum.hits += harness_number(payload, "hit_count");
            sum.in += harness_number(payload, "bytes_in");
            sum.out += harness_number(payload, "bytes_out");
            sum.last = payload;
        }
    }
    return sum;
}

static void assert_it_adds_up(struct fixture *f)
{
    assert_int_equal(fixture_counter(f, "seen"),
        fixture_counter(f, "waiting") + fixture_counter(f, "sent") +
            fixture_counter(f, "lost.cache_bound") + fixture_counter(f, "lost.memory"));
}

static bool interface_is(struct fixture *f, const char *name, const char *wanted)
{
    const struct json *status = harness_status(&f->harness, f->collectors, "NetworkActivity");
    return span_is(json_string_of(json_find_text(status, "interfaces"), name), wanted);
}

static void await_interface(struct fixture *f, const char *name, const char *wanted)
{
    for (unsigned i = 0; i < 500; i++) {
        if (interface_is(f, name, wanted))
            return;
        (void)poll(NULL, 0, 10);
    }
    fail_msg("%s is not %s", name, wanted);
}

/* ---- what is counted ---- */

static const struct {
    const char *here, *there;
} families[] = {{HERE4, THERE4}, {HERE6, THERE6}};

static void datagrams_are_counted_to_the_byte(void **state)
{
    struct fixture *f = *state;
    watch(f, "a0");
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        int here = place_socket(false, SOCK_DGRAM, families[i].here, 0);
        int there = place_socket(true, SOCK_DGRAM, families[i].there, 4000);
        assert_int_equal(place_send(here, families[i].there, 4000, 70, 100), 70);
        assert_int_equal(place_send(there, families[i].here, place_port(here), 30, 1), 30);
        collectors_flush(f->collectors);
        struct sum sum =
            sum_of(f, "UDP", families[i].here, place_port(here), families[i].there, 4000);
        assert_int_equal(sum.hits, 100);
        assert_int_equal(sum.out, 70 * 108);
        assert_int_equal(sum.in, 30 * 9);
        close(here);
        close(there);
    }
    assert_it_adds_up(f);
    fixture_check_schema(f, schema_dir, SIZE_MAX);
}

static struct tcp_info info_of(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info;
}

static void transfer(int from, int to, size_t size)
{
    static char bytes[65536];
    assert_true(size <= sizeof(bytes));
    assert_int_equal(send(from, bytes, size, 0), size);
    for (size_t left = size; left > 0;) {
        ssize_t got = recv(to, bytes, left, 0);
        assert_true(got > 0);
        left -= (size_t)got;
    }
}

static void connections_are_counted_to_the_byte_and_have_an_owner(void **state)
{
    struct fixture *f = *state;
    watch(f, "a0");
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        int listener = place_socket(true, SOCK_STREAM, families[i].there, 443);
        int here = place_socket(false, SOCK_STREAM, families[i].here, 0);
        union place_address address = place_at(families[i].there, 443);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(connect(here, &address.any, place_size(&address)), 0);
        int there = accept(listener, NULL, NULL);
        transfer(here, there, 30000);
        transfer(there, here, 60000);
        struct tcp_info info;
        do { /* until the last is acknowledged */
            (void)poll(NULL, 0, 60);
            info = info_of(there);
        } while (info.tcpi_unacked > 0);
        info = info_of(here);
        collectors_flush(f->collectors);
        struct sum sum =
            sum_of(f, "TCP", families[i].here, place_port(here), families[i].there, 443);
        assert_int_equal(sum.hits, info.tcpi_segs_out + info.tcpi_segs_in);
        /* A header of 40 bytes to begin with, and of 32 from then on. */
        assert_int_equal(sum.out, 30000 + 8 + 32 * info.tcpi_segs_out);
        assert_int_equal(sum.in, 60000 + 8 + 32 * info.tcpi_segs_in);
        assert_true(span_is(json_string_of(sum.last, "application_protocol"), "HTTPS"));
        assert_int_equal(harness_number(sum.last, "process_id"), getpid());
        assert_int_equal(harness_number(sum.last, "user_id"), getuid());
        assert_non_null(json_find_text(sum.last, "executable"));
        assert_non_null(json_find_text(sum.last, "commandline"));
        close(here);
        close(there);
        close(listener);
    }
    fixture_check_schema(f, schema_dir, SIZE_MAX);
}

static void pings_are_counted(void **state)
{
    struct fixture *f = *state;
    watch(f, "a0");
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        union place_address address = place_at(families[i].there, 0);
        bool ipv6 = address.any.sa_family == AF_INET6;
        int fd = socket(
            address.any.sa_family, SOCK_RAW | SOCK_CLOEXEC, ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
        assert_true(fd >= 0);
        /* An echo with id 0x4711; its sum over zeroes (of IPv6 the kernel makes it). */
        unsigned char bytes[64] = {ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO};
        uint16_t check = htons((uint16_t) ~(ICMP_ECHO << 8));
        if (!ipv6)
            memcpy(bytes + 2, &check, sizeof(check));
        for (unsigned n = 0; n < 5; n++) {
            unsigned char answer[128];
            assert_int_equal(
                sendto(fd, bytes, sizeof(bytes), 0, &address.any, place_size(&address)), 64);
            do
                assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
            while (ipv6 && answer[0] != ICMP6_ECHO_REPLY);
        }
        close(fd);
        collectors_flush(f->collectors);
        struct sum sum = sum_of(f, "ICMP", families[i].here, 0, families[i].there, 0);
        /* Neighbours ask each other as well. */
        assert_true(ipv6 ? sum.hits >= 10 : sum.hits == 10);
        assert_true(ipv6 ? sum.in >= 5 * 64 : sum.in == 5 * 64);
        assert_true(ipv6 ? sum.out >= 5 * 64 : sum.out == 5 * 64);
    }
    fixture_check_schema(f, schema_dir, SIZE_MAX);
}

static void fragments_belong_to_the_flow_of_the_first(void **state)
{
    struct fixture *f = *state;
    watch(f, "a0");
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        int here = place_socket(false, SOCK_DGRAM, families[i].here, 0);
        int there = place_socket(true, SOCK_DGRAM, families[i].there, 4001);
        assert_int_equal(place_send(here, families[i].there, 4001, 2, 4000), 2);
        collectors_flush(f->collectors);
        struct sum sum =
            sum_of(f, "UDP", families[i].here, place_port(here), families[i].there, 4001);
        assert_int_equal(sum.hits, 6);
        /* Of IPv6 each fragment has a header of 8 bytes behind that of IP. */
        assert_int_equal(sum.out, 2 * 4008 + (i == 0 ? 0 : 6 * 8));
        assert_int_equal(sum_of(f, "UDP", families[i].here, 0, families[i].there, 0).hits, 0);
        close(here);
        close(there);
    }
}

static void on_loopback_each_end_has_its_flow(void **state)
{
    struct fixture *f = *state;
    watch(f, "lo");
    int a = place_socket(false, SOCK_DGRAM, "127.0.0.1", 0);
    int b = place_socket(false, SOCK_DGRAM, "127.0.0.1", 4002);
    assert_int_equal(place_send(a, "127.0.0.1", 4002, 40, 92), 40);
    assert_int_equal(place_send(b, "127.0.0.1", place_port(a), 10, 2), 10);
    collectors_flush(f->collectors);
    struct sum of_a = sum_of(f, "UDP", "127.0.0.1", place_port(a), "127.0.0.1", 4002);
    struct sum of_b = sum_of(f, "UDP", "127.0.0.1", 4002, "127.0.0.1", place_port(a));
    assert_int_equal(of_a.hits, 50);
    assert_int_equal(of_a.out, 40 * 100);
    assert_int_equal(of_a.in, 10 * 10);
    assert_int_equal(of_b.hits, 50);
    assert_int_equal(of_b.in, 40 * 100);
    assert_int_equal(of_b.out, 10 * 10);
    assert_int_equal(fixture_counter(f, "seen"), 100);
    close(a);
    close(b);
}

static void vlans_are_looked_into(void **state)
{
    struct fixture *f = *state;
    if (!place_ip("link add link a0 name a0.5 type vlan id 5") ||
        !place_ip("link add link a0.5 name a0.5.6 type vlan id 6")) {
        print_message("# skipped: the kernel has no VLANs\n");
        return;
    }
    (void)place_ip("link set a0.5 up");
    (void)place_ip("link set a0.5.6 up");
    (void)place_ip("addr add 10.5.0.1/24 dev a0.5");
    (void)place_ip("addr add 10.6.0.1/24 dev a0.5.6");
    (void)place_ip("neigh add 10.5.0.2 lladdr 02:00:00:00:00:05 dev a0.5");
    (void)place_ip("neigh add 10.6.0.2 lladdr 02:00:00:00:00:06 dev a0.5.6");
    watch(f, "a0");
    int one = place_socket(false, SOCK_DGRAM, "10.5.0.1", 0);
    int two = place_socket(false, SOCK_DGRAM, "10.6.0.1", 0);
    assert_int_equal(place_send(one, "10.5.0.2", 4003, 20, 50), 20);
    assert_int_equal(place_send(two, "10.6.0.2", 4003, 21, 51), 21);
    collectors_flush(f->collectors);
    struct sum sum = sum_of(f, "UDP", "10.5.0.1", -1, "10.5.0.2", 4003);
    assert_int_equal(sum.hits, 20);
    assert_int_equal(sum.out, 20 * 58);
    sum = sum_of(f, "UDP", "10.6.0.1", -1, "10.6.0.2", 4003);
    assert_int_equal(sum.hits, 21);
    assert_int_equal(sum.out, 21 * 59);
    close(one);
    close(two);
    assert_true(place_ip("link del a0.5"));
}

static void a_link_without_a_header_is_captured(void **state)
{
    struct fixture *f = *state;
    if (!place_ip("tuntap add t0 mode tun")) {
        print_message("# skipped: the kernel has no tunnels for programs\n");
        return;
    }
    int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq request = {.ifr_name = "t0", .ifr_flags = IFF_TUN | IFF_NO_PI};
    assert_true(device >= 0 && ioctl(device, TUNSETIFF, &request) == 0);
    (void)place_ip("addr add 10.7.0.1/24 dev t0");
    (void)place_ip("addr add fd07::1/64 dev t0 nodad");
    (void)place_ip("link set t0 up");
    watch(f, "t0");
    int ipv4 = place_socket(false, SOCK_DGRAM, "10.7.0.1", 0);
    int ipv6 = place_socket(false, SOCK_DGRAM, "fd07::1", 0);
    assert_int_equal(place_send(ipv4, "10.7.0.2", 4004, 15, 60), 15);
    assert_int_equal(place_send(ipv6, "fd07::2", 4004, 16, 60), 16);
    collectors_flush(f->collectors);
    struct sum sum = sum_of(f, "UDP", "10.7.0.1", -1, "10.7.0.2", 4004);
    assert_int_equal(sum.hits, 15);
    assert_int_equal(sum.out, 15 * 68);
    sum = sum_of(f, "UDP", "fd07::1", -1, "fd07::2", 4004);
    assert_int_equal(sum.hits, 16);
    assert_int_equal(sum.out, 16 * 68);
    close(ipv4);
    close(ipv6);
    close(device);
    assert_true(place_ip("link del t0"));
}

/* ---- names ---- */

/* One answer to "DB.example." and its questions: an alias, and its address. */
static void answer_once(int server)
{
    static const char names[] = "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x07\x04real\xc0\x0f"
                                "\xc0\x28\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x09\x00\x02";
    char bytes[512];
    union place_address from;
    socklen_t from_len = sizeof(from);
    ssize_t got = recvfrom(server, bytes, sizeof(bytes), 0, &from.any, &from_len);
    assert_int_equal(got, 28);
    bytes[2] = (char)0x81;
    bytes[7] = 2;
    memcpy(bytes + got, names, sizeof(names) - 1);
    size_t len = (size_t)got + sizeof(names) - 1;
    assert_int_equal(sendto(server, bytes, len, 0, &from.any, from_len), len);
}

static void a_flow_bears_the_name_that_dns_gave_its_address(void **state)
{
    static const char question[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                                   "\x02"
                                   "DB\x07"
                                   "example\x00\x00\x01\x00\x01";
    struct fixture *f = *state;
    watch(f, "a0");
    int server = place_socket(true, SOCK_DGRAM, THERE4, 53);
    int resolver = place_socket(false, SOCK_DGRAM, HERE4, 0);
    int client = place_socket(false, SOCK_DGRAM, HERE4, 0);
    union place_address address = place_at(THERE4, 53);
    char bytes[512];
    assert_int_equal(
        sendto(resolver, question, sizeof(question) - 1, 0, &address.any, place_size(&address)),
        28);
    answer_once(server);
    assert_true(recv(resolver, bytes, sizeof(bytes), 0) > 0);
    assert_int_equal(place_send(client, THERE4, 4005, 1, 10), 1);
    collectors_flush(f->collectors);
    /* Question, answer and packet are read in the order in which they passed. */
    struct sum sum = sum_of(f, "UDP", HERE4, place_port(client), THERE4, 4005);
    assert_int_equal(sum.hits, 1);
    const struct json *extended = json_find_text(sum.last, "extended_properties");
    assert_true(span_is(json_string_of(extended, "dns_host_name"), "db.example"));
    assert_true(
        span_is(json_string_of(sum_of(f, "UDP", HERE4, place_port(resolver), THERE4, 53).last,
                    "application_protocol"),
            "DNS"));
    fixture_check_schema(f, schema_dir, SIZE_MAX);
    close(server);
    close(resolver);
    close(client);
}

/* ---- interfaces ---- */

static void an_interface_is_waited_for_and_captured_again_when_it_is_made_anew(void **state)
{
    struct fixture *f = *state;
    watch(f, "a0,later0");
    assert_true(interface_is(f, "a0", "captured"));
    assert_true(interface_is(f, "later0", "absent"));
    int there = place_socket(true, SOCK_DGRAM, THERE4, 4006);
    int here = place_socket(false, SOCK_DGRAM, HERE4, 0);
    uint16_t port = place_port(here);
    assert_int_equal(place_send(here, THERE4, 4006, 10, 10), 10);
    assert_true(place_ip("link del a0")); /* what is in the buffers is not lost */
    await_interface(f, "a0", "absent");
    place_cable();
    await_interface(f, "a0", "captured");
    assert_int_equal(place_send(here, THERE4, 4006, 11, 10), 11);
    assert_true(place_ip("link set a0 down"));
    assert_true(place_ip("link set a0 up"));
    await_interface(f, "a0", "captured");
    place_await_road(HERE4, THERE4);
    assert_int_equal(place_send(here, THERE4, 4006, 12, 10), 12);
    assert_true(place_ip("link add later0 type veth peer name later1"));
    assert_true(place_ip("addr add 10.8.0.1/24 dev later0"));
    await_interface(f, "later0", "down");
    assert_true(place_ip("link set later1 up"));
    assert_true(place_ip("neigh add 10.8.0.2 lladdr 02:00:00:00:00:08 dev later0"));
    assert_true(place_ip("link set later0 up"));
    await_interface(f, "later0", "captured");
    int later = place_socket(false, SOCK_DGRAM, "10.8.0.1", 0);
    assert_int_equal(place_send(later, "10.8.0.2", 4006, 13, 10), 13);
    collectors_flush(f->collectors);
    assert_int_equal(sum_of(f, "UDP", HERE4, port, THERE4, 4006).hits, 33);
    assert_int_equal(sum_of(f, "UDP", "10.8.0.1", -1, "10.8.0.2", 4006).hits, 13);
    /* By another name it is another interface. */
    assert_true(place_ip("link set later0 down"));
    assert_true(place_ip("link set later0 name other0"));
    assert_true(place_ip("link set other0 up"));
    await_interface(f, "later0", "absent");
    watch(f, "o*,a0");
    await_interface(f, "other0", "captured");
    assert_true(place_ip("link del other0"));
    close(here);
    close(there);
    close(later);
}

static void a_name_that_no_interface_can_have_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *field = NULL;
    struct why why = {""};
    watch(f, "a0");
    mem_free(f->settings.values[SETTING_NETWORK_ACTIVITY_DEVICES].text);
    f->settings.values[SETTING_NETWORK_ACTIVITY_DEVICES].text = mem_text(SPAN_LIT("a0,eth%d"));
    assert_int_equal(fixture_try_apply(f, &field, &why), ERR_REFUSED);
    assert_string_equal(field, "NetworkActivity_Devices");
    assert_non_null(strstr(why.text, "eth%d"));
    assert_true(interface_is(f, "a0", "captured"));
}

static void a_star_stands_for_all_but_loopback(void **state)
{
    struct fixture *f = *state;
    watch(f, "*");
    assert_true(interface_is(f, "a0", "captured"));
    assert_false(interface_is(f, "lo", "captured"));
    watch(f, "*,lo");
    assert_true(interface_is(f, "lo", "captured"));
    watch(f, "");
    assert_false(interface_is(f, "a0", "captured"));
}

/* What the kernel's rings take of this process, in bytes. */
static size_t rings_bytes(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    size_t sum = 0;
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        size_t begin, end;
        if (strstr(line, " socket:[") != NULL && sscanf(line, "%zx-%zx", &begin, &end) == 2)
            sum += end - begin;
    }
    (void)fclose(maps);
    return sum;
}

static void an_interface_costs_its_buffer_once(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {2097152, 262144, 1048576};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        f->settings.values[SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE].number = (int64_t)sizes[i];
        watch(f, "a0");
        assert_int_equal(rings_bytes(), sizes[i]);
    }
    watch(f, "a0,lo");
    assert_int_equal(rings_bytes(), 2 * 1048576);
    watch(f, "");
    assert_int_equal(rings_bytes(), 0);
}

/* The address space is what a test can make short. */
static void a_buffer_that_the_kernel_does_not_give_is_refused_and_the_old_one_goes_on(void **state)
{
    struct fixture *f = *state;
    const char *field = NULL;
    struct why why = {""};
    struct rlimit before;
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    watch(f, "a0,lo");
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const struct rlimit less = {
        (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64u << 20), before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &less), 0);
    f->settings.values[SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE].number = 128 << 20;
    enum err err = fixture_try_apply(f, &field, &why);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(err, ERR_REFUSED);
    assert_string_equal(field, "NetworkActivity_PacketBufferSize");
    assert_non_null(strstr(why.text, "134217728"));
    assert_true(interface_is(f, "a0", "captured"));
    assert_int_equal(rings_bytes(), 2 * 2097152);
    f->settings.values[SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE].number = 1048576;
    watch(f, "a0");
    assert_int_equal(rings_bytes(), 1048576);
}

/* ---- storms ---- */

struct storm {
    pthread_t thread;
    atomic_bool stop;
    unsigned pause_every; /* packets, then a moment of rest; 0: none */
    unsigned sent;
    uint16_t port;
};

static void *blow(void *self)
{
    struct storm *storm = self;
    int fd = place_socket(false, SOCK_DGRAM, HERE4, 0);
    storm->port = place_port(fd);
    while (!atomic_load(&storm->stop)) {
        storm->sent += place_send(fd, THERE4, 4007, 64, 64);
        if (storm->pause_every > 0 && storm->sent % storm->pause_every == 0)
            (void)poll(NULL, 0, 1);
    }
    close(fd);
    return NULL;
}

static void settings_that_change_in_a_storm_lose_and_double_nothing(void **state)
{
    struct fixture *f = *state;
    int there = place_socket(true, SOCK_DGRAM, THERE4, 4007);
    watch(f, "a0");
    struct storm storm = {.pause_every = 64};
    assert_int_equal(pthread_create(&storm.thread, NULL, blow, &storm), 0);
    for (unsigned i = 0; i < 6; i++) {
        (void)poll(NULL, 0, 30);
        watch(f, i % 2 == 0 ? "lo,a0" : "a0,nothing0");
        f->settings.values[SETTING_NETWORK_ACTIVITY_CACHE_SIZE].number = 100 + i;
        fixture_apply(f);
        collectors_flush(f->collectors);
    }
    atomic_store(&storm.stop, true);
    pthread_join(storm.thread, NULL);
    collectors_flush(f->collectors);
    struct sum sum = sum_of(f, "UDP", HERE4, storm.port, THERE4, 4007);
    assert_true(storm.sent > 0);
    assert_int_equal(sum.hits + fixture_counter(f, "lost.kernel_buffer"), storm.sent);
    assert_int_equal(sum.out, sum.hits * 72);
    assert_it_adds_up(f);
    close(there);
}

static void a_buffer_of_another_size_takes_over_in_a_storm(void **state)
{
    struct fixture *f = *state;
    int there = place_socket(true, SOCK_DGRAM, THERE4, 4007);
    watch(f, "a0");
    struct storm storm = {.pause_every = 64};
    assert_int_equal(pthread_create(&storm.thread, NULL, blow, &storm), 0);
    for (unsigned i = 0; i < 6; i++) {
        (void)poll(NULL, 0, 20);
        f->settings.values[SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE].number = (2 + i) << 19;
        fixture_apply(f);
    }
    atomic_store(&storm.stop, true);
    pthread_join(storm.thread, NULL);
    collectors_flush(f->collectors);
    int64_t said = sum_of(f, "UDP", HERE4, storm.port, THERE4, 4007).hits +
                   fixture_counter(f, "lost.kernel_buffer");
    /* Two sockets take the time of one packet with a microsecond between: one at each change may
     * seem to be on either side. */
    if (said < (int64_t)storm.sent - 6 || said > (int64_t)storm.sent + 6)
        fail_msg("%u were sent, %lld are told, %lld of them as lost", storm.sent, (long long)said,
            (long long)fixture_counter(f, "lost.kernel_buffer"));
    close(there);
}

static void a_flood_is_seen_or_counted_as_lost_to_the_last_packet(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE].number = 4096;
    watch(f, "a0");
    int there = place_socket(true, SOCK_DGRAM, THERE4, 4008);
    int here = place_socket(false, SOCK_DGRAM, HERE4, 0);
    unsigned sent = place_send(here, THERE4, 4008, 100000, 64);
    collectors_flush(f->collectors);
    int64_t hits = sum_of(f, "UDP", HERE4, place_port(here), THERE4, 4008).hits;
    print_message("# of %u packets %lld found room\n", sent, (long long)hits);
    /* The kernel's own packets, of neighbour discovery, find no room either. */
    assert_in_range(hits + fixture_counter(f, "lost.kernel_buffer"), sent, sent + 16);
    assert_it_adds_up(f);
    /* What was lost stays counted when the capture is closed. */
    int64_t lost = fixture_counter(f, "lost.kernel_buffer");
    watch(f, "");
    assert_int_equal(fixture_counter(f, "lost.kernel_buffer"), lost);
    close(here);
    close(there);
}

static void flows_that_the_cache_cannot_hold_are_counted_as_lost(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_NETWORK_ACTIVITY_CACHE_SIZE].number = 10;
    watch(f, "a0");
    int here = place_socket(false, SOCK_DGRAM, HERE4, 0);
    for (uint16_t port = 5000; port < 5100; port++)
        assert_int_equal(place_send(here, THERE4, port, 3, 20), 3);
    collectors_flush(f->collectors);
    int64_t kept = 0;
    for (uint16_t port = 5000; port < 5100; port++)
        kept += sum_of(f, "UDP", HERE4, place_port(here), THERE4, port).hits;
    assert_true(harness_events(&f->harness, NULL) <= 10);
    assert_true(kept <= 30);
    assert_true(fixture_counter(f, "lost.cache_bound") >= 270);
    assert_it_adds_up(f);
    close(here);
}

static void what_is_switched_off_was_read_to_the_end(void **state)
{
    struct fixture *f = *state;
    watch(f, "a0");
    int there = place_socket(true, SOCK_DGRAM, THERE4, 4009);
    int here = place_socket(false, SOCK_DGRAM, HERE4, 0);
    assert_int_equal(place_send(here, THERE4, 4009, 500, 20), 500);
    f->settings.values[SETTING_NETWORK_ACTIVITY_DISABLED].number = 1;
    fixture_apply(f);
    assert_int_equal(place_send(here, THERE4, 4009, 500, 20), 500);
    f->settings.values[SETTING_NETWORK_ACTIVITY_DISABLED].number = 0;
    fixture_apply(f);
    assert_int_equal(place_send(here, THERE4, 4009, 7, 20), 7);
    collectors_flush(f->collectors);
    assert_int_equal(sum_of(f, "UDP", HERE4, place_port(here), THERE4, 4009).hits, 507);
    close(here);
    close(there);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    schema_dir = argv[1];
    if (!place_make()) {
        puts("1..0 # SKIP network namespaces need root");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        TEST(datagrams_are_counted_to_the_byte),
        TEST(connections_are_counted_to_the_byte_and_have_an_owner),
        TEST(pings_are_counted),
        TEST(fragments_belong_to_the_flow_of_the_first),
        TEST(on_loopback_each_end_has_its_flow),
        TEST(vlans_are_looked_into),
        TEST(a_link_without_a_header_is_captured),
        TEST(a_flow_bears_the_name_that_dns_gave_its_address),
        TEST(an_interface_is_waited_for_and_captured_again_when_it_is_made_anew),
        TEST(a_name_that_no_interface_can_have_is_refused),
        TEST(a_star_stands_for_all_but_loopback),
        TEST(an_interface_costs_its_buffer_once),
        TEST(a_buffer_that_the_kernel_does_not_give_is_refused_and_the_old_one_goes_on),
        TEST(settings_that_change_in_a_storm_lose_and_double_nothing),
        TEST(a_buffer_of_another_size_takes_over_in_a_storm),
        TEST(a_flood_is_seen_or_counted_as_lost_to_the_last_packet),
        TEST(flows_that_the_cache_cannot_hold_are_counted_as_lost),
        TEST(what_is_switched_off_was_read_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
