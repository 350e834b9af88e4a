/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuation tokens of queries: where a page ended. Base64 of
 *
 *   form (1 byte)  digest (16)  left (8)  skip (8)  length (2)  text  length (2)  second text
 *
 * with the two texts the ids of the last row, or the prefix of the last group. The digest is over
 * all that follows it, the query's text and the hub: a token that was cut or changed, or that is
 * another query's, is told from a good one. It hides nothing and grants nothing: whoever made one
 * up would only choose where to begin to read what he may read anyway.
 */
#ifndef GEMEL_QUERY_TOKEN_H
#define GEMEL_QUERY_TOKEN_H

#include "buf.h"
#include "mem.h"

struct query_token {
    uint64_t left; /* rows that TOP still allows */
    uint64_t skip; /* of groups: see struct query_place */
    struct span after;
    struct span after_module;
};

/* Writes it. False: no memory, or it cannot be hashed. */
bool query_token_write(
    const struct query_token *token, struct span query, int64_t hub_id, struct buf *out) MUST_USE;

/* Reads it into the arena. ERR_ARGUMENT: no token of this query; ERR_MEMORY. */
enum err query_token_read(struct arena *arena, struct span text, struct span query, int64_t hub_id,
    struct query_token *ret_token, struct why *why) MUST_USE;

#endif
