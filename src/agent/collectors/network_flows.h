/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows that wait for the next collection. A flow is both addresses, both ports and the
 * protocol; its entry counts packets and the bytes of each way. At the bound the flow whose last
 * packet lies farthest back gives way, and its packets are told to the caller, who counts them as
 * lost.
 *
 * Later fragments bear no ports. They are counted in the flow of the fragment that did, as long as
 * a small table remembers it; else in a flow with the ports 0.
 *
 * Not for two threads at once, except that who took flows out may free them while others go on.
 */
#ifndef GEMEL_NETWORK_FLOWS_H
#define GEMEL_NETWORK_FLOWS_H

#include "err.h"
#include "network_packet.h"
#include "socket_owner.h"

#define FLOW_FRAGMENTS 128u

struct flow_key {
    struct packet_address local;
    struct packet_address remote;
    uint16_t local_port;
    uint16_t remote_port;
    uint8_t protocol; /* enum packet_protocol */
    uint8_t ipv6;
    uint16_t zero; /* no byte of a key is left to chance */
};
_Static_assert(sizeof(struct flow_key) == 40, "keys are hashed by words and compared by bytes");

struct flow {
    struct flow *next; /* the next newer one */
    struct flow *previous;
    struct flow *chain; /* of the bucket */
    uint64_t hash;
    struct flow_key key;
    int64_t time_us; /* wall time, first packet */
    uint64_t hit_count;
    uint64_t bytes_in;
    uint64_t bytes_out;
    bool user_known;
    uint32_t user_id;
    struct socket_owner *owner; /* a reference, or NULL */
    char *host_name;            /* owned, or NULL */
    uint64_t dns_hits;
};

struct flow_fragment {
    uint32_t id;
    uint8_t ipv6;
    uint8_t protocol;
    bool used;
    struct packet_address source;
    struct packet_address destination;
    uint16_t source_port;
    uint16_t destination_port;
    int64_t until_us;
};

struct flows {
    size_t entries_max;
    size_t entries;
    uint64_t hits;
    uint64_t seed;
    struct flow *oldest;
    struct flow *newest;
    struct flow **buckets;
    size_t bucket_count; /* a power of two */
    struct flow_fragment fragments[FLOW_FRAGMENTS];
};

/* Begins; `seed` is random, so that nobody can choose addresses that collide. */
void flows_init(struct flows *ret_flows, uint64_t seed);
void flows_done(struct flows *flows);

/* Sets the bound, at least 1, before the first add. Adds the packets that fall out to
 * `*dropped_hits`. ERR_MEMORY: the old bound stays. */
enum err flows_set_bound(struct flows *flows, size_t entries_max, uint64_t *dropped_hits) MUST_USE;

/* Gives a later fragment the ports and the protocol of the one that had them, and remembers such a
 * one. False: it is a fragment of nobody knows what. */
bool flows_join_fragment(struct flows *flows, struct packet *packet, int64_t mono_us) MUST_USE;

/* The key of a packet that came in, or went out. */
void flow_key_of(const struct packet *packet, bool incoming, struct flow_key *ret_key);

/* Finds the flow, or makes it, and counts the packet in it; says whether it is new. NULL: no
 * memory, and the packet is not in. Borrowed until the next call. */
struct flow *flows_add(struct flows *flows, const struct flow_key *key, bool incoming,
    uint32_t bytes, int64_t wall_us, bool *ret_new, uint64_t *dropped_hits) MUST_USE;

/* NULL: it is not there. */
struct flow *flows_find(struct flows *flows, const struct flow_key *key);

/* Moves all flows out, oldest first; the caller frees each with flow_free(). NULL: none. */
struct flow *flows_take(struct flows *flows);
void flow_free(struct flow *flow);

/* Words of a table of its own: what a hash over `size` bytes (a multiple of 8) makes of a seed. */
uint64_t flows_hash(uint64_t seed, const void *bytes, size_t size);

#endif
