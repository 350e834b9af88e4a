/* SPDX-License-Identifier: Apache-2.0 */
#include "os_release.h"

static void add_value(struct span value, struct buf *out)
{
    value = span_trim(value);
    if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') &&
        value.ptr[value.len - 1] == value.ptr[0])
        value = span_first(span_from(value, 1), value.len - 2);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\\' && i + 1 < value.len)
            i++;
        buf_add_byte(out, value.ptr[i]);
    }
}

bool os_release_find(struct span text, const char *name, struct buf *out)
{
    struct span line, key;
    while (span_cut(&text, '\n', &line)) {
        line = span_trim(line);
        if (span_find(line, '=') < line.len && span_cut(&line, '=', &key) && span_is(key, name)) {
            add_value(line, out);
            return true;
        }
    }
    return false;
}
