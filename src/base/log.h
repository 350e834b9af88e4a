/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an entry, "LEVEL part: sentence", written with one call so that lines of
 * different threads never mix. The writer is replaced as a whole (journal format, tests, the
 * agent's own log collector). No secret is ever handed to it.
 */
#ifndef GEMEL_LOG_H
#define GEMEL_LOG_H

#include "base.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

typedef void log_writer(void *self, enum log_level level, const char *part, const char *sentence);

/* Sets what is written (default LOG_LEVEL_INFO) and by whom (default: standard error). Call these
 * before threads start. */
void log_set_level(enum log_level level);
void log_set_writer(log_writer *writer, void *self);

/* Reads "error", "warn", "info" or "debug"; false if it is none of them. */
bool log_level_parse(const char *text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/* Writes an entry; `part` names the module that speaks. Control characters become blanks. */
void log_write(enum log_level level, const char *part, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_error(part, ...) log_write(LOG_LEVEL_ERROR, part, __VA_ARGS__)
#define log_warn(part, ...) log_write(LOG_LEVEL_WARN, part, __VA_ARGS__)
#define log_info(part, ...) log_write(LOG_LEVEL_INFO, part, __VA_ARGS__)
#define log_debug(part, ...) log_write(LOG_LEVEL_DEBUG, part, __VA_ARGS__)

#endif
