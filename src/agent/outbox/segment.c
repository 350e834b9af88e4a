/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_priv.h"

#include "outbox.h"

#include <endian.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char magic_plain[4] = "GMO1";
static const char magic_tallies[4] = "GMO2";

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

/* What stands before the body. */
struct front {
    struct header header;
    unsigned char len[RECORD_TALLIES_LEN_SIZE];
    unsigned char tallies[LEDGER_TALLIES_BYTES];
};
_Static_assert(offsetof(struct front, tallies) == RECORD_HEADER_SIZE + RECORD_TALLIES_LEN_SIZE,
    "the front has no holes");

static uint32_t front_crc(const struct front *front, size_t front_size, struct span body)
{
    struct span covered = {(const char *)front + COVERED_FROM, front_size - COVERED_FROM};
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
    must(record->length == body.len && record->tallies_len <= LEDGER_TALLIES_BYTES);
    struct front front = {.header = {.length = htole32(record->length),
                              .events = htole32(record->events),
                              .sequence = htole64(record->sequence),
                              .wall_us = htole64((uint64_t)record->wall_us)}};
    size_t front_size = (size_t)(record_size(record) - body.len);
    uint16_t tallies_len = htole16(record->tallies_len);
    memcpy(front.header.magic, record->tallies_len == 0 ? magic_plain : magic_tallies,
        sizeof(magic_plain));
    memcpy(front.header.id, record->id, sizeof(front.header.id));
    memcpy(front.len, &tallies_len, sizeof(tallies_len));
    memcpy(front.tallies, record->tallies, record->tallies_len);
    front.header.crc = htole32(front_crc(&front, front_size, body));
    struct iovec parts[2] = {{&front, front_size}, {(void *)(uintptr_t)body.ptr, body.len}};
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

static enum err read_body(int fd, uint64_t offset, const struct front *front, size_t front_size,
    struct buf *body, struct why *why)
{
    uint32_t length = le32toh(front->header.length);
    size_t len = 0;
    buf_clear(body);
    char *room = buf_reserve(body, length);
    if (room == NULL)
        return fail(ERR_MEMORY, why, "no memory for a message of %u bytes", length);
    enum err err = read_at(fd, offset + front_size, room, length, &len, why);
    if (err != ERR_NONE)
        return err;
    if (len < length ||
        front_crc(front, front_size, (struct span){room, len}) != le32toh(front->header.crc))
        return fail(
            ERR_CORRUPT, why, "the message at byte %llu is damaged", (unsigned long long)offset);
    room[len] = '\0';
    body->len = len;
    return ERR_NONE;
}

/* How much of what was read stands before the body; 0: no record begins there. */
static size_t front_size_of(const struct front *front, size_t len, uint16_t *ret_tallies_len)
{
    uint16_t tallies_len;
    if (len < sizeof(front->header) || le32toh(front->header.length) > OUTBOX_MESSAGE_MAX_BYTES)
        return 0;
    *ret_tallies_len = 0;
    if (memcmp(front->header.magic, magic_plain, sizeof(magic_plain)) == 0)
        return sizeof(front->header);
    memcpy(&tallies_len, front->len, sizeof(tallies_len));
    tallies_len = le16toh(tallies_len);
    size_t size = offsetof(struct front, tallies) + tallies_len;
    if (memcmp(front->header.magic, magic_tallies, sizeof(magic_tallies)) != 0 ||
        tallies_len == 0 || tallies_len > sizeof(front->tallies) || size > len)
        return 0;
    *ret_tallies_len = tallies_len;
    return size;
}

enum err record_read(
    int fd, uint64_t offset, struct buf *body, struct record *ret_record, struct why *why)
{
    struct front front;
    size_t len = 0;
    uint16_t tallies_len;
    enum err err = read_at(fd, offset, (char *)&front, sizeof(front), &len, why);
    if (err != ERR_NONE)
        return err;
    if (len == 0)
        return ERR_NOT_FOUND;
    size_t front_size = front_size_of(&front, len, &tallies_len);
    if (front_size == 0)
        return fail(ERR_CORRUPT, why, "no message begins at byte %llu", (unsigned long long)offset);
    err = body == NULL ? ERR_NONE : read_body(fd, offset, &front, front_size, body, why);
    if (err != ERR_NONE)
        return err;
    *ret_record = (struct record){.length = le32toh(front.header.length),
        .events = le32toh(front.header.events),
        .sequence = le64toh(front.header.sequence),
        .wall_us = (int64_t)le64toh(front.header.wall_us),
        .tallies_len = tallies_len};
    memcpy(ret_record->id, front.header.id, sizeof(front.header.id));
    memcpy(ret_record->tallies, front.tallies, tallies_len);
    return ERR_NONE;
}

/* ---- summaries ---- */

static const char magic_summary[4] = "GMS1";

/* The last bytes of the file. */
struct trailer {
    char magic[4];
    uint32_t crc;
    uint32_t tallies_len;
    uint32_t zero;
    uint64_t size;
    uint64_t first;
    uint64_t end;
    uint64_t records;
    uint64_t newest_us;
};
_Static_assert(sizeof(struct trailer) == 56, "the trailer has no holes");

static uint32_t trailer_crc(const struct trailer *trailer, struct span tallies)
{
    size_t from = offsetof(struct trailer, tallies_len);
    struct span covered = {(const char *)trailer + from, sizeof(*trailer) - from};
    return crc32_of(crc32_of(0, tallies), covered);
}

void summary_write(int fd, const struct summary *summary, struct span tallies)
{
    struct trailer trailer = {.tallies_len = htole32((uint32_t)tallies.len),
        .size = htole64(summary->size),
        .first = htole64(summary->first),
        .end = htole64(summary->end),
        .records = htole64(summary->records),
        .newest_us = htole64((uint64_t)summary->newest_us)};
    memcpy(trailer.magic, magic_summary, sizeof(magic_summary));
    trailer.crc = htole32(trailer_crc(&trailer, tallies));
    struct iovec parts[2] = {
        {(void *)(uintptr_t)tallies.ptr, tallies.len}, {&trailer, sizeof(trailer)}};
    ssize_t done = pwritev(fd, parts, 2, (off_t)summary->size);
    if (done != (ssize_t)(tallies.len + sizeof(trailer)) &&
        ftruncate(fd, (off_t)summary->size) != 0)
        return; /* the next start reads the records */
}

bool summary_read(int fd, struct summary *ret_summary)
{
    struct stat status;
    struct trailer trailer;
    struct why why;
    size_t len = 0;
    if (fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof(trailer))
        return false;
    uint64_t end = (uint64_t)status.st_size - sizeof(trailer);
    if (read_at(fd, end, (char *)&trailer, sizeof(trailer), &len, &why) != ERR_NONE ||
        len < sizeof(trailer) || memcmp(trailer.magic, magic_summary, sizeof(magic_summary)) != 0)
        return false;
    uint32_t tallies_len = le32toh(trailer.tallies_len);
    if (tallies_len > sizeof(ret_summary->tallies) || tallies_len > end ||
        le64toh(trailer.size) != end - tallies_len)
        return false;
    if (read_at(fd, end - tallies_len, (char *)ret_summary->tallies, tallies_len, &len, &why) !=
            ERR_NONE ||
        len < tallies_len)
        return false;
    ret_summary->size = le64toh(trailer.size);
    ret_summary->first = le64toh(trailer.first);
    ret_summary->end = le64toh(trailer.end);
    ret_summary->records = le64toh(trailer.records);
    ret_summary->newest_us = (int64_t)le64toh(trailer.newest_us);
    ret_summary->tallies_len = tallies_len;
    struct span tallies = {(const char *)ret_summary->tallies, tallies_len};
    return trailer_crc(&trailer, tallies) == le32toh(trailer.crc);
}
