/* SPDX-License-Identifier: Apache-2.0 */
/* The VLANs of the network interfaces, as the kernel tells them (rtnetlink). */
#ifndef GEMEL_NIC_VLANS_H
#define GEMEL_NIC_VLANS_H

#include "buf.h"

struct nic_vlan {
    int index;  /* of the interface that is the VLAN's */
    int parent; /* of the one that it lies on; 0: not in sight */
    uint16_t id;
};

/* Adds a struct nic_vlan for each to a buffer, at most 4096. Without an answer of the kernel, or
 * without memory, there are none. */
void nic_vlans_list(struct buf *out);

/* Takes in one answer of the kernel, aligned as a struct nlmsghdr; false: it was the last. */
bool nic_vlans_parse(const void *answer, size_t len, struct buf *out) MUST_USE;

#endif
