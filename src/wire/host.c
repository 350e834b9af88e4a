/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

void host_split(struct span text, struct span *ret_host, struct span *ret_port)
{
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    size_t from = bracketed ? span_find(text, ']') : 0;
    struct span tail = span_from(text, from);
    struct span port = span_from(tail, span_find(tail, ':') + 1);
    size_t colon = from + span_find(tail, ':');
    bool bare_ipv6 = !bracketed && span_find(port, ':') < port.len;
    if (bare_ipv6)
        colon = text.len;
    *ret_host = span_first(text, colon);
    *ret_port = span_from(text, colon + 1);
}

static bool is_port(struct span text)
{
    uint64_t port = 0;
    return span_u64(text, 65535, &port) && port > 0;
}

static bool is_host_char(char c, bool ipv6)
{
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (ipv6)
        return hex || c == ':' || c == '.';
    return hex || (c >= 'g' && c <= 'z') || c == '-' || c == '.' || c == '_';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct span host_normalise(struct span text, char ret_text[HOST_SIZE])
{
    struct span host;
    struct span port;
    host_split(text, &host, &port);
    bool has_port = host.len < text.len;
    if (has_port && !is_port(port))
        return SPAN_NONE;
    bool bracketed = host.len > 0 && host.ptr[0] == '[';
    if (bracketed) {
        if (host.len < 2 || host.ptr[host.len - 1] != ']')
            return SPAN_NONE;
        host = (struct span){host.ptr + 1, host.len - 2};
    }
    bool ipv6 = bracketed || span_find(host, ':') < host.len;
    if (!ipv6 && host.len > 1 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len >= HOST_SIZE)
        return SPAN_NONE;
    for (size_t i = 0; i < host.len; i++) {
        char c = lower(host.ptr[i]);
        if (!is_host_char(c, ipv6))
            return SPAN_NONE;
        ret_text[i] = c;
    }
    ret_text[host.len] = '\0';
    return (struct span){ret_text, host.len};
}

bool host_equal(struct span a, struct span b)
{
    char text_a[HOST_SIZE];
    char text_b[HOST_SIZE];
    struct span host_a = host_normalise(a, text_a);
    struct span host_b = host_normalise(b, text_b);
    return host_a.len > 0 && span_eq(host_a, host_b);
}
