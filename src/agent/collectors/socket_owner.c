/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_owner.h"

#include "mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_size_t held_bytes;

struct socket_owner *socket_owner_share(struct socket_owner *owner)
{
    if (owner != NULL)
        atomic_fetch_add(&owner->references, 1);
    return owner;
}

void socket_owner_drop(struct socket_owner *owner)
{
    if (owner == NULL || atomic_fetch_sub(&owner->references, 1) != 1)
        return;
    atomic_fetch_sub(&held_bytes, owner->command_line.len + owner->executable.len);
    mem_free(owner);
}

static struct socket_owner *owner_of(int proc_fd, uint32_t process_id)
{
    struct process_facts facts;
    procfs_read(proc_fd, (pid_t)process_id, &facts);
    if (facts.state == COMMAND_LINE_GONE)
        facts.command_line_len = 0;
    size_t bytes = facts.command_line_len + facts.executable_len;
    if (atomic_load(&held_bytes) + bytes > SOCKET_OWNER_BYTES_MAX) {
        facts.state = COMMAND_LINE_CUT;
        bytes -= facts.command_line_len;
        facts.command_line_len = 0;
    }
    struct socket_owner *owner = mem_alloc(sizeof(*owner) + bytes);
    if (owner == NULL)
        return NULL;
    atomic_init(&owner->references, 1);
    owner->process_id = process_id;
    owner->state = facts.state;
    owner->executable = (struct span){owner->bytes, facts.executable_len};
    owner->command_line =
        (struct span){owner->bytes + facts.executable_len, facts.command_line_len};
    memcpy(owner->bytes, facts.executable, facts.executable_len);
    memcpy(owner->bytes + facts.executable_len, facts.command_line, facts.command_line_len);
    atomic_fetch_add(&held_bytes, bytes);
    return owner;
}

void socket_owners_init(struct socket_owners *ret_owners, const char *proc_dir)
{
    *ret_owners =
        (struct socket_owners){.proc_fd = open(proc_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}

void socket_owners_done(struct socket_owners *owners)
{
    for (size_t i = 0; i < SOCKET_OWNERS_KEPT; i++)
        socket_owner_drop(owners->kept[i].owner);
    if (owners->proc_fd >= 0)
        close(owners->proc_fd);
    *owners = (struct socket_owners){.proc_fd = -1};
}

/* What a descriptor leads to: the inode of a socket, or 0. */
static uint64_t socket_at(int dir_fd, const char *path)
{
    char link[64];
    ssize_t len = readlinkat(dir_fd, path, link, sizeof(link));
    struct span text = {link, len > 0 ? (size_t)len : 0};
    uint64_t inode;
    if (!span_starts(text, SPAN_LIT("socket:[")) || text.ptr[text.len - 1] != ']')
        return 0;
    text = span_from(span_first(text, text.len - 1), strlen("socket:["));
    return span_u64(text, UINT64_MAX, &inode) ? inode : 0;
}

struct socket_owner *socket_owners_recall(struct socket_owners *owners, uint64_t inode)
{
    size_t at = inode % SOCKET_OWNERS_KEPT;
    char path[48];
    if (inode == 0 || owners->kept[at].inode != inode)
        return NULL;
    snprintf(path, sizeof(path), "%u/fd/%u", owners->kept[at].owner->process_id,
        owners->kept[at].descriptor);
    if (socket_at(owners->proc_fd, path) != inode)
        return NULL;
    return socket_owner_share(owners->kept[at].owner);
}

static void keep(
    struct socket_owners *owners, uint64_t inode, uint32_t descriptor, struct socket_owner *owner)
{
    size_t at = inode % SOCKET_OWNERS_KEPT;
    socket_owner_drop(owners->kept[at].owner);
    owners->kept[at].inode = inode;
    owners->kept[at].descriptor = descriptor;
    owners->kept[at].owner = socket_owner_share(owner);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* What is looked for, and how much may still be looked at. */
struct search {
    const uint64_t *inodes;
    size_t count;
    struct socket_owner **found;
    size_t missing;
    size_t descriptors_left;
};

static DIR *open_directory(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

static void walk_process(struct socket_owners *owners, uint32_t process_id, struct search *search)
{
    char path[32];
    snprintf(path, sizeof(path), "%u/fd", process_id);
    DIR *dir = open_directory(owners->proc_fd, path);
    if (dir == NULL)
        return;
    struct socket_owner *owner = NULL;
    const struct dirent *entry;
    while (search->missing > 0 && search->descriptors_left > 0 && (entry = readdir(dir)) != NULL) {
        uint64_t descriptor;
        if (!span_u64(span_of(entry->d_name), UINT32_MAX, &descriptor))
            continue;
        search->descriptors_left--;
        uint64_t inode = socket_at(dirfd(dir), entry->d_name);
        const uint64_t *at =
            inode == 0 ? NULL
                       : bsearch(&inode, search->inodes, search->count, sizeof(inode), compare);
        if (at == NULL || search->found[at - search->inodes] != NULL)
            continue;
        if (owner == NULL)
            owner = owner_of(owners->proc_fd, process_id);
        if (owner == NULL)
            break;
        search->found[at - search->inodes] = socket_owner_share(owner);
        search->missing--;
        keep(owners, inode, (uint32_t)descriptor, owner);
    }
    socket_owner_drop(owner);
    closedir(dir);
}

void socket_owners_walk(struct socket_owners *owners, const uint64_t *inodes, size_t count,
    size_t descriptors_max, struct socket_owner **ret_owners)
{
    struct search search = {.inodes = inodes,
        .count = count,
        .found = ret_owners,
        .missing = count,
        .descriptors_left = descriptors_max};
    for (size_t i = 0; i < count; i++)
        ret_owners[i] = NULL;
    DIR *dir = owners->proc_fd < 0 ? NULL : open_directory(owners->proc_fd, ".");
    if (dir == NULL)
        return;
    const struct dirent *entry;
    while (search.missing > 0 && search.descriptors_left > 0 && (entry = readdir(dir)) != NULL) {
        uint64_t process_id;
        if (span_u64(span_of(entry->d_name), INT32_MAX, &process_id))
            walk_process(owners, (uint32_t)process_id, &search);
    }
    closedir(dir);
}
