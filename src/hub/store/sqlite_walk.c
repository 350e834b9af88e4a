/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through ids. A term is a strand; a strand is asked for the first of its ids from a target
 * on, and targets only grow. A leaf reads its index in batches, small ones while it jumps and
 * larger ones while it is read on and on, and holds no statement open between them: any number of
 * strands share the few statements. A loose strand, of device ids or a range of them, only says
 * where ids may stand; beside it goes one that knows which there are.
 */
#include "sqlite_priv.h"

#define BATCH_FIRST 8
#define BATCH_MOST 256

struct entry {
    size_t device_at; /* in the texts */
    size_t device_len;
    size_t module_len;
    int64_t identity;
};

struct strand {
    const struct scan_term *term;
    struct strand *parts;
    size_t count;
    bool loose;
    bool placed; /* `head` is an id, or it is over */
    bool over;
    struct walk_key head;
    struct buf texts; /* of the batch; of a loose strand's head */
    /* the batch of a leaf */
    struct entry *entries;
    size_t entry_count;
    size_t at;
    size_t wanted;
    bool last; /* there is nothing behind it */
    struct buf tag;
};

struct walk {
    struct store_txn *txn;
    int64_t hub_id;
    struct walk_range range;
    struct span module;
    struct strand root;
    struct scan_term every; /* beside what is loose */
    struct scan_term both;
    struct scan_term parts[2];
    struct buf target_device;
    struct buf target_module;
};

static int compare_keys(const struct walk_key *a, const struct walk_key *b)
{
    int order = span_compare(a->device_id, b->device_id);
    return order != 0 ? order : span_compare(a->module_id, b->module_id);
}

/* ---- leaves ------------------------------------------------------------------------------------
 */

static struct walk_key key_of(const struct strand *strand, size_t at)
{
    const struct entry *entry = &strand->entries[at];
    const char *text = strand->texts.ptr + entry->device_at;
    return (struct walk_key){.device_id = {text, entry->device_len},
        .module_id = {text + entry->device_len, entry->module_len},
        .identity = entry->identity};
}

