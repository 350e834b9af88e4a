/* SPDX-License-Identifier: Apache-2.0 */
#include "login_reader.h"

#include "gate.h"
#include "log.h"
#include "login_line.h"
#include "login_pam.h"
#include "login_sessions.h"
#include "login_utmp.h"
#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_US (2 * INT64_C(1000000))
/* Who ends reads what is there, but no longer than that: somebody may write faster than we read. */
#define DRAIN_US (2 * INT64_C(1000000))
#define PIECE_BYTES (256u * 1024)
#define PIECE_ENTRIES 256u

/* What is read again at the start, to know who is logged in, and what was told already: of wtmp
 * enough for all who may be. */
#define LOOK_BACK_BYTES (256u * 1024)
#define LOOK_BACK_RECORDS (2 * LOGIN_SESSIONS_MAX)

/* While a log is rotated there is none for a moment; the journal is turned to only after longer. */
#define ABSENT_US (60 * INT64_C(1000000))

/* One file that is followed. */
struct follower {
    struct login_reader *reader;
    enum login_source source;
    char path[PATH_MAX];
    struct tail *tail; /* NULL: not read */
};

struct login_reader {
    const struct clock *clock;
    const char *root_dir;
    const char *state_dir;
    struct follower followers[LOGIN_JOURNAL]; /* by source */
    struct login_journal *journal;
    bool use_pam;
    bool own_pam_log;                /* ours to rotate */
    int64_t absent_us;               /* mono: since when there is no auth.log; 0: there is one */
    int64_t journal_retry_us;        /* mono */
    bool journal_told;               /* that it cannot be read */
    bool looking_back;               /* what is read was told already */
    struct login_places last;        /* of each source: the cursor, and what the last event said */
    int64_t after_us[LOGIN_SOURCES]; /* after a lost place: what is not later was told */
    struct login_sessions sessions;
    struct login_queue queue;
    struct login_counts counts;
};

/* ---- events ---- */

/* `told`: another event stands for it. */
static void add(struct login_reader *reader, const struct login_event *event,
    const struct tail_position *after, struct span cursor, bool told)
{
    struct login_place *last = &reader->last.of[event->source];
    int64_t after_us = reader->after_us[event->source];
    if (!reader->looking_back && after_us != 0 && event->time_us <= after_us)
        return;
    last->last_us = event->time_us;
    bool only_match = told || reader->looking_back;
    switch (
        login_queue_add(&reader->queue, event, after, cursor, only_match, &reader->counts.bound)) {
    case LOGIN_KEPT:
        reader->counts.seen++;
        break;
    case LOGIN_NO_MEMORY:
        reader->counts.seen++;
        reader->counts.memory++;
        break;
    case LOGIN_KNOWN:
        break;
    }
}

/* ---- wtmp, btmp ---- */

static bool take_utmp(void *self, struct span bytes, const struct tail_position *after)
{
    const struct follower *follower = self;
    struct login_reader *reader = follower->reader;
    struct login_utmp utmp;
    login_utmp_parse(follower->source, bytes, &utmp);
    struct login_event *event = &utmp.event;
    struct login_session *session = NULL;
    if (utmp.kind == LOGIN_UTMP_TORN)
        return false;
    if (utmp.kind == LOGIN_UTMP_BOOT)
        login_sessions_clear(&reader->sessions, LOGIN_SESSION_LINE);
    if (utmp.kind == LOGIN_UTMP_OUT) {
        session = login_sessions_take(
            &reader->sessions, LOGIN_SESSION_LINE, event->terminal, event->process_id);
        if (session == NULL) /* a terminal on which nobody was */
            return true;
        event->user = session->user;
        event->address = session->address;
        if (event->process_id == 0)
            event->process_id = session->process_id;
    } else if (utmp.kind != LOGIN_UTMP_IN) {
        return true;
    }
    if (event->operation == LOGIN_IN)
        login_sessions_put(&reader->sessions, LOGIN_SESSION_LINE, event);
    add(reader, event, after, SPAN_NONE, false);
    mem_free(session);
    return true;
}

/* ---- the system's log ---- */

/* Whether sshd's first word on an unknown user already stands for this failure. btmp has a record
 * for each of the two. */
static bool is_told(struct login_reader *reader, const struct login_line *line)
{
    struct login_session *told =
        login_sessions_take(&reader->sessions, LOGIN_SESSION_INVALID, SPAN_NONE, line->process_id);
    bool known = told != NULL;
    mem_free(told);
    return known;
}

