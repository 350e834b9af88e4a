/* SPDX-License-Identifier: Apache-2.0 */
#include "process_lives.h"

#include "mem.h"

#define PLACES_MIN 256u

static size_t size_of(const struct process_known *known)
{
    return sizeof(*known) + known->command_line.len + known->executable.len;
}

static void release(struct process_lives *lives, struct process_known *known)
{
    if (known == NULL || --known->references > 0)
        return;
    lives->bytes -= size_of(known);
    mem_free(known);
}

void process_lives_done(struct process_lives *lives)
{
    for (size_t i = 0; i < lives->place_count; i++)
        if (lives->places[i].pid != 0)
            release(lives, lives->places[i].known);
    mem_free(lives->places);
    *lives = (struct process_lives){0};
}

/* Neighbouring pids are spread: they live and die together. */
static size_t home_of(const struct process_lives *lives, uint32_t pid)
{
    return (size_t)(pid * UINT32_C(2654435761)) & (lives->place_count - 1);
}

/* Where a pid is, or would be. */
static struct process_live *place_of(const struct process_lives *lives, uint32_t pid)
{
    size_t at = home_of(lives, pid);
    while (lives->places[at].pid != 0 && lives->places[at].pid != pid)
        at = (at + 1) & (lives->place_count - 1);
    return &lives->places[at];
}

static bool resize(struct process_lives *lives, size_t place_count)
{
    struct process_live *places = mem_alloc(place_count * sizeof(*places));
    if (places == NULL)
        return false;
    struct process_lives old = *lives;
    lives->places = places;
    lives->place_count = place_count;
    for (size_t i = 0; i < old.place_count; i++)
        if (old.places[i].pid != 0)
            *place_of(lives, old.places[i].pid) = old.places[i];
    mem_free(old.places);
    return true;
}

bool process_lives_full(const struct process_lives *lives)
{
    return lives->count >= PROCESS_LIVES_MAX;
}

/* Makes a place for a pid, and forgets what it had been; NULL: there is no room. */
static struct process_live *renew(struct process_lives *lives, uint32_t pid)
{
    if (pid == 0)
        return NULL;
    if (lives->count * 2 >= lives->place_count &&
        !resize(lives, lives->place_count == 0 ? PLACES_MIN : lives->place_count * 2))
        return NULL;
    struct process_live *live = place_of(lives, pid);
    if (live->pid == 0) {
        if (process_lives_full(lives))
            return NULL;
        lives->count++;
    } else {
        release(lives, live->known);
    }
    *live = (struct process_live){.pid = pid, .born = lives->noted++};
    return live;
}

static struct span put(char **at, const char *bytes, size_t len)
{
    struct span copy = {*at, len};
    if (len > 0)
        memcpy(*at, bytes, len);
    *at += len;
    return copy;
}

void process_lives_put(
    struct process_lives *lives, const struct process_facts *facts, bool executed)
{
    const struct process_live *before = process_lives_find(lives, facts->process_id);
    uint32_t born = before == NULL ? lives->noted : before->born;
    struct process_live *live = renew(lives, facts->process_id);
    if (live == NULL)
        return;
    live->born = born; /* a new program, but the same process */
    live->parent = facts->parent_process_id;
    live->identity_known = facts->identity_known;
    live->user_id = facts->user_id;
    live->executed = executed;
    size_t size = sizeof(*live->known) + facts->command_line_len + facts->executable_len;
    if (lives->bytes + size > PROCESS_LIVES_BYTES_MAX)
        return;
    struct process_known *known = mem_alloc(size);
    if (known == NULL)
        return;
    char *at = known->bytes;
    known->references = 1;
    known->state = facts->state;
    known->command_line = put(&at, facts->command_line, facts->command_line_len);
    known->executable = put(&at, facts->executable, facts->executable_len);
    lives->bytes += size;
    live->known = known;
}

void process_lives_put_unread(struct process_lives *lives, uint32_t pid)
{
    const struct process_live *before = process_lives_find(lives, pid);
    uint32_t born = before == NULL ? lives->noted : before->born;
    uint32_t parent = before == NULL ? 0 : before->parent;
    struct process_live *live = renew(lives, pid);
    if (live == NULL)
        return;
    live->born = born;
    live->parent = parent;
    live->executed = true;
}

