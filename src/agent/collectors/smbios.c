/* SPDX-License-Identifier: Apache-2.0 */
#include "smbios.h"

#define HEADER_BYTES 4u
#define TYPE_END 127u

/* Cuts the first structure off: its formatted area, and its strings up to the empty one. */
static bool cut_structure(struct span *rest, struct span *ret_area, struct span *ret_strings)
{
    if (rest->len < HEADER_BYTES)
        return false;
    size_t length = (uint8_t)rest->ptr[1];
    if (length < HEADER_BYTES || length > rest->len)
        return false;
    *ret_area = span_first(*rest, length);
    *rest = span_from(*rest, length);
    size_t end = 0;
    while (end + 1 < rest->len && (rest->ptr[end] != '\0' || rest->ptr[end + 1] != '\0'))
        end++;
    *ret_strings = span_first(*rest, end);
    *rest = span_from(*rest, end + 2);
    return true;
}

struct span smbios_find(struct span table, uint8_t type, size_t offset)
{
    struct span area, strings, text = SPAN_NONE;
    while (cut_structure(&table, &area, &strings)) {
        uint8_t is = (uint8_t)area.ptr[0];
        if (is == TYPE_END)
            break;
        if (is != type)
            continue;
        unsigned number = offset < area.len ? (uint8_t)area.ptr[offset] : 0;
        for (; number > 0; number--)
            if (!span_cut(&strings, '\0', &text))
                return SPAN_NONE;
        return text;
    }
    return SPAN_NONE;
}
