/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the sources of logins and puts what they tell into the queue:
 *
 *   Login_UsePAM false   wtmp ── logins, logouts ──┐
 *                        btmp ── failures ─────────┤
 *                        auth.log ── those of ssh ─┼─> queue (one event of two sources' records)
 *                        or, where there is no     │
 *                        auth.log, the journal ────┘
 *   Login_UsePAM true    pam.log ────────────────────> queue
 *
 * Files are looked at every two seconds, and before each collection: watching them would wake the
 * agent with every line that anything on the machine logs. Not for two threads at once.
 */
#ifndef GEMEL_LOGIN_READER_H
#define GEMEL_LOGIN_READER_H

#include "collectors.h"
#include "login_places.h"
#include "login_queue.h"

/* The PAM log is begun anew by renaming it when it is larger, and read. */
#define LOGIN_PAM_LOG_MAX (1024u * 1024)

struct login_reader;

/* Borrows the texts of the options. */
enum err login_reader_new(
    const struct collectors_options *options, struct login_reader **ret_reader) MUST_USE;
void login_reader_free(struct login_reader *reader); /* NULL is fine */

/* Begins with one or the other set of sources: each at its place, or, where that is unknown, with
 * what comes from now on. ERR_MEMORY: what was open still is. */
enum err login_reader_open(
    struct login_reader *reader, bool use_pam, const struct login_places *from) MUST_USE;
void login_reader_close(struct login_reader *reader); /* the queue stays */

/* Reads a bounded piece; returns the mono time at which to come again. */
int64_t login_reader_run(struct login_reader *reader);

/* Reads all that is there, though for no longer than two seconds: before the sources are left,
 * since it is not read later. */
void login_reader_drain(struct login_reader *reader);

/* How far everything was read; unknown where nothing is open. */
void login_reader_places(const struct login_reader *reader, struct login_places *ret_places);

/* How many events may wait, at least 1. */
void login_reader_set_bound(struct login_reader *reader, size_t entries_max);

struct login_queue *login_reader_queue(struct login_reader *reader);

struct login_counts {
    uint64_t seen;
    uint64_t bound;  /* gave way to newer ones */
    uint64_t memory; /* lost for want of it */
};
const struct login_counts *login_reader_counts(const struct login_reader *reader);

/* Whether a source is being read. */
bool login_reader_reads(const struct login_reader *reader, enum login_source source);

#endif
