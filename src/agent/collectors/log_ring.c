/* SPDX-License-Identifier: Apache-2.0 */
#include "log_ring.h"

#include "clock.h"

#include <pthread.h>

/*
 *   bytes  [ ....... | head text | head text | .... ]
 *                    start                   start + used    (modulo the size)
 */
struct head {
    int64_t time_s;
    const char *filename;
    unsigned line;
    enum log_level level;
    size_t part_len;
    size_t sentence_len;
};

static struct {
    pthread_mutex_t mutex;
    size_t start;
    size_t used;
    size_t entries_max;
    struct log_ring_counts counts;
    char bytes[LOG_RING_BYTES];
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void copy_in(const void *data, size_t len)
{
    size_t at = (ring.start + ring.used) % LOG_RING_BYTES;
    size_t first = len < LOG_RING_BYTES - at ? len : LOG_RING_BYTES - at;
    memcpy(ring.bytes + at, data, first);
    memcpy(ring.bytes, (const char *)data + first, len - first);
    ring.used += len;
}

static void copy_out(void *ret_data, size_t len)
{
    size_t first = len < LOG_RING_BYTES - ring.start ? len : LOG_RING_BYTES - ring.start;
    memcpy(ret_data, ring.bytes + ring.start, first);
    memcpy((char *)ret_data + first, ring.bytes, len - first);
    ring.start = (ring.start + len) % LOG_RING_BYTES;
    ring.used -= len;
}

/* Takes the oldest out. An empty ring begins at its start, where the pages are in use already. */
static void take(struct log_ring_entry *ret_entry)
{
    struct head head;
    copy_out(&head, sizeof(head));
    ret_entry->time_s = head.time_s;
    ret_entry->filename = head.filename;
    ret_entry->line = head.line;
    ret_entry->level = head.level;
    ret_entry->len = head.part_len + 2 + head.sentence_len;
    copy_out(ret_entry->text, ret_entry->len);
    ring.counts.waiting--;
    if (ring.used == 0)
        ring.start = 0;
}

static void drop(void)
{
    struct log_ring_entry entry;
    take(&entry);
    ring.counts.dropped++;
}

static void hear(const struct log_entry *entry)
{
    struct span part = span_first(span_of(entry->part), 64);
    struct span sentence = span_first(span_of(entry->sentence), LOG_RING_TEXT_MAX - 2 - part.len);
    const struct head head = {.time_s = clock_wall_us(&clock_system) / 1000000,
        .filename = entry->filename,
        .line = entry->line,
        .level = entry->level,
        .part_len = part.len,
        .sentence_len = sentence.len};
    size_t need = sizeof(head) + part.len + 2 + sentence.len;
    pthread_mutex_lock(&ring.mutex);
    while (ring.counts.waiting > 0 &&
           (ring.counts.waiting >= ring.entries_max || ring.used + need > LOG_RING_BYTES))
        drop();
    copy_in(&head, sizeof(head));
    copy_in(part.ptr, part.len);
    copy_in(": ", 2);
    copy_in(sentence.ptr, sentence.len);
    ring.counts.seen++;
    ring.counts.waiting++;
    pthread_mutex_unlock(&ring.mutex);
}

void log_ring_listen(enum log_level level, size_t entries_max)
{
    pthread_mutex_lock(&ring.mutex);
    ring.entries_max = entries_max;
    while (ring.counts.waiting > entries_max)
        drop();
    pthread_mutex_unlock(&ring.mutex);
    log_set_listener(hear, level);
}

void log_ring_deafen(void)
{
    log_set_listener(NULL, LOG_LEVEL_ERROR);
}

void log_ring_clear(void)
{
    log_ring_deafen();
    pthread_mutex_lock(&ring.mutex);
    ring.start = ring.used = 0;
    ring.counts = (struct log_ring_counts){0};
    pthread_mutex_unlock(&ring.mutex);
}

bool log_ring_take(struct log_ring_entry *ret_entry)
{
    pthread_mutex_lock(&ring.mutex);
    bool any = ring.counts.waiting > 0;
    if (any)
        take(ret_entry);
    pthread_mutex_unlock(&ring.mutex);
    return any;
}

struct log_ring_counts log_ring_counts(void)
{
    pthread_mutex_lock(&ring.mutex);
    struct log_ring_counts counts = ring.counts;
    pthread_mutex_unlock(&ring.mutex);
    return counts;
}