static enum err read_batch(struct walk *walk, struct strand *strand, const struct walk_key *target)
{
    const struct walk_range range = {.modules = walk->range.modules,
        .from = target->device_id,
        .from_module = target->module_id,
        .below = walk->range.below};
    AUTO(query_done)
    struct query query =
        query_open(walk->txn, sqlite_scan_question(strand->term->kind, walk->range.modules)->list);
    enum err err = sqlite_scan_put(
        &query, walk->hub_id, strand->term, &range, walk->module, &strand->tag, strand->wanted);
    buf_clear(&strand->texts);
    strand->entry_count = 0;
    strand->at = 0;
    while (err == ERR_NONE && (err = query_row(&query)) == ERR_NONE) {
        struct entry *entry = &strand->entries[strand->entry_count++];
        struct span device = query_span(&query);
        struct span module = query_span(&query);
        entry->device_at = strand->texts.len;
        entry->device_len = device.len;
        entry->module_len = module.len;
        entry->identity = query_int(&query);
        buf_add(&strand->texts, device);
        buf_add(&strand->texts, module);
        if (strand->texts.failed)
            return ERR_MEMORY;
        if (strand->entry_count == strand->wanted)
            break;
    }
    strand->last = err == ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* The first entry of the batch that is no less than the target, or the number of entries. */
static size_t find_entry(const struct strand *strand, const struct walk_key *target)
{
    size_t low = strand->at;
    size_t high = strand->entry_count;
    while (low < high) {
        /* Most often it is the next. */
        size_t middle = low == strand->at ? low : low + (high - low) / 2;
        struct walk_key key = key_of(strand, middle);
        if (compare_keys(&key, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum err seek_leaf(struct walk *walk, struct strand *strand, const struct walk_key *target)
{
    enum err err = ERR_NONE;
    size_t found = find_entry(strand, target);
    if (found == strand->entry_count && !strand->last) {
        /* Who stood at the last one reads on. */
        bool reads_on = strand->entry_count > 0 && strand->at + 1 >= strand->entry_count;
        size_t more = strand->wanted * 4 < BATCH_MOST ? strand->wanted * 4 : BATCH_MOST;
        strand->wanted = reads_on ? more : BATCH_FIRST;
        err = read_batch(walk, strand, target);
        found = 0;
    }
    strand->at = found;
    strand->over = found >= strand->entry_count;
    if (err == ERR_NONE && !strand->over)
        strand->head = key_of(strand, found);
    return err;
}

/* ---- what is loose -----------------------------------------------------------------------------
 */

static enum err place_loose(struct strand *strand, struct span device_id, struct span module_id)
{
    buf_clear(&strand->texts);
    buf_add(&strand->texts, device_id);
    buf_add(&strand->texts, module_id);
    if (strand->texts.failed)
        return ERR_MEMORY;
    const char *text = strand->texts.ptr;
    strand->head = (struct walk_key){
        .device_id = {text, device_id.len}, .module_id = {text + device_id.len, module_id.len}};
    return ERR_NONE;
}

static enum err seek_devices(struct strand *strand, const struct walk_key *target)
{
    const struct scan_term *term = strand->term;
    size_t low = strand->at;
    size_t high = term->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_compare(term->ids[middle], target->device_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    strand->at = low;
    strand->over = low == term->count;
    if (strand->over)
        return ERR_NONE;
    bool same = span_eq(term->ids[low], target->device_id);
    return place_loose(strand, term->ids[low], same ? target->module_id : SPAN_NONE);
}

static enum err seek_range(struct strand *strand, const struct walk_key *target)
{
    const struct scan_term *term = strand->term;
    bool before = span_compare(target->device_id, term->name) < 0;
    struct span device_id = before ? term->name : target->device_id;
    strand->over = term->below.len > 0 && span_compare(device_id, term->below) >= 0;
    if (strand->over)
        return ERR_NONE;
    return place_loose(strand, device_id, before ? SPAN_NONE : target->module_id);
}

/* ---- several strands ---------------------------------------------------------------------------
 */

static enum err seek(struct walk *walk, struct strand *strand, const struct walk_key *target);

/* Each goes on to where the furthest is, until they stand together. */
static enum err seek_all(struct walk *walk, struct strand *strand, const struct walk_key *target)
{
    const struct strand *furthest = NULL;
    size_t agree = 0;
    for (size_t i = 0; agree < strand->count; i = (i + 1) % strand->count) {
        struct strand *part = &strand->parts[i];
        const struct walk_key *place = furthest == NULL ? target : &furthest->head;
        if (part == furthest) {
            agree++;
            continue;
        }
        enum err err = seek(walk, part, place);
        if (err != ERR_NONE)
            return err;
        strand->over = part->over;
        if (part->over)
            return ERR_NONE;
        bool further = compare_keys(&part->head, place) > 0;
        agree = further ? 1 : agree + 1;
        furthest = further || furthest == NULL ? part : furthest;
    }
    must(furthest != NULL); /* there is at least one part */
    for (size_t i = 0; i < strand->count && furthest->loose; i++)
        furthest = &strand->parts[i];
    strand->head = furthest->head;
    return ERR_NONE;
}

static enum err seek_any(struct walk *walk, struct strand *strand, const struct walk_key *target)
{
    const struct strand *first = NULL;
    for (size_t i = 0; i < strand->count; i++) {
        struct strand *part = &strand->parts[i];
        enum err err = seek(walk, part, target);
        if (err != ERR_NONE)
            return err;
        if (part->over)
            continue;
        int order = first == NULL ? -1 : compare_keys(&part->head, &first->head);
        if (order < 0 || (order == 0 && first->loose))
            first = part;
    }
    strand->over = first == NULL;
    if (first != NULL)
        strand->head = first->head;
    return ERR_NONE;
}

static enum err seek(struct walk *walk, struct strand *strand, const struct walk_key *target)
{
    if (strand->placed && (strand->over || compare_keys(&strand->head, target) >= 0))
        return ERR_NONE;
    strand->placed = true;
    switch (strand->term->kind) {
    case SCAN_ALL:
        return seek_all(walk, strand, target);
    case SCAN_ANY:
        return seek_any(walk, strand, target);
    case SCAN_DEVICES:
        return seek_devices(strand, target);
    case SCAN_RANGE:
        return seek_range(strand, target);
    default:
        return seek_leaf(walk, strand, target);
    }
}

/* ---- the walk ----------------------------------------------------------------------------------
 */

static bool make_strand(struct strand *strand, struct arena *arena, const struct scan_term *term)
{
    bool all = term->kind == SCAN_ALL;
    strand->term = term;
    strand->loose = all || term->kind == SCAN_DEVICES || term->kind == SCAN_RANGE;
    if (!all && term->kind != SCAN_ANY) {
        strand->wanted = BATCH_FIRST;
        if (!strand->loose)
            strand->entries = arena_alloc(arena, BATCH_MOST * sizeof(*strand->entries));
        return strand->loose || strand->entries != NULL;
    }
    strand->parts = arena_alloc(arena, (term->count + 1) * sizeof(*strand->parts));
    if (strand->parts == NULL)
        return false;
    for (; strand->count < term->count; strand->count++) {
        struct strand *part = &strand->parts[strand->count];
        if (!make_strand(part, arena, &term->parts[strand->count]))
            return false;
        strand->loose = all ? strand->loose && part->loose : strand->loose || part->loose;
    }
    return true;
}

static void strand_done(struct strand *strand)
{
    for (size_t i = 0; i < strand->count; i++)
        strand_done(&strand->parts[i]);
    buf_done(&strand->texts);
    buf_done(&strand->tag);
}

/* Beside what is loose, every id there is. */
static bool make_root(struct walk *walk, struct arena *arena, const struct scan_term *term)
{
    if (!make_strand(&walk->root, arena, term))
        return false;
    if (!walk->root.loose)
        return true;
    walk->parts[0] = (struct scan_term){.kind = SCAN_EVERY};
    walk->parts[1] = *term;
    walk->both = (struct scan_term){.kind = SCAN_ALL, .parts = walk->parts, .count = 2};
    strand_done(&walk->root);
    walk->root = (struct strand){0};
    return make_strand(&walk->root, arena, &walk->both);
}

struct walk *sqlite_walk_new(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    const struct scan_term *term, const struct walk_range *range, struct span module)
{
    struct walk *walk = arena_alloc(arena, sizeof(*walk));
    if (walk == NULL)
        return NULL;
    walk->txn = txn;
    walk->hub_id = hub_id;
    walk->range = *range;
    walk->module = module;
    buf_add(&walk->target_device, range->from);
    buf_add(&walk->target_module, range->from_module);
    if (make_root(walk, arena, term) && !walk->target_device.failed && !walk->target_module.failed)
        return walk;
    sqlite_walk_done(walk);
    return NULL;
}

void sqlite_walk_done(struct walk *walk)
{
    if (walk == NULL)
        return;
    strand_done(&walk->root);
    buf_done(&walk->target_device);
    buf_done(&walk->target_module);
}

/* Has the next target be just behind an id: a NUL makes of a text the next one in bytewise order.
 */
static enum err go_behind(struct walk *walk, const struct walk_key *key)
{
    struct buf *last = walk->range.modules ? &walk->target_module : &walk->target_device;
    buf_clear(&walk->target_device);
    buf_clear(&walk->target_module);
    buf_add(&walk->target_device, key->device_id);
    buf_add(&walk->target_module, key->module_id);
    buf_add_byte(last, '\0');
    return walk->target_device.failed || walk->target_module.failed ? ERR_MEMORY : ERR_NONE;
}

enum err sqlite_walk_next(struct walk *walk, struct walk_key *ret_key)
{
    const struct walk_key target = {
        .device_id = buf_span(&walk->target_device), .module_id = buf_span(&walk->target_module)};
    enum err err = seek(walk, &walk->root, &target);
    if (err == ERR_NONE && walk->root.over)
        return ERR_NOT_FOUND;
    if (err == ERR_NONE)
        err = go_behind(walk, &walk->root.head);
    if (err == ERR_NONE)
        *ret_key = walk->root.head;
    return err;
}
