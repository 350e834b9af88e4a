/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that applications on this machine submit through a local socket. The socket is the
 * agent's own unless the administrator opens it to a group or to everybody, in conf.json. What
 * comes is bounded in size, depth, number and rate; the kernel says who sent it. A sender waits
 * while the agent is busy, so nothing is lost between the two.
 */
#include "collector.h"
#include "event_socket.h"
#include "file.h"
#include "files.h"
#include "held_events.h"
#include "log.h"
#include "users.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define CACHE_BYTES_MAX (4u * 1024 * 1024)
#define PARSE_BYTES_MAX (4u * 1024 * 1024)
#define READS_MAX 256u
#define RETRY_US (10 * SECOND_US)
#define COMPLAINT_US (10 * SECOND_US)
#define GROUPS_BYTES_MAX (1024u * 1024)

struct custom_event {
    const struct clock *clock;
    const char *etc_dir;
    const char *proc_dir;
    const char *state_dir;
    bool running;
    int fd; /* negative: there is no socket (yet) */
    char *path;
    char *group;
    int64_t retry_us;
    bool deaf;         /* nothing listens, which was said */
    int64_t rate;      /* events a second */
    int64_t credit_us; /* what may be taken in at once: at most a second's worth */
    int64_t credited_us;
    int64_t complaint_us; /* not before: the next line in the log about a sender */
    struct held_events held;
    struct users users; /* while events are written */
    uint64_t malformed;
    char bytes[EVENT_BODY_MAX + 1];
};

/* ---- the socket ---- */

static bool find_group(const struct custom_event *custom, struct span wanted, gid_t *ret_group)
{
    AUTO(buf_done) struct buf text = {0};
    struct span line, name, password, id;
    uint64_t number;
    if (!file_read(custom->etc_dir, "group", GROUPS_BYTES_MAX, &text))
        return false;
    struct span rest = buf_span(&text);
    while (span_cut(&rest, '\n', &line))
        if (span_cut(&line, ':', &name) && span_eq(name, wanted) &&
            span_cut(&line, ':', &password) && span_cut(&line, ':', &id) &&
            span_u64(id, UINT32_MAX, &number)) {
            *ret_group = (gid_t)number;
            return true;
        }
    return false;
}

static void listen_again(struct custom_event *custom)
{
    struct why why = {""};
    gid_t group = (gid_t)-1;
    bool everybody = strcmp(custom->group, "*") == 0;
    if (!everybody && custom->group[0] != '\0' &&
        !find_group(custom, span_of(custom->group), &group))
        log_error("customevent",
            "there is no group \"%s\": only the agent's own user and root may "
            "submit events",
            custom->group);
    enum err err = event_socket_listen(custom->path, everybody, group, &custom->fd, &why);
    if (err != ERR_NONE && !custom->deaf)
        log_error("customevent", "no events can be submitted: %s", why_text(&why, err));
    else if (err == ERR_NONE && custom->deaf)
        log_info("customevent", "events can be submitted again");
    custom->deaf = err != ERR_NONE;
    custom->retry_us = clock_mono_us(custom->clock) + RETRY_US;
}

/* The socket's path: what conf.json says, or one in the state directory. `*ret_path` NULL: there is
 * neither. */
static enum err choose_path(
    const struct custom_event *custom, const struct settings *settings, char **ret_path)
{
    const char *path = settings_text(settings, SETTING_CUSTOM_EVENT_SOCKET_PATH);
    *ret_path = NULL;
    if (path[0] == '\0' && custom->state_dir == NULL)
        return ERR_NONE;
    *ret_path = path[0] != '\0' ? mem_text(span_of(path))
                                : files_path(custom->state_dir, EVENT_SOCKET_NAME);
    return *ret_path == NULL ? ERR_MEMORY : ERR_NONE;
}

static bool is_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---- what comes ---- */

static bool within_rate(struct custom_event *custom, int64_t now_us)
{
    custom->credit_us += now_us - custom->credited_us;
    if (custom->credit_us > SECOND_US)
        custom->credit_us = SECOND_US;
    custom->credited_us = now_us;
    if (custom->credit_us < SECOND_US / custom->rate)
        return false;
    custom->credit_us -= SECOND_US / custom->rate;
    return true;
}

