/* SPDX-License-Identifier: Apache-2.0 */
#include "http_response.h"

#include <sys/random.h>
#include <time.h>

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {207, "Multi-Status"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *phrase_of(int status)
{
    for (size_t i = 0; i < COUNT_OF(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Other";
}

/* Nothing that is sent here is a page, may be framed, guessed at or kept. A handler that sends
 * pages overrides a line by one of its own. */
static const struct {
    const char *name;
    const char *value;
} protections[] = {
    {"x-content-type-options", "nosniff"},
    {"content-security-policy", "default-src 'none'; frame-ancestors 'none'"},
    {"referrer-policy", "no-referrer"},
    {"cache-control", "no-store"},
};

static bool has_header(const struct rest_call *rest, const char *name)
{
    for (size_t i = 0; i < rest->header_count; i++)
        if (span_eq_nocase(span_of(rest->headers[i].name), span_of(name)))
            return true;
    return false;
}

/* A line break in a value would begin a header, or a response, of somebody else's choice. */
static bool is_one_line(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t')
            return false;
    return true;
}

static void add_header(struct buf *out, const char *name, struct span value)
{
    if (!is_one_line(value))
        return;
    buf_add_text(out, name);
    buf_add_text(out, ": ");
    buf_add(out, value);
    buf_add_text(out, "\r\n");
}

static void add_date(struct buf *out, int64_t now_us)
{
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm tm;
    char text[64];
    if (gmtime_r(&seconds, &tm) != NULL &&
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
        add_header(out, "date", span_of(text));
}

static void add_request_id(struct buf *out)
{
    unsigned char id[16] = {0};
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        return;
    buf_add_text(out, "x-ms-request-id: ");
    for (size_t i = 0; i < sizeof id; i++)
        buf_add_format(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    buf_add_text(out, "\r\n");
}

static void add_length(struct buf *out, const struct http_response *response)
{
    const struct rest_call *rest = response->rest;
    if (response->streamed && !response->close)
        buf_add_text(out, "transfer-encoding: chunked\r\n");
    else if (!response->streamed && rest->status != 204 && rest->status != 304)
        buf_add_format(out, "content-length: %zu\r\n", rest->body_out.len);
}

void http_write_head(struct buf *out, const struct http_response *response)
{
    const struct rest_call *rest = response->rest;
    buf_add_format(out, "HTTP/1.1 %d %s\r\n", rest->status, phrase_of(rest->status));
    add_date(out, response->now_us);
    if (rest->content_type_out.len > 0)
        add_header(out, "content-type", rest->content_type_out);
    add_length(out, response);
    for (size_t i = 0; i < rest->header_count; i++)
        add_header(out, rest->headers[i].name, rest->headers[i].value);
    buf_add(out, rest->header_block);
    for (size_t i = 0; i < COUNT_OF(protections); i++)
        if (!has_header(rest, protections[i].name))
            add_header(out, protections[i].name, span_of(protections[i].value));
    if (!has_header(rest, "x-ms-request-id"))
        add_request_id(out);
    if (response->allow != NULL)
        add_header(out, "allow", span_of(response->allow));
    if (rest->status == 426) { /* RFC 9110, 15.5.22; RFC 6455, 4.4 */
        buf_add_text(out, "upgrade: websocket\r\nsec-websocket-version: 13\r\n");
        buf_add_text(out, "connection: close, upgrade\r\n\r\n");
        return;
    }
    add_header(out, "connection", response->close ? SPAN_LIT("close") : SPAN_LIT("keep-alive"));
    buf_add_text(out, "\r\n");
}
