/* SPDX-License-Identifier: Apache-2.0 */
/* "tree": what one walk over the local file systems finds; see tree.c for what it leaves out. */
#include "probe_priv.h"
#include "tree_priv.h"

static enum baseline_result run(struct context *context, const struct json *args, struct why *why)
{
    size_t kind = 0;
    while (strcmp(tree_kinds[kind], arg_text(args, "find")) != 0)
        kind++;
    tree_finish(context->tree, context->tree_limit_us);
    const struct tree_found *found = tree_found(context->tree, (enum tree_kind)kind);
    const char *incomplete = tree_incomplete(context->tree);
    struct why names = {""};
    size_t shown = found->count < COUNT_OF(found->paths) ? found->count : COUNT_OF(found->paths);
    for (size_t i = 0; i < shown; i++) {
        struct why before = names;
        why_set(&names, "%s%s%s", before.text, i == 0 ? "" : ", ", found->paths[i]);
    }
    if (found->count > 0) {
        why_set(
            why, "%zu found: %s%s", found->count, names.text, found->count > shown ? ", ..." : "");
        return BASELINE_FAIL;
    }
    if (incomplete != NULL) {
        why_set(why, "nothing was found, but %s", incomplete);
        return BASELINE_SKIP;
    }
    why_set(why, "nothing was found");
    return BASELINE_PASS;
}

static const struct probe_arg args_table[] = {
    {.name = "find", .kind = ARG_CHOICE, .choices = tree_kinds, .required = true},
    {.name = NULL},
};

const struct probe tree_probe = {.name = "tree", .args = args_table, .run = run};
