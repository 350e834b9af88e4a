/* SPDX-License-Identifier: Apache-2.0 */
#include "describe_priv.h"

#include "json.h"

#include <inttypes.h>

/* Writes "a, b and c"; the words of an INT stand behind their numbers. */
static void list_choices(const struct setting *row, struct buf *out)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (i > 0)
            buf_add_text(out, row->choices[i + 1] == NULL ? " and " : ", ");
        if (row->kind == SETTING_KIND_INT)
            buf_add_format(out, "%" PRId64 " (%s)", row->smallest + i, row->choices[i]);
        else
            buf_add_text(out, row->choices[i]);
    }
}

void describe_allowed(const struct setting *row, struct buf *out)
{
    switch (row->kind) {
    case SETTING_KIND_BOOL:
        buf_add_text(out, "true and false");
        return;
    case SETTING_KIND_INT:
        if (row->choices != NULL)
            list_choices(row, out);
        else
            buf_add_format(
                out, "integers from %" PRId64 " to %" PRId64, row->smallest, row->largest);
        return;
    case SETTING_KIND_WORD:
        list_choices(row, out);
        return;
    case SETTING_KIND_TEXT:
        buf_add_format(out, "%s, at most %" PRId64 " bytes", row->form->allowed, row->largest);
        return;
    case SETTING_KIND_LIST:
        buf_add_format(out,
            "%s, joined by commas, at most %zu of them and %" PRId64 " bytes in all",
            row->form->allowed, row->items_max, row->largest);
        return;
    case SETTING_KIND_INTERVALS:
        buf_add_format(out,
            "strings of three integers from %" PRId64 " to %" PRId64
            ", \"High,Medium,Low\", none smaller than the one before",
            row->smallest, row->largest);
        return;
    }
}

void describe_default(const struct setting *row, struct buf *out)
{
    switch (row->kind) {
    case SETTING_KIND_BOOL:
        buf_add_text(out, row->default_number != 0 ? "true" : "false");
        return;
    case SETTING_KIND_INT:
        buf_add_format(out, "%" PRId64, row->default_number);
        return;
    case SETTING_KIND_WORD:
        json_write_string(span_of(row->choices[row->default_number]), out);
        return;
    case SETTING_KIND_TEXT:
    case SETTING_KIND_LIST:
    case SETTING_KIND_INTERVALS:
        json_write_string(span_of(row->default_text), out);
        return;
    }
}

/* Longer names are no misspelt settings. */
#define NEAR_BYTES 64u

/* Folds a name for comparing: lower case, no blanks. 0: too long. */
static size_t fold(struct span name, char ret_folded[NEAR_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == ' ' || c == '\t')
            continue;
        if (len == NEAR_BYTES)
            return 0;
        ret_folded[len++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return len;
}

static unsigned smallest_of(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

/* How many letters must be put in, taken out or replaced (Levenshtein). */
static unsigned edit_distance(struct span name_a, struct span name_b)
{
    char a[NEAR_BYTES];
    char b[NEAR_BYTES];
    unsigned row[NEAR_BYTES + 1];
    size_t a_len = fold(name_a, a);
    size_t b_len = fold(name_b, b);
    if (a_len == 0 || b_len == 0)
        return NEAR_BYTES;
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (unsigned i = 0; i < a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < b_len; j++) {
            unsigned replaced = diagonal + (a[i] == b[j] ? 0u : 1u);
            diagonal = row[j + 1];
            row[j + 1] = smallest_of(replaced, row[j] + 1, diagonal + 1);
        }
    }
    return row[b_len];
}

const struct setting *describe_nearest(struct span name, bool local)
{
    const struct setting *nearest = NULL;
    /* A third of the letters may differ; more is another word. */
    unsigned best = (unsigned)(name.len < NEAR_BYTES ? name.len : NEAR_BYTES) / 3 + 1;
    for (unsigned id = 0; id < SETTING_COUNT; id++) {
        const struct setting *row = setting_row((enum setting_id)id);
        if (row->local && !local)
            continue;
        unsigned distance = edit_distance(name, span_of(row->name));
        unsigned by_alias = edit_distance(name, span_of(row->alias));
        if (by_alias < distance)
            distance = by_alias;
        if (distance < best) {
            best = distance;
            nearest = row;
        }
    }
    return nearest;
}

#define SHOWN_BYTES 40u

void describe_text(struct span text, char ret_shown[SHOWN_SIZE])
{
    size_t end = text.len;
    if (end > SHOWN_BYTES) {
        end = SHOWN_BYTES;
        while (end > 0 && ((unsigned char)text.ptr[end] & 0xC0) == 0x80)
            end--;
    }
    for (size_t i = 0; i < end; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool c1 = c == 0xC2 && i + 1 < end && (unsigned char)text.ptr[i + 1] < 0xA0;
        ret_shown[i] = c < 0x20 || c == 0x7F || c1 ? '?' : (char)c;
        if (c1)
            ret_shown[++i] = '?';
    }
    memcpy(ret_shown + end, end < text.len ? "..." : "", end < text.len ? 4 : 1);
}
