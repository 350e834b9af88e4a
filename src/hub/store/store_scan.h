/* SPDX-License-Identifier: Apache-2.0 */
/* Of the store: scans for queries over twins. */
#ifndef GEMEL_STORE_SCAN_H
#define GEMEL_STORE_SCAN_H

#include "store.h"

/* A boolean, number or string that a tag is. */
struct tag_value {
    enum tag_kind {
        TAG_BOOL,
        TAG_NUMBER,
        TAG_STRING,
        TAG_OTHER /* an object, an array, or a string of more than TAG_TEXT_BYTES */
    } kind;
    bool truth;
    double number;
    struct span text;
};

#define TAG_TEXT_BYTES 256

/* What modules report as latest_state; the numbers stand in the database. */
enum latest_state { STATE_NONE, STATE_SUCCESS, STATE_FAILED, STATE_OTHER };

/* Which twins, as a tree of what indexes know. */
enum scan_kind {
    SCAN_ALL,     /* those that each part takes; at least one part */
    SCAN_ANY,     /* those that one of the parts takes */
    SCAN_DEVICES, /* of these devices: `ids`, in bytewise order, none twice */
    SCAN_RANGE,   /* device ids from `name` on (empty: the first) and below `below` (empty: any) */
    SCAN_MODULE,  /* modules called `name` */
    SCAN_CONNECTED, /* `flag`: 0 or 1 */
    SCAN_ENABLED,
    SCAN_EDGE,          /* devices */
    SCAN_STATE,         /* modules; `flag` is of enum latest_state */
    SCAN_TAG,           /* whose tag `name` ("site.floor") is `tag` */
    SCAN_TAGGED,        /* that have the tag `name` */
    SCAN_CONFIGURATION, /* that the configuration `name` has targeted; `flag`: 1 if it is applied */
    SCAN_EVERY,         /* all of the collection */
    SCAN_KIND_COUNT
};

struct scan_term {
    enum scan_kind kind;
    const struct scan_term *parts; /* `count` of them */
    const struct span *ids;        /* or of these */
    size_t count;
    struct span name;
    struct span below;
    int flag;
    struct tag_value tag;
};

struct twin_scan {
    bool modules;                 /* modules of all devices instead of devices */
    const struct scan_term *term; /* NULL: all */
    /* Only what stands behind this device, or this device and module; empty: from the first. */
    struct span after;
    struct span after_module;
    size_t limit;
    bool only_ids;      /* of the identities nothing else is read, and no twins */
    bool with_messages; /* without it, the messages that wait for a client are not counted: 0 */
    bool with_twins;
    bool with_metadata; /* without it, the metadata of the twins is not read: "{}" */
};

/*
 * Calls the visitor for each, in bytewise order of device and module id; what it is given lives for
 * the call. A visitor's error ends the walk and is returned. Little is walked through that the term
 * does not take: of SCAN_ALL about as much as its rarest part finds, of SCAN_ANY what all parts do.
 */
enum err store_twin_scan(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    identity_visitor *visit, void *self) MUST_USE;

/* Counts what the scan would visit, if one index knows; else `*ret_known` is false, and somebody
 * must walk. `limit` and what is wanted of each are passed over. */
enum err store_twin_count(struct store_txn *txn, int64_t hub_id, const struct twin_scan *scan,
    bool *ret_known, uint64_t *ret_count) MUST_USE;

/* Of a facet: the flag, or the name of a module in `tag.text`, or the tag; and how many have it. */
struct facet {
    int flag;
    struct tag_value tag;
    uint64_t count;
};

typedef enum err facet_visitor(void *self, const struct facet *facet);

/*
 * Counts by what a term of this kind could ask for: SCAN_CONNECTED, _ENABLED, _EDGE, _STATE,
 * _MODULE, _TAG and _CONFIGURATION (these two of `name`). `module` is the one name that is counted,
 * or empty. What has no tag, or was not targeted, is in no facet.
 */
enum err store_twin_facets(struct store_txn *txn, int64_t hub_id, bool modules, enum scan_kind kind,
    struct span name, struct span module, facet_visitor *visit, void *self) MUST_USE;

#endif
