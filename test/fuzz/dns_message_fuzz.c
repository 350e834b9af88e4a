/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages, as anybody may send them to us. */
#include "dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_message message;
    if (!dns_parse((struct span){(const char *)data, size}, &message))
        return 0;
    size_t len = strlen(message.name);
    must(len > 0 && len <= DNS_NAME_MAX);
    must(span_is_utf8(span_of(message.name)));
    must(message.count <= DNS_ADDRESSES_MAX);
    must(message.response || message.count == 0);
    return 0;
}
