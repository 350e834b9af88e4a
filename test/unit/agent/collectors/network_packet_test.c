/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of every kind, whole, cut and hostile. */
#include "network_packet.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>

#define ETHERNET "\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
#define IPV4(length, fragment, protocol)                                                           \
    "\x45\0" length "\0\x07" fragment "\x40" protocol "\0\0\x0a\x09\0\x01\x0a\x09\0\x02"
#define IPV6(length, next)                                                                         \
    "\x60\0\0\0" length next "\x40"                                                                \
    "\xfd\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xfd\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"
#define UDP "\x0f\xa0\x13\x88\0\x0c\0\0abcd"

struct row {
    const char *name;
    enum packet_link link;
    struct span bytes;
    size_t more; /* bytes on the wire that were not captured */
    const char *wanted;
};

#define ROW(what, how, text, more, wanted)                                                         \
    {                                                                                              \
        what, PACKET_LINK_##how, SPAN_INIT(text), more, wanted                                     \
    }

static const struct row rows[] = {
    ROW("UDP", ETHERNET, ETHERNET "\x08\0" IPV4("\0\x20", "\0\0", "\x11") UDP, 0,
        "UDP 10.9.0.1 4000 10.9.0.2 5000 12 4 0"),
    ROW("a padded frame", ETHERNET, ETHERNET "\x08\0" IPV4("\0\x20", "\0\0", "\x11") UDP "\0\0\0",
        10, "UDP 10.9.0.1 4000 10.9.0.2 5000 12 4 0"),
    ROW("a cut one", ETHERNET,
        ETHERNET "\x08\0" IPV4("\x05\xdc", "\0\0", "\x06") "\x0f\xa0\x01\xbb", 1476,
        "TCP 10.9.0.1 4000 10.9.0.2 443 1480 0 0"),
    ROW("ports that were cut off", ETHERNET,
        ETHERNET "\x08\0" IPV4("\x05\xdc", "\0\0", "\x06") "\x0f", 1479,
        "TCP 10.9.0.1 0 10.9.0.2 0 1480 0 0"),
    ROW("more than came", ETHERNET, ETHERNET "\x08\0" IPV4("\xff\xff", "\0\0", "\x11") UDP, 0,
        "UDP 10.9.0.1 4000 10.9.0.2 5000 12 4 0"),
    ROW("a length of 0", ETHERNET, ETHERNET "\x08\0" IPV4("\0\0", "\0\0", "\x11") UDP, 70000,
        "UDP 10.9.0.1 4000 10.9.0.2 5000 70012 4 0"),
    ROW("a length below the header", ETHERNET, ETHERNET "\x08\0" IPV4("\0\x13", "\0\0", "\x11") UDP,
        0, NULL),
    ROW("a first fragment", ETHERNET, ETHERNET "\x08\0" IPV4("\0\x20", "\x20\0", "\x11") UDP, 0,
        "UDP 10.9.0.1 4000 10.9.0.2 5000 12 4 1"),
    ROW("a later fragment", ETHERNET, ETHERNET "\x08\0" IPV4("\0\x20", "\0\x03", "\x11") UDP, 0,
        "UDP 10.9.0.1 0 10.9.0.2 0 12 0 2"),
    ROW("GRE", ETHERNET, ETHERNET "\x08\0" IPV4("\0\x20", "\0\0", "\x2f") UDP, 0, NULL),
    ROW("IPv4 said to be IPv6", ETHERNET, ETHERNET "\x86\xdd" IPV4("\0\x20", "\0\0", "\x11") UDP, 0,
        NULL),
    ROW("IPv6", ETHERNET, ETHERNET "\x86\xdd" IPV6("\0\x0c", "\x11") UDP, 0,
        "UDP fd09::1 4000 fd09::2 5000 12 4 0"),
    ROW("ICMP of IPv6", RAW, IPV6("\0\x0c", "\x3a") UDP, 0, "ICMP fd09::1 0 fd09::2 0 12 0 0"),
    ROW("ICMP of IPv4 in IPv6", RAW, IPV6("\0\x0c", "\x01") UDP, 0, NULL),
    ROW("extension headers", RAW,
        IPV6("\0\x24", "\0") "\x3c\0\0\0\0\0\0\0\x33\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0" UDP, 0,
        "UDP fd09::1 4000 fd09::2 5000 36 4 0"),
    ROW("an extension header that leads out", RAW, IPV6("\0\x14", "\0") "\x11\xff\0\0\0\0\0\0" UDP,
        0, "UDP fd09::1 0 fd09::2 0 20 0 0"),
    ROW("nine extension headers", RAW,
        IPV6("\0\x54", "\0") "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                             "\x11\0\0\0\0\0\0\0" UDP,
        0, NULL),
    ROW("a later fragment of IPv6", RAW, IPV6("\0\x10", "\x2c") "\x3c\0\0\x08\0\0\0\x01zzzzzzzz", 0,
        "OTHER fd09::1 0 fd09::2 0 16 0 2"),
    ROW("a VLAN in a VLAN", ETHERNET,
        ETHERNET "\x88\xa8\0\x05\x81\0\0\x06\x08\0" IPV4("\0\x20", "\0\0", "\x11") UDP, 0,
        "UDP 10.9.0.1 4000 10.9.0.2 5000 12 4 0"),
    ROW("five VLANs", ETHERNET,
        ETHERNET "\x81\0\0\x01\x81\0\0\x01\x81\0\0\x01\x81\0\0\x01\x81\0\0\x01\x08\0" IPV4(
            "\0\x20", "\0\0", "\x11") UDP,
        0, NULL),
    ROW("no link header", RAW, IPV4("\0\x20", "\0\0", "\x11") UDP, 0,
        "UDP 10.9.0.1 4000 10.9.0.2 5000 12 4 0"),
    ROW("no link header, and nothing else", RAW, "", 0, NULL),
    ROW("ARP", ETHERNET, ETHERNET "\x08\x06\0\x01\x08\0\x06\x04\0\x01", 0, NULL),
    ROW("nothing", ETHERNET, "", 0, NULL),
};

static const char *text_of(const struct row *row, struct span bytes, char ret_text[256])
{
    static const char *const protocols[] = {"TCP", "UDP", "ICMP", "OTHER"};
    struct packet p;
    char source[PACKET_ADDRESS_TEXT], destination[PACKET_ADDRESS_TEXT];
    if (!packet_parse(row->link, bytes, bytes.len + row->more, &p))
        return NULL;
    snprintf(ret_text, 256, "%s %s %u %s %u %u %zu %u", protocols[p.protocol],
        packet_address_text(p.ipv6, &p.source, source), p.source_port,
        packet_address_text(p.ipv6, &p.destination, destination), p.destination_port, p.bytes,
        p.payload.len, p.fragment);
    return ret_text;
}

static void a_packet_is_told_by_its_headers(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        const char *said = text_of(&rows[i], rows[i].bytes, text);
        if (rows[i].wanted == NULL ? said != NULL : said == NULL)
            fail_msg("%s: %s", rows[i].name, said == NULL ? "refused" : said);
        if (said != NULL && strcmp(said, rows[i].wanted) != 0)
            fail_msg("%s: %s", rows[i].name, said);
    }
}

static void no_cut_reads_past_the_end(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t len = 0; len < rows[i].bytes.len; len++) {
            char text[256];
            char *copy = test_malloc(len + 1); /* the sanitizer sees its end */
            memcpy(copy, rows[i].bytes.ptr, len);
            (void)text_of(&rows[i], (struct span){copy, len}, text);
            test_free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_told_by_its_headers),
        cmocka_unit_test(no_cut_reads_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
