/* SPDX-License-Identifier: Apache-2.0 */
/* The token of a lock, by which a client that received something settles it: in the form of a GUID,
 * "0000002a-0000-0000-7b3c-…", of the thing's number and a secret. */
#ifndef GEMEL_SERVICE_LOCK_TOKEN_H
#define GEMEL_SERVICE_LOCK_TOKEN_H

#include "buf.h"
#include "err.h"

struct lock_token {
    uint64_t sequence; /* 0: of many things */
    uint64_t lock;     /* from 1 to INT64_MAX */
};

/* Makes up a lock. ERR_SERVER: there is no randomness. */
enum err lock_token_new(struct lock_token *ret_token, struct why *why) MUST_USE;

void lock_token_write(const struct lock_token *token, struct buf *out);

/* Dashes may be anywhere, or missing. False: it is none. */
bool lock_token_read(struct span text, struct lock_token *ret_token);

#endif
