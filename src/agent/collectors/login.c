/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins, logouts and failed logins. What is read (login_reader.h) waits in the queue; at a
 * collection it is handed on in parts that fit into one message, and before each part is written
 * down how far the sources were read with it (login_places.h):
 *
 *   read ─> queue ─> part ─> places before and behind it on disk ─> message ─> outbox
 *
 * What was read but not collected is read again by the next life.
 */
#include "collector.h"
#include "log.h"
#include "login_reader.h"

#include <linux/capability.h>

#define PART "login"

/* A payload without its texts, whose bytes may take six each. */
#define PAYLOAD_BYTES 512u
#define ESCAPED_BYTES 6u

struct login {
    const char *state_dir; /* NULL: places are not kept */
    uint64_t (*kept)(void *self);
    void *self;
    struct login_reader *reader;
    bool running;
    bool started; /* ever, in this life */
    bool use_pam;
    struct login_record record; /* what was written last */
    bool complained;
    uint64_t told; /* losses at the bound that were logged */
};

/* ---- places ---- */

/* What the last life handed on. */
static void settle(struct login *login)
{
    struct login_record *record = &login->record;
    if (login->kept == NULL || login->kept(login->self) > record->number)
        record->before = record->after;
    else
        record->after = record->before;
}

static void save(struct login *login)
{
    if (login->state_dir == NULL)
        return;
    struct why why = {""};
    enum err err = login_places_save(login->state_dir, &login->record, &why);
    if (err != ERR_NONE && !login->complained)
        log_warn(PART,
            "how far logins were read is not kept, they may come again after a restart: %s",
            why_text(&why, err));
    login->complained = err != ERR_NONE;
}

/* Notes that the message to come brings everything up to `places`; without events of ours in it
 * these hold whatever becomes of it, unless others of ours are in it already. */
static void note(
    struct login *login, uint64_t number, const struct login_places *places, bool events)
{
    struct login_record *record = &login->record;
    if (number != record->number)
        record->before = record->after; /* the message before it is gone */
    record->number = number;
    if (login_places_are_same(&record->after, places))
        return;
    if (!events && login_places_are_same(&record->before, &record->after))
        record->before = *places;
    record->after = *places;
    save(login);
}

/* ---- events ---- */

static const char *const operations[] = {
    [LOGIN_IN] = "Login", [LOGIN_OUT] = "Logout", [LOGIN_FAILED] = "LoginFailed"};

static bool set(struct arena *arena, struct json *object, const char *name, struct span text)
{
    return text.len == 0 || json_set_text(arena, object, name, text);
}

static struct json *payload_of(
    struct collector_writer *writer, const struct login_held *held, size_t text_max)
{
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    if (payload == NULL)
        return NULL;
    struct span terminal = {held->terminal, held->terminal_len};
    if (held->ssh && terminal.len == 0)
        terminal = SPAN_LIT("ssh:notty");
    bool done =
        json_set_text(arena, payload, "operation", span_of(operations[held->operation])) &&
        (held->process_id == 0 || json_set_int(arena, payload, "process_id", held->process_id)) &&
        set(arena, payload, "executable", span_first(terminal, text_max)) &&
        set(arena, payload, "user_name", span_first(held->user, text_max)) &&
        set(arena, payload, "remote_address", span_first(held->address, text_max));
    return done ? payload : NULL;
}

/* Writes an event; where no message holds it, with shorter texts. */
static enum err write_event(struct collector_writer *writer, const struct login_held *held)
{
    for (size_t text_max = LOGIN_USER_MAX;; text_max /= 2) {
        enum err err =
            collector_write(writer, held->time_us, 1, payload_of(writer, held, text_max));
        if (err != ERR_TOO_LARGE)
            return err;
        if (text_max == 0) {
            collector_lose(writer, LOSS_TOO_LARGE, 1);
            return err;
        }
    }
}

static size_t bytes_of(const struct login_held *held)
{
    return PAYLOAD_BYTES +
           ESCAPED_BYTES * (held->user.len + held->address.len + held->terminal_len);
}

/* How many of the oldest events one message surely holds, at least one, and their bytes. */
static size_t measure(const struct login_queue *queue, size_t most, size_t *ret_bytes)
{
    size_t count = 0;
    *ret_bytes = 0;
    for (const struct login_held *held = queue->oldest; held != NULL; held = held->next) {
        size_t bytes = bytes_of(held);
        if (count > 0 && *ret_bytes + bytes > most)
            break;
        *ret_bytes += bytes;
        count++;
    }
    return count;
}

/* Moves the place of the event's source behind it. */
static void advance(struct login_places *places, const struct login_held *held)
{
    struct login_place *place = &places->of[held->source];
    place->known = true;
    place->last_us = held->time_us;
    place->at = held->after;
    if (held->source == LOGIN_JOURNAL)
        (void)span_copy(held->cursor, place->cursor, sizeof(place->cursor));
}

