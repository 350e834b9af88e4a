/* SPDX-License-Identifier: Apache-2.0 */
#include "query_priv.h"

struct row {
    struct span path;
    enum query_field field;
    unsigned uses;
};

static const struct row rows[] = {
#define FIELD(id, path, uses) {SPAN_INIT(path), QUERY_##id, uses},
#define ALIAS(id, path, uses) {SPAN_INIT(path), QUERY_##id, uses},
#include "fields.def"
#undef FIELD
#undef ALIAS
};

static const struct row *row_of(enum query_field field)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].field == field)
            return &rows[i];
    return NULL;
}

/* How many words the row has, if those given begin with them; else 0. */
static size_t match(const struct row *row, const struct span *words, size_t count)
{
    struct span rest = row->path;
    struct span word;
    size_t at = 0;
    while (span_cut(&rest, '.', &word)) {
        if (at == count || !span_eq_nocase(word, words[at]))
            return 0;
        at++;
    }
    return at;
}

static struct span last_word(struct span path)
{
    struct span word = path;
    struct span rest = path;
    while (span_cut(&rest, '.', &word))
        ;
    return word;
}

/* "devices.", "devices.modules.", "devices.jobs." before a path say nothing more. */
static size_t collection_words(
    enum query_collection collection, const struct span *words, size_t count)
{
    if (count < 2 || !span_eq_nocase(words[0], SPAN_LIT("devices")))
        return 0;
    const char *second = collection == QUERY_MODULES ? "modules"
                         : collection == QUERY_JOBS  ? "jobs"
                                                     : NULL;
    return second != NULL && count > 2 && span_eq_nocase(words[1], span_of(second)) ? 2 : 1;
}

/* A section alone is all of it, with what the hub keeps about it. */
static enum query_field whole_of(enum query_field field)
{
    return field == QUERY_DESIRED    ? QUERY_DESIRED_WHOLE
           : field == QUERY_REPORTED ? QUERY_REPORTED_WHOLE
                                     : field;
}

static bool put_names(
    struct arena *arena, const struct span *words, size_t count, struct path *path)
{
    if (count == 0)
        return true;
    struct span *names = arena_alloc(arena, count * sizeof(*names));
    if (names == NULL)
        return false;
    memcpy(names, words, count * sizeof(*names));
    path->names = names;
    path->count = count;
    path->key = names[count - 1];
    return true;
}

/* Of devices.jobs: their first words are compared without regard to case, too. */
static struct span job_word(struct span word)
{
    static const struct span words[] = {SPAN_INIT("deviceId"), SPAN_INIT("moduleId"),
        SPAN_INIT("jobId"), SPAN_INIT("jobType"), SPAN_INIT("status"), SPAN_INIT("startTimeUtc"),
        SPAN_INIT("endTimeUtc"), SPAN_INIT("createdDateTimeUtc"),
        SPAN_INIT("lastUpdatedDateTimeUtc"), SPAN_INIT("outcome"), SPAN_INIT("error")};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_eq_nocase(words[i], word))
            return words[i];
    return word;
}

bool path_resolve(struct arena *arena, enum query_collection collection, struct span *words,
    size_t count, struct path *ret_path)
{
    size_t skip = collection_words(collection, words, count);
    *ret_path = (struct path){.field = QUERY_UNKNOWN};
    words += skip;
    count -= skip;
    if (collection == QUERY_JOBS && count > 0) {
        ret_path->field = QUERY_JOB;
        words[0] = job_word(words[0]);
    }
    for (size_t i = 0; i < COUNT_OF(rows) && collection != QUERY_JOBS; i++) {
        size_t taken = match(&rows[i], words, count);
        if (taken == 0)
            continue;
        ret_path->field = taken == count ? whole_of(rows[i].field) : rows[i].field;
        ret_path->key = last_word(rows[i].path);
        return put_names(arena, words + taken, count - taken, ret_path);
    }
    return put_names(arena, words, count, ret_path);
}

bool path_equal(const struct path *a, const struct path *b)
{
    if (a->field != b->field || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!span_eq(a->names[i], b->names[i]))
            return false;
    return true;
}

unsigned path_uses(const struct path *path)
{
    if (path->field == QUERY_DESIRED_WHOLE || path->field == QUERY_REPORTED_WHOLE)
        return QUERY_USES_TWIN | QUERY_USES_METADATA;
    const struct row *row = row_of(path->field);
    return row == NULL ? 0 : row->uses;
}
