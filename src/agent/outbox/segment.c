/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_priv.h"

#include "outbox.h"

#include <endian.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

static const char magic[4] = "GMO1";

struct header {
    char magic[4];
    uint32_t crc;
    uint32_t length;
    uint32_t events;
    uint64_t sequence;
    uint64_t wall_us;
    unsigned char id[RECORD_ID_SIZE];
};
_Static_assert(sizeof(struct header) == RECORD_HEADER_SIZE, "the header has no holes");

#define COVERED_FROM offsetof(struct header, length)

uint32_t crc32_of(uint32_t crc, struct span bytes)
{
    /* Half a byte a step: 16 words instead of 256, fast enough for what a device sends. */
    static const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190,
        0x6B6B51F4, 0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        crc = table[(crc ^ byte) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (byte >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}

static uint32_t header_crc(const struct header *header, struct span body)
{
    struct span covered = {(const char *)header + COVERED_FROM, sizeof(*header) - COVERED_FROM};
    return crc32_of(crc32_of(0, covered), body);
}

static enum err write_failed(int fd, uint64_t offset, int error, struct why *why)
{
    /* Should this fail too, the checksum says so at the next open. */
    if (ftruncate(fd, (off_t)offset) != 0)
        why_set(why, "cutting a half-written message: %s", strerror(errno));
    enum err err = error == ENOSPC || error == EDQUOT || error == EFBIG ? ERR_STORAGE_FULL : ERR_IO;
    return fail(err, why, "writing a message to the outbox: %s", strerror(error));
}

enum err record_write(
    int fd, uint64_t offset, const struct record *record, struct span body, struct why *why)
{
    must(record->length == body.len);
    struct header header = {.length = htole32(record->length),
        .events = htole32(record->events),
        .sequence = htole64(record->sequence),
        .wall_us = htole64((uint64_t)record->wall_us)};
    memcpy(header.magic, magic, sizeof(magic));
    memcpy(header.id, record->id, sizeof(header.id));
    header.crc = htole32(header_crc(&header, body));
    struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)body.ptr, body.len}};
    ssize_t done;
    do
        done = pwritev(fd, parts, 2, (off_t)offset);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        return write_failed(fd, offset, errno, why);
    /* A regular file takes less than it was given only when it has no room for the rest. */
    if ((uint64_t)done != record_size(record))
        return write_failed(fd, offset, ENOSPC, why);
    return ERR_NONE;
}

/* Reads up to `size` bytes: less only at the end of the file. */
static enum err read_at(
    int fd, uint64_t offset, char *to, size_t size, size_t *ret_len, struct why *why)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = pread(fd, to + len, size - len, (off_t)(offset + len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(ERR_IO, why, "reading the outbox: %s", strerror(errno));
        if (got == 0)
            break;
        len += (size_t)got;
    }
    *ret_len = len;
    return ERR_NONE;
}

static enum err read_body(
    int fd, uint64_t offset, const struct header *header, struct buf *body, struct why *why)
{
    uint32_t length = le32toh(header->length);
    size_t len = 0;
    buf_clear(body);
    char *room = buf_reserve(body, length);
    if (room == NULL)
        return fail(ERR_MEMORY, why, "no memory for a message of %u bytes", length);
    enum err err = read_at(fd, offset + sizeof(*header), room, length, &len, why);
    if (err != ERR_NONE)
        return err;
    if (len < length || header_crc(header, (struct span){room, len}) != le32toh(header->crc))
        return fail(
            ERR_CORRUPT, why, "the message at byte %llu is damaged", (unsigned long long)offset);
    room[len] = '\0';
    body->len = len;
    return ERR_NONE;
}

enum err record_read(
    int fd, uint64_t offset, struct buf *body, struct record *ret_record, struct why *why)
{
    struct header header;
    size_t len = 0;
    enum err err = read_at(fd, offset, (char *)&header, sizeof(header), &len, why);
    if (err != ERR_NONE)
        return err;
    if (len == 0)
        return ERR_NOT_FOUND;
    if (len < sizeof(header) || memcmp(header.magic, magic, sizeof(magic)) != 0 ||
        le32toh(header.length) > OUTBOX_MESSAGE_MAX_BYTES)
        return fail(ERR_CORRUPT, why, "no message begins at byte %llu", (unsigned long long)offset);
    err = body == NULL ? ERR_NONE : read_body(fd, offset, &header, body, why);
    if (err != ERR_NONE)
        return err;
    *ret_record = (struct record){.length = le32toh(header.length),
        .events = le32toh(header.events),
        .sequence = le64toh(header.sequence),
        .wall_us = (int64_t)le64toh(header.wall_us)};
    memcpy(ret_record->id, header.id, sizeof(header.id));
    return ERR_NONE;
}
