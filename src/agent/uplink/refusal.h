/* SPDX-License-Identifier: Apache-2.0 */
/* What a person can do about a connection that did not come about. Pure. */
#ifndef GEMEL_REFUSAL_H
#define GEMEL_REFUSAL_H

#include "connstr.h"

/* Write a sentence: `code` is MQTT's return code (3.1.1, table 3.1), or else not the hub's word;
 * `text` is what the client and OpenSSL said. */
void refusal_of_module(const struct connstr *connstr, int code, const char *text, struct why *why);
void refusal_of_registration(struct span host, int code, const char *text, struct why *why);

#endif
