/* SPDX-License-Identifier: Apache-2.0 */
#include "login_queue.h"

#include "mem.h"

/* Between "Accepted" and the record in wtmp lie the modules of PAM, which may run scripts. */
#define SESSION_WINDOW_US (30 * INT64_C(1000000))
#define FAILURE_WINDOW_US (5 * INT64_C(1000000))
/* From "Invalid user" to the record in btmp somebody types a password: sshd's LoginGraceTime. */
#define PROCESS_WINDOW_US (180 * INT64_C(1000000))
/* After that nothing is matched any more. */
#define MATCH_LIFE_US (300 * INT64_C(1000000))

/* btmp and wtmp keep so much of a name. */
#define NAME_BYTES 32u

struct login_match {
    int64_t time_us;
    uint64_t user; /* hashes; 0: not known */
    uint64_t address;
    uint64_t number; /* of the held event */
    uint32_t process_id;
    enum login_operation operation;
    enum login_source source;
    bool matched;
};

void login_queue_init(struct login_queue *ret_queue)
{
    *ret_queue = (struct login_queue){.entries_max = 1};
}

void login_queue_done(struct login_queue *queue)
{
    struct login_held *held;
    while ((held = login_queue_take(queue)) != NULL)
        mem_free(held);
    mem_free(queue->matches);
    *queue = (struct login_queue){0};
}

struct login_held *login_queue_take(struct login_queue *queue)
{
    struct login_held *held = queue->oldest;
    if (held == NULL)
        return NULL;
    queue->oldest = held->next;
    if (queue->oldest == NULL)
        queue->newest = NULL;
    queue->entries--;
    return held;
}

static uint64_t drop_over(struct login_queue *queue, size_t entries_max)
{
    uint64_t dropped = 0;
    while (queue->entries > entries_max) {
        mem_free(login_queue_take(queue));
        dropped++;
    }
    return dropped;
}

uint64_t login_queue_set_bound(struct login_queue *queue, size_t entries_max)
{
    must(entries_max > 0);
    queue->entries_max = entries_max;
    return drop_over(queue, entries_max);
}

static uint64_t hash_of(struct span text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
    return text.len == 0 ? 0 : hash | 1;
}

static int64_t between(const struct login_match *a, const struct login_match *b)
{
    return a->time_us > b->time_us ? a->time_us - b->time_us : b->time_us - a->time_us;
}

static bool is_same(const struct login_match *a, const struct login_match *b)
{
    if (a->matched || a->operation != b->operation || a->source == b->source)
        return false;
    bool failed = a->operation == LOGIN_FAILED;
    if (failed && a->process_id != 0 && b->process_id != 0)
        return a->process_id == b->process_id && between(a, b) <= PROCESS_WINDOW_US;
    if (between(a, b) > (failed ? FAILURE_WINDOW_US : SESSION_WINDOW_US))
        return false;
    return a->user == b->user && (a->address == b->address || a->address == 0 || b->address == 0);
}

/* Finds what another source told: the nearest in time. */
static struct login_match *find(struct login_queue *queue, const struct login_match *wanted)
{
    struct login_match *found = NULL;
    for (size_t i = 0; i < queue->match_count; i++) {
        struct login_match *match = &queue->matches[i];
        if (is_same(match, wanted) &&
            (found == NULL || between(match, wanted) < between(found, wanted)))
            found = match;
    }
    return found;
}

/* Forgets what nothing can match any more, or at the bound the older half. */
static void forget(struct login_queue *queue, int64_t now_us)
{
    size_t kept = 0, from = queue->match_count >= LOGIN_MATCHES_MAX ? LOGIN_MATCHES_MAX / 2 : 0;
    for (size_t i = from; i < queue->match_count; i++) {
        const struct login_match *match = &queue->matches[i];
        int64_t age_us = now_us - match->time_us;
        if (!match->matched && age_us < MATCH_LIFE_US)
            queue->matches[kept++] = *match;
    }
    queue->match_count = kept;
}

/* Without memory nothing is remembered: then an event may be told twice, not be missed. */
static void remember(struct login_queue *queue, const struct login_match *match)
{
    if (queue->match_count == queue->match_cap)
        forget(queue, match->time_us);
    if (queue->match_count == queue->match_cap) {
        size_t cap = queue->match_cap == 0 ? 64 : queue->match_cap * 2;
        struct login_match *more = mem_resize(queue->matches, cap * sizeof(*more));
        if (more == NULL)
            return;
        queue->matches = more;
        queue->match_cap = cap;
    }
    queue->matches[queue->match_count++] = *match;
}

/* wtmp and btmp know the terminal, the log does not. */
static void complete(struct login_queue *queue, uint64_t number, const struct login_event *event)
{
    for (struct login_held *held = queue->oldest; held != NULL; held = held->next) {
        if (held->number != number || held->terminal_len > 0)
            continue;
        held->terminal_len = span_first(event->terminal, LOGIN_TERMINAL_MAX).len;
        if (held->terminal_len > 0)
            memcpy(held->terminal, event->terminal.ptr, held->terminal_len);
        return;
    }
}

static struct span put(char **at, struct span text)
{
    struct span copy = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static struct login_held *hold(const struct login_event *event, struct span cursor)
{
    struct span user = span_first(event->user, LOGIN_USER_MAX);
    struct span address = span_first(event->address, LOGIN_ADDRESS_MAX);
    struct span terminal = span_first(event->terminal, LOGIN_TERMINAL_MAX);
    struct login_held *held = mem_alloc(sizeof(*held) + user.len + address.len + cursor.len);
    if (held == NULL)
        return NULL;
    char *at = held->bytes;
    held->operation = event->operation;
    held->source = event->source;
    held->time_us = event->time_us;
    held->ssh = event->ssh;
    held->process_id = event->process_id;
    held->user = put(&at, user);
    held->address = put(&at, address);
    held->cursor = put(&at, cursor);
    held->terminal_len = terminal.len;
    if (terminal.len > 0)
        memcpy(held->terminal, terminal.ptr, terminal.len);
    return held;
}

enum login_outcome login_queue_add(struct login_queue *queue, const struct login_event *event,
    const struct tail_position *after, struct span cursor, bool only_match, uint64_t *dropped)
{
    struct login_match match = {.time_us = event->time_us,
        .user = hash_of(span_first(event->user, NAME_BYTES)),
        .address = hash_of(event->address),
        .number = ++queue->numbers,
        .process_id = event->process_id,
        .operation = event->operation,
        .source = event->source};
    struct login_match *known = find(queue, &match);
    if (known != NULL) {
        known->matched = true;
        complete(queue, known->number, event);
        return LOGIN_KNOWN;
    }
    /* What is over the budget is remembered, so that its other half is not told in its place. */
    only_match = only_match || !collector_admit(queue->gate, 1);
    struct login_held *held = only_match ? NULL : hold(event, cursor);
    if (held == NULL && !only_match)
        return LOGIN_NO_MEMORY;
    if (event->source != LOGIN_PAM) /* which tells all itself */
        remember(queue, &match);
    if (only_match)
        return LOGIN_KNOWN;
    held->number = match.number;
    if (after != NULL)
        held->after = *after;
    *(queue->oldest == NULL ? &queue->oldest : &queue->newest->next) = held;
    queue->newest = held;
    queue->entries++;
    *dropped += drop_over(queue, queue->entries_max);
    return LOGIN_KEPT;
}
