/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books packets: each is counted in its flow, DNS messages name addresses, and new flows are noted
 * for somebody to find out whose they are. No sockets, no clock, no thread: whoever owns these
 * brings them.
 */
#ifndef GEMEL_NETWORK_ACCOUNT_H
#define GEMEL_NETWORK_ACCOUNT_H

#include "gate.h"
#include "ledger.h"
#include "network_flows.h"
#include "network_names.h"

/* New flows that wait for somebody to ask whose they are; the newest, since the others' processes
 * may be gone. */
#define ACCOUNT_WANTED_MAX 64u

struct network_account {
    struct collector_gate *gate; /* NULL: everything is within the budget */
    struct flows flows;
    struct network_names names;
    uint64_t seen;    /* packets of flows */
    uint64_t ignored; /* damaged, or neither TCP, UDP nor ICMP */
    uint64_t lost[LOSS_COUNT];
    struct flow_key wanted[ACCOUNT_WANTED_MAX];
    size_t wanted_count; /* since the last account_take_wanted() */
};

void account_init(struct network_account *ret_account, struct collector_gate *gate, uint64_t seed);
void account_done(struct network_account *account);

/* Books one packet that came in, or went out. */
void account_packet(struct network_account *account, bool incoming, enum packet_link link,
    struct span captured, size_t wire_bytes, int64_t wall_us, int64_t mono_us);

/* Moves the new flows out; returns how many. */
size_t account_take_wanted(
    struct network_account *account, struct flow_key ret_keys[ACCOUNT_WANTED_MAX]);

#endif
