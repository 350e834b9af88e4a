/* SPDX-License-Identifier: Apache-2.0 */
/* A chain that is read says the same as its certificate does in another form, and what is trusted
 * only because it was uploaded verifies itself or not at all. */
#include "certificate.h"

#include "base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {(const char *)data, size};
    struct arena arena;
    struct certificate certificate;
    struct span der;
    arena_init(&arena, 1u << 20);
    if (certificate_read(&arena, input, &certificate, NULL) == ERR_NONE) {
        size_t which = SIZE_MAX;
        int64_t until_us = 0;
        must(strlen(certificate.sha1) == 40 && strlen(certificate.sha256) == 64);
        must(certificate_has_thumbprint(&certificate, span_of(certificate.sha256)));
        enum err err = certificate_verify(
            input, &input, 1, INT64_C(1700000000000000), 300, &which, &until_us, NULL);
        must(err == ERR_NONE ? which == 0 : err == ERR_UNAUTHORIZED);
    }
    if (certificate_of_text(&arena, input, &der, NULL) == ERR_NONE) {
        must(certificate_read(&arena, der, &certificate, NULL) != ERR_MEMORY);
        enum err err = certificate_check_authority(der, NULL);
        must(err == ERR_NONE || err == ERR_ARGUMENT);
    }
    arena_done(&arena);
    return 0;
}