static void take_message(struct login_reader *reader, enum login_source source,
    const struct login_line *line, const struct tail_position *after, struct span cursor)
{
    bool ssh = span_starts(line->program, SPAN_LIT("sshd"));
    struct login_event event = {.source = source,
        .time_us = line->time_us,
        .ssh = ssh,
        .process_id = line->process_id,
        .user = line->user,
        .terminal = line->terminal,
        .address = line->address};
    struct login_session *session = NULL;
    bool told = false;
    switch (line->kind) {
    case LOGIN_LINE_OTHER:
        return;
    case LOGIN_LINE_ACCEPTED:
        login_sessions_put(&reader->sessions, LOGIN_SESSION_SSH, &event);
        event.operation = LOGIN_IN;
        break;
    case LOGIN_LINE_INVALID:
        login_sessions_put(&reader->sessions, LOGIN_SESSION_INVALID, &event);
        event.operation = LOGIN_FAILED;
        break;
    case LOGIN_LINE_FAILED_INVALID:
        told = is_told(reader, line);
        event.operation = LOGIN_FAILED;
        break;
    case LOGIN_LINE_FAILED:
        event.operation = LOGIN_FAILED;
        break;
    case LOGIN_LINE_OPENED:
        event.operation = LOGIN_IN;
        break;
    case LOGIN_LINE_CLOSED:
        session =
            login_sessions_take(&reader->sessions, LOGIN_SESSION_SSH, SPAN_NONE, line->process_id);
        event.operation = LOGIN_OUT;
        if (session != NULL)
            event.address = session->address;
        break;
    }
    for (uint32_t i = 0; i < line->repeated; i++)
        add(reader, &event, after, cursor, told && i == 0);
    mem_free(session);
}

static bool take_line(void *self, struct span bytes, const struct tail_position *after)
{
    const struct follower *follower = self;
    struct login_line line;
    if (login_line_parse(bytes, clock_wall_us(follower->reader->clock), &line))
        take_message(follower->reader, follower->source, &line, after, SPAN_NONE);
    return true;
}

static void take_entry(void *self, const struct login_journal_entry *entry)
{
    struct login_reader *reader = self;
    struct login_line line;
    login_message_parse(entry->program, entry->message, &line);
    line.time_us = entry->time_us;
    line.process_id = entry->process_id;
    take_message(reader, LOGIN_JOURNAL, &line, NULL, entry->cursor);
}

/* ---- the PAM log ---- */

static bool take_pam(void *self, struct span bytes, const struct tail_position *after)
{
    const struct follower *follower = self;
    char scratch[LOGIN_USER_MAX + LOGIN_ADDRESS_MAX];
    struct login_event event;
    if (login_pam_parse(bytes, scratch, &event))
        add(follower->reader, &event, after, SPAN_NONE, false);
    return true;
}

static bool pam_path(struct login_reader *reader, char ret_path[PATH_MAX])
{
    int len = snprintf(
        ret_path, PATH_MAX, "%s/pam.log", reader->state_dir == NULL ? "" : reader->state_dir);
    reader->own_pam_log = reader->state_dir != NULL && len > 0 && len < PATH_MAX;
    if (reader->own_pam_log && access(ret_path, F_OK) == 0)
        return true;
    char original[PATH_MAX];
    len = snprintf(original, sizeof(original), "%s/var/lib/defender_iot_micro_agent/pam.log",
        reader->root_dir);
    if (len > 0 && len < PATH_MAX && access(original, F_OK) == 0) {
        reader->own_pam_log = false;
        memcpy(ret_path, original, (size_t)len + 1);
        return true;
    }
    return reader->own_pam_log;
}

/* Nobody else keeps it short. Its old part is read to the end before the new one. */
static void rotate_pam_log(struct login_reader *reader)
{
    const struct follower *follower = &reader->followers[LOGIN_PAM];
    char old[PATH_MAX + 2];
    if (!reader->own_pam_log || tail_file_bytes(follower->tail) < LOGIN_PAM_LOG_MAX)
        return;
    snprintf(old, sizeof(old), "%s.1", follower->path);
    if (rename(follower->path, old) != 0 && errno != ENOENT)
        log_warn("login", "%s: %s", follower->path, strerror(errno));
}

/* ---- sources ---- */

