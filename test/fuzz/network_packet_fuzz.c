/* SPDX-License-Identifier: Apache-2.0 */
/* Captured packets: the first byte is the link, the second how much longer the packet was. */
#include "network_account.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct network_account account;
    struct packet packet;
    if (size < 2)
        return 0;
    enum packet_link link = (enum packet_link)(data[0] % 2);
    struct span captured = {(const char *)data + 2, size - 2};
    size_t wire_bytes = captured.len + data[1] * 8u;
    if (packet_parse(link, captured, wire_bytes, &packet)) {
        must(packet.bytes <= wire_bytes);
        must(packet.payload.len == 0 ||
             packet.payload.ptr + packet.payload.len <= captured.ptr + captured.len);
        must(packet.fragment == PACKET_FRAGMENT_LATER || packet.protocol != PACKET_OTHER);
    }
    uint64_t dropped = 0;
    account_init(&account, NULL, 1);
    must(flows_set_bound(&account.flows, 4, &dropped) == ERR_NONE);
    for (int64_t i = 0; i < 4; i++)
        account_packet(&account, i % 2 != 0, link, captured, wire_bytes, i, i);
    must(account.seen + account.ignored == 4);
    must(account.flows.hits == account.seen);
    account_done(&account);
    return 0;
}
