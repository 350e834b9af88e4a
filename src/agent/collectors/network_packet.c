/* SPDX-License-Identifier: Apache-2.0 */
#include "network_packet.h"

#include <arpa/inet.h>

#define ETHERTYPE_OF_IPV4 0x0800u
#define ETHERTYPE_OF_IPV6 0x86ddu
#define VLAN_TAGS_MAX 4u
/* RFC 8200 knows six kinds; a packet that has more than eight of them hides something. */
#define EXTENSIONS_MAX 8u
#define IPV6_HEADER_BYTES 40u

enum { NEXT_HOP_BY_HOP = 0, NEXT_ROUTING = 43, NEXT_FRAGMENT = 44, NEXT_AUTHENTICATION = 51 };
enum { NEXT_DESTINATION = 60, NEXT_MOBILITY = 135, NEXT_HIP = 139, NEXT_SHIM6 = 140 };

static unsigned byte_at(struct span bytes, size_t at)
{
    return at < bytes.len ? (unsigned char)bytes.ptr[at] : 0;
}

static unsigned word_at(struct span bytes, size_t at)
{
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

static bool is_vlan(unsigned type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Takes the link's header off; returns the type of what follows, 0: none that is known. */
static unsigned take_link(enum packet_link link, struct span *bytes, size_t *wire_bytes)
{
    size_t header = 14;
    if (bytes->len > *wire_bytes)
        return 0;
    if (link == PACKET_LINK_RAW)
        return byte_at(*bytes, 0) >> 4 == 6 ? ETHERTYPE_OF_IPV6 : ETHERTYPE_OF_IPV4;
    if (bytes->len < header)
        return 0;
    unsigned type = word_at(*bytes, header - 2);
    for (unsigned tags = 0; is_vlan(type) && tags < VLAN_TAGS_MAX; tags++) {
        if (bytes->len < header + 4)
            return 0;
        type = word_at(*bytes, header + 2);
        header += 4;
    }
    *bytes = span_from(*bytes, header);
    *wire_bytes -= header;
    return type;
}

static enum packet_protocol protocol_of(unsigned number, bool ipv6)
{
    if (number == IPPROTO_TCP)
        return PACKET_TCP;
    if (number == IPPROTO_UDP)
        return PACKET_UDP;
    return number == (ipv6 ? (unsigned)IPPROTO_ICMPV6 : (unsigned)IPPROTO_ICMP) ? PACKET_ICMP
                                                                                : PACKET_OTHER;
}

/* A header that was cut says its ports if these are there. */
static void take_ports(struct span bytes, struct packet *packet)
{
    if (packet->protocol == PACKET_ICMP || bytes.len < 4)
        return;
    packet->source_port = (uint16_t)word_at(bytes, 0);
    packet->destination_port = (uint16_t)word_at(bytes, 2);
    if (packet->protocol == PACKET_UDP)
        packet->payload = span_from(bytes, 8);
}

/* The length 0 is that of what the kernel has not yet cut into packets that fit 16 bits. */
static size_t length_of(size_t said, size_t wire_bytes)
{
    return said == 0 || said > wire_bytes ? wire_bytes : said;
}

static bool take_ipv4(struct span bytes, size_t wire_bytes, struct packet *packet)
{
    size_t header = (byte_at(bytes, 0) & 15u) * 4;
    if (byte_at(bytes, 0) >> 4 != 4 || header < 20 || bytes.len < header)
        return false;
    size_t length = length_of(word_at(bytes, 2), wire_bytes);
    if (length < header)
        return false;
    unsigned fragment = word_at(bytes, 6);
    packet->protocol = protocol_of(byte_at(bytes, 9), false);
    packet->fragment_id = word_at(bytes, 4);
    packet->bytes = (uint32_t)(length - header);
    memcpy(packet->source.bytes, bytes.ptr + 12, 4);
    memcpy(packet->destination.bytes, bytes.ptr + 16, 4);
    if ((fragment & 0x1fff) != 0)
        packet->fragment = PACKET_FRAGMENT_LATER;
    else if ((fragment & 0x2000) != 0)
        packet->fragment = PACKET_FRAGMENT_FIRST;
    if (packet->fragment != PACKET_FRAGMENT_LATER)
        take_ports(span_from(span_first(bytes, length), header), packet);
    return packet->protocol != PACKET_OTHER;
}

static bool is_extension(unsigned next)
{
    return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
           next == NEXT_AUTHENTICATION || next == NEXT_DESTINATION || next == NEXT_MOBILITY ||
           next == NEXT_HIP || next == NEXT_SHIM6;
}

/* Walks the extension headers; returns the number of what follows them. */
static unsigned take_extensions(unsigned next, struct span *bytes, struct packet *packet)
{
    for (unsigned i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
        if (bytes->len < 8)
            return IPPROTO_NONE;
        size_t header = (byte_at(*bytes, 1) + 1u) * 8;
        if (next == NEXT_AUTHENTICATION)
            header = (byte_at(*bytes, 1) + 2u) * 4;
        if (next == NEXT_FRAGMENT) {
            unsigned fragment = word_at(*bytes, 2);
            header = 8;
            packet->fragment_id = word_at(*bytes, 4) << 16 | word_at(*bytes, 6);
            if ((fragment & 0xfff8) != 0)
                packet->fragment = PACKET_FRAGMENT_LATER;
            else if ((fragment & 1) != 0)
                packet->fragment = PACKET_FRAGMENT_FIRST;
        }
        next = byte_at(*bytes, 0);
        *bytes = span_from(*bytes, header);
        if (packet->fragment == PACKET_FRAGMENT_LATER)
            break; /* what follows is from the middle of something */
    }
    return next;
}

static bool take_ipv6(struct span bytes, size_t wire_bytes, struct packet *packet)
{
    if (byte_at(bytes, 0) >> 4 != 6 || bytes.len < IPV6_HEADER_BYTES)
        return false;
    size_t length = length_of(word_at(bytes, 4), wire_bytes - IPV6_HEADER_BYTES);
    packet->ipv6 = true;
    packet->bytes = (uint32_t)length;
    memcpy(packet->source.bytes, bytes.ptr + 8, 16);
    memcpy(packet->destination.bytes, bytes.ptr + 24, 16);
    unsigned next = byte_at(bytes, 6);
    bytes = span_from(span_first(bytes, IPV6_HEADER_BYTES + length), IPV6_HEADER_BYTES);
    packet->protocol = protocol_of(take_extensions(next, &bytes, packet), true);
    if (packet->fragment == PACKET_FRAGMENT_LATER)
        return true;
    take_ports(bytes, packet);
    return packet->protocol != PACKET_OTHER;
}

bool packet_parse(
    enum packet_link link, struct span captured, size_t wire_bytes, struct packet *ret_packet)
{
    struct packet packet = {.fragment = PACKET_WHOLE};
    unsigned type = take_link(link, &captured, &wire_bytes);
    if (type != ETHERTYPE_OF_IPV4 && type != ETHERTYPE_OF_IPV6)
        return false;
    if (type == ETHERTYPE_OF_IPV4 ? !take_ipv4(captured, wire_bytes, &packet)
                                  : !take_ipv6(captured, wire_bytes, &packet))
        return false;
    *ret_packet = packet;
    return true;
}

const char *packet_address_text(
    bool ipv6, const struct packet_address *address, char ret_text[PACKET_ADDRESS_TEXT])
{
    must(inet_ntop(ipv6 ? AF_INET6 : AF_INET, address->bytes, ret_text, PACKET_ADDRESS_TEXT) !=
         NULL);
    return ret_text;
}
