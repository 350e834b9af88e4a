/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a check file, strictly: whatever it does not know, or would not fit the probe that is
 * named, refuses the file as a whole, with line and column. (Format: docs/guide/baseline.md.)
 */
#ifndef GEMEL_BASELINE_READER_PRIV_H
#define GEMEL_BASELINE_READER_PRIV_H

#include "baseline.h"
#include "json.h"

#define CHECKS_MAX 2048u
#define RULE_DEPTH_MAX 8u

struct check {
    struct span id;
    struct span group;
    enum baseline_severity severity;
    struct span description;
    struct span remediation;
    const struct json *when; /* NULL: always */
    const struct json *pass;
};

struct document {
    struct span name;
    struct span extends; /* empty: nothing */
    struct span applies_id;
    struct span applies_version;
    const struct json *remove; /* an array of ids, or NULL */
    struct check *checks;
    size_t count;
};

/* The document lives in the arena; `text` must live as long. ERR_FORMAT, ERR_MEMORY. */
enum err reader_read(
    struct arena *arena, struct span text, struct document *ret_document, struct why *why) MUST_USE;

#endif
