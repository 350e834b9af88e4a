/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is read must lie inside the input, be asked for at every shorter length, and its
 * body must come out the same however the input is cut. */
#include "http_parse.h"

#include "buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 4096

static bool lies_in(struct span part, struct span whole)
{
    return part.len == 0 || span_is(part, "/") ||
           (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static enum err read_body(struct span all, size_t step, struct buf *out, size_t *ret_used)
{
    struct http_chunks chunks = {0};
    enum err err = ERR_AGAIN;
    size_t at = 0;
    while (at < all.len && err != ERR_FORMAT && !chunks.done) {
        struct span input = span_first(span_from(all, at), step), piece;
        size_t given = input.len;
        while ((err = http_read_chunk(&chunks, &input, &piece)) == ERR_NONE && !chunks.done) {
            must(piece.len > 0);
            buf_add(out, piece);
        }
        at += given - input.len;
    }
    *ret_used = at;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {(const char *)data, size};
    struct http_request request;
    struct http_fault fault = {.status = 0};
    enum err err = http_parse_head(input, LIMIT, &request, &fault);
    must(err == ERR_NONE || err == ERR_AGAIN || err == ERR_FORMAT);
    if (err == ERR_FORMAT)
        must(fault.status >= 400 && fault.status < 600 && fault.why.text[0] != '\0');
    if (err != ERR_NONE)
        return 0;

    must(request.head_bytes <= size && request.head_bytes <= LIMIT);
    must(lies_in(request.method, input) && lies_in(request.path, input));
    must(lies_in(request.query, input) && lies_in(request.host, input));
    for (size_t i = 0; i < request.header_count; i++)
        must(lies_in(request.headers[i].name, input) && lies_in(request.headers[i].value, input));
    must(!(request.chunked && request.content_length > 0));
    struct http_request shorter;
    must(http_parse_head(span_first(input, request.head_bytes - 1), LIMIT, &shorter, &fault) ==
         ERR_AGAIN);

    struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
    size_t whole_used, cut_used;
    struct span body = span_from(input, request.head_bytes);
    must(read_body(body, SIZE_MAX, &whole, &whole_used) == read_body(body, 3, &cut, &cut_used));
    must(whole_used == cut_used && span_eq(buf_span(&whole), buf_span(&cut)));
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
