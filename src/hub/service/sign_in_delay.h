/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long who typed a wrong password has to wait. Counted apart for each account, whether it
 * exists or not, and for each address (an IPv6 network of 64 bits counts as one):
 *
 *   the first few wrong passwords    no delay
 *   each further one                 twice the delay before, up to a bound
 *   the right one                    the account's count begins anew, the address's stays
 *
 * Attempts that are under way count as wrong until they are known not to be: many at once cannot
 * get more tries than one after the other. Who asks for one too many is told to wait for these.
 *
 * Names are kept only as keyed hashes, in a table of fixed size: where it is full, what is waited
 * for least gives way. Not for use from two threads at once.
 */
#ifndef GEMEL_SIGN_IN_DELAY_H
#define GEMEL_SIGN_IN_DELAY_H

#include "err.h"
#include "service.h"
#include "span.h"

struct sign_in_delay;

struct sign_in_delay *sign_in_delay_new(const struct access_limits *limits);
void sign_in_delay_free(struct sign_in_delay *delay);

enum sign_in_verdict {
    SIGN_IN_GO,   /* counted as under way: tell how it ends */
    SIGN_IN_WAIT, /* for attempts that are under way */
    SIGN_IN_REFUSED,
};

/* Asks whether an attempt may be made now; `*ret_wait_us` is set if it is refused. */
enum sign_in_verdict sign_in_delay_ask(struct sign_in_delay *delay, struct span user,
    struct span address, int64_t now_mono_us, int64_t *ret_wait_us);

enum sign_in_end { SIGN_IN_RIGHT, SIGN_IN_WRONG, SIGN_IN_UNKNOWN /* it could not be found out */ };

void sign_in_delay_tell(struct sign_in_delay *delay, struct span user, struct span address,
    enum sign_in_end end, int64_t now_mono_us);

#endif
