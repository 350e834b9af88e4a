/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One directory after another, from a stack of paths; a directory is never entered through a link.
 * Other file systems are entered when they are local. What container engines keep is left out: the
 * files of an image belong to users of its own.
 */
#include "tree_priv.h"

#include "accounts_priv.h"
#include "buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STACK_BYTES_MAX (1024u * 1024)
#define DEPTH_MAX 64u
#define ARENA_BYTES (4u * 1024 * 1024)
#define ENTRIES_A_LOOK 64u /* at the clock */

const char *const tree_kinds[] = {"world_writable_files", "world_writable_dirs_without_sticky",
    "unowned", "ungrouped", "suid", "sgid", NULL};

struct range {
    uint32_t first;
    uint32_t last;
};

struct baseline_tree {
    struct root root;
    const struct clock *clock;
    struct arena arena;
    uint32_t *uids; /* in order */
    size_t uid_count;
    uint32_t *gids;
    size_t gid_count;
    struct range *ranges; /* of subordinate ids */
    size_t range_count;
    struct buf stack; /* paths, each with a NUL; the next one to look at is the last */
    DIR *stream;      /* of the directory that is being looked at */
    char path[PATH_MAX];
    dev_t device;
    size_t entries;
    bool done;
    const char *incomplete;
    bool skipped; /* a directory could not be read, or lies too deep */
    struct tree_found found[TREE_KINDS];
};

/* Never looked into. What is below the first ones changes while one looks. */
static const char *const left_out[] = {"/proc", "/sys", "/dev", "/run", "/var/lib/docker",
    "/var/lib/containers", "/var/lib/containerd", "/var/lib/lxc", "/var/lib/lxd",
    "/var/lib/machines", "/var/lib/flatpak", "/snap", "/var/lib/snapd/snap"};

/* Not local, or no files: not entered. An overlay is a container's, unless it is the root. */
static const uint32_t foreign[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC,
    SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC,
    PSTOREFS_MAGIC, 0x62656570 /* configfs */, HUGETLBFS_MAGIC, 0x19800202 /* mqueue */,
    AUTOFS_SUPER_MAGIC, BINFMTFS_MAGIC, EFIVARFS_MAGIC, SELINUX_MAGIC, V9FS_MAGIC, CEPH_SUPER_MAGIC,
    AFS_FS_MAGIC, OVERLAYFS_SUPER_MAGIC, NSFS_MAGIC, SQUASHFS_MAGIC, ISOFS_SUPER_MAGIC,
    CRAMFS_MAGIC};

/* Programs that have the bits by design, in the packages of the usual distributions. They count
 * only where programs of the system lie, and when they belong to root. */
static const char *const known_programs[] = {"at", "bsd-write", "bwrap", "cardctl", "chage", "chfn",
    "chrome-sandbox", "chsh", "crontab", "dbus-daemon-launch-helper", "doas", "dotlockfile",
    "expiry", "fping", "fusermount", "fusermount3", "gpasswd", "kismet_capture", "ksu", "lockdev",
    "locate", "mail-lock", "mail-touchlock", "mail-unlock", "mlocate", "mount", "mount.cifs",
    "mount.ecryptfs_private", "mount.nfs", "mount.ntfs-3g", "mtr-packet", "netreport", "newgidmap",
    "newgrp", "newuidmap", "ntfs-3g", "pam_extrausers_chkpwd", "pam_timestamp_check", "passwd",
    "ping", "ping6", "pkexec", "plocate", "polkit-agent-helper-1", "postdrop", "postqueue", "pppd",
    "procmail", "screen", "sg", "slocate", "snap-confine", "ssh-agent", "ssh-keysign", "su", "sudo",
    "sudoedit", "traceroute6.iputils", "umount", "umount.nfs", "unix_chkpwd", "unix_update",
    "userhelper", "usernetctl", "utempter", "vmware-user-suid-wrapper", "wall", "write", "write.ul",
    "Xorg.wrap", "exim4", "camel-lock-helper-1.2", "VBoxNetAdpCtl", "xtables-multi", "busybox",
    "bbsuid"};

static const char *const program_places[] = {"/bin/", "/sbin/", "/lib/", "/lib64/", "/usr/bin/",
    "/usr/sbin/", "/usr/lib/", "/usr/lib64/", "/usr/libexec/"};

