/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log as JSON, an object a line, for programs that collect logs:
 *
 *   {"time":"2026-01-02T03:04:05.1234560Z","level":"info","part":"gateway","message":"…"}
 */
#ifndef GEMEL_HUB_LOG_JSON_H
#define GEMEL_HUB_LOG_JSON_H

#include "buf.h"
#include "log.h"

/* Adds one entry with its line end. */
void log_json_write(
    int64_t wall_us, enum log_level level, const char *part, const char *sentence, struct buf *out);

/* A log_writer: writes to standard error, a line in one piece. */
void log_json_writer(void *self, enum log_level level, const char *part, const char *sentence);

#endif
