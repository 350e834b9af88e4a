/* SPDX-License-Identifier: Apache-2.0 */
#include "http_parse.h"

#include <strings.h>

static enum err refuse(struct http_fault *fault, int status, const char *sentence)
{
    fault->status = status;
    why_set(&fault->why, "%s", sentence);
    return ERR_FORMAT;
}

/* ---- characters ------------------------------------------------------------------------------ */

/* tchar of RFC 9110, 5.6.2. */
static bool is_token_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_char(text.ptr[i]))
            return false;
    return text.len > 0;
}

/* A field's value: no control characters but the tab (RFC 9110, 5.5). */
static bool is_field_value(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_target(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= 0x20 || c >= 0x7f)
            return false;
    }
    return text.len > 0;
}

static struct span trim_blanks(struct span text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = span_from(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* ---- the request line ------------------------------------------------------------------------ */

static enum err parse_target(
    struct span target, struct http_request *request, struct http_fault *fault)
{
    if (!is_target(target))
        return refuse(fault, 400, "the request target holds a character that must be encoded");
    if (span_is(target, "*")) {
        request->path = target;
        return ERR_NONE;
    }
    if (target.ptr[0] != '/') {
        size_t scheme = strlen("https://");
        if (target.len <= scheme || strncasecmp(target.ptr, "https://", scheme) != 0)
            return refuse(fault, 400, "the request target is neither a path nor an https address");
        struct span rest = span_from(target, scheme);
        size_t slash = span_find(rest, '/');
        request->host = span_first(rest, slash);
        target = slash == rest.len ? SPAN_LIT("/") : span_from(rest, slash);
    }
    size_t mark = span_find(target, '?');
    request->path = span_first(target, mark);
    request->query = span_from(target, mark + 1);
    if (span_find(target, '#') < target.len)
        return refuse(fault, 400, "the request target holds a fragment ('#' must be sent as %23)");
    return ERR_NONE;
}

static enum err parse_request_line(
    struct span line, struct http_request *request, struct http_fault *fault)
{
    struct span target, version = line;
    if (!span_cut(&version, ' ', &request->method) || !span_cut(&version, ' ', &target) ||
        !is_token(request->method))
        return refuse(fault, 400, "the request line is not METHOD TARGET HTTP/1.1");
    if (version.len != 8 || !span_starts(version, SPAN_LIT("HTTP/")) || version.ptr[6] != '.')
        return refuse(fault, 400, "the request line does not end in a version of HTTP");
    if (version.ptr[5] != '1' || (version.ptr[7] != '0' && version.ptr[7] != '1'))
        return refuse(fault, 505, "only HTTP/1.0 and HTTP/1.1 are offered");
    request->minor = (unsigned)(version.ptr[7] - '0');
    return parse_target(target, request, fault);
}

/* ---- header fields --------------------------------------------------------------------------- */

struct span http_find_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (span_eq_nocase(request->headers[i].name, span_of(name)))
            return request->headers[i].value;
    return SPAN_NONE;
}

static size_t count_header(const struct http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += span_eq_nocase(request->headers[i].name, span_of(name));
    return count;
}

bool http_list_has(struct span list, const char *word)
{
    struct span item;
    while (span_cut(&list, ',', &item))
        if (span_eq_nocase(trim_blanks(item), span_of(word)))
            return true;
    return false;
}

static enum err parse_field(
    struct span line, struct http_request *request, struct http_fault *fault)
{
    size_t colon = span_find(line, ':');
    struct span name = span_first(line, colon);
    if (colon == line.len || !is_token(name))
        return refuse(fault, 400, "a header is not in the form 'name: value'");
    struct span value = trim_blanks(span_from(line, colon + 1));
    if (!is_field_value(value))
        return refuse(fault, 400, "a header's value holds a control character");
    if (request->header_count == HTTP_HEADERS_MAX)
        return refuse(fault, 431, "there are too many headers");
    request->headers[request->header_count++] = (struct http_header){name, value};
    return ERR_NONE;
}

static enum err judge_who(struct http_request *request, struct http_fault *fault)
{
    size_t hosts = count_header(request, "host");
    if (hosts > 1 || (hosts == 0 && request->minor == 1))
        return refuse(fault, 400, "a request needs exactly one Host header");
    if (count_header(request, "authorization") > 1)
        return refuse(fault, 400, "there is more than one Authorization header");
    if (request->host.len == 0)
        request->host = http_find_header(request, "host");
    return ERR_NONE;
}

static enum err judge_body(struct http_request *request, struct http_fault *fault)
{
    size_t codings = count_header(request, "transfer-encoding");
    size_t lengths = count_header(request, "content-length");
    if (codings > 0) {
        if (codings > 1 || lengths > 0 || request->minor == 0)
            return refuse(fault, 400, "Transfer-Encoding must stand alone, in HTTP/1.1");
        if (!span_eq_nocase(http_find_header(request, "transfer-encoding"), SPAN_LIT("chunked")))
            return refuse(fault, 501, "the only transfer coding that is offered is chunked");
        request->chunked = true;
    }
    if (lengths > 1)
        return refuse(fault, 400, "there is more than one Content-Length");
    if (lengths == 1 && !span_u64(http_find_header(request, "content-length"), UINT64_MAX / 2,
                            &request->content_length))
        return refuse(fault, 400, "Content-Length is no number");
    return ERR_NONE;
}

static enum err judge_connection(struct http_request *request, struct http_fault *fault)
{
    struct span connection = http_find_header(request, "connection");
    request->keep_alive = request->minor == 1 ? !http_list_has(connection, "close")
                                              : http_list_has(connection, "keep-alive");
    if (http_list_has(connection, "upgrade"))
        request->upgrade = http_find_header(request, "upgrade");
    struct span expect = http_find_header(request, "expect");
    if (expect.len > 0) {
        if (!span_eq_nocase(expect, SPAN_LIT("100-continue")))
            return refuse(fault, 417, "the only expectation that is offered is 100-continue");
        request->expects_continue = request->minor == 1;
    }
    return ERR_NONE;
}

/* ---- the head as a whole --------------------------------------------------------------------- */

/* Cuts one line off; false if its end is not there. A LF without its CR marks the line bad. */
static bool cut_line(struct span *rest, struct span *ret_line, bool *bad)
{
    size_t end = span_find(*rest, '\n');
    if (end == rest->len)
        return false;
    if (end == 0 || rest->ptr[end - 1] != '\r') {
        *bad = true;
        return false;
    }
    *ret_line = span_first(*rest, end - 1);
    *rest = span_from(*rest, end + 1);
    return true;
}

static enum err parse_lines(
    struct span *rest, struct http_request *request, bool *bad, struct http_fault *fault)
{
    struct span line;
    bool first = true;
    while (cut_line(rest, &line, bad)) {
        enum err err = ERR_NONE;
        if (first && line.len == 0)
            continue; /* RFC 9112, 2.2: an empty line before a request is passed over */
        if (line.len == 0)
            return ERR_NONE;
        err = first ? parse_request_line(line, request, fault) : parse_field(line, request, fault);
        if (err != ERR_NONE)
            return err;
        first = false;
    }
    return ERR_AGAIN;
}

enum err http_parse_head(struct span input, size_t limit_bytes, struct http_request *ret_request,
    struct http_fault *fault)
{
    struct http_request request = {0};
    struct span rest = span_first(input, limit_bytes);
    bool bad = false;

    enum err err = parse_lines(&rest, &request, &bad, fault);
    if (err == ERR_AGAIN && bad)
        return refuse(fault, 400, "a line does not end in CR LF");
    if (err == ERR_AGAIN && input.len >= limit_bytes)
        return refuse(fault, 431, "the request's head is too large");
    if (err == ERR_NONE)
        err = judge_who(&request, fault);
    if (err == ERR_NONE)
        err = judge_body(&request, fault);
    if (err == ERR_NONE)
        err = judge_connection(&request, fault);
    if (err != ERR_NONE)
        return err;
    request.head_bytes = span_first(input, limit_bytes).len - rest.len;
    *ret_request = request;
    return ERR_NONE;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/*
 *   SIZE --';'--> EXTENSION --+
 *    |                        v
 *    +----------CR--------> SIZE_LF --size>0--> DATA -> DATA_CR -> DATA_LF -> SIZE
 *                             |
 *                             +--size 0--> TRAILER -> TRAILER_LF -> … -> END_LF -> done
 */
enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
};

#define CHUNK_SIZE_DIGITS 15u   /* as many hexadecimal digits cannot overflow 64 bits */
#define CHUNK_EXTRA_BYTES 4096u /* of extensions and trailers, which nobody reads */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool step_size(struct http_chunks *chunks, char c)
{
    int digit = hex_value(c);
    if (digit >= 0 && chunks->digits < CHUNK_SIZE_DIGITS) {
        chunks->left = chunks->left * 16 + (uint64_t)digit;
        chunks->digits++;
        return true;
    }
    if (chunks->digits == 0 || digit >= 0)
        return false;
    if (c == '\r')
        chunks->state = CHUNK_SIZE_LF;
    else if (c == ';' || c == ' ' || c == '\t')
        chunks->state = CHUNK_EXTENSION;
    else
        return false;
    return true;
}

static bool step_to(struct http_chunks *chunks, char c, char wanted, enum chunk_state next)
{
    chunks->state = (int)next;
    return c == wanted;
}

static bool step(struct http_chunks *chunks, char c)
{
    switch ((enum chunk_state)chunks->state) {
    case CHUNK_SIZE:
        return step_size(chunks, c);
    case CHUNK_EXTENSION:
        if (c == '\r')
            chunks->state = CHUNK_SIZE_LF;
        return c != '\n' && ++chunks->extra <= CHUNK_EXTRA_BYTES;
    case CHUNK_SIZE_LF:
        chunks->digits = 0;
        return step_to(chunks, c, '\n', chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START);
    case CHUNK_DATA_CR:
        return step_to(chunks, c, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return step_to(chunks, c, '\n', CHUNK_SIZE);
    case CHUNK_TRAILER_START:
        chunks->state = c == '\r' ? CHUNK_END_LF : CHUNK_TRAILER;
        return c != '\n' && ++chunks->extra <= CHUNK_EXTRA_BYTES;
    case CHUNK_TRAILER:
        if (c == '\r')
            chunks->state = CHUNK_TRAILER_LF;
        return c != '\n' && ++chunks->extra <= CHUNK_EXTRA_BYTES;
    case CHUNK_TRAILER_LF:
        return step_to(chunks, c, '\n', CHUNK_TRAILER_START);
    case CHUNK_END_LF:
        chunks->done = c == '\n';
        return chunks->done;
    case CHUNK_DATA:
        break;
    }
    return false;
}

enum err http_read_chunk(struct http_chunks *chunks, struct span *input, struct span *ret_piece)
{
    while (input->len > 0 && !chunks->done) {
        if (chunks->state == CHUNK_DATA) {
            size_t take = input->len < chunks->left ? input->len : (size_t)chunks->left;
            *ret_piece = span_first(*input, take);
            *input = span_from(*input, take);
            chunks->left -= take;
            if (chunks->left == 0)
                chunks->state = CHUNK_DATA_CR;
            return ERR_NONE;
        }
        char c = input->ptr[0];
        *input = span_from(*input, 1);
        if (!step(chunks, c))
            return ERR_FORMAT;
    }
    if (!chunks->done)
        return ERR_AGAIN;
    *ret_piece = SPAN_NONE;
    return ERR_NONE;
}
