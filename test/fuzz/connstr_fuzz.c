/* SPDX-License-Identifier: Apache-2.0 */
/* What is read must be written so that it reads the same. */
#include "connstr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct connstr connstr = {0};
    struct connstr again = {0};
    struct why why = {""};
    enum err err = connstr_parse(text, &connstr, &why);
    if (err == ERR_NONE) {
        struct buf out = BUF_EMPTY;
        connstr_write(&connstr, &out);
        must(out.len == 0 || connstr_parse(buf_span(&out), &again, NULL) == ERR_NONE);
        must(span_eq(again.key, connstr.key) && span_eq(again.host_name, connstr.host_name));
        must(again.x509 == connstr.x509);
        enum err device = connstr_check_device(&connstr, &why);
        enum err service = connstr_check_service(&connstr, &why);
        must(device == ERR_NONE || device == ERR_FORMAT);
        must(service == ERR_NONE || service == ERR_FORMAT);
        buf_done(&out);
    } else {
        must(err == ERR_FORMAT && why.text[0] != '\0');
    }
    return 0;
}
