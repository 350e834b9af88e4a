/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"

#include "base64.h"

#include <openssl/rand.h>

#define KEY_BYTES 32

static const struct {
    struct span name;
    unsigned rights;
} first_policies[] = {
    {SPAN_INIT("iothubowner"),
        RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT | RIGHT_DEVICE_CONNECT},
    {SPAN_INIT("service"), RIGHT_SERVICE_CONNECT},
    {SPAN_INIT("device"), RIGHT_DEVICE_CONNECT},
    {SPAN_INIT("registryRead"), RIGHT_REGISTRY_READ},
    {SPAN_INIT("registryReadWrite"), RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE},
};

struct span policies_new_key(struct arena *arena)
{
    unsigned char bytes[KEY_BYTES];
    struct span key = SPAN_NONE;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return SPAN_NONE;
    base64_write((struct span){(const char *)bytes, sizeof(bytes)}, &text);
    mem_wipe(bytes, sizeof(bytes));
    if (text.failed || !arena_span(arena, buf_span(&text), &key))
        key = SPAN_NONE;
    mem_wipe(text.ptr, text.len);
    return key;
}

enum err policies_make(struct arena *arena, struct hub_record *hub)
{
    hub->policy_count = 0;
    hub->policies = arena_alloc(arena, COUNT_OF(first_policies) * sizeof(struct policy));
    if (hub->policies == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < COUNT_OF(first_policies); i++) {
        struct policy *policy = &hub->policies[hub->policy_count++];
        *policy = (struct policy){
            .name = first_policies[i].name,
            .rights = first_policies[i].rights,
            .primary_key = policies_new_key(arena),
            .secondary_key = policies_new_key(arena),
        };
        if (policy->primary_key.len == 0 || policy->secondary_key.len == 0)
            return ERR_MEMORY;
    }
    return ERR_NONE;
}
