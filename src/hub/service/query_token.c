/* SPDX-License-Identifier: Apache-2.0 */
#include "query_token.h"

#include "base64.h"

#include <openssl/evp.h>

#define FORM 1
#define DIGEST_BYTES 16
#define HEAD_BYTES (1 + DIGEST_BYTES)
#define TOKEN_BYTES 4096

static void put_number(struct buf *out, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_add_byte(out, (char)(number >> (8 * i)));
}

static uint64_t get_number(struct span *rest, unsigned bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes && i < rest->len; i++)
        number |= (uint64_t)(unsigned char)rest->ptr[i] << (8 * i);
    *rest = span_from(*rest, bytes);
    return number;
}

static struct span get_text(struct span *rest)
{
    size_t len = (size_t)get_number(rest, 2);
    struct span text = span_first(*rest, len);
    *rest = span_from(*rest, len);
    return text;
}

static bool digest(
    struct span body, struct span query, int64_t hub_id, unsigned char ret_digest[EVP_MAX_MD_SIZE])
{
    AUTO(buf_done) struct buf all = BUF_EMPTY;
    put_number(&all, (uint64_t)hub_id, 8);
    put_number(&all, query.len, 8);
    buf_add(&all, query);
    buf_add(&all, body);
    return !all.failed && EVP_Digest(all.ptr, all.len, ret_digest, NULL, EVP_sha256(), NULL) == 1;
}

bool query_token_write(
    const struct query_token *token, struct span query, int64_t hub_id, struct buf *out)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    unsigned char hash[EVP_MAX_MD_SIZE];
    put_number(&body, token->left, 8);
    put_number(&body, token->skip, 8);
    put_number(&body, token->after.len, 2);
    buf_add(&body, token->after);
    put_number(&body, token->after_module.len, 2);
    buf_add(&body, token->after_module);
    if (body.failed || !digest(buf_span(&body), query, hub_id, hash))
        return false;
    buf_add_byte(&bytes, FORM);
    buf_add(&bytes, (struct span){(const char *)hash, DIGEST_BYTES});
    buf_add(&bytes, buf_span(&body));
    if (!bytes.failed)
        base64_write(buf_span(&bytes), out);
    return !bytes.failed && !out->failed;
}

enum err query_token_read(struct arena *arena, struct span text, struct span query, int64_t hub_id,
    struct query_token *ret_token, struct why *why)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t len = 0;
    char *bytes = arena_alloc(arena, TOKEN_BYTES);
    if (bytes == NULL)
        return ERR_MEMORY;
    bool good = base64_decode(text, bytes, TOKEN_BYTES, &len, NULL) == ERR_NONE &&
                len > HEAD_BYTES && bytes[0] == FORM;
    struct span body = {bytes + HEAD_BYTES, good ? len - HEAD_BYTES : 0};
    if (good && !digest(body, query, hub_id, hash))
        return ERR_MEMORY;
    if (!good || memcmp(hash, bytes + 1, DIGEST_BYTES) != 0)
        return fail(ERR_ARGUMENT, why,
            "x-ms-continuation is no token that a page of this query has ended with");
    struct query_token token;
    token.left = get_number(&body, 8);
    token.skip = get_number(&body, 8);
    token.after = get_text(&body);
    token.after_module = get_text(&body);
    *ret_token = token;
    return ERR_NONE;
}
