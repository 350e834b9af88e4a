/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The twin engine: (document, change) -> (document', what changed). Pure: no clock, no I/O, no
 * state. It serves device and module twins alike, and implements Azure IoT Hub's semantics: JSON
 * merge patch with arrays as leaves, null deletes, $metadata, versions, etag, limits.
 *
 * A document is kept as JSON texts ready to be sent, so that reading a twin parses nothing:
 *
 *   tags      {"env":"test"}                      "{}" when there are none
 *   values    {"a":{"b":1.50},"c":"x"}            without $metadata and $version
 *   metadata  {"$lastUpdated":"…","$lastUpdatedVersion":4,"a":{"$lastUpdated":"…",…}}
 *
 * Member order and the spelling of numbers are kept as they were sent. All spans are borrowed:
 * those of a result live in the arena that was given, and are good as long as both it and what was
 * passed in are.
 *
 * Names: not empty, free of '.', '$', '#', white space and control characters (C0, C1). Arrays are
 * leaves, but free of null at any depth. Sizes are counted on what would be stored, by the hub's
 * rule: bytes of a name, characters of a string without control characters, 8 for a number, 4 for a
 * boolean. What that rule takes for nothing is bounded too: a section's JSON text by 8 times its
 * limit, a number's literal by 128 characters. A part that is over its limit already (a limit was
 * lowered) may shrink, and stay as it is.
 */
#ifndef GEMEL_TWIN_H
#define GEMEL_TWIN_H

#include "json.h"

struct twin_section {
    struct span values;
    struct span metadata;
    int64_t version; /* $version: 1 at creation, + 1 for each accepted change */
};

struct twin_doc {
    struct span tags;
    struct twin_section desired;
    struct twin_section reported;
    uint64_t etag;   /* counts service-side changes (tags, desired); 1 at creation */
    int64_t version; /* counts changes of any part; 2 at creation */
    /* What the hub's configurations made of it; no change of the engine touches these. */
    struct span configurations; /* {"NAME":{"status":"Applied"}}; empty: none has it as a target */
    struct span owned;          /* what they put in place (overlay.h); empty: nothing */
};

/* Azure's limits; every one a setting of the hub. */
struct twin_limits {
    size_t key_bytes;
    size_t string_bytes;
    size_t property_bytes; /* of a top-level property's value, all below it; 0: not judged */
    size_t desired_bytes;  /* by the counting rule of the hub protocol */
    size_t reported_bytes;
    size_t tags_bytes;
    unsigned depth; /* containers below the section's own object */
    int64_t integer_min;
    int64_t integer_max;
};

#define TWIN_LIMITS_DEFAULT                                                                        \
    {                                                                                              \
        .key_bytes = 1024, .string_bytes = 4096, .property_bytes = 4096, .desired_bytes = 32768,   \
        .reported_bytes = 32768, .tags_bytes = 8192, .depth = 10,                                  \
        .integer_min = -4503599627370496, .integer_max = 4503599627370495                          \
    }

extern const struct twin_limits twin_limits_default;

enum twin_change_kind {
    TWIN_PATCH,   /* service: merges "tags" and "properties"."desired" */
    TWIN_REPLACE, /* service: replaces both; a part that is absent is cleared */
    TWIN_REPORT,  /* device or module: the patch is the reported section's merge patch itself */
};

struct twin_change {
    struct twin_doc doc; /* the document afterwards */
    bool tags_changed;
    bool desired_changed;
    bool reported_changed;
    /* What the connected client is told when desired changed, with its "$version": the patch as
     * sent, or where the section was replaced or cleared the difference, with explicit nulls, so
     * that the SDKs' caches lose what went. Empty when it did not. */
    struct span notification;
};

/* Makes the document of a new identity. Fails only for want of memory. */
enum err twin_new(struct arena *arena, int64_t now_us, struct twin_doc *ret_doc) MUST_USE;

/*
 * Applies a change. `change` is the request body: for the service kinds an object with "tags" and
 * "properties":{"desired"}; read-only members of it are ignored, and so are "$metadata" and
 * "$version" directly in a part, as the SDKs send whole twins back. For TWIN_REPORT every name that
 * holds '$' is refused.
 *
 * What counts as a change: there is no comparison, a value that is sent again bumps versions and
 * stamps again. A part of a TWIN_PATCH that names no property ("tags":{}) asks for nothing; null
 * clears it. TWIN_REPLACE always changes both parts, TWIN_REPORT always the reported section, an
 * empty one included. The etag grows by one for a change of tags or desired or both, the version by
 * one for any.
 *
 * ERR_ARGUMENT with the path of the offending value and what is allowed; ERR_MEMORY; ERR_CORRUPT if
 * `doc` is no document. Nothing is written to `ret_change` on failure.
 */
enum err twin_apply(struct arena *arena, const struct twin_doc *doc, enum twin_change_kind kind,
    const struct json *change, const struct twin_limits *limits, int64_t now_us,
    struct twin_change *ret_change, struct why *why) MUST_USE;

/* Writes {"desired":{…,"$version":n},"reported":{…,"$version":n}}: what a client GETs over MQTT. */
void twin_write_client(const struct twin_doc *doc, struct buf *out);

/* Writes `"properties":{"desired":{…,"$metadata":{…},"$version":n},"reported":{…}}`, the part of
 * the REST document that is the twin's own; the caller writes the members around it. */
void twin_write_properties(const struct twin_doc *doc, struct buf *out);

/* Writes the etag as IoT Hub does: base64 of the counter as 8 bytes, big endian; no quotes. */
#define TWIN_ETAG_SIZE 16
const char *twin_etag(uint64_t counter, char ret_text[TWIN_ETAG_SIZE]);

#endif
