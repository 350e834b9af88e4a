/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the twin engine. A section (tags, desired, reported) is worked on as one tree that
 * holds values and metadata together:
 *
 *   texts --section_load--> tree --merge--> tree --limits_check_size--> ok --render--> texts
 *
 * A property is an object with children, or a leaf that borrows its JSON value (arrays are leaves).
 * A removed property stays linked and is marked gone: nothing has to be unlinked from long lists.
 */
#ifndef GEMEL_TWIN_PRIV_H
#define GEMEL_TWIN_PRIV_H

#include "twin.h"

struct prop {
    struct span key;
    const struct json *leaf; /* NULL: an object */
    bool gone;
    uint32_t count; /* children, those gone too */
    struct prop *next;
    struct prop *first;
    struct prop *last;
    struct span updated;     /* $lastUpdated; empty: none */
    int64_t updated_version; /* $lastUpdatedVersion; 0: none */
};

#define prop_each(child, object)                                                                   \
    for (struct prop *child = (object)->first; child != NULL; child = child->next)                 \
        if (!child->gone)

/* What one change stamps on every property that it names. */
struct stamp {
    struct arena *arena;
    struct span time;
    int64_t version; /* 0: this section has no $lastUpdatedVersion */
};

/* ---- section.c: the tree -------------------------------------------------------------------- */

/* Reads a section's texts; `metadata` may be empty (tags have none). ERR_CORRUPT, ERR_MEMORY. */
enum err section_load(struct arena *arena, struct span values, struct span metadata,
    struct prop **ret_root, struct why *why) MUST_USE;

/* Adds a child; the caller knows that there is none with that name. NULL without memory. */
struct prop *prop_add(struct arena *arena, struct prop *object, struct span key) MUST_USE;

/* Looks members up by name, many times in the same object: a sorted index where it pays. What is
 * added after lookup_init() is not found. */
struct lookup {
    const struct prop *object;
    struct prop **sorted; /* NULL: walk */
    size_t count;         /* members to look at */
};

enum err lookup_init(struct arena *arena, const struct prop *object, size_t expected_uses,
    struct lookup *ret_lookup) MUST_USE;
struct prop *lookup_find(const struct lookup *lookup, struct span key); /* NULL: none, or gone */

/* ---- merge.c: changing it ------------------------------------------------------------------- */

/* "$metadata" and "$version" directly in a section: tolerated from the service, never stored. */
bool merge_is_reserved(struct span key);

/* Merges an object into an object; members for which `skip` (may be NULL) holds are left out. */
enum err merge_patch(const struct stamp *stamp, struct prop *object, const struct json *patch,
    bool (*skip)(struct span key)) MUST_USE;

/* Writes the merge patch that turns `before` into `after`; numbers count as changed when they are
 * spelt differently. Members are followed by a comma each. */
enum err merge_write_difference(struct arena *arena, const struct prop *before,
    const struct prop *after, struct buf *out) MUST_USE;

/* ---- limits.c: what may be stored ----------------------------------------------------------- */

/* Judges the names and values of a patch of the section called `name` ("tags", …). */
enum err limits_check_patch(const struct twin_limits *limits, const char *name,
    const struct json *patch, bool (*skip)(struct span key), struct why *why) MUST_USE;

/* Judges a section as it would be stored. With `before` (may be NULL) what is over its limit passes
 * if it was no smaller before. */
enum err limits_check_size(const struct twin_limits *limits, const char *name, size_t limit_bytes,
    const struct prop *before, const struct prop *after, struct why *why) MUST_USE;

/* ---- render.c: back to text ----------------------------------------------------------------- */

void render_values(const struct prop *object, struct buf *out);
void render_metadata(const struct prop *object, struct buf *out);

#endif
