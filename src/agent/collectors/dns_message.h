/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads DNS messages (RFC 1035) as they come in one UDP datagram, perhaps cut: of a query its name,
 * of an answer also the addresses that it gives for that name, over aliases (CNAME) that lead there
 * from it. Addresses of other names are left out: nobody asked for them. Names are lower case; what
 * is no letter, digit, '-' or '_' is written as "\ddd".
 */
#ifndef GEMEL_DNS_MESSAGE_H
#define GEMEL_DNS_MESSAGE_H

#include "network_packet.h"

#define DNS_NAME_MAX 255u
#define DNS_ADDRESSES_MAX 32u

struct dns_message {
    bool response;
    uint16_t id;
    char name[DNS_NAME_MAX + 1]; /* asked for; without the dot at its end */
    size_t count;
    struct {
        bool ipv6;
        struct packet_address address;
        uint32_t ttl_s;
    } addresses[DNS_ADDRESSES_MAX];
};

/* False: it is neither a query nor an answer with one question in the Internet's class. An answer
 * that says that there is no such name is one without addresses. */
bool dns_parse(struct span datagram, struct dns_message *ret_message) MUST_USE;

#endif
