/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP response. Pure but for the random number that names a request. */
#ifndef GEMEL_GATEWAY_HTTP_RESPONSE_H
#define GEMEL_GATEWAY_HTTP_RESPONSE_H

#include "buf.h"
#include "service.h"

struct http_response {
    const struct rest_call *rest; /* status, headers, body */
    const char *allow;            /* methods, for 405 and OPTIONS; NULL: none */
    int64_t now_us;               /* wall time, for Date */
    bool close;                   /* the connection ends behind it */
    bool streamed; /* the length is not known: in chunks or, with `close`, to the end */
};

/* Writes status line and headers, with the empty line. */
void http_write_head(struct buf *out, const struct http_response *response);

#endif
