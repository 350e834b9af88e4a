/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the headers of one captured packet: link (Ethernet with VLAN tags, or none), IPv4 or IPv6
 * with its extension headers, ports. Anybody on the network chooses these bytes, and the capture
 * may have cut them anywhere: what does not stand there is not read, and every walk has a bound.
 */
#ifndef GEMEL_NETWORK_PACKET_H
#define GEMEL_NETWORK_PACKET_H

#include "span.h"

enum packet_link { PACKET_LINK_ETHERNET, PACKET_LINK_RAW };

enum packet_protocol {
    PACKET_TCP,
    PACKET_UDP,
    PACKET_ICMP, /* both of IPv4 and of IPv6 */
    PACKET_OTHER /* of a later fragment, which may not say what it is of */
};

enum packet_fragment { PACKET_WHOLE, PACKET_FRAGMENT_FIRST, PACKET_FRAGMENT_LATER };

/* An address of IPv4 takes the first four bytes; the others are 0. */
struct packet_address {
    uint8_t bytes[16];
};

struct packet {
    bool ipv6;
    enum packet_protocol protocol;
    enum packet_fragment fragment;
    uint32_t fragment_id;
    struct packet_address source;
    struct packet_address destination;
    uint16_t source_port; /* 0 where there is none, and in a later fragment */
    uint16_t destination_port;
    uint32_t bytes;      /* behind the IP header, as the packet says, but never more than came */
    struct span payload; /* of UDP, as far as captured */
};

/*
 * Reads a packet of which `captured` are the first bytes and that was `wire_bytes` long. False: it
 * is no IP packet, damaged, or carries neither TCP, UDP nor ICMP.
 */
bool packet_parse(enum packet_link link, struct span captured, size_t wire_bytes,
    struct packet *ret_packet) MUST_USE;

#define PACKET_ADDRESS_TEXT 46u
/* Writes an address as text; returns `ret_text`. */
const char *packet_address_text(
    bool ipv6, const struct packet_address *address, char ret_text[PACKET_ADDRESS_TEXT]);

#endif
