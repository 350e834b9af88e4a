/* SPDX-License-Identifier: Apache-2.0 */
#include "lock_token.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>

enum err lock_token_new(struct lock_token *ret_token, struct why *why)
{
    uint64_t lock = 0;
    if (RAND_bytes((unsigned char *)&lock, sizeof(lock)) != 1)
        return fail(ERR_SERVER, why, "there is no randomness");
    *ret_token =
        (struct lock_token){0, (lock & INT64_MAX) | 1}; /* the store's numbers have a sign */
    return ERR_NONE;
}

void lock_token_write(const struct lock_token *token, struct buf *out)
{
    char hex[33];
    snprintf(hex, sizeof(hex), "%016" PRIx64 "%016" PRIx64, token->sequence, token->lock);
    buf_add_format(out, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

bool lock_token_read(struct span text, struct lock_token *ret_token)
{
    uint64_t halves[2] = {0, 0};
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        static const char all[] = "0123456789abcdef";
        const int c = tolower((unsigned char)text.ptr[i]);
        if (c == '-')
            continue;
        if (!isxdigit(c) || digits == 32)
            return false;
        uint64_t *half = &halves[digits++ / 16];
        *half = *half << 4 | (uint64_t)(strchr(all, c) - all);
    }
    if (digits != 32 || halves[1] == 0 || halves[1] > INT64_MAX || halves[0] > INT64_MAX)
        return false;
    *ret_token = (struct lock_token){halves[0], halves[1]};
    return true;
}
