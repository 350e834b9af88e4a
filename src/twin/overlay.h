/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of configurations, laid over the desired properties of a twin. A content is an object of
 * paths and what is to stand there:
 *
 *   {"properties.desired.cooling": {"fan": 3}, "properties.desired.site.floor": 2}
 *
 * What stands at a path is replaced as a whole; "properties.desired" alone is the whole section.
 * Layers are laid from the lowest to the highest, so that a higher one wins where paths meet. What
 * a layer that is no longer there had put in place is taken out again: which paths that may be is
 * kept with the twin ("owned"). Nothing else is touched. Pure, like the rest of this folder.
 */
#ifndef GEMEL_OVERLAY_H
#define GEMEL_OVERLAY_H

#include "json.h"

struct twin_limits;

/*
 * Judges a content: paths, no path at or below another, no null, and by `limits` what would become
 * of an empty twin. ERR_ARGUMENT with the path; ERR_MEMORY.
 */
enum err overlay_check(struct arena *arena, const struct json *content,
    const struct twin_limits *limits, struct why *why) MUST_USE;

struct overlay_layer {
    const struct json *content; /* that was checked */
    bool in_force;              /* out: some path of it is at and below no path of a higher one */
};

struct overlay {
    const struct json *patch; /* {"properties":{"desired":{…}}} for twin_apply(); NULL: it fits */
    struct span owned;        /* JSON array of the layers' paths; empty: none */
};

/*
 * Finds what must change so that desired properties (`values`, their JSON text) are as the layers,
 * the lowest first, want them. ERR_CORRUPT if a text is none of ours, ERR_MEMORY.
 */
enum err overlay_apply(struct arena *arena, struct span values, struct span owned,
    struct overlay_layer *layers, size_t count, struct overlay *ret_overlay) MUST_USE;

#endif
