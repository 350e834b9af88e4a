/* SPDX-License-Identifier: Apache-2.0 */
#include "network_account.h"

#include "mem.h"

#define DNS_PORT 53u
/* The answer that named a flow's address may be read a moment after the flow's first packet, where
 * it came over another interface, whose ring is read later. */
#define NAMING_US INT64_C(3000000)

void account_init(struct network_account *ret_account, struct collector_gate *gate, uint64_t seed)
{
    memset(ret_account, 0, sizeof(*ret_account));
    ret_account->gate = gate;
    flows_init(&ret_account->flows, seed);
    network_names_init(&ret_account->names, seed);
}

void account_done(struct network_account *account)
{
    flows_done(&account->flows);
    network_names_done(&account->names);
}

static void name(struct network_account *account, struct flow *flow, int64_t mono_us)
{
    uint64_t hits;
    const char *host_name =
        network_names_find(&account->names, flow->key.ipv6 != 0, &flow->key.remote, mono_us, &hits);
    if (host_name == NULL)
        return;
    flow->host_name = mem_text(span_of(host_name));
    flow->dns_hits += hits;
}

static void want(struct network_account *account, const struct flow_key *key)
{
    if (key->protocol == PACKET_TCP || key->protocol == PACKET_UDP)
        account->wanted[account->wanted_count++ % ACCOUNT_WANTED_MAX] = *key;
}

void account_packet(struct network_account *account, bool incoming, enum packet_link link,
    struct span captured, size_t wire_bytes, int64_t wall_us, int64_t mono_us)
{
    struct packet packet;
    if (!packet_parse(link, captured, wire_bytes, &packet) ||
        !flows_join_fragment(&account->flows, &packet, mono_us)) {
        account->ignored++;
        return;
    }
    if (!collector_admit(account->gate, 1))
        return;
    struct flow_key key;
    bool new;
    flow_key_of(&packet, incoming, &key);
    if (packet.protocol == PACKET_UDP && key.remote_port == DNS_PORT && packet.payload.len > 0)
        (void)network_names_take(&account->names, &key, incoming, packet.payload, mono_us);
    account->seen++;
    struct flow *flow = flows_add(&account->flows, &key, incoming, packet.bytes, wall_us, &new,
        &account->lost[LOSS_CACHE_BOUND]);
    if (flow == NULL) {
        account->lost[LOSS_MEMORY]++;
        return;
    }
    if (new)
        want(account, &key);
    if (flow->host_name == NULL && wall_us - flow->time_us < NAMING_US)
        name(account, flow, mono_us);
}

size_t account_take_wanted(
    struct network_account *account, struct flow_key ret_keys[ACCOUNT_WANTED_MAX])
{
    size_t count =
        account->wanted_count < ACCOUNT_WANTED_MAX ? account->wanted_count : ACCOUNT_WANTED_MAX;
    memcpy(ret_keys, account->wanted, count * sizeof(*ret_keys));
    account->wanted_count = 0;
    return count;
}
