/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packages.db, rpm's own format (SUSE), all numbers little-endian:
 *
 *   page 0…   magic "RpmP" (4) | version (4) | generation (4) | pages of slots (4) | …16
 *             slots of 16 bytes: magic "Slot" | package | block | blocks        (block 0: free)
 *   then      blobs at block * 16: magic "BlbS" | package | generation | length | header
 */
#include "rpm_header.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define SLOT_BYTES 16u
#define BLOCK_BYTES 16u
#define HEAD_BYTES 32u
#define SLOT_PAGES_MAX 4096u /* a million packages */

static uint32_t number(const unsigned char *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static bool read_at(int fd, uint64_t offset, void *ret_bytes, size_t len)
{
    return pread(fd, ret_bytes, len, (off_t)offset) == (ssize_t)len;
}

struct source {
    int fd;
    uint64_t start;
};

static bool read_blob(void *self, size_t offset, void *ret_bytes, size_t len)
{
    const struct source *source = self;
    return read_at(source->fd, source->start + offset, ret_bytes, len);
}

/* Hands out the package of a slot; false: no more. */
static bool read_slot(
    int fd, const unsigned char *slot, package_sink *sink, void *self, unsigned *bad)
{
    unsigned char head[16];
    uint32_t index = number(slot + 4);
    uint64_t start = (uint64_t)number(slot + 8) * BLOCK_BYTES;
    uint64_t room = (uint64_t)number(slot + 12) * BLOCK_BYTES;
    struct source source = {fd, start + sizeof(head)};
    struct rpm_package store;
    struct package package;
    if (start == 0)
        return true; /* free */
    if (memcmp(slot, "Slot", 4) == 0 && read_at(fd, start, head, sizeof(head)) &&
        memcmp(head, "BlbS", 4) == 0 && number(head + 4) == index &&
        number(head + 12) + sizeof(head) <= room &&
        rpm_header_read(number(head + 12), read_blob, &source, &store, &package))
        return sink(self, &package);
    (*bad)++;
    return true;
}

static enum err read_slots(
    int fd, const char *path, package_sink *sink, void *self, struct why *why)
{
    unsigned char page[PAGE_BYTES];
    unsigned bad = 0;
    if (!read_at(fd, 0, page, HEAD_BYTES) || memcmp(page, "RpmP", 4) != 0 || number(page + 4) != 0)
        return fail(ERR_FORMAT, why, "%s is no database of rpm", path);
    uint32_t pages = number(page + 12);
    if (pages > SLOT_PAGES_MAX)
        return fail(ERR_FORMAT, why, "%s has %u pages of slots, at most %u are read", path, pages,
            SLOT_PAGES_MAX);
    bool more = true;
    for (uint32_t i = 0; more && i < pages; i++) {
        if (!read_at(fd, (uint64_t)i * PAGE_BYTES, page, PAGE_BYTES))
            return fail(ERR_FORMAT, why, "%s ends before its slots do", path);
        for (size_t at = i == 0 ? HEAD_BYTES : 0; more && at < PAGE_BYTES; at += SLOT_BYTES)
            more = read_slot(fd, page + at, sink, self, &bad);
    }
    if (bad > 0)
        return fail(ERR_FORMAT, why, "%s: %u headers of packages are damaged", path, bad);
    return ERR_NONE;
}

enum err packages_read_rpm_ndb(const char *path, package_sink *sink, void *self, struct why *why)
{
    int fd;
    enum err err = packages_open(path, &fd, why);
    if (err != ERR_NONE)
        return err;
    err = read_slots(fd, path, sink, self, why);
    close(fd);
    return err;
}