static const struct {
    bool pam;
    const char *path; /* NULL: pam_path() */
    size_t record_bytes;
    bool (*take)(void *self, struct span bytes, const struct tail_position *after);
} files[] = {
    [LOGIN_WTMP] = {false, "/var/log/wtmp", LOGIN_UTMP_BYTES, take_utmp},
    [LOGIN_BTMP] = {false, "/var/log/btmp", LOGIN_UTMP_BYTES, take_utmp},
    [LOGIN_AUTH_LOG] = {false, "/var/log/auth.log", 0, take_line},
    [LOGIN_PAM] = {true, NULL, 0, take_pam},
};

enum err login_reader_new(
    const struct collectors_options *options, struct login_reader **ret_reader)
{
    struct login_reader *reader = mem_alloc(sizeof(*reader));
    if (reader == NULL)
        return ERR_MEMORY;
    reader->clock = options->clock;
    reader->root_dir = options->root_dir;
    reader->state_dir = options->state_dir;
    login_queue_init(&reader->queue);
    reader->queue.gate = options->gate;
    if (options->gate != NULL)
        options->gate->at_once_us = POLL_US;
    for (unsigned i = 0; i < COUNT_OF(reader->followers); i++) {
        struct follower *follower = &reader->followers[i];
        follower->reader = reader;
        follower->source = (enum login_source)i;
    }
    *ret_reader = reader;
    return ERR_NONE;
}

void login_reader_close(struct login_reader *reader)
{
    for (unsigned i = 0; i < COUNT_OF(reader->followers); i++) {
        tail_free(reader->followers[i].tail);
        reader->followers[i].tail = NULL;
    }
    login_journal_close(reader->journal);
    reader->journal = NULL;
    login_sessions_done(&reader->sessions);
    reader->last = (struct login_places){0};
    memset(reader->after_us, 0, sizeof(reader->after_us));
}

void login_reader_free(struct login_reader *reader)
{
    if (reader == NULL)
        return;
    login_reader_close(reader);
    login_queue_done(&reader->queue);
    mem_free(reader);
}

static void begin(struct follower *follower, const struct login_place *place)
{
    struct login_reader *reader = follower->reader;
    enum login_source source = follower->source;
    if (!place->known) {
        tail_begin_at_end(follower->tail);
    } else if (!tail_begin_at(follower->tail, &place->at, place->last_us)) {
        log_info("login",
            "%s is not the file that it was; of what it holds only what is newer is told",
            follower->path);
        reader->after_us[source] = place->last_us;
    }
    /* Until there is an event, what is older than now is no news, should the place be lost. */
    reader->last.of[source].last_us =
        place->last_us != 0 ? place->last_us : clock_wall_us(reader->clock);
    reader->looking_back = true;
    tail_look_back(follower->tail,
        source == LOGIN_WTMP ? LOOK_BACK_RECORDS * LOGIN_UTMP_BYTES : LOOK_BACK_BYTES,
        files[source].take);
    reader->looking_back = false;
}

/* Opens the journal where there is no auth.log, and has not been one for long. */
static void look_for_journal(struct login_reader *reader, const struct login_place *place)
{
    int64_t now_us = clock_mono_us(reader->clock);
    bool there = tail_exists(reader->followers[LOGIN_AUTH_LOG].tail);
    if (there) {
        reader->absent_us = 0;
        login_journal_close(reader->journal);
        reader->journal = NULL;
        reader->last.of[LOGIN_JOURNAL] = (struct login_place){0};
        return;
    }
    if (reader->absent_us == 0)
        reader->absent_us = now_us;
    if (reader->journal != NULL || now_us - reader->absent_us < ABSENT_US ||
        now_us < reader->journal_retry_us)
        return;
    struct why why = {""};
    enum err err = login_journal_open(reader->root_dir, &reader->journal, &why);
    reader->journal_retry_us = now_us + ABSENT_US;
    if (err != ERR_NONE) {
        if (!reader->journal_told)
            log_info("login", "there is no auth.log, and %s", why_text(&why, err));
        reader->journal_told = true;
        return;
    }
    log_info("login", "there is no auth.log: logins are read from the journal");
    reader->looking_back = true;
    if (!place->known)
        login_journal_begin_at_end(reader->journal);
    else if (!login_journal_begin_at(
                 reader->journal, span_of(place->cursor), PIECE_ENTRIES, take_entry, reader))
        reader->after_us[LOGIN_JOURNAL] = place->last_us;
    reader->looking_back = false;
}

