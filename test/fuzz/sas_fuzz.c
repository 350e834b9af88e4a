/* SPDX-License-Identifier: Apache-2.0 */
#include "sas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span token = {(const char *)data, size};
    struct arena arena;
    struct sas sas;
    struct why why = {""};
    arena_init(&arena, 1 << 20);
    enum err err = sas_parse(&arena, token, &sas, &why);
    if (err == ERR_NONE) {
        const struct span key = SPAN_LIT("a2V5IG9mIHRoZSBmdXp6ZXI=");
        must(sas.host.len > 0 && sas.expires_s >= 0);
        enum err audience = sas_check_audience(&sas, SPAN_LIT("devices/d#1/modules/m"), NULL);
        must(audience == ERR_NONE || (audience == ERR_UNAUTHORIZED && sas.path.len > 0));
        must(sas_check_time(&sas, 0, 300, NULL) == ERR_NONE);
        must(sas_check_signature(&sas, SPAN_LIT(""), NULL) == ERR_UNAUTHORIZED);
        enum err signature = sas_check_signature(&sas, key, NULL);
        must(signature == ERR_NONE || signature == ERR_UNAUTHORIZED);
    } else {
        must(err == ERR_UNAUTHORIZED || err == ERR_MEMORY);
        must(why.text[0] != '\0');
    }
    arena_done(&arena);
    return 0;
}
