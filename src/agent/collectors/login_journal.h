/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the logins from systemd's journal, on machines without an auth.log. libsystemd is loaded at
 * the first open, so that a machine that needs no journal pays nothing for it
 * (docs/adr/0011-journal-by-dlopen.md). Only what sshd, login and display managers wrote as root is
 * looked at: the journal, other than auth.log, knows who wrote an entry.
 */
#ifndef GEMEL_LOGIN_JOURNAL_H
#define GEMEL_LOGIN_JOURNAL_H

#include "err.h"
#include "span.h"

/* A cursor, which names an entry, has about 130 bytes. */
#define LOGIN_CURSOR_MAX 511u

struct login_journal;

struct login_journal_entry {
    int64_t time_us;
    uint32_t process_id;
    struct span program;
    struct span message;
    struct span cursor;
};

/* Opens the journal below `root_dir`. ERR_UNAVAILABLE: there is no libsystemd, or no journal. */
enum err login_journal_open(
    const char *root_dir, struct login_journal **ret_journal, struct why *why) MUST_USE;
void login_journal_close(struct login_journal *journal); /* NULL is fine */

/* Where to begin: behind what is there, or behind an entry; `take` is then given, before, at most
 * the last `back` entries up to it. False: that entry is gone; the oldest that is left comes next.
 */
void login_journal_begin_at_end(struct login_journal *journal);
bool login_journal_begin_at(struct login_journal *journal, struct span cursor, unsigned back,
    void (*take)(void *self, const struct login_journal_entry *entry), void *self);

/* Tells at most `most` further entries; true: there may be more at once. */
bool login_journal_run(struct login_journal *journal, unsigned most,
    void (*take)(void *self, const struct login_journal_entry *entry), void *self);

/* The entry that was told last, or at which it began; empty before the first. */
struct span login_journal_cursor(const struct login_journal *journal);

#endif
