/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct err_row rows[ERR_COUNT] = {
#define ERR(name, status, code, hub_name, retry, text)                                             \
    [ERR_##name] = {#name, status, code, hub_name, retry, text},
#include "err.def"
#undef ERR
};

void must_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "bug: %s:%d: must(%s)\n", file, line, condition);
    abort();
}

const struct err_row *err_row(enum err err)
{
    must((unsigned)err < ERR_COUNT);
    return &rows[err];
}

/* Control characters would break the one-line logs and headers that carry the sentence. A cut must
 * not leave half of a UTF-8 sequence behind. */
static void tidy(struct why *why, int written)
{
    if (written >= (int)sizeof(why->text)) {
        size_t end = sizeof(why->text) - 4;
        while (end > 0 && ((unsigned char)why->text[end] & 0xC0) == 0x80)
            end--;
        memcpy(why->text + end, "...", 4);
    }
    for (char *c = why->text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
}

static void set_list(struct why *why, const char *format, va_list list)
{
    tidy(why, vsnprintf(why->text, sizeof(why->text), format, list));
}

void why_set(struct why *why, const char *format, ...)
{
    if (why == NULL)
        return;
    va_list list;
    va_start(list, format);
    set_list(why, format, list);
    va_end(list);
}

void why_prefix(struct why *why, const char *format, ...)
{
    if (why == NULL)
        return;
    struct why old = *why;
    va_list list;
    va_start(list, format);
    int used = vsnprintf(why->text, sizeof(why->text), format, list);
    va_end(list);
    if (used >= 0 && (size_t)used < sizeof(why->text))
        used += snprintf(why->text + used, sizeof(why->text) - (size_t)used, ": %s", old.text);
    tidy(why, used);
}

enum err(fail)(enum err err, struct why *why, const char *format, ...)
{
    if (why != NULL) {
        va_list list;
        va_start(list, format);
        set_list(why, format, list);
        va_end(list);
    }
    return err;
}

const char *why_text(const struct why *why, enum err err)
{
    return why != NULL && why->text[0] != '\0' ? why->text : err_row(err)->text;
}
