/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of the process connector. */
#include "process_netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span datagram = {(const char *)data, size};
    struct process_message message;
    size_t before = datagram.len + 1;
    while (process_message_next(&datagram, &message)) {
        must(datagram.len < before); /* every message takes something */
        before = datagram.len;
    }
    must(datagram.len == 0);
    return 0;
}
