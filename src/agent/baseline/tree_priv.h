/* SPDX-License-Identifier: Apache-2.0 */
/* What the walk over the file systems found, by kind. */
#ifndef GEMEL_BASELINE_TREE_PRIV_H
#define GEMEL_BASELINE_TREE_PRIV_H

#include "baseline.h"

enum tree_kind {
    TREE_WORLD_WRITABLE_FILES,
    TREE_WORLD_WRITABLE_DIRS,
    TREE_UNOWNED,
    TREE_UNGROUPED,
    TREE_SUID, /* but the known ones */
    TREE_SGID,
    TREE_KINDS
};

/* The words of the probe, in the order of the kinds; NULL at the end. */
extern const char *const tree_kinds[];

struct tree_found {
    size_t count;
    char paths[3][256]; /* of the first ones */
};

const struct tree_found *tree_found(const struct baseline_tree *tree, enum tree_kind kind);

/* Goes on for that long at most; then it ends, complete or not. */
void tree_finish(struct baseline_tree *tree, int64_t limit_us);

/* NULL, or why not everything was looked at. */
const char *tree_incomplete(const struct baseline_tree *tree);

#endif
