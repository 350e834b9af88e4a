/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's table, which the firmware's maker or an emulator wrote. */
#include "smbios.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span table = {(const char *)data, size};
    for (uint8_t type = 0; type < 3; type++)
        for (size_t offset = 0; offset < 9; offset++) {
            struct span text = smbios_find(table, type, offset);
            must(text.len == 0 ||
                 (text.ptr >= table.ptr && text.ptr + text.len <= table.ptr + size));
        }
    return 0;
}
