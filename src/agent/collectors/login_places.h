/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far each source of logins was read, kept in the state directory ("logins") so that across a
 * restart, or a kill at any moment, no event comes twice and none is lost. Written are, before the
 * events of a message are handed on, the places before and behind them, and the number that the
 * message will have in the outbox. Whether it got there tells which of the two holds.
 */
#ifndef GEMEL_LOGIN_PLACES_H
#define GEMEL_LOGIN_PLACES_H

#include "login_event.h"
#include "login_journal.h"
#include "tail.h"

struct login_place {
    bool known;
    struct tail_position at;           /* of a file */
    char cursor[LOGIN_CURSOR_MAX + 1]; /* of the journal */
    int64_t last_us;                   /* what the last event said */
};

struct login_places {
    struct login_place of[LOGIN_SOURCES];
};

struct login_record {
    uint64_t number; /* of the message */
    struct login_places before;
    struct login_places after;
};

bool login_places_are_same(const struct login_places *a, const struct login_places *b);

/* The words of the sources: "wtmp". */
const char *login_source_name(enum login_source source);

/* Reads what was written last. Without it, or when it is damaged (which is logged), all places are
 * unknown. */
void login_places_load(const char *state_dir, struct login_record *ret_record);

/* Replaces it, durably. */
enum err login_places_save(
    const char *state_dir, const struct login_record *record, struct why *why) MUST_USE;

#endif
