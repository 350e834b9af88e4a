/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads small files of the system whole: of /etc and /sys, where a missing file is an answer.
 */
#ifndef GEMEL_COLLECTORS_FILE_H
#define GEMEL_COLLECTORS_FILE_H

#include "buf.h"

/* Adds the bytes of DIR/NAME, at most `max`; false if it cannot be read, or without memory. */
bool file_read(const char *dir, const char *name, size_t max, struct buf *out) MUST_USE;

#endif
