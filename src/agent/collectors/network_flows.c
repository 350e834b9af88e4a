/* SPDX-License-Identifier: Apache-2.0 */
#include "network_flows.h"

#include "mem.h"

#define BUCKETS_MIN 64u
#define BUCKETS_MAX 65536u
/* As long as Linux keeps fragments that wait for others. */
#define FRAGMENT_LIFE_US INT64_C(30000000)

void flows_init(struct flows *ret_flows, uint64_t seed)
{
    *ret_flows = (struct flows){.seed = seed};
}

void flow_free(struct flow *flow)
{
    if (flow == NULL)
        return;
    socket_owner_drop(flow->owner);
    mem_free(flow->host_name);
    mem_free(flow);
}

void flows_done(struct flows *flows)
{
    struct flow *flow = flows_take(flows);
    while (flow != NULL) {
        struct flow *next = flow->next;
        flow_free(flow);
        flow = next;
    }
    mem_free(flows->buckets);
    *flows = (struct flows){0};
}

uint64_t flows_hash(uint64_t seed, const void *bytes, size_t size)
{
    uint64_t hash = seed;
    for (size_t i = 0; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, (const char *)bytes + i, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29 ^ seed;
    }
    return hash ^ hash >> 32;
}

static struct flow **bucket_of(struct flows *flows, uint64_t hash)
{
    return &flows->buckets[hash & (flows->bucket_count - 1)];
}

static void unlink_flow(struct flows *flows, struct flow *flow)
{
    *(flow->previous == NULL ? &flows->oldest : &flow->previous->next) = flow->next;
    *(flow->next == NULL ? &flows->newest : &flow->next->previous) = flow->previous;
}

static void link_newest(struct flows *flows, struct flow *flow)
{
    flow->next = NULL;
    flow->previous = flows->newest;
    *(flows->newest == NULL ? &flows->oldest : &flows->newest->next) = flow;
    flows->newest = flow;
}

static void drop_oldest(struct flows *flows, uint64_t *dropped_hits)
{
    struct flow *flow = flows->oldest;
    must(flow != NULL);
    struct flow **at = bucket_of(flows, flow->hash);
    while (*at != flow)
        at = &(*at)->chain;
    *at = flow->chain;
    unlink_flow(flows, flow);
    flows->entries--;
    flows->hits -= flow->hit_count;
    *dropped_hits += flow->hit_count;
    flow_free(flow);
}

enum err flows_set_bound(struct flows *flows, size_t entries_max, uint64_t *dropped_hits)
{
    must(entries_max > 0);
    size_t count = BUCKETS_MIN;
    while (count < entries_max && count < BUCKETS_MAX)
        count *= 2;
    if (count != flows->bucket_count) {
        struct flow **buckets = mem_alloc(count * sizeof(struct flow *));
        if (buckets == NULL)
            return ERR_MEMORY;
        mem_free(flows->buckets);
        flows->buckets = buckets;
        flows->bucket_count = count;
        for (struct flow *f = flows->oldest; f != NULL; f = f->next) {
            struct flow **bucket = bucket_of(flows, f->hash);
            f->chain = *bucket;
            *bucket = f;
        }
    }
    flows->entries_max = entries_max;
    while (flows->entries > flows->entries_max)
        drop_oldest(flows, dropped_hits);
    return ERR_NONE;
}

/* One place for each, so that a flood of fragments costs no more memory, only what is known of
 * others. */
static struct flow_fragment *fragment_at(struct flows *flows, const struct packet *packet)
{
    uint64_t hash = flows->seed ^ packet->fragment_id;
    hash = flows_hash(hash, packet->source.bytes, sizeof(packet->source));
    hash = flows_hash(hash, packet->destination.bytes, sizeof(packet->destination));
    return &flows->fragments[hash % FLOW_FRAGMENTS];
}

