/* SPDX-License-Identifier: Apache-2.0 */
#include "file_tree.h"

#include "mem.h"

#define BUCKETS_MIN 64u

static uint64_t hash_name(const struct file_node *parent, struct span name)
{
    uint64_t hash = (uint64_t)(uintptr_t)parent * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static struct file_node **watch_bucket(const struct file_tree *tree, int watch)
{
    return &tree->by_watch[(unsigned)watch & (tree->bucket_count - 1)];
}

static struct file_node **name_bucket(const struct file_tree *tree, uint64_t hash)
{
    return &tree->by_name[hash & (tree->bucket_count - 1)];
}

static void enter_watch(struct file_tree *tree, struct file_node *node)
{
    struct file_node **bucket = watch_bucket(tree, node->watch);
    node->watch_chain = *bucket;
    *bucket = node;
}

static void leave_watch(struct file_tree *tree, struct file_node *node)
{
    struct file_node **at = watch_bucket(tree, node->watch);
    while (*at != node)
        at = &(*at)->watch_chain;
    *at = node->watch_chain;
}

static void enter_name(struct file_tree *tree, struct file_node *node)
{
    node->name_hash = hash_name(node->parent, span_of(node->name));
    struct file_node **bucket = name_bucket(tree, node->name_hash);
    node->name_chain = *bucket;
    *bucket = node;
}

static void leave_name(struct file_tree *tree, struct file_node *node)
{
    struct file_node **at = name_bucket(tree, node->name_hash);
    while (*at != node)
        at = &(*at)->name_chain;
    *at = node->name_chain;
}

static bool grow(struct file_tree *tree)
{
    size_t count = tree->bucket_count == 0 ? BUCKETS_MIN : 2 * tree->bucket_count;
    struct file_node **by_watch = mem_alloc(count * sizeof(struct file_node *));
    struct file_node **by_name = mem_alloc(count * sizeof(struct file_node *));
    if (by_watch == NULL || by_name == NULL) {
        mem_free(by_watch);
        mem_free(by_name);
        return false;
    }
    struct file_tree old = *tree;
    tree->by_watch = by_watch;
    tree->by_name = by_name;
    tree->bucket_count = count;
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct file_node *node = old.by_watch[i], *next; node != NULL; node = next) {
            next = node->watch_chain;
            enter_watch(tree, node);
            enter_name(tree, node);
        }
    }
    mem_free(old.by_watch);
    mem_free(old.by_name);
    return true;
}

void file_tree_done(struct file_tree *tree)
{
    must(tree->count == 0);
    mem_free(tree->by_watch);
    mem_free(tree->by_name);
    *tree = (struct file_tree){0};
}

static void hang(struct file_node *node, struct file_node *parent)
{
    node->parent = parent;
    node->previous = NULL;
    node->next = parent == NULL ? NULL : parent->first;
    if (node->next != NULL)
        node->next->previous = node;
    if (parent != NULL)
        parent->first = node;
}

static void take_off(struct file_node *node)
{
    if (node->next != NULL)
        node->next->previous = node->previous;
    if (node->previous != NULL)
        node->previous->next = node->next;
    else if (node->parent != NULL)
        node->parent->first = node->next;
}

struct file_node *file_tree_add(struct file_tree *tree, struct file_node *parent, struct span name,
    int watch, const struct stat *stat)
{
    /* A table that cannot grow still serves. */
    if (tree->count >= tree->bucket_count && !grow(tree) && tree->bucket_count == 0)
        return NULL;
    struct file_node *node = mem_alloc(sizeof(*node));
    if (node == NULL)
        return NULL;
    node->name = mem_text(name);
    if (node->name == NULL) {
        mem_free(node);
        return NULL;
    }
    node->watch = watch;
    node->device = stat->st_dev;
    node->inode = stat->st_ino;
    hang(node, parent);
    enter_watch(tree, node);
    enter_name(tree, node);
    tree->count++;
    return node;
}

struct file_node *file_tree_by_watch(const struct file_tree *tree, int watch)
{
    if (tree->bucket_count == 0)
        return NULL;
    struct file_node *node = *watch_bucket(tree, watch);
    while (node != NULL && node->watch != watch)
        node = node->watch_chain;
    return node;
}

struct file_node *file_tree_child(
    const struct file_tree *tree, const struct file_node *parent, struct span name)
{
    if (tree->bucket_count == 0)
        return NULL;
    uint64_t hash = hash_name(parent, name);
    struct file_node *node = *name_bucket(tree, hash);
    while (node != NULL &&
           (node->name_hash != hash || node->parent != parent || !span_is(name, node->name)))
        node = node->name_chain;
    return node;
}

bool file_tree_move(
    struct file_tree *tree, struct file_node *node, struct file_node *parent, struct span name)
{
    char *copy = mem_text(name);
    if (copy == NULL)
        return false;
    leave_name(tree, node);
    take_off(node);
    mem_free(node->name);
    node->name = copy;
    hang(node, parent);
    enter_name(tree, node);
    return true;
}

void file_tree_set_watch(
    struct file_tree *tree, struct file_node *node, int watch, const struct stat *stat)
{
    leave_watch(tree, node);
    node->watch = watch;
    node->device = stat->st_dev;
    node->inode = stat->st_ino;
    enter_watch(tree, node);
}

void file_tree_remove(struct file_tree *tree, struct file_node *node)
{
    must(node->first == NULL);
    leave_watch(tree, node);
    leave_name(tree, node);
    take_off(node);
    tree->count--;
    mem_free(node->name);
    mem_free(node);
}

struct span file_tree_path(
    const struct file_node *node, struct span name, char ret_path[FILE_PATH_MAX], bool *ret_cut)
{
    size_t len = name.len;
    bool first = name.len == 0;
    for (const struct file_node *at = node; at != NULL; at = at->parent) {
        len += strlen(at->name) + (first || span_is(span_of(at->name), "/") ? 0 : 1);
        first = false;
    }
    /* From the end on; what lies behind the room is left out. */
    size_t end = len, room = FILE_PATH_MAX - 1;
    struct span part = name;
    const struct file_node *at = node;
    for (;;) {
        end -= part.len;
        for (size_t i = 0; i < part.len && end + i < room; i++)
            ret_path[end + i] = part.ptr[i];
        if (at == NULL)
            break;
        struct span above = span_of(at->name);
        if (end < len && !span_is(above, "/")) {
            end--;
            if (end < room)
                ret_path[end] = '/';
        }
        part = above;
        at = at->parent;
    }
    *ret_cut = len > room;
    if (len > room)
        len = room;
    ret_path[len] = '\0';
    return (struct span){ret_path, len};
}
