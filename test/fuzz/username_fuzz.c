/* SPDX-License-Identifier: Apache-2.0 */
#include "username.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct arena arena;
    struct username name = {0};
    struct why why = {""};
    arena_init(&arena, 0);
    enum err err = username_parse(&arena, text, &name, &why);
    if (err == ERR_NONE) {
        must(name.host.len > 0 && name.device_id.len > 0 && name.api_version.len > 0);
        must(span_find(name.device_id, '/') == name.device_id.len);
        must(span_find(name.module_id, '/') == name.module_id.len);
        bool same = name.module_id.len == 0;
        must((username_check_client_id(&name, name.device_id, NULL) == ERR_NONE) == same);
    } else {
        must(err == ERR_FORMAT && why.text[0] != '\0');
    }
    arena_done(&arena);
    return 0;
}
