/* SPDX-License-Identifier: Apache-2.0 */
/* A document judged over the defaults, with all that belongs to it, for the tests of settings. */
#ifndef GEMEL_TEST_JUDGING_H
#define GEMEL_TEST_JUDGING_H

#include "verdict.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct judging {
    struct arena arena;
    struct settings base;
    struct settings effective; /* the defaults when the document was refused */
    struct verdict verdict;
    enum err err;
};

static inline void judging_init(struct judging *judging)
{
    arena_init(&judging->arena, 0);
    settings_init(&judging->base);
    settings_init(&judging->effective);
    verdict_init(&judging->verdict);
    judging->err = ERR_NONE;
}

static inline void judging_done(struct judging *judging)
{
    settings_done(&judging->effective);
    settings_done(&judging->base);
    verdict_done(&judging->verdict);
    arena_done(&judging->arena);
}

static inline struct json *parsed(struct arena *arena, struct span text)
{
    struct why why = {""};
    struct json *document = NULL;
    if (json_parse(arena, text, 0, &document, &why) != ERR_NONE)
        fail_msg("the test's document is no JSON: %s: %.*s", why.text, SPAN_ARG(text));
    return document;
}

/* Judges a text as desired, or as conf.json. */
static inline struct judging *judge_as(struct judging *judging, const char *text, bool local)
{
    settings_done(&judging->effective);
    const struct json *document = parsed(&judging->arena, span_of(text));
    judging->err =
        local ? settings_judge_local(document, &judging->effective, &judging->verdict)
              : settings_judge(&judging->base, document, &judging->effective, &judging->verdict);
    return judging;
}

static inline struct judging *judge_text(struct judging *judging, const char *text)
{
    return judge_as(judging, text, false);
}

/* Returns the names of the bad fields, joined by commas. */
static inline const char *bad_fields(struct judging *judging)
{
    struct json *report = json_new(&judging->arena, JSON_OBJECT);
    assert_non_null(report);
    assert_true(verdict_report(&judging->arena, &judging->verdict, NULL, report));
    return json_string_of(report, "latest_invalid_fields").ptr;
}

/* Returns a bad field's sentence, or "". */
static inline const char *sentence_of(const struct judging *judging, const char *name)
{
    for (const struct verdict_field *f = judging->verdict.fields; f != NULL; f = f->next)
        if (span_is(f->name, name))
            return f->sentence;
    return "";
}

/* Returns a value in force as JSON text. */
static inline const char *in_force(struct judging *judging, const char *name)
{
    struct json *report = settings_report(&judging->arena, &judging->effective);
    assert_non_null(report);
    struct json *member = json_find_text(report, name);
    if (member == NULL)
        return "absent";
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    json_write(member, &text);
    const char *copy = arena_text(&judging->arena, buf_span(&text));
    assert_non_null(copy);
    return copy;
}

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("\"%s\" does not say \"%s\"", text, part);                                    \
    } while (0)

#endif