static void complain(struct custom_event *custom, const struct event_source *source,
    const char *what, int64_t now_us)
{
    if (now_us < custom->complaint_us)
        return;
    custom->complaint_us = now_us + COMPLAINT_US;
    log_warn("customevent", "what process %d of user %u submitted is not taken: %s",
        (int)source->process_id, (unsigned)source->user_id, what);
}

/* The program that sent it; it may have ended by now. */
static bool set_executable(
    const struct custom_event *custom, pid_t process_id, struct arena *arena, struct json *object)
{
    char link[PATH_MAX], path[PATH_MAX];
    if (snprintf(link, sizeof(link), "%s/%d/exe", custom->proc_dir, (int)process_id) >=
        (int)sizeof(link))
        return true;
    ssize_t len = readlink(link, path, sizeof(path));
    return len <= 0 || json_set_text(arena, object, "executable", (struct span){path, (size_t)len});
}

static bool write_payload(const struct custom_event *custom, const struct event_source *source,
    struct arena *arena, struct json *body, struct buf *out)
{
    struct json *payload = json_new(arena, JSON_OBJECT);
    struct json *from = json_new(arena, JSON_OBJECT);
    bool done = payload != NULL && from != NULL &&
                json_set_int(arena, from, "process_id", source->process_id) &&
                json_set_int(arena, from, "user_id", source->user_id) &&
                set_executable(custom, source->process_id, arena, from) &&
                json_set(arena, payload, SPAN_LIT("source"), from) &&
                json_set(arena, payload, SPAN_LIT("body"), body);
    if (done)
        json_write(payload, out);
    return done && !out->failed;
}

/* One that was seen and is not kept. */
static void lose(struct custom_event *custom, enum loss loss)
{
    custom->held.seen++;
    custom->held.lost[loss]++;
}

static void take(struct custom_event *custom, const struct event_source *source, struct span text,
    int64_t now_us)
{
    struct arena arena;
    struct json *body;
    struct why why = {""};
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    arena_init(&arena, PARSE_BYTES_MAX);
    enum err err = event_body_parse(&arena, text, &body, &why);
    if (err == ERR_NONE && !write_payload(custom, source, &arena, body, &out))
        err = ERR_MEMORY;
    arena_done(&arena);
    if (err == ERR_NONE) {
        held_events_keep(&custom->held, SPAN_NONE, buf_span(&out));
    } else if (err == ERR_MEMORY) {
        lose(custom, LOSS_MEMORY);
    } else {
        custom->malformed++;
        complain(custom, source, why_text(&why, err), now_us);
    }
}

static size_t descriptors(void *state, int *ret_fds, size_t room)
{
    const struct custom_event *custom = state;
    if (custom->fd < 0 || room == 0)
        return 0;
    ret_fds[0] = custom->fd;
    return 1;
}

/* Takes in the next one; false: there is none. */
static bool take_next(struct custom_event *custom, int64_t now_us)
{
    struct event_source source;
    struct span body;
    enum event_datagram result = event_socket_next(custom->fd, custom->bytes, &source, &body);
    if (result == EVENT_NONE)
        return false;
    if (!within_rate(custom, now_us)) {
        lose(custom, LOSS_BUDGET);
        complain(custom, &source, "more came in a second than CustomEvent_RateMax", now_us);
    } else if (!collector_admit(custom->held.gate, 1)) {
        complain(custom, &source, "the agent is over its budget", now_us);
    } else if (result == EVENT_TOO_LARGE) {
        lose(custom, LOSS_TOO_LARGE);
        complain(custom, &source, "it is longer than 16384 bytes", now_us);
    } else {
        take(custom, &source, body, now_us);
    }
    return true;
}

static int64_t run(void *state)
{
    struct custom_event *custom = state;
    int64_t now_us = clock_mono_us(custom->clock);
    if (custom->path == NULL)
        return INT64_MAX;
    if (custom->fd < 0 && now_us >= custom->retry_us)
        listen_again(custom);
    for (unsigned reads = 0; custom->fd >= 0 && reads < READS_MAX; reads++)
        if (!take_next(custom, now_us))
            break;
    return custom->fd < 0 ? custom->retry_us : INT64_MAX;
}

/* ---- begin and end ---- */

/* What the kernel took was sent, so it is taken in before. */
static void close_socket(struct custom_event *custom)
{
    int64_t now_us = clock_mono_us(custom->clock);
    if (custom->fd < 0)
        return;
    event_socket_refuse(custom->fd);
    while (take_next(custom, now_us))
        ;
    event_socket_close(custom->fd, custom->path);
    custom->fd = -1;
}

