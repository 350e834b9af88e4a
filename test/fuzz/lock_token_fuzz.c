/* SPDX-License-Identifier: Apache-2.0 */
/* A token that was read must be written as one that reads the same, in 36 characters. */
#include "lock_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lock_token token = {0, 0};
    struct lock_token again;
    struct buf out = BUF_EMPTY;
    if (!lock_token_read((struct span){(const char *)data, size}, &token)) {
        must(token.sequence == 0 && token.lock == 0);
        return 0;
    }
    must(token.lock > 0 && token.lock <= INT64_MAX && token.sequence <= INT64_MAX);
    lock_token_write(&token, &out);
    must(!out.failed && out.len == 36 && lock_token_read(buf_span(&out), &again));
    must(again.sequence == token.sequence && again.lock == token.lock);
    buf_done(&out);
    return 0;
}
