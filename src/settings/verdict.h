/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging a document of settings, and saying the outcome. All or nothing: either every member is
 * good and there are new effective settings, or nothing changes and the verdict names every bad
 * field with one sentence that says what was wrong, what is allowed and what the default is.
 *
 *     base (defaults, conf.json over them) + desired --judge--> effective settings | bad fields
 *     effective settings + verdict --report--> the module twin's reported section
 *
 * What is reported stays within the limits of a twin (4 KB a property, names without '.', '$', '#',
 * blanks and control characters), whatever stood in the document: a name that can be no twin key is
 * escaped byte by byte as %XX, a long one is cut and ends in a hash of the whole.
 *
 * One verdict may be used again after verdict_done(). Not for two threads at once.
 */
#ifndef GEMEL_VERDICT_H
#define GEMEL_VERDICT_H

#include "json.h"
#include "settings.h"

/* Further bad fields are only counted: this bounds what a hostile document costs. */
#define VERDICT_FIELDS_MAX 1000u

struct verdict_field {
    struct verdict_field *next;
    struct span name;     /* safe as a twin key */
    const char *sentence; /* does not begin with the name */
};

struct verdict {
    struct arena arena;           /* owns what the lists hold */
    struct verdict_field *fields; /* the bad ones, by name */
    size_t field_count;
    size_t left_out;             /* bad ones beyond VERDICT_FIELDS_MAX */
    struct verdict_field *notes; /* fields that are good, but worth a line in the log */
    int64_t desired_version;     /* the document's $version; -1: it has none */
};

void verdict_init(struct verdict *ret_verdict);
void verdict_done(struct verdict *verdict);

/* The name under which a verdict tells of a member of that name: safe as a twin key. False: no
 * memory. */
bool verdict_name(struct arena *arena, struct span name, struct span *ret_safe) MUST_USE;

static inline bool verdict_ok(const struct verdict *verdict)
{
    return verdict->fields == NULL;
}

/* Adds a bad field; for a valid setting that cannot be put in force here. Adding a name again keeps
 * the first sentence. ERR_MEMORY. */
enum err verdict_blame(struct verdict *verdict, struct span name, const char *format, ...)
    PRINTF_LIKE(3, 4) MUST_USE;

/*
 * Judges a desired document over `base`. What is absent or null has the base's value; $version and
 * $metadata are skipped. ERR_NONE: `*ret_effective` (storage that holds nothing) is written.
 * ERR_ARGUMENT: `verdict` names the bad fields. ERR_MEMORY. `verdict` is emptied first.
 */
enum err settings_judge(const struct settings *base, const struct json *desired,
    struct settings *ret_effective, struct verdict *verdict) MUST_USE;

/* Judges conf.json over the defaults in the same way; here the local settings are allowed too. */
enum err settings_judge_local(
    const struct json *conf, struct settings *ret_base, struct verdict *verdict) MUST_USE;

/*
 * Builds what is reported: all effective values under their own names in alphabetical order (an
 * optional one only when it is set). NULL without memory.
 */
struct json *settings_report(struct arena *arena, const struct settings *settings) MUST_USE;

/*
 * Adds the verdict to it: latest_state ("success" or "failed"), latest_invalid_fields (names by
 * alphabet, joined by commas; past 4,000 bytes the rest is "...+N"), latest_errors (field ->
 * sentence; what has no room is counted under "_left_out"), latest_desired_version (when it is
 * known) and, unless `agent_version` is NULL, agent_version. False: no memory.
 */
bool verdict_report(struct arena *arena, const struct verdict *verdict, const char *agent_version,
    struct json *object) MUST_USE;

/*
 * Returns the merge patch that makes `previous` into `reported`: only what differs, null for what
 * went. `previous` may be NULL (nothing yet) and may carry $version and $metadata. Without a
 * difference the patch has no members. NULL without memory.
 */
struct json *settings_report_difference(
    struct arena *arena, const struct json *previous, const struct json *reported) MUST_USE;

#endif
