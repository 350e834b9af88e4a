/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a request gets to the hub and its answer back. The real one is HTTPS (https.h); tests bring
 * their own, so that commands are tried without a network.
 */
#ifndef GEMEL_CLI_TRANSPORT_H
#define GEMEL_CLI_TRANSPORT_H

#include "buf.h"
#include "mem.h"

#define REQUEST_HEADERS_MAX 64

struct header {
    const char *name;
    struct span value;
};

struct request {
    const char *method;
    struct span host;   /* as in the connection string, with or without port */
    struct span target; /* "/devices/d1?api-version=…", encoded */
    struct header headers[REQUEST_HEADERS_MAX];
    size_t header_count;
    bool has_body;
    struct span body;
    unsigned timeout_s;  /* for the whole answer */
    const char *ca_file; /* the authorities to trust; NULL: those of the system */
    bool to_the_end;     /* a signal does not break it off */
};

struct response {
    int status;
    struct span body;         /* in the arena that was given */
    struct span error_name;   /* iothub-errorcode */
    struct span continuation; /* x-ms-continuation */
    struct span headers;      /* all of them, lines of "name: value" */
};

struct transport {
    /*
     * Sends and waits. ERR_NONE: there is an answer, whatever its status. ERR_TLS, ERR_UNAVAILABLE,
     * ERR_TIMEOUT: no hub was reached, and the sentence says why; ERR_CANCELLED: the person wants
     * to stop; ERR_ARGUMENT: the file of authorities cannot be read; ERR_TOO_LARGE, ERR_MEMORY.
     */
    enum err (*send)(void *self, const struct request *request, struct arena *arena,
        struct response *ret_response, struct why *why);
    void *self;
};

#endif
