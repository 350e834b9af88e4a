/* SPDX-License-Identifier: Apache-2.0 */
/* What a person can do about a connection that did not come about. Pure. */
#ifndef GEMEL_REFUSAL_H
#define GEMEL_REFUSAL_H

#include "clock.h"
#include "connstr.h"

/* Write a sentence: `proxy` is as in target.h; `code` is MQTT's return code (3.1.1, table 3.1), or
 * else not the hub's word; `text` is what the client and OpenSSL said; `wall_us` is now: a clock
 * that is wrong makes tokens and certificates look so. */
void refusal_of_module(const struct connstr *connstr, const char *proxy, int code, const char *text,
    int64_t wall_us, struct why *why);
void refusal_of_registration(struct span host, const char *proxy, int code, const char *text,
    int64_t wall_us, struct why *why);

#endif
