/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names as clients write them: any case, with or without a port, an IPv6 address in brackets.
 * Hubs are told apart by the normalised form: lower case, no port, no brackets, no trailing dot.
 */
#ifndef GEMEL_HOST_H
#define GEMEL_HOST_H

#include "err.h"
#include "span.h"

#define HOST_SIZE 256 /* 253 bytes of a name and a NUL */

/* Cuts "host:port" in two, nothing changed: brackets stay, a missing port is the empty span. An
 * IPv6 address without brackets has no port. */
void host_split(struct span text, struct span *ret_host, struct span *ret_port);

/* Writes the normalised form and returns it as a span over `ret_text`; the empty span if the text
 * is no host name: empty, too long, a character that no name or address has, a bad port. */
struct span host_normalise(struct span text, char ret_text[HOST_SIZE]);

/* Compares normalised forms; a text that is no host equals nothing. */
bool host_equal(struct span a, struct span b);

#endif
