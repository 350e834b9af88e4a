/* SPDX-License-Identifier: Apache-2.0 */
/* Flows, fragments and names, without a network: time is a number here. */
#include "mem.h"
#include "network_account.h"

#include <setjmp.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000)

static struct network_account account;
static uint64_t dropped;

static int setup(void **state UNUSED)
{
    dropped = 0;
    account_init(&account, NULL, 42);
    return flows_set_bound(&account.flows, 4, &dropped) == ERR_NONE ? 0 : -1;
}

static int teardown(void **state UNUSED)
{
    account_done(&account);
    return 0;
}

/* A datagram of UDP over IPv4, as raw IP; `us` is 10.0.0.1. */
static void pass(bool incoming, uint32_t other, uint16_t our_port, uint16_t their_port,
    const void *payload, size_t len, int64_t now_us)
{
    unsigned char bytes[2048] = {0x45};
    uint32_t us = htonl(0x0a000001), them = htonl(other);
    uint16_t words[4] = {htons(incoming ? their_port : our_port),
        htons(incoming ? our_port : their_port), htons((uint16_t)(8 + len)), 0};
    uint16_t total = htons((uint16_t)(28 + len));
    memcpy(bytes + 2, &total, 2);
    bytes[9] = 17;
    memcpy(bytes + 12, incoming ? &them : &us, 4);
    memcpy(bytes + 16, incoming ? &us : &them, 4);
    memcpy(bytes + 20, words, 8);
    memcpy(bytes + 28, payload, len);
    account_packet(&account, incoming, PACKET_LINK_RAW, (struct span){(char *)bytes, 28 + len},
        28 + len, now_us, now_us);
}

static struct flow *find(uint32_t other, uint16_t our_port, uint16_t their_port)
{
    struct flow_key key = {
        .local_port = our_port, .remote_port = their_port, .protocol = PACKET_UDP};
    uint32_t us = htonl(0x0a000001), them = htonl(other);
    memcpy(key.local.bytes, &us, 4);
    memcpy(key.remote.bytes, &them, 4);
    return flows_find(&account.flows, &key);
}

static void both_ways_are_one_flow(void **state UNUSED)
{
    pass(false, 7, 1000, 2000, "abc", 3, 5);
    pass(true, 7, 1000, 2000, "abcdef", 6, 6);
    pass(true, 7, 1001, 2000, "", 0, 7);
    assert_int_equal(account.flows.entries, 2);
    const struct flow *flow = find(7, 1000, 2000);
    assert_int_equal(flow->hit_count, 2);
    assert_int_equal(flow->bytes_out, 11);
    assert_int_equal(flow->bytes_in, 14);
    assert_int_equal(flow->time_us, 5);
    assert_int_equal(account.seen, 3);
}

static void the_flow_that_was_silent_longest_gives_way(void **state UNUSED)
{
    for (uint32_t i = 0; i < 4; i++)
        pass(false, i, 1, 2, "", 0, i);
    pass(false, 0, 1, 2, "", 0, 9); /* the oldest speaks again */
    pass(false, 9, 1, 2, "", 0, 10);
    assert_non_null(find(0, 1, 2));
    assert_null(find(1, 1, 2));
    assert_int_equal(account.lost[LOSS_CACHE_BOUND], 1);
    assert_int_equal(account.seen, account.flows.hits + 1);
    assert_int_equal(flows_set_bound(&account.flows, 2, &dropped), ERR_NONE);
    assert_int_equal(dropped, 2);
    assert_non_null(find(9, 1, 2));
}

static void without_memory_a_packet_is_counted_as_lost(void **state UNUSED)
{
    mem_fail_after(0);
    pass(false, 7, 1, 2, "", 0, 1);
    mem_fail_after(-1);
    assert_int_equal(account.lost[LOSS_MEMORY], 1);
    assert_int_equal(account.seen, 1);
    assert_int_equal(account.flows.hits, 0);
}

