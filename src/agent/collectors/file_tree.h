/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories (and files named in the settings) that are watched, as a tree: each knows its
 * watch, its parent and its name, so that a path is put together when it is needed and a renamed
 * directory takes all below it along. Found by watch, and by parent and name, at once.
 */
#ifndef GEMEL_FILE_TREE_H
#define GEMEL_FILE_TREE_H

#include "span.h"

#include <limits.h>
#include <sys/stat.h>

/* A longer path is cut; the kernel takes none that is longer, but a directory can be moved until
 * one would be. */
#define FILE_PATH_MAX (PATH_MAX + NAME_MAX + 2)

/* What in a directory is news, when it is looked through. */
enum file_news {
    NEWS_NONE,
    NEWS_YOUNG, /* what was made since nothing waited last */
    NEWS_ALL,
};

struct file_node {
    struct file_node *parent; /* NULL: a path of the settings, or its directory is on the move */
    struct file_node *first;  /* child */
    struct file_node *next;   /* sibling */
    struct file_node *previous;
    struct file_node *watch_chain;
    struct file_node *name_chain;
    struct file_node *move_next; /* on the move: see file_watch.c */
    uint64_t name_hash;
    int watch; /* the kernel's descriptor */
    dev_t device;
    ino_t inode;
    char *name; /* without a parent: the path */

    /* For file_watch.c: what a look at it is for, and where it is in its queues. */
    struct file_node *scan_next;
    struct file_node *scan_previous;
    bool scan_queued;
    bool scan_wanted; /* not yet looked through */
    enum file_news scan_news;
    int scan_fd; /* O_PATH, plus one: how it is looked through wherever it is; 0: there is none */
    unsigned generation;
    uint32_t cookie; /* of its move */
    int64_t move_due_us;
};

struct file_tree {
    size_t count;
    size_t bucket_count; /* a power of two; 0: none yet */
    struct file_node **by_watch;
    struct file_node **by_name;
};

void file_tree_done(struct file_tree *tree); /* all nodes must be gone */

/* Adds a node; NULL without memory. */
struct file_node *file_tree_add(struct file_tree *tree, struct file_node *parent, struct span name,
    int watch, const struct stat *stat) MUST_USE;

struct file_node *file_tree_by_watch(const struct file_tree *tree, int watch);
struct file_node *file_tree_child(
    const struct file_tree *tree, const struct file_node *parent, struct span name);

/* Hangs a node elsewhere; `parent` NULL: nowhere, and `name` is its path. False without memory: it
 * is where it was. */
bool file_tree_move(struct file_tree *tree, struct file_node *node, struct file_node *parent,
    struct span name) MUST_USE;

/* Its directory is watched by another watch now, or is another. */
void file_tree_set_watch(
    struct file_tree *tree, struct file_node *node, int watch, const struct stat *stat);

/* Takes a node without children out, and frees it. */
void file_tree_remove(struct file_tree *tree, struct file_node *node);

/* Writes the path of what is called `name` in a node (empty: of the node itself), NUL-terminated.
 * `*ret_cut`: it is longer than FILE_PATH_MAX, and its end is missing. */
struct span file_tree_path(
    const struct file_node *node, struct span name, char ret_path[FILE_PATH_MAX], bool *ret_cut);

#endif
