/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says that the agent lives, at every due moment, with a number that goes on across restarts: who
 * reads two heartbeats knows how many are missing between them. The number is written to the state
 * directory before it is used, so that no number is used twice, whatever ends the agent; ended
 * between writing and sending, it leaves a gap of one.
 */
#include "collector.h"
#include "file.h"
#include "files.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>

#define PART "heartbeat"
#define FILE_NAME "heartbeat"
#define FILE_MAX 64u
/* Beyond, a number would lose its last digits where numbers are doubles, as in JavaScript. */
#define SEQUENCE_MAX ((uint64_t)1 << 53)

struct heartbeat {
    const struct clock *clock;
    const char *state_dir; /* NULL: the number lives as long as the agent */
    const char *proc_dir;
    int64_t started_us;
    uint64_t last;
    bool complained;
};

/* Takes up the last number. A file that holds none would begin again at 1, with numbers that were
 * used before; the seconds since 1970 are more than there can have been heartbeats. */
static enum err load(struct heartbeat *self, struct why *why)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    char *path = files_path(self->state_dir, FILE_NAME);
    if (path == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    struct why reason = {""};
    enum err err = files_read(path, FILE_MAX, &text, &reason);
    mem_free(path);
    if (err == ERR_MEMORY)
        return fail(err, why, "%s", reason.text);
    if (err == ERR_NOT_FOUND)
        return ERR_NONE;
    if (err == ERR_NONE && span_u64(span_trim(buf_span(&text)), SEQUENCE_MAX, &self->last))
        return ERR_NONE;
    int64_t wall_us = clock_wall_us(self->clock);
    self->last = wall_us <= 0 ? 0 : (uint64_t)(wall_us / 1000000);
    log_warn(PART, "the number of the last heartbeat is not known, it goes on from %" PRIu64 ": %s",
        self->last,
        err == ERR_NONE ? "the file \"" FILE_NAME "\" in the state directory holds no number"
                        : why_text(&reason, err));
    return ERR_NONE;
}

/* Notes a number as used; false if that could not be kept. */
static bool keep(struct heartbeat *self, uint64_t number)
{
    char text[32];
    if (self->state_dir == NULL)
        return false;
    int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
    struct why why = {""};
    enum err err = files_stage(
        self->state_dir, FILE_NAME, (struct span){text, len < 0 ? 0 : (size_t)len}, &why);
    if (err == ERR_NONE)
        err = files_commit(self->state_dir, FILE_NAME, &why);
    if (err != ERR_NONE && !self->complained)
        log_warn(PART, "the heartbeat's number is not kept, and may come again after a restart: %s",
            why_text(&why, err));
    self->complained = err != ERR_NONE;
    return err == ERR_NONE;
}

static bool add_boot_id(const struct heartbeat *self, struct arena *arena, struct json *payload)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (!file_read(self->proc_dir, "sys/kernel/random/boot_id", FILE_MAX, &text))
        return true;
    struct span id = span_trim(buf_span(&text));
    return id.len == 0 || json_set_text(arena, payload, "boot_id", id);
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why UNUSED)
{
    struct heartbeat *self = state;
    uint64_t number = self->last >= SEQUENCE_MAX ? 1 : self->last + 1;
    bool kept = keep(self, number);
    self->last = number;

    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    int64_t up_us = clock_mono_us(self->clock) - self->started_us;
    if (payload != NULL && !(json_set_int(arena, payload, "sequence", (int64_t)number) &&
                               (kept || json_set_bool(arena, payload, "sequence_kept", false)) &&
                               json_set_int(arena, payload, "uptime_seconds", up_us / 1000000) &&
                               add_boot_id(self, arena, payload)))
        payload = NULL;
    return collector_write(writer, collector_now_us(writer), 1, payload);
}

static enum err heartbeat_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct heartbeat *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    *self = (struct heartbeat){.clock = options->clock,
        .state_dir = options->state_dir,
        .proc_dir = options->proc_dir,
        .started_us = clock_mono_us(options->clock)};
    enum err err = self->state_dir == NULL ? ERR_NONE : load(self, why);
    if (err != ERR_NONE) {
        mem_free(self);
        return err;
    }
    *ret_state = self;
    return ERR_NONE;
}

static void heartbeat_free(void *state)
{
    mem_free(state);
}

const struct collector heartbeat_collector = {
    .name = "Heartbeat",
    .part = PART_HEARTBEAT,
    .disabled = SETTING_HEARTBEAT_DISABLED,
    .frequency = SETTING_HEARTBEAT_MESSAGE_FREQUENCY,
    .snapshot = true,
    .light = true,
    .new = heartbeat_new,
    .free = heartbeat_free,
    .collect = collect,
};
