/* SPDX-License-Identifier: Apache-2.0 */
/* Reads values of os-release(5): lines NAME=value, where the value may be quoted as in a shell. */
#ifndef GEMEL_OS_RELEASE_H
#define GEMEL_OS_RELEASE_H

#include "buf.h"

/* Adds the value of a name to `out`, its quotes and escapes undone; false if there is none. */
bool os_release_find(struct span text, const char *name, struct buf *out) MUST_USE;

#endif
