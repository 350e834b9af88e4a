/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The security baseline: checks of the CIS Distribution Independent Linux Benchmark, written as
 * data and judged by a small set of probes. Nothing is started, no shell, nothing is written.
 *
 *   check files (signed JSON) --open--> the checks that are for this system --next--> findings
 *
 * A check file counts only with a good Ed25519 signature in FILE.sig beside it, by the key that was
 * compiled in or one of the operator's (docs/adr). A file that is altered, unsigned, signed by
 * somebody else, or not in the format (docs/guide/baseline.md) is refused as a whole and reported
 * as one finding, BASELINE_REFUSED_ID. Among the others the one that fits this system best is
 * chosen (its distribution rather than one that it is like, its version rather than any, then the
 * longest chain of extensions, then the first name), and what it extends.
 *
 * A scan owns everything it reads and keeps nothing when it is closed: a few hundred KiB while it
 * lasts. There is no global state; different scans are independent. A scan blocks for files only.
 */
#ifndef GEMEL_BASELINE_H
#define GEMEL_BASELINE_H

#include "clock.h"
#include "err.h"
#include "span.h"

enum baseline_result { BASELINE_PASS, BASELINE_FAIL, BASELINE_ERROR, BASELINE_SKIP };
enum baseline_severity {
    BASELINE_CRITICAL,
    BASELINE_IMPORTANT,
    BASELINE_WARNING,
    BASELINE_INFORMATIONAL
};

/* As they are written in events. */
extern const char *const baseline_results[];
extern const char *const baseline_severities[];

/* The finding about check files that were refused; its group can be switched off like others. */
#define BASELINE_REFUSED_ID "0.1"
#define BASELINE_REFUSED_GROUP "Check Files"

struct baseline;
struct baseline_tree;

struct baseline_options {
    const struct clock *clock;
    const char *root_dir;       /* of the machine that is judged: "/" */
    const char *distribution;   /* ID of os-release, as "debian" */
    const char *like;           /* ID_LIKE: words */
    const char *version;        /* VERSION_ID, as "12"; these three may be "" */
    const char *kernel_release; /* NULL: that of the running kernel */
    const char *checks_dir;     /* the check files of the installation */
    const char *own_checks_dir; /* the operator's, besides; NULL: none */
    const char *keys_path;      /* PEM public keys the operator trusts besides; NULL: none */
    /* Whether a check is switched off: then it is neither run nor returned. NULL: none is. */
    bool (*disabled)(void *self, struct span id, struct span group);
    void *self;
    struct baseline_tree *tree; /* borrowed; NULL: the walk is made when it is needed */
    int64_t tree_limit_us;      /* what a scan may spend on the walk; 0: BASELINE_TREE_US */
};

struct baseline_finding {
    const char *id; /* "CIS-debian-12-Filesystem_Configuration-1.1.2" */
    struct span group;
    enum baseline_result result;
    enum baseline_severity severity;
    const char *reason; /* what was found */
    struct span description;
    struct span remediation;
};

/*
 * Begins a scan: reads and chooses the checks. Refused files are logged and do not make it fail;
 * ERR_MEMORY, or ERR_IO when the root cannot be opened.
 */
enum err baseline_open(
    const struct baseline_options *options, struct baseline **ret_scan, struct why *why) MUST_USE;
void baseline_close(struct baseline *scan); /* NULL is fine */

/* Runs the next check; false at the end. The finding is valid until the next call. */
bool baseline_next(struct baseline *scan, struct baseline_finding *ret_finding);

size_t baseline_refused(const struct baseline *scan); /* check files */

/*
 * The walk over the local file systems that the checks of files without owner, of set-user-id
 * programs and the like share. It may be made beforehand, in pieces; a scan uses what it found, and
 * spends at most tree_limit_us on what is left of it. The walk ends after BASELINE_TREE_ENTRIES
 * names. Past either bound, what was not found is not known, and the checks say so.
 */
#define BASELINE_TREE_ENTRIES 2000000u
#define BASELINE_TREE_US INT64_C(1000000)

enum err baseline_tree_new(const char *root_dir, const struct clock *clock,
    struct baseline_tree **ret_tree, struct why *why) MUST_USE;
void baseline_tree_free(struct baseline_tree *tree); /* NULL is fine */

/* Goes on for about that long; true once it is complete, or at a bound. */
bool baseline_tree_step(struct baseline_tree *tree, int64_t slice_us);

#endif