static void stop(void *state)
{
    struct custom_event *custom = state;
    close_socket(custom);
    custom->running = false;
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct custom_event *custom = state;
    char *path = NULL;
    char *group = mem_text(span_of(settings_text(settings, SETTING_CUSTOM_EVENT_SOCKET_GROUP)));
    *ret_field = NULL;
    enum err err = group == NULL ? ERR_MEMORY : choose_path(custom, settings, &path);
    if (err == ERR_NONE)
        err = held_events_set_bound(
            &custom->held, (size_t)settings_int(settings, SETTING_CUSTOM_EVENT_CACHE_SIZE));
    if (err != ERR_NONE) {
        mem_free(path);
        mem_free(group);
        return fail(err, why, "%s", err_row(err)->text);
    }
    bool same = is_text(path, custom->path) && is_text(group, custom->group);
    if (!same)
        close_socket(custom);
    mem_free(custom->path);
    mem_free(custom->group);
    custom->path = path;
    custom->group = group;
    custom->rate = settings_int(settings, SETTING_CUSTOM_EVENT_RATE_MAX);
    if (!custom->running)
        custom->credit_us = SECOND_US;
    custom->running = true;
    if (custom->fd < 0 && path != NULL)
        listen_again(custom);
    return ERR_NONE;
}

/* ---- what goes ---- */

static struct json *payload_of(
    void *self, struct collector_writer *writer, const struct event_entry *entry)
{
    const struct custom_event *custom = self;
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    if (payload == NULL || json_parse(arena, entry->value, 0, &payload, NULL) != ERR_NONE)
        return NULL;
    struct json *source = json_find_text(payload, "source");
    int64_t user_id;
    if (!json_int64(json_find_text(source, "user_id"), &user_id))
        return payload;
    struct span name = users_find(&custom->users, (uint32_t)user_id);
    return name.len == 0 || json_set_text(arena, source, "user_name", name) ? payload : NULL;
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    static const struct held_events_kind kind = {.part = "customevent",
        .bound = SETTING_CUSTOM_EVENT_CACHE_SIZE,
        .what = "a custom event",
        .payload = payload_of};
    struct custom_event *custom = state;
    if (custom->running && custom->fd >= 0 && !event_socket_stands(custom->fd, custom->path)) {
        log_warn("customevent", "%s was removed and is made anew", custom->path);
        close(custom->fd);
        custom->fd = -1;
        listen_again(custom);
    }
    if (custom->held.cache.entries > 0)
        users_load(custom->etc_dir, &custom->users);
    enum err err = held_events_write(&custom->held, &kind, custom, writer, why);
    users_done(&custom->users);
    return err;
}

static void count(void *state, struct collector_counts *ret_counts)
{
    const struct custom_event *custom = state;
    held_events_count(&custom->held, ret_counts);
}

static bool status(void *state, struct arena *arena, struct json *object)
{
    const struct custom_event *custom = state;
    if (custom->fd >= 0 && !json_set_text(arena, object, "socket", span_of(custom->path)))
        return false;
    return json_set_int(arena, object, "malformed", (int64_t)custom->malformed);
}

static void custom_event_free(void *state)
{
    struct custom_event *custom = state;
    if (custom == NULL)
        return;
    stop(custom);
    held_events_done(&custom->held);
    mem_free(custom->path);
    mem_free(custom->group);
    mem_free(custom);
}

static enum err custom_event_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct custom_event *custom = mem_alloc(sizeof(*custom));
    if (custom == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    custom->clock = options->clock;
    custom->etc_dir = options->etc_dir;
    custom->proc_dir = options->proc_dir;
    custom->state_dir = options->state_dir;
    custom->fd = -1;
    held_events_init(&custom->held, options, CACHE_BYTES_MAX);
    *ret_state = custom;
    return ERR_NONE;
}

const struct collector custom_event_collector = {
    .name = "CustomEvent",
    .part = PART_CUSTOM_EVENT,
    .disabled = SETTING_CUSTOM_EVENT_DISABLED,
    .frequency = SETTING_CUSTOM_EVENT_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_CHOWN,
    .new = custom_event_new,
    .free = custom_event_free,
    .start = start,
    .stop = stop,
    .descriptors = descriptors,
    .run = run,
    .collect = collect,
    .count = count,
    .status = status,
};
