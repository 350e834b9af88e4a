/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 requests (RFC 9110, 9112) as a server reads them. Pure.
 *
 * libwebsockets' own HTTP server is not used: it hands out the request target percent-decoded and
 * normalised, from which "/devices/a%23b" cannot be told back (ids may hold '%', '#', '+', '?' and
 * ';'), it cannot decode chunked request bodies, and over HTTP/2 it drops unknown headers, among
 * them the x-ms- ones that paging needs. So its TLS carries our own reader.
 *
 * Strict where laxness is how requests are smuggled past a proxy: a bare LF, blanks before a
 * colon, folded headers, a length beside a transfer coding, two lengths are all refused.
 */
#ifndef GEMEL_GATEWAY_HTTP_PARSE_H
#define GEMEL_GATEWAY_HTTP_PARSE_H

#include "err.h"
#include "span.h"

#define HTTP_HEADERS_MAX 64

struct http_header {
    struct span name;  /* as sent */
    struct span value; /* trimmed */
};

struct http_request {
    struct span method;
    struct span path;  /* as sent, still encoded; "*" for OPTIONS * */
    struct span query; /* without '?' */
    struct span host;  /* of an absolute target, else of the Host header */
    unsigned minor;    /* HTTP/1.minor */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    bool keep_alive;
    bool expects_continue;
    bool chunked;
    uint64_t content_length; /* 0 without one */
    struct span upgrade;     /* of an Upgrade the client asks for; empty: none */
    size_t head_bytes;       /* what the head took of the input */
};

/* What is wrong with a request: the status that fits, and the sentence. */
struct http_fault {
    int status;
    struct why why;
};

/*
 * Reads a request's head from the input's beginning; spans point into it. ERR_AGAIN: its end is not
 * there yet; ERR_FORMAT: refused, with a fault, after which the connection is to be closed.
 */
enum err http_parse_head(struct span input, size_t limit_bytes, struct http_request *ret_request,
    struct http_fault *fault) MUST_USE;

/* Returns the value of a header, the empty span if there is none; `name` in any case. */
struct span http_find_header(const struct http_request *request, const char *name);

/* Whether a value that is a list, "a, b", names the word, in any case. */
bool http_list_has(struct span list, const char *word);

/* A body in chunks (RFC 9112, 7.1); zeroed at its beginning. */
struct http_chunks {
    int state;
    unsigned digits;
    uint64_t left; /* of the chunk */
    size_t extra;  /* bytes of extensions and trailers so far: bounded */
    bool done;     /* the last chunk and the trailers are behind us */
};

/*
 * Takes the next piece of the body and moves `*input` behind what was used. ERR_AGAIN: all input
 * is used; ERR_FORMAT. With ERR_NONE there is a piece, or `done` is set.
 */
enum err http_read_chunk(
    struct http_chunks *chunks, struct span *input, struct span *ret_piece) MUST_USE;

#endif