/* ---- who exists ------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void read_ranges(struct baseline_tree *tree, const char *path)
{
    struct lines lines;
    struct span line, field;
    struct why why;
    if (lines_open(&tree->root, path, &lines, &why) != LOOKED_FOUND)
        return;
    while (tree->range_count < 256 && lines_next(&lines, &line)) {
        uint64_t first, count;
        if (span_cut(&line, ':', &field) && span_cut(&line, ':', &field) &&
            span_u64(field, UINT32_MAX, &first) && span_cut(&line, ':', &field) &&
            span_u64(field, UINT32_MAX, &count) && count > 0 && first + count - 1 <= UINT32_MAX)
            tree->ranges[tree->range_count++] =
                (struct range){(uint32_t)first, (uint32_t)(first + count - 1)};
    }
    lines_close(&lines);
}

static enum err read_accounts(struct baseline_tree *tree)
{
    struct arena arena;
    struct accounts accounts = {.tried = false};
    arena_init(&arena, ARENA_BYTES);
    enum err err = accounts_load(&tree->root, &arena, &accounts);
    if (err == ERR_NONE) {
        tree->uids = arena_alloc(&tree->arena, (accounts.user_count + 1) * sizeof(uint32_t));
        tree->gids = arena_alloc(&tree->arena, (accounts.group_count + 1) * sizeof(uint32_t));
        tree->ranges = arena_alloc(&tree->arena, 256 * sizeof(*tree->ranges));
    }
    if (err != ERR_NONE || tree->uids == NULL || tree->gids == NULL || tree->ranges == NULL) {
        arena_done(&arena);
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < accounts.user_count; i++)
        if (!accounts.users[i].legacy)
            tree->uids[tree->uid_count++] = accounts.users[i].uid;
    for (size_t i = 0; i < accounts.group_count; i++)
        if (!accounts.groups[i].legacy)
            tree->gids[tree->gid_count++] = accounts.groups[i].gid;
    qsort(tree->uids, tree->uid_count, sizeof(uint32_t), by_number);
    qsort(tree->gids, tree->gid_count, sizeof(uint32_t), by_number);
    arena_done(&arena);
    read_ranges(tree, "/etc/subuid");
    read_ranges(tree, "/etc/subgid");
    return ERR_NONE;
}

/* Users that systemd makes for a while (61184 to 65519), and those of containers, exist as well. */
static bool exists(const struct baseline_tree *tree, const uint32_t *ids, size_t count, uint32_t id)
{
    if (id >= 61184 && id <= 65519)
        return true;
    for (size_t i = 0; i < tree->range_count; i++)
        if (id >= tree->ranges[i].first && id <= tree->ranges[i].last)
            return true;
    return bsearch(&id, ids, count, sizeof(id), by_number) != NULL;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static void add_found(struct baseline_tree *tree, enum tree_kind kind, const char *path)
{
    struct tree_found *found = &tree->found[kind];
    if (found->count < COUNT_OF(found->paths))
        snprintf(found->paths[found->count], sizeof(found->paths[0]), "%.255s", path);
    found->count++;
}

static bool is_known_program(const char *path, const struct stat *stat)
{
    const char *name = strrchr(path, '/') + 1;
    bool placed = false, known = false;
    if (stat->st_uid != 0 || (stat->st_mode & 022) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(program_places); i++)
        placed = placed || strncmp(path, program_places[i], strlen(program_places[i])) == 0;
    for (size_t i = 0; placed && !known && i < COUNT_OF(known_programs); i++)
        known = strcmp(name, known_programs[i]) == 0;
    return known;
}

static void judge(struct baseline_tree *tree, const char *path, const struct stat *stat)
{
    if (S_ISLNK(stat->st_mode))
        return;
    if (S_ISREG(stat->st_mode) && (stat->st_mode & S_IWOTH) != 0)
        add_found(tree, TREE_WORLD_WRITABLE_FILES, path);
    if (S_ISDIR(stat->st_mode) && (stat->st_mode & S_IWOTH) != 0 && (stat->st_mode & S_ISVTX) == 0)
        add_found(tree, TREE_WORLD_WRITABLE_DIRS, path);
    if (!exists(tree, tree->uids, tree->uid_count, stat->st_uid))
        add_found(tree, TREE_UNOWNED, path);
    if (!exists(tree, tree->gids, tree->gid_count, stat->st_gid))
        add_found(tree, TREE_UNGROUPED, path);
    if (!S_ISREG(stat->st_mode) || (stat->st_mode & 06000) == 0 || is_known_program(path, stat))
        return;
    if ((stat->st_mode & S_ISUID) != 0)
        add_found(tree, TREE_SUID, path);
    if ((stat->st_mode & S_ISGID) != 0)
        add_found(tree, TREE_SGID, path);
}

/* ---- the walk -------------------------------------------------------------------------------- */

static bool is_left_out(const char *path)
{
    for (size_t i = 0; i < COUNT_OF(left_out); i++)
        if (strcmp(path, left_out[i]) == 0)
            return true;
    return false;
}

static void push(struct baseline_tree *tree, const char *path)
{
    size_t depth = 0;
    for (const char *at = path; *at != '\0'; at++)
        depth += *at == '/';
    if (depth > DEPTH_MAX || tree->stack.len + strlen(path) + 1 > STACK_BYTES_MAX) {
        tree->skipped = true;
        return;
    }
    buf_add(&tree->stack, (struct span){path, strlen(path) + 1});
    if (tree->stack.failed) {
        tree->stack.failed = false;
        tree->skipped = true;
    }
}

static bool pop(struct baseline_tree *tree)
{
    struct buf *stack = &tree->stack;
    if (stack->len == 0)
        return false;
    size_t begin = stack->len - 1;
    while (begin > 0 && stack->ptr[begin - 1] != '\0')
        begin--;
    snprintf(tree->path, sizeof(tree->path), "%s", stack->ptr + begin);
    stack->len = begin;
    return true;
}

static bool is_local(int fd, const char *path)
{
    struct statfs statfs_;
    if (strcmp(path, "/") == 0)
        return true;
    if (fstatfs(fd, &statfs_) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        if ((uint32_t)statfs_.f_type == foreign[i])
            return false;
    return true;
}

/* Opens the directory that was popped. */
static void enter(struct baseline_tree *tree)
{
    struct stat stat;
    int fd = root_open_at(&tree->root, tree->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0) {
        tree->skipped = tree->skipped || !root_is_missing(-fd);
        return;
    }
    /* The kind of a file system is asked for where it begins only. */
    if (fstat(fd, &stat) != 0 || (stat.st_dev != tree->device && !is_local(fd, tree->path))) {
        close(fd);
        return;
    }
    if (strcmp(tree->path, "/") == 0)
        tree->device = stat.st_dev;
    tree->stream = fdopendir(fd);
    if (tree->stream == NULL)
        close(fd);
}

static void look_at(struct baseline_tree *tree, const char *name)
{
    char path[PATH_MAX];
    struct stat stat;
    int len = snprintf(path, sizeof(path), "%s/%s", tree->path[1] == '\0' ? "" : tree->path, name);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        tree->skipped = true;
        return;
    }
    if (is_left_out(path) ||
        fstatat(dirfd(tree->stream), name, &stat, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
        return;
    judge(tree, path, &stat);
    if (S_ISDIR(stat.st_mode))
        push(tree, path);
}

static void end(struct baseline_tree *tree, const char *incomplete)
{
    tree->done = true;
    tree->incomplete = incomplete;
    if (tree->stream != NULL)
        closedir(tree->stream);
    tree->stream = NULL;
    buf_done(&tree->stack);
    root_close(&tree->root);
}

/* Takes one step: enters a directory or looks at one name. */
static void step(struct baseline_tree *tree)
{
    if (tree->stream == NULL) {
        if (pop(tree))
            enter(tree);
        else
            end(tree, tree->skipped ? "some directories could not be read" : NULL);
        return;
    }
    struct dirent *entry = readdir(tree->stream);
    if (entry == NULL) {
        closedir(tree->stream);
        tree->stream = NULL;
        return;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    look_at(tree, entry->d_name);
    if (++tree->entries >= BASELINE_TREE_ENTRIES)
        end(tree, "the walk was ended after two million names");
}

bool baseline_tree_step(struct baseline_tree *tree, int64_t slice_us)
{
    int64_t begin_us = clock_mono_us(tree->clock), spent_us = 0;
    while (!tree->done && spent_us < slice_us) {
        for (size_t i = 0; i < ENTRIES_A_LOOK && !tree->done; i++)
            step(tree);
        spent_us = clock_mono_us(tree->clock) - begin_us;
    }
    return tree->done;
}

void tree_finish(struct baseline_tree *tree, int64_t limit_us)
{
    if (!baseline_tree_step(tree, limit_us))
        end(tree, "the walk over the file systems took too long and was ended");
}

const struct tree_found *tree_found(const struct baseline_tree *tree, enum tree_kind kind)
{
    return &tree->found[kind];
}

const char *tree_incomplete(const struct baseline_tree *tree)
{
    return tree->incomplete;
}

enum err baseline_tree_new(const char *root_dir, const struct clock *clock,
    struct baseline_tree **ret_tree, struct why *why)
{
    struct baseline_tree *tree = mem_alloc(sizeof(*tree));
    if (tree == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    tree->clock = clock;
    tree->root.fd = -1;
    arena_init(&tree->arena, ARENA_BYTES);
    enum err err = root_open(root_dir, &tree->root, why);
    if (err == ERR_NONE) {
        err = read_accounts(tree);
        push(tree, "/");
        if (err == ERR_NONE && tree->skipped)
            err = ERR_MEMORY;
        if (err != ERR_NONE)
            why_set(why, "%s", err_row(err)->text);
    }
    if (err != ERR_NONE) {
        baseline_tree_free(tree);
        return err;
    }
    *ret_tree = tree;
    return ERR_NONE;
}

void baseline_tree_free(struct baseline_tree *tree)
{
    if (tree == NULL)
        return;
    end(tree, NULL);
    arena_done(&tree->arena);
    mem_free(tree);
}