static void fragments_join_the_first_of_their_packet(void **state UNUSED)
{
    struct packet packet = {.protocol = PACKET_UDP,
        .fragment = PACKET_FRAGMENT_FIRST,
        .fragment_id = 7,
        .source = {{1}},
        .destination = {{2}},
        .source_port = 11,
        .destination_port = 12};
    assert_true(flows_join_fragment(&account.flows, &packet, 0));
    struct packet later = packet;
    later.fragment = PACKET_FRAGMENT_LATER;
    later.source_port = later.destination_port = 0;
    later.protocol = PACKET_OTHER;
    struct packet strange = later, late = later;
    assert_true(flows_join_fragment(&account.flows, &later, SECOND));
    assert_int_equal(later.source_port, 11);
    assert_int_equal(later.protocol, PACKET_UDP);
    strange.fragment_id = 8;
    assert_false(flows_join_fragment(&account.flows, &strange, SECOND));
    assert_false(flows_join_fragment(&account.flows, &late, 31 * SECOND));
    late.protocol = PACKET_UDP;
    assert_true(flows_join_fragment(&account.flows, &late, 31 * SECOND));
    assert_int_equal(late.source_port, 0);
}

#define NAME                                                                                       \
    "\x02"                                                                                         \
    "Db\x07"                                                                                       \
    "example\0"
#define QUESTION(id) id "\x01\0\0\x01\0\0\0\0\0\0" NAME "\0\x01\0\x01"
/* An alias to real.example, that one's address 10.9.0.2 (and one that nobody asked for). */
#define ANSWER(id)                                                                                 \
    id "\x81\x80\0\x01\0\x03\0\0\0\0" NAME "\0\x01\0\x01"                                          \
       "\xc0\x0c\0\x05\0\x01\0\0\x02\x58\0\x07\x04real\xc0\x0f"                                    \
       "\xc0\x28\0\x01\0\x01\0\0\x02\x58\0\x04\x0a\x09\0\x02"                                      \
       "\xc0\x0f\0\x01\0\x01\0\0\x02\x58\0\x04\x0a\x09\0\x03"
#define PASS(incoming, text, now) pass(incoming, 53, 4000, 53, text, sizeof(text) - 1, now)
#define NAMED 0x0a090002u

static void an_answer_to_our_question_names_later_flows(void **state UNUSED)
{
    PASS(false, QUESTION("ab"), 1);
    PASS(true, ANSWER("ab"), 2);
    pass(false, NAMED, 1, 2, "", 0, 3);
    assert_string_equal(find(NAMED, 1, 2)->host_name, "db.example");
    assert_int_equal(find(NAMED, 1, 2)->dns_hits, 1);
    pass(false, NAMED + 1, 1, 2, "", 0, 3);
    assert_null(find(NAMED + 1, 1, 2)->host_name);
    pass(false, NAMED, 3, 2, "", 0, 4);
    assert_int_equal(find(NAMED, 3, 2)->dns_hits, 0); /* told already */
}

static void an_answer_that_is_read_before_its_question_counts(void **state UNUSED)
{
    pass(false, NAMED, 1, 2, "", 0, 1);
    PASS(true, ANSWER("ab"), 1);
    assert_null(find(NAMED, 1, 2)->host_name);
    PASS(false, QUESTION("ab"), 2);
    pass(true, NAMED, 1, 2, "", 0, 3);
    assert_string_equal(find(NAMED, 1, 2)->host_name, "db.example");
}

static void an_answer_that_nobody_asked_for_names_nothing(void **state UNUSED)
{
    PASS(false, QUESTION("ab"), 1);
    PASS(true, ANSWER("xx"), 2);                                         /* another id */
    pass(true, 54, 4000, 53, ANSWER("ab"), sizeof(ANSWER("ab")) - 1, 2); /* another server */
    pass(true, 53, 4001, 53, ANSWER("ab"), sizeof(ANSWER("ab")) - 1, 2); /* another port */
    PASS(true, ANSWER("ab"), 40 * SECOND);                               /* too late */
    pass(false, NAMED, 1, 2, "", 0, 41 * SECOND);
    assert_null(find(NAMED, 1, 2) == NULL ? NULL : find(NAMED, 1, 2)->host_name);
}

