/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which name was last asked for when an address came as the answer, from the DNS messages that pass
 * by. An answer counts only where its question went out before: otherwise anybody who can send us a
 * datagram could name any address. Both tables have fixed places, a handful for each hash, of which
 * the one that was used least recently gives way; memory for them is taken with the first
 * datagram.
 */
#ifndef GEMEL_NETWORK_NAMES_H
#define GEMEL_NETWORK_NAMES_H

#include "dns_message.h"
#include "network_flows.h"

#define NAMES_MAX 1024u
#define NAMES_QUESTIONS 256u

struct network_names {
    uint64_t seed;
    struct name_tables *tables; /* NULL before the first datagram */
};

void network_names_init(struct network_names *ret_names, uint64_t seed);
void network_names_done(struct network_names *names);

/* Takes in a datagram between `key->remote_port` 53 and us. Returns how many addresses an answer
 * to a question of ours named. Without memory nothing is kept. */
size_t network_names_take(struct network_names *names, const struct flow_key *key, bool incoming,
    struct span datagram, int64_t mono_us);

/* The name of an address, borrowed until the next call of any function here, and in how many
 * answers it was named since the last flow that was told; NULL: none is known. */
const char *network_names_find(struct network_names *names, bool ipv6,
    const struct packet_address *address, int64_t mono_us, uint64_t *ret_hits);

#endif