static enum err write_part(
    struct login *login, struct collector_writer *writer, const struct login_places *end)
{
    struct login_queue *queue = login_reader_queue(login->reader);
    size_t bytes, most = collector_message_bytes(writer) / 2;
    size_t count = measure(queue, most, &bytes);
    uint64_t number = collector_begin(writer, bytes < most ? bytes : most);
    struct login_places places = *end;
    if (count < queue->entries) {
        places = login->record.after;
        const struct login_held *held = queue->oldest;
        for (size_t i = 0; i < count; i++, held = held->next)
            advance(&places, held);
    }
    note(login, number, &places, count > 0);
    enum err ret = ERR_NONE;
    for (size_t i = 0; i < count; i++) {
        struct login_held *held = login_queue_take(queue);
        enum err err = write_event(writer, held);
        if (err != ERR_NONE)
            ret = err;
        mem_free(held);
    }
    return ret;
}

static void tell_losses(struct login *login)
{
    uint64_t bound = login_reader_counts(login->reader)->bound;
    if (bound > login->told)
        log_warn(PART, "%llu logins gave way to newer ones; a larger %s would keep them",
            (unsigned long long)(bound - login->told), setting_row(SETTING_LOGIN_CACHE_SIZE)->name);
    login->told = bound;
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct login *login = state;
    struct login_places end;
    enum err ret = ERR_NONE;
    login_reader_drain(login->reader);        /* a change of the settings may come next */
    login_reader_places(login->reader, &end); /* nothing is known of what is not read any more */
    tell_losses(login);
    do {
        enum err err = write_part(login, writer, &end);
        if (err != ERR_NONE)
            ret = fail(err, why, "a login could not be written: %s", err_row(err)->text);
    } while (login_reader_queue(login->reader)->entries > 0);
    return ret;
}

/* ---- life ---- */

/* Notes where it begins, so that a life that ends before its first collection loses nothing. */
static void begin(struct login *login)
{
    struct login_record *record = &login->record;
    struct login_places places;
    login_reader_places(login->reader, &places);
    record->number = login->kept == NULL ? 0 : login->kept(login->self);
    record->before = record->after = places;
    save(login);
}

/* This life begins without reading: what happens meanwhile is not told by a later one. */
static void forget(struct login *login)
{
    static const struct login_places nowhere;
    login_places_load(login->state_dir, &login->record);
    if (login_places_are_same(&login->record.before, &nowhere) &&
        login_places_are_same(&login->record.after, &nowhere))
        return;
    login->record = (struct login_record){0};
    save(login);
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct login *login = state;
    bool use_pam = settings_bool(settings, SETTING_LOGIN_USE_PAM);
    *ret_field = NULL;
    if (!login->running || use_pam != login->use_pam) {
        /* Only what the last life has read goes on; what this one stopped to read, or never did, is
         * of no interest from before now. */
        struct login_places from = {0};
        if (!login->started) {
            login_places_load(login->state_dir, &login->record);
            settle(login);
            from = login->record.after;
        }
        login_reader_drain(login->reader);
        enum err err = login_reader_open(login->reader, use_pam, &from);
        if (err != ERR_NONE)
            return fail(err, why, "%s", err_row(err)->text);
        begin(login);
    }
    login->started = login->running = true;
    login->use_pam = use_pam;
    login_reader_set_bound(login->reader, (size_t)settings_int(settings, SETTING_LOGIN_CACHE_SIZE));
    return ERR_NONE;
}

static void stop(void *state)
{
    struct login *login = state;
    if (!login->started)
        forget(login);
    login->started = true;
    login->running = false;
    login_reader_drain(login->reader);
    login_reader_close(login->reader);
}

static int64_t run(void *state)
{
    struct login *login = state;
    return login_reader_run(login->reader);
}

static void count(void *state, struct collector_counts *ret_counts)
{
    struct login *login = state;
    const struct login_counts *counts = login_reader_counts(login->reader);
    ret_counts->seen = counts->seen;
    ret_counts->waiting = login_reader_queue(login->reader)->entries;
    ret_counts->lost[LOSS_CACHE_BOUND] = counts->bound;
    ret_counts->lost[LOSS_MEMORY] = counts->memory;
}

static bool status(void *state, struct arena *arena, struct json *object)
{
    const struct login *login = state;
    struct json *sources = json_new(arena, JSON_ARRAY);
    for (unsigned i = 0; sources != NULL && i < LOGIN_SOURCES; i++) {
        enum login_source source = (enum login_source)i;
        if (login_reader_reads(login->reader, source) &&
            !json_append(sources, json_new_string(arena, span_of(login_source_name(source)))))
            return false;
    }
    return json_set(arena, object, SPAN_LIT("sources"), sources);
}

static void login_free(void *state)
{
    struct login *login = state;
    if (login == NULL)
        return;
    login_reader_free(login->reader);
    mem_free(login);
}

static enum err login_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct login *login = mem_alloc(sizeof(*login));
    if (login == NULL || login_reader_new(options, &login->reader) != ERR_NONE) {
        mem_free(login);
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    }
    login->state_dir = options->state_dir;
    login->kept = options->kept;
    login->self = options->self;
    *ret_state = login;
    return ERR_NONE;
}

const struct collector login_collector = {
    .name = "Login",
    .part = PART_LOGIN,
    .disabled = SETTING_LOGIN_DISABLED,
    .frequency = SETTING_LOGIN_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .resumes = true,
    .new = login_new,
    .free = login_free,
    .start = start,
    .stop = stop,
    .run = run,
    .collect = collect,
    .count = count,
    .status = status,
};