void process_lives_fork(struct process_lives *lives, uint32_t pid, uint32_t parent)
{
    struct process_live *live = renew(lives, pid);
    if (live == NULL)
        return;
    live->parent = parent;
    const struct process_live *from = process_lives_find(lives, parent);
    if (from == NULL)
        return;
    live->kernel_thread = from->kernel_thread;
    live->identity_known = from->identity_known;
    live->user_id = from->user_id;
    live->known = from->known;
    if (live->known != NULL)
        live->known->references++;
}

void process_lives_put_kernel_thread(struct process_lives *lives, uint32_t pid)
{
    struct process_live *live = renew(lives, pid);
    if (live != NULL)
        live->kernel_thread = true;
}

void process_lives_set_counted(struct process_lives *lives, uint32_t pid)
{
    if (process_lives_find(lives, pid) != NULL)
        place_of(lives, pid)->counted = true;
}

void process_lives_set_user(struct process_lives *lives, uint32_t pid, uint32_t user_id)
{
    if (process_lives_find(lives, pid) != NULL)
        place_of(lives, pid)->user_id = user_id;
}

const struct process_live *process_lives_find(const struct process_lives *lives, uint32_t pid)
{
    if (lives->place_count == 0 || pid == 0)
        return NULL;
    const struct process_live *live = place_of(lives, pid);
    return live->pid == 0 ? NULL : live;
}

bool process_lives_has_parent(const struct process_lives *lives, const struct process_live *live)
{
    const struct process_live *parent = process_lives_find(lives, live->parent);
    return parent != NULL && (int32_t)(live->born - parent->born) > 0;
}

/* Gives back what few need no more; not under the feet of who walks through the places. */
static void shrink(struct process_lives *lives)
{
    size_t wanted = lives->place_count;
    while (wanted > PLACES_MIN && lives->count < wanted / 16)
        wanted /= 4;
    if (!lives->sweeping && wanted < lives->place_count)
        (void)resize(lives, wanted);
}

void process_lives_remove(struct process_lives *lives, uint32_t pid)
{
    if (process_lives_find(lives, pid) == NULL)
        return;
    struct process_live *hole = place_of(lives, pid);
    release(lives, hole->known);
    *hole = (struct process_live){0};
    lives->count--;
    /* What stood behind only because its own place was taken moves up. */
    size_t mask = lives->place_count - 1, free_at = (size_t)(hole - lives->places);
    for (size_t at = (free_at + 1) & mask; lives->places[at].pid != 0; at = (at + 1) & mask) {
        size_t home = home_of(lives, lives->places[at].pid);
        if (((at - home) & mask) < ((at - free_at) & mask))
            continue;
        lives->places[free_at] = lives->places[at];
        lives->places[at] = (struct process_live){0};
        free_at = at;
    }
    shrink(lives);
}

void process_lives_sweep(
    struct process_lives *lives, bool (*is_gone)(void *self, uint32_t pid), void *self)
{
    lives->sweeping = true;
    size_t i = 0;
    while (i < lives->place_count) {
        uint32_t pid = lives->places[i].pid;
        if (pid != 0 && is_gone(self, pid))
            process_lives_remove(lives, pid); /* another may have moved to here */
        else
            i++;
    }
    lives->sweeping = false;
    shrink(lives);
}

void process_lives_facts(
    const struct process_live *live, uint32_t pid, uint32_t parent, struct process_facts *ret_facts)
{
    const struct process_known *known = live == NULL ? NULL : live->known;
    ret_facts->process_id = pid;
    ret_facts->parent_process_id = parent;
    ret_facts->identity_known = live != NULL && live->identity_known;
    ret_facts->user_id = ret_facts->identity_known ? live->user_id : 0;
    ret_facts->state = known == NULL ? COMMAND_LINE_GONE : known->state;
    ret_facts->command_line_len = known == NULL ? 0 : known->command_line.len;
    ret_facts->executable_len = known == NULL ? 0 : known->executable.len;
    if (ret_facts->command_line_len > 0)
        memcpy(ret_facts->command_line, known->command_line.ptr, known->command_line.len);
    if (ret_facts->executable_len > 0)
        memcpy(ret_facts->executable, known->executable.ptr, known->executable.len);
}
