/* SPDX-License-Identifier: Apache-2.0 */
/* What an application submits. */
#include "event_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct json *object;
    struct why why = {""};
    arena_init(&arena, 4u * 1024 * 1024);
    if (event_body_parse(&arena, (struct span){(const char *)data, size}, &object, &why) ==
        ERR_NONE)
        must(object->kind == JSON_OBJECT && size <= EVENT_BODY_MAX);
    arena_done(&arena);
    return 0;
}