static bool is_of(
    const struct flow_fragment *fragment, const struct packet *packet, int64_t mono_us)
{
    return fragment->used && mono_us < fragment->until_us && fragment->id == packet->fragment_id &&
           fragment->ipv6 == packet->ipv6 &&
           (packet->protocol == PACKET_OTHER || fragment->protocol == packet->protocol) &&
           memcmp(&fragment->source, &packet->source, sizeof(fragment->source)) == 0 &&
           memcmp(&fragment->destination, &packet->destination, sizeof(fragment->destination)) == 0;
}

bool flows_join_fragment(struct flows *flows, struct packet *packet, int64_t mono_us)
{
    if (packet->fragment == PACKET_WHOLE)
        return true;
    struct flow_fragment *fragment = fragment_at(flows, packet);
    if (packet->fragment == PACKET_FRAGMENT_FIRST) {
        *fragment = (struct flow_fragment){.id = packet->fragment_id,
            .ipv6 = packet->ipv6,
            .protocol = (uint8_t)packet->protocol,
            .used = true,
            .source = packet->source,
            .destination = packet->destination,
            .source_port = packet->source_port,
            .destination_port = packet->destination_port,
            .until_us = mono_us + FRAGMENT_LIFE_US};
    } else if (is_of(fragment, packet, mono_us)) {
        packet->protocol = (enum packet_protocol)fragment->protocol;
        packet->source_port = fragment->source_port;
        packet->destination_port = fragment->destination_port;
    }
    return packet->protocol != PACKET_OTHER;
}

void flow_key_of(const struct packet *packet, bool incoming, struct flow_key *ret_key)
{
    *ret_key = (struct flow_key){.local = incoming ? packet->destination : packet->source,
        .remote = incoming ? packet->source : packet->destination,
        .local_port = incoming ? packet->destination_port : packet->source_port,
        .remote_port = incoming ? packet->source_port : packet->destination_port,
        .protocol = (uint8_t)packet->protocol,
        .ipv6 = packet->ipv6};
}

static struct flow *find(struct flows *flows, const struct flow_key *key, uint64_t hash)
{
    if (flows->buckets == NULL)
        return NULL;
    struct flow *flow = *bucket_of(flows, hash);
    while (flow != NULL && (flow->hash != hash || memcmp(&flow->key, key, sizeof(*key)) != 0))
        flow = flow->chain;
    return flow;
}

struct flow *flows_find(struct flows *flows, const struct flow_key *key)
{
    return find(flows, key, flows_hash(flows->seed, key, sizeof(*key)));
}

struct flow *flows_add(struct flows *flows, const struct flow_key *key, bool incoming,
    uint32_t bytes, int64_t wall_us, bool *ret_new, uint64_t *dropped_hits)
{
    must(flows->entries_max > 0);
    uint64_t hash = flows_hash(flows->seed, key, sizeof(*key));
    struct flow *flow = find(flows, key, hash);
    *ret_new = flow == NULL;
    if (flow == NULL) {
        flow = mem_alloc(sizeof(*flow));
        if (flow == NULL)
            return NULL;
        while (flows->entries >= flows->entries_max)
            drop_oldest(flows, dropped_hits);
        flow->hash = hash;
        flow->key = *key;
        flow->time_us = wall_us;
        struct flow **bucket = bucket_of(flows, hash);
        flow->chain = *bucket;
        *bucket = flow;
        flows->entries++;
        link_newest(flows, flow);
    } else if (flow->next != NULL) {
        unlink_flow(flows, flow);
        link_newest(flows, flow);
    }
    flow->hit_count++;
    flows->hits++;
    *(incoming ? &flow->bytes_in : &flow->bytes_out) += bytes;
    return flow;
}

struct flow *flows_take(struct flows *flows)
{
    struct flow *taken = flows->oldest;
    flows->oldest = flows->newest = NULL;
    flows->entries = 0;
    flows->hits = 0;
    if (flows->buckets != NULL)
        memset(flows->buckets, 0, flows->bucket_count * sizeof(struct flow *));
    return taken;
}
