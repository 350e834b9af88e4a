/* SPDX-License-Identifier: Apache-2.0 */
/* os-release, and the list of the vendors of network interfaces. */
#include "os_release.h"
#include "oui.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size}, line, vendor;
    AUTO(buf_done) struct buf value = BUF_EMPTY;
    uint32_t prefix;
    if (os_release_find(text, "ID", &value))
        must(value.failed || value.len <= size);
    while (span_cut(&text, '\n', &line))
        if (oui_parse(line, &prefix, &vendor))
            must(prefix <= 0xffffff && vendor.len > 0 && vendor.len <= line.len);
    return 0;
}
