/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an entry, "LEVEL part: sentence", written with one call so that lines of
 * different threads never mix. The writer is replaced as a whole (JSON, tests). Beside it
 * one listener may hear entries at a level of its own (the agent's log collector); what it logs
 * itself, it would hear. No secret is ever handed to either.
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

/* Where standard error, which is that file, is systemd's journal, as $JOURNAL_STREAM (or NULL)
 * says, an entry bears its priority from now on (sd-daemon(3)): `journalctl -p warning` finds it.
 */
void log_use_journal(const char *stream, uint64_t device, uint64_t inode);

struct log_entry {
    enum log_level level;
    const char *part;
    const char *sentence; /* borrowed for the call; the others are static */
    const char *filename;
    unsigned line;
};

typedef void log_listener(const struct log_entry *entry);

/* Lets someone hear entries up to a level, whatever is written, in the thread that logs; NULL: no
 * one. At any time; who is replaced may hear one entry more. */
void log_set_listener(log_listener *listener, enum log_level level);

/* Reads "error", "warn", "info" or "debug"; false if it is none of them. */
bool log_level_parse(const char *text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/* Writes an entry; `part` names the module that speaks. Control characters become blanks. */
void log_record(enum log_level level, const char *part, const char *filename, unsigned line,
    const char *format, ...) PRINTF_LIKE(5, 6);

#define log_write(level, part, ...)                                                                \
    log_record(level, part, __FILE_NAME__, (unsigned)__LINE__, __VA_ARGS__)
#define log_error(part, ...) log_write(LOG_LEVEL_ERROR, part, __VA_ARGS__)
#define log_warn(part, ...) log_write(LOG_LEVEL_WARN, part, __VA_ARGS__)
#define log_info(part, ...) log_write(LOG_LEVEL_INFO, part, __VA_ARGS__)
#define log_debug(part, ...) log_write(LOG_LEVEL_DEBUG, part, __VA_ARGS__)

#endif
