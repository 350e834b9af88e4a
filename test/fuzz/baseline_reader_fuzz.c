/* SPDX-License-Identifier: Apache-2.0 */
/* A check file, as an operator writes it. (It is read only after its signature was verified, but
 * the one who signs makes mistakes too.) */
#include "reader_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct arena arena;
    struct document document;
    struct why why = {""};
    arena_init(&arena, 8u * 1024 * 1024);
    enum err err = reader_read(&arena, text, &document, &why);
    if (err == ERR_NONE)
        for (size_t i = 0; i < document.count; i++)
            must(document.checks[i].id.len > 0 && document.checks[i].pass != NULL);
    else
        must(why.text[0] != '\0');
    arena_done(&arena);
    return 0;
}
