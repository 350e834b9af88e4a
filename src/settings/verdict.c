/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict_priv.h"

#include <stdio.h>

/* A longer safe name is cut to CUT_BYTES and ends in "~" and a hash. */
#define NAME_BYTES 96u
#define CUT_BYTES 80u

#define SENTENCE_SIZE 1024u

void verdict_init(struct verdict *ret_verdict)
{
    *ret_verdict = (struct verdict){.desired_version = -1};
    arena_init(&ret_verdict->arena, 0);
}

void verdict_done(struct verdict *verdict)
{
    arena_done(&verdict->arena);
    verdict_init(verdict);
}

static uint32_t hash(struct span text)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.ptr[i]) * 16777619u;
    return h;
}

/* Whether a byte may stand for itself: what a twin refuses in a key, the comma that joins names,
 * and everything outside ASCII may not; nor a '_' in front, which our own "_left_out" has. */
static bool is_safe(char c, size_t at)
{
    if (c <= ' ' || c > '~' || (c == '_' && at == 0))
        return false;
    return strchr(".$#,%", c) == NULL;
}

/* Makes a name that can be a twin key. False: no memory. */
bool verdict_name(struct arena *arena, struct span name, struct span *ret_safe)
{
    char safe[NAME_BYTES + 4];
    size_t len = 0;
    size_t cut_at = 0;
    for (size_t i = 0; i < name.len && len <= NAME_BYTES; i++) {
        if (len <= CUT_BYTES)
            cut_at = len;
        if (is_safe(name.ptr[i], i))
            safe[len++] = name.ptr[i];
        else
            len += (size_t)snprintf(safe + len, 4, "%%%02X", (unsigned char)name.ptr[i]);
    }
    if (name.len == 0)
        safe[len++] = '%';
    if (len > NAME_BYTES)
        len = cut_at + (size_t)snprintf(safe + cut_at, 10, "~%08x", hash(name));
    return arena_span(arena, (struct span){safe, len}, ret_safe);
}

/* Returns where a name stands, or would stand, in the list. */
static struct verdict_field **place_of(struct verdict_field **list, struct span name)
{
    while (*list != NULL && span_compare((*list)->name, name) < 0)
        list = &(*list)->next;
    return list;
}

static enum err put(struct verdict *verdict, struct verdict_field **place, struct span safe_name,
    const char *sentence)
{
    struct verdict_field *field = arena_alloc(&verdict->arena, sizeof(*field));
    if (field == NULL || sentence == NULL)
        return ERR_MEMORY;
    *field = (struct verdict_field){.next = *place, .name = safe_name, .sentence = sentence};
    *place = field;
    return ERR_NONE;
}

/* A cut must not leave half of a character; control characters would break a log's line. */
static void tidy(char sentence[SENTENCE_SIZE], int len)
{
    if (len >= (int)SENTENCE_SIZE) {
        size_t end = SENTENCE_SIZE - 4;
        while (end > 0 && ((unsigned char)sentence[end] & 0xC0) == 0x80)
            end--;
        memcpy(sentence + end, "...", 4);
    }
    for (char *c = sentence; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
}

enum err verdict_blame(struct verdict *verdict, struct span name, const char *format, ...)
{
    struct span safe_name;
    if (!verdict_name(&verdict->arena, name, &safe_name))
        return ERR_MEMORY;
    struct verdict_field **place = place_of(&verdict->fields, safe_name);
    if (*place != NULL && span_eq((*place)->name, safe_name))
        return ERR_NONE;
    if (verdict->field_count >= VERDICT_FIELDS_MAX) {
        verdict->left_out++;
        return ERR_NONE;
    }
    char sentence[SENTENCE_SIZE];
    va_list list;
    va_start(list, format);
    int len = vsnprintf(sentence, sizeof(sentence), format, list);
    va_end(list);
    tidy(sentence, len);
    enum err err = put(verdict, place, safe_name, arena_text(&verdict->arena, span_of(sentence)));
    if (err == ERR_NONE)
        verdict->field_count++;
    return err;
}

enum err verdict_note(struct verdict *verdict, struct span name, const char *sentence)
{
    struct span safe_name;
    if (!verdict_name(&verdict->arena, name, &safe_name))
        return ERR_MEMORY;
    return put(verdict, place_of(&verdict->notes, safe_name), safe_name,
        arena_text(&verdict->arena, span_of(sentence)));
}
