/* SPDX-License-Identifier: Apache-2.0 */
/* The transport over HTTPS, by libcurl. One thread; a connection is kept between requests. */
#ifndef GEMEL_CLI_HTTPS_H
#define GEMEL_CLI_HTTPS_H

#include "transport.h"

#include <signal.h>

struct https;

/* `stop`, when it becomes non-zero, ends a request that waits with ERR_CANCELLED. */
enum err https_new(
    const volatile sig_atomic_t *stop, struct https **ret_https, struct why *why) MUST_USE;
void https_free(struct https *https);
struct transport https_transport(struct https *https);

#endif
