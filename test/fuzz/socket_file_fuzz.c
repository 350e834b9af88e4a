/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/net/tcp and its kin. */
#include "socket_diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    for (unsigned i = 0; i < 4; i++) {
        struct socket_facts facts;
        bool ipv6 = i % 2 != 0;
        if (socket_file_parse(text, ipv6, i < 2 ? PACKET_TCP : PACKET_UDP, &facts))
            must(facts.ipv6 == ipv6);
    }
    return 0;
}
