/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket_upgrade.h"

#include "base64.h"

#include <openssl/sha.h>

#define PATH "/$iothub/websocket"
#define PATH_ENCODED "/%24iothub/websocket"
#define SUBPROTOCOL "mqtt"
#define VERSION "13"
#define KEY_BYTES 16

/* RFC 6455, 1.3: what every server appends to the key. */
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

bool websocket_is_path(struct span path)
{
    if (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    return span_eq_nocase(path, SPAN_LIT(PATH)) || span_eq_nocase(path, SPAN_LIT(PATH_ENCODED));
}

bool websocket_is_asked(const struct http_request *request)
{
    return http_list_has(request->upgrade, "websocket");
}

static enum err refuse(struct http_fault *fault, int status, const char *sentence)
{
    fault->status = status;
    return fail(ERR_FORMAT, &fault->why, "%s", sentence);
}

static bool is_key(struct span key)
{
    char bytes[KEY_BYTES + 2];
    size_t size = 0;
    return base64_decode(key, bytes, sizeof bytes, &size, NULL) == ERR_NONE && size == KEY_BYTES;
}

/* Several headers of the name count as one list (RFC 6455, 11.3.4). */
static bool offers_subprotocol(const struct http_request *request, bool *ret_any)
{
    bool found = false;
    *ret_any = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (!span_eq_nocase(header->name, SPAN_LIT("sec-websocket-protocol")))
            continue;
        *ret_any = true;
        found |= http_list_has(header->value, SUBPROTOCOL);
    }
    return found;
}

enum err websocket_check_request(const struct http_request *request, struct http_fault *fault)
{
    bool any;
    if (!websocket_is_path(request->path))
        return refuse(fault, 404, "MQTT over WebSocket is at " PATH);
    if (!span_is(request->method, "GET") || request->minor < 1)
        return refuse(fault, 400, "a WebSocket begins with GET and HTTP/1.1");
    if (!websocket_is_asked(request))
        return refuse(fault, 426,
            "here is a WebSocket: the request must ask for it with the "
            "headers Connection: Upgrade and Upgrade: websocket");
    if (!span_is(http_find_header(request, "sec-websocket-version"), VERSION))
        return refuse(fault, 426, "Sec-WebSocket-Version must be " VERSION);
    if (!is_key(http_find_header(request, "sec-websocket-key")))
        return refuse(fault, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    if (request->chunked || request->content_length > 0)
        return refuse(fault, 400, "a request for a WebSocket has no body");
    if (offers_subprotocol(request, &any))
        return ERR_NONE;
    return refuse(fault, 400,
        any ? "of the subprotocols that are asked for none is offered here: "
              "Sec-WebSocket-Protocol must name " SUBPROTOCOL " (AMQP is not offered)"
            : "Sec-WebSocket-Protocol is missing, it must name " SUBPROTOCOL);
}

void websocket_write_response(struct buf *out, const struct http_request *request)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    unsigned char digest[SHA_DIGEST_LENGTH] = {0};
    buf_add(&text, http_find_header(request, "sec-websocket-key"));
    buf_add_text(&text, GUID);
    SHA1((const unsigned char *)text.ptr, text.len, digest);
    out->failed |= text.failed;
    buf_add_text(out, "HTTP/1.1 101 Switching Protocols\r\n"
                      "upgrade: websocket\r\n"
                      "connection: Upgrade\r\n"
                      "sec-websocket-protocol: " SUBPROTOCOL "\r\n"
                      "sec-websocket-accept: ");
    base64_write((struct span){(const char *)digest, sizeof digest}, out);
    buf_add_text(out, "\r\n\r\n");
}
