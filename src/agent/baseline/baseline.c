/* SPDX-License-Identifier: Apache-2.0 */
#include "baseline.h"

#include "probe_priv.h"
#include "select_priv.h"

#include <stdio.h>
#include <sys/utsname.h>

/* Far above what a real machine's accounts and packages take. */
#define SCAN_ARENA_BYTES (4u * 1024 * 1024)
#define SCRATCH_ARENA_BYTES (1024u * 1024)
#define ID_SIZE 320

const char *const baseline_results[] = {"PASS", "FAIL", "ERROR", "SKIP"};
const char *const baseline_severities[] = {"CRITICAL", "IMPORTANT", "WARNING", "INFORMATIONAL"};

struct baseline {
    struct baseline_options options;
    struct context context;
    struct selection selection;
    struct baseline_tree *own_tree; /* where the options bring none */
    struct utsname system;
    size_t at; /* the refused files first, then the checks */
    char id[ID_SIZE];
    struct why reason;
};

static enum err open_parts(struct baseline *scan, struct why *why)
{
    const struct baseline_options *options = &scan->options;
    enum err err = root_open(options->root_dir, &scan->context.root, why);
    if (err == ERR_NONE && options->tree == NULL) {
        err = baseline_tree_new(options->root_dir, options->clock, &scan->own_tree, why);
        scan->context.tree = scan->own_tree;
    }
    return err == ERR_NONE ? selection_open(options, &scan->selection, why) : err;
}

enum err baseline_open(
    const struct baseline_options *options, struct baseline **ret_scan, struct why *why)
{
    struct baseline *scan = mem_alloc(sizeof(*scan));
    if (scan == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    scan->options = *options;
    must(uname(&scan->system) == 0);
    scan->context = (struct context){.root = {.fd = -1},
        .clock = options->clock,
        .tree = options->tree,
        .tree_limit_us = options->tree_limit_us == 0 ? BASELINE_TREE_US : options->tree_limit_us,
        .kernel_release =
            options->kernel_release == NULL ? scan->system.release : options->kernel_release};
    arena_init(&scan->context.arena, SCAN_ARENA_BYTES);
    arena_init(&scan->context.scratch, SCRATCH_ARENA_BYTES);
    enum err err = open_parts(scan, why);
    if (err != ERR_NONE) {
        baseline_close(scan);
        return err;
    }
    *ret_scan = scan;
    return ERR_NONE;
}

void baseline_close(struct baseline *scan)
{
    if (scan == NULL)
        return;
    selection_close(&scan->selection);
    baseline_tree_free(scan->own_tree);
    arena_done(&scan->context.arena);
    arena_done(&scan->context.scratch);
    root_close(&scan->context.root);
    mem_free(scan);
}

size_t baseline_refused(const struct baseline *scan)
{
    return scan->selection.refused;
}

/* An id is one word: what is neither letter nor digit in a name becomes '_'. */
static size_t add_part(char *id, size_t len, struct span text, const char *otherwise)
{
    if (text.len == 0)
        text = span_of(otherwise);
    for (size_t i = 0; i < text.len && len < ID_SIZE - 80; i++) {
        char c = text.ptr[i];
        bool kept =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
        id[len++] = kept ? c : '_';
    }
    id[len++] = '-';
    return len;
}

static const char *full_id(struct baseline *scan, struct span group, struct span number)
{
    size_t len = add_part(scan->id, 0, SPAN_LIT("CIS"), "");
    len = add_part(scan->id, len, span_of(scan->options.distribution), "linux");
    len = add_part(scan->id, len, span_of(scan->options.version), "unknown");
    len = add_part(scan->id, len, group, "");
    must(span_copy(number, scan->id + len, ID_SIZE - len));
    return scan->id;
}

static bool disabled(const struct baseline *scan, struct span id, struct span group)
{
    return scan->options.disabled != NULL && scan->options.disabled(scan->options.self, id, group);
}

static void judge(
    struct baseline *scan, const struct check *check, struct baseline_finding *ret_finding)
{
    arena_done(&scan->context.scratch);
    arena_init(&scan->context.scratch, SCRATCH_ARENA_BYTES);
    why_set(&scan->reason, "%s", "");
    enum baseline_result result = BASELINE_PASS;
    if (check->when != NULL)
        result = rule_judge(&scan->context, check->when, &scan->reason);
    if (result == BASELINE_FAIL)
        result = BASELINE_SKIP;
    if (result == BASELINE_PASS)
        result = rule_judge(&scan->context, check->pass, &scan->reason);
    *ret_finding = (struct baseline_finding){.id = full_id(scan, check->group, check->id),
        .group = check->group,
        .result = result,
        .severity = check->severity,
        .reason = scan->reason.text,
        .description = check->description,
        .remediation = check->remediation};
}

static void tell_refused(struct baseline *scan, struct baseline_finding *ret_finding)
{
    struct span group = SPAN_LIT(BASELINE_REFUSED_GROUP);
    *ret_finding = (struct baseline_finding){
        .id = full_id(scan, group, SPAN_LIT(BASELINE_REFUSED_ID)),
        .group = group,
        .result = BASELINE_ERROR,
        .severity = BASELINE_IMPORTANT,
        .reason = scan->selection.refusals.text,
        .description = SPAN_LIT("The files that say what is checked are whole and signed by a key "
                                "that this device trusts."),
        .remediation = SPAN_LIT("Find out who altered the files; then install the package of the "
                                "agent anew, or sign your own check files with a key in "
                                "baseline_keys.pem.")};
}

bool baseline_next(struct baseline *scan, struct baseline_finding *ret_finding)
{
    const struct selection *selection = &scan->selection;
    if (scan->at == 0) {
        scan->at = 1;
        if (selection->refused > 0 &&
            !disabled(scan, SPAN_LIT(BASELINE_REFUSED_ID), SPAN_LIT(BASELINE_REFUSED_GROUP))) {
            tell_refused(scan, ret_finding);
            return true;
        }
    }
    while (scan->at <= selection->check_count) {
        const struct check *check = selection->checks[scan->at++ - 1];
        if (disabled(scan, check->id, check->group))
            continue;
        judge(scan, check, ret_finding);
        return true;
    }
    return false;
}