static void a_name_is_forgotten_when_its_time_is_over(void **state UNUSED)
{
    PASS(false, QUESTION("ab"), 1);
    PASS(true, ANSWER("ab"), 2);
    pass(false, NAMED, 1, 2, "", 0, 601 * SECOND);
    assert_null(find(NAMED, 1, 2)->host_name);
}

static void a_flood_of_answers_keeps_the_table_as_it_is(void **state UNUSED)
{
    for (uint32_t i = 0; i < 5000; i++) {
        char question[] = QUESTION("ab"), answer[] = ANSWER("ab");
        memcpy(question, &i, 2);
        memcpy(answer, &i, 2);
        memcpy(answer + sizeof(answer) - 17 - 4, &i, 4);
        PASS(false, question, i);
        PASS(true, answer, i);
    }
    assert_true(account.flows.entries <= 4);
    assert_int_equal(account.seen, account.flows.hits + account.lost[LOSS_CACHE_BOUND]);
}

static void names_do_not_lead_in_circles(void **state UNUSED)
{
    struct dns_message message;
    static const struct {
        const char *name;
        struct span bytes;
    } bad[] = {
        {"itself", SPAN_INIT("ab\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1")},
        {"ahead", SPAN_INIT("ab\1\0\0\1\0\0\0\0\0\0\xc0\x10\0\1\0\1\0\0\0\0")},
        {"two questions", SPAN_INIT("ab\1\0\0\2\0\0\0\0\0\0\1a\0\0\1\0\1")},
        {"no question", SPAN_INIT("ab\1\0\0\0\0\0\0\0\0\0")},
        {"a label cut off", SPAN_INIT("ab\1\0\0\1\0\0\0\0\0\0\5abc")},
        {"the root", SPAN_INIT("ab\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1")},
        {"another class", SPAN_INIT("ab\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\3")},
        {"an update", SPAN_INIT("ab\x28\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1")},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (dns_parse(bad[i].bytes, &message))
            fail_msg("%s: %s", bad[i].name, message.name);
    assert_true(dns_parse(SPAN_LIT("ab\1\0\0\1\0\0\0\0\0\0\4A.\xff\0\0\0\1\0\1"), &message));
    assert_string_equal(message.name, "a\\046\\255\\000");
}

static void new_flows_are_wanted_once(void **state UNUSED)
{
    struct flow_key keys[ACCOUNT_WANTED_MAX];
    pass(false, 7, 1, 2, "", 0, 1);
    pass(true, 7, 1, 2, "", 0, 2);
    assert_int_equal(account_take_wanted(&account, keys), 1);
    assert_int_equal(keys[0].local_port, 1);
    for (uint16_t i = 0; i < 200; i++)
        pass(false, 7, i, 3, "", 0, 1);
    assert_int_equal(account_take_wanted(&account, keys), ACCOUNT_WANTED_MAX);
    assert_int_equal(account_take_wanted(&account, keys), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ways_are_one_flow),
        TEST(the_flow_that_was_silent_longest_gives_way),
        TEST(without_memory_a_packet_is_counted_as_lost),
        TEST(fragments_join_the_first_of_their_packet),
        TEST(an_answer_to_our_question_names_later_flows),
        TEST(an_answer_that_is_read_before_its_question_counts),
        TEST(an_answer_that_nobody_asked_for_names_nothing),
        TEST(a_name_is_forgotten_when_its_time_is_over),
        TEST(a_flood_of_answers_keeps_the_table_as_it_is),
        TEST(names_do_not_lead_in_circles),
        TEST(new_flows_are_wanted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
