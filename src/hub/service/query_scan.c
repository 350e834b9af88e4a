/* SPDX-License-Identifier: Apache-2.0 */
#include "query_scan.h"

static const enum scan_kind kinds[] = {
    [QUERY_SIEVE_ALL] = SCAN_ALL,
    [QUERY_SIEVE_ANY] = SCAN_ANY,
    [QUERY_SIEVE_DEVICES] = SCAN_DEVICES,
    [QUERY_SIEVE_RANGE] = SCAN_RANGE,
    [QUERY_SIEVE_MODULE] = SCAN_MODULE,
    [QUERY_SIEVE_CONNECTED] = SCAN_CONNECTED,
    [QUERY_SIEVE_ENABLED] = SCAN_ENABLED,
    [QUERY_SIEVE_EDGE] = SCAN_EDGE,
    [QUERY_SIEVE_STATE] = SCAN_STATE,
    [QUERY_SIEVE_TAG] = SCAN_TAG,
    [QUERY_SIEVE_TAGGED] = SCAN_TAGGED,
    [QUERY_SIEVE_CONFIGURATION] = SCAN_CONFIGURATION,
};

_Static_assert((int)QUERY_STATE_OTHER == (int)STATE_OTHER, "one numbering of latest_state");
_Static_assert(QUERY_TAG_BYTES == TAG_TEXT_BYTES, "one length of tags");

static struct tag_value tag_of(const struct query_value *value)
{
    return (struct tag_value){.kind = value->kind == VALUE_BOOL     ? TAG_BOOL
                                      : value->kind == VALUE_NUMBER ? TAG_NUMBER
                                                                    : TAG_STRING,
        .truth = value->truth,
        .number = value->number,
        .text = value->kind == VALUE_STRING ? value->text : SPAN_NONE};
}

static bool make_term(struct arena *arena, const struct query_sieve *sieve, struct scan_term *term)
{
    *term = (struct scan_term){.kind = kinds[sieve->kind],
        .ids = sieve->ids,
        .count = sieve->count,
        .name = sieve->name,
        .below = sieve->below,
        .flag = sieve->flag,
        .tag = tag_of(&sieve->value)};
    if (sieve->kind != QUERY_SIEVE_ALL && sieve->kind != QUERY_SIEVE_ANY)
        return true;
    struct scan_term *parts = arena_alloc(arena, (sieve->count + 1) * sizeof(*parts));
    size_t count = 0;
    if (parts == NULL)
        return false;
    for (const struct query_sieve *part = sieve->first; part != NULL; part = part->next)
        if (!make_term(arena, part, &parts[count++]))
            return false;
    term->parts = parts;
    return true;
}

bool query_scan_of(struct arena *arena, const struct query *query, struct twin_scan *ret_scan)
{
    const struct query_sieve *sieve = query_sieve(query);
    unsigned uses = query_uses(query);
    struct scan_term *term = NULL;
    if (sieve != NULL) {
        term = arena_alloc(arena, sizeof(*term));
        if (term == NULL || !make_term(arena, sieve, term))
            return false;
    }
    *ret_scan = (struct twin_scan){.modules = query_collection(query) == QUERY_MODULES,
        .term = term,
        .limit = SIZE_MAX,
        .with_messages = (uses & QUERY_USES_MESSAGES) != 0,
        .with_twins = (uses & QUERY_USES_TWIN) != 0,
        .with_metadata = (uses & QUERY_USES_METADATA) != 0};
    return true;
}

/* ---- facets ------------------------------------------------------------------------------------
 */

struct facets {
    enum query_sieve_kind kind;
    struct query_groups *groups;
    struct why *why;
    uint64_t counted;
    bool others;
};

static struct query_value value_of_tag(const struct tag_value *tag)
{
    return tag->kind == TAG_BOOL     ? query_value_bool(tag->truth)
           : tag->kind == TAG_NUMBER ? query_value_number(tag->number)
                                     : query_value_string(tag->text);
}

static struct query_value value_of(enum query_sieve_kind kind, const struct facet *facet)
{
    static const struct {
        const char *words[QUERY_STATE_OTHER];
    } names[] = {
        [QUERY_SIEVE_CONNECTED] = {{"Disconnected", "Connected"}},
        [QUERY_SIEVE_ENABLED] = {{"disabled", "enabled"}},
        [QUERY_SIEVE_STATE] = {{NULL, "success", "failed"}},
        [QUERY_SIEVE_CONFIGURATION] = {{"Targeted", "Applied"}},
    };
    if (kind == QUERY_SIEVE_TAG || kind == QUERY_SIEVE_MODULE)
        return value_of_tag(&facet->tag);
    if (kind == QUERY_SIEVE_EDGE)
        return query_value_bool(facet->flag == 1);
    const char *word = names[kind].words[facet->flag];
    struct query_value value = {0};
    if (word != NULL)
        value = query_value_string(span_of(word));
    return value;
}

static enum err take_facet(void *self, const struct facet *facet)
{
    struct facets *facets = self;
    facets->counted += facet->count;
    if ((facets->kind == QUERY_SIEVE_STATE && facet->flag == STATE_OTHER) ||
        (facets->kind == QUERY_SIEVE_TAG && facet->tag.kind == TAG_OTHER)) {
        facets->others = true;
        return ERR_NONE;
    }
    const struct query_value value = value_of(facets->kind, facet);
    return query_groups_count_of(facets->groups, &value, facet->count, facets->why);
}

/* Who is in no facet has no such value. */
static enum err count_rest(
    struct store_txn *txn, int64_t hub_id, const struct twin_scan *whole, struct facets *facets)
{
    const struct query_value none = {0};
    uint64_t total = 0;
    bool known = false;
    enum err err = store_twin_count(txn, hub_id, whole, &known, &total);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
    must(known && total >= facets->counted);
    if (total == facets->counted)
        return ERR_NONE;
    return query_groups_count_of(facets->groups, &none, total - facets->counted, facets->why);
}

static bool make_others(struct arena *arena, const struct query_sieve *facet,
    const struct scan_term *module, const struct scan_term **ret_others)
{
    struct scan_term *all = arena_alloc(arena, 3 * sizeof(*all));
    if (all == NULL)
        return false;
    struct scan_term *parts = all + 1;
    parts[0] = (struct scan_term){.kind = kinds[facet->kind],
        .name = facet->name,
        .flag = STATE_OTHER,
        .tag = {.kind = TAG_OTHER}};
    if (module != NULL)
        parts[1] = *module;
    *all = (struct scan_term){.kind = SCAN_ALL, .parts = parts, .count = module == NULL ? 1 : 2};
    *ret_others = all;
    return true;
}

enum err query_scan_facets(struct store_txn *txn, int64_t hub_id, struct arena *arena,
    const struct query *query, struct query_groups *groups, const struct scan_term **ret_others,
    struct why *why)
{
    const struct query_sieve *facet = query_facet(query);
    struct facets facets = {.kind = facet->kind, .groups = groups, .why = why};
    struct twin_scan whole;
    *ret_others = NULL;
    if (!query_scan_of(arena, query, &whole))
        return ERR_MEMORY;
    enum err err = store_twin_facets(txn, hub_id, whole.modules, kinds[facet->kind], facet->name,
        whole.term == NULL ? SPAN_NONE : whole.term->name, take_facet, &facets);
    if (err == ERR_NONE)
        err = count_rest(txn, hub_id, &whole, &facets);
    if (err == ERR_NONE && facets.others && !make_others(arena, facet, whole.term, ret_others))
        err = ERR_MEMORY;
    return err;
}