static enum err new_tail(struct follower *follower, struct tail **ret_tail)
{
    const struct tail_options options = {.path = follower->path,
        .record_bytes = files[follower->source].record_bytes,
        .take = files[follower->source].take,
        .self = follower};
    return tail_new(&options, ret_tail);
}

/* Whether there is such a file to be read at all; fills in its path. */
static bool find_path(struct follower *follower, bool use_pam)
{
    enum login_source source = follower->source;
    if (files[source].pam != use_pam)
        return false;
    if (files[source].path == NULL)
        return pam_path(follower->reader, follower->path);
    int len = snprintf(follower->path, sizeof(follower->path), "%s%s", follower->reader->root_dir,
        files[source].path);
    return len > 0 && (size_t)len < sizeof(follower->path);
}

enum err login_reader_open(
    struct login_reader *reader, bool use_pam, const struct login_places *from)
{
    struct tail *tails[COUNT_OF(reader->followers)] = {NULL};
    enum err err = ERR_NONE;
    for (unsigned i = 0; i < COUNT_OF(tails) && err == ERR_NONE; i++)
        if (find_path(&reader->followers[i], use_pam))
            err = new_tail(&reader->followers[i], &tails[i]);
    if (err != ERR_NONE) {
        for (unsigned i = 0; i < COUNT_OF(tails); i++)
            tail_free(tails[i]);
        return err;
    }
    login_reader_close(reader);
    reader->use_pam = use_pam;
    for (unsigned i = 0; i < COUNT_OF(tails); i++) {
        reader->followers[i].tail = tails[i];
        if (tails[i] != NULL)
            begin(&reader->followers[i], &from->of[i]);
    }
    if (use_pam)
        return ERR_NONE;
    reader->absent_us = clock_mono_us(reader->clock) - ABSENT_US;
    reader->journal_retry_us = INT64_MIN;
    look_for_journal(reader, &from->of[LOGIN_JOURNAL]);
    return ERR_NONE;
}

/* Reads a piece of each source; whether there is more. */
static bool read_pieces(struct login_reader *reader, int64_t now_us)
{
    int64_t wall_us = clock_wall_us(reader->clock);
    bool more = false;
    if (reader->journal != NULL)
        more = login_journal_run(reader->journal, PIECE_ENTRIES, take_entry, reader);
    for (unsigned i = 0; i < COUNT_OF(reader->followers); i++)
        if (reader->followers[i].tail != NULL)
            more = tail_run(reader->followers[i].tail, wall_us, now_us, PIECE_BYTES) || more;
    return more;
}

void login_reader_drain(struct login_reader *reader)
{
    int64_t end_us = clock_mono_us(reader->clock) + DRAIN_US, now_us;
    do
        now_us = clock_mono_us(reader->clock);
    while (read_pieces(reader, now_us) && now_us < end_us);
}

int64_t login_reader_run(struct login_reader *reader)
{
    static const struct login_place nowhere;
    int64_t now_us = clock_mono_us(reader->clock);
    bool more = read_pieces(reader, now_us);
    if (reader->use_pam) {
        if (!more && reader->followers[LOGIN_PAM].tail != NULL)
            rotate_pam_log(reader);
    } else {
        look_for_journal(reader, &nowhere);
    }
    return more ? now_us : now_us + POLL_US;
}

void login_reader_places(const struct login_reader *reader, struct login_places *ret_places)
{
    *ret_places = reader->last;
    for (unsigned i = 0; i < COUNT_OF(reader->followers); i++) {
        const struct tail *tail = reader->followers[i].tail;
        ret_places->of[i].known = tail != NULL;
        if (tail != NULL)
            ret_places->of[i].at = tail_position(tail);
    }
    struct login_place *journal = &ret_places->of[LOGIN_JOURNAL];
    journal->known = reader->journal != NULL;
    if (journal->known)
        (void)span_copy(
            login_journal_cursor(reader->journal), journal->cursor, sizeof(journal->cursor));
}

void login_reader_set_bound(struct login_reader *reader, size_t entries_max)
{
    reader->counts.bound += login_queue_set_bound(&reader->queue, entries_max);
}

struct login_queue *login_reader_queue(struct login_reader *reader)
{
    return &reader->queue;
}

const struct login_counts *login_reader_counts(const struct login_reader *reader)
{
    return &reader->counts;
}

bool login_reader_reads(const struct login_reader *reader, enum login_source source)
{
    if (source == LOGIN_JOURNAL)
        return reader->journal != NULL;
    const struct tail *tail = reader->followers[source].tail;
    return tail != NULL && tail_exists(tail);
}
