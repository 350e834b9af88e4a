/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in a segment file, little endian, one behind the other:
 *
 *   0      4      8       12      16         24         32   48   50
 *   | GMO2 | crc  | length | events | sequence | wall_us  | id | n  | n bytes of tallies | body …
 *
 * `length` is that of the body. The tallies say how many occurrences of which collector the message
 * stands for (ledger.h). A record that does not say it is written as in the versions before: GMO1,
 * and the body begins at 48. The checksum (CRC-32, IEEE 802.3) covers everything behind it, so a
 * record is whole or it is none. Nothing here keeps state.
 */
#ifndef GEMEL_SEGMENT_PRIV_H
#define GEMEL_SEGMENT_PRIV_H

#include "ledger.h"

#define RECORD_HEADER_SIZE 48u
#define RECORD_TALLIES_LEN_SIZE 2u
#define RECORD_ID_SIZE 16u

struct record {
    uint32_t length; /* of the body */
    uint32_t events;
    uint64_t sequence;
    int64_t wall_us;
    unsigned char id[RECORD_ID_SIZE];
    uint16_t tallies_len; /* 0: it does not say */
    unsigned char tallies[LEDGER_TALLIES_BYTES];
};

static inline uint64_t record_size(const struct record *record)
{
    uint64_t tallies = record->tallies_len == 0 ? 0 : RECORD_TALLIES_LEN_SIZE + record->tallies_len;
    return RECORD_HEADER_SIZE + tallies + record->length;
}

/* Writes a record at an offset; on failure the file ends there again. */
enum err record_write(int fd, uint64_t offset, const struct record *record, struct span body,
    struct why *why) MUST_USE;

/*
 * Reads the record at an offset and its body; with `body` NULL the header alone, whose checksum is
 * then not looked at. ERR_NOT_FOUND at the end of the file, ERR_CORRUPT if what stands there is no
 * whole record, ERR_IO, ERR_MEMORY.
 */
enum err record_read(
    int fd, uint64_t offset, struct buf *body, struct record *ret_record, struct why *why) MUST_USE;

/*
 * What stands in a segment that is finished, behind its records:
 *
 *   tallies … | GMS1 | crc | tallies' length | 0 | size | first | end | records | newest_us |
 *
 * The checksum covers the tallies, too. Whoever writes on behind the records writes over it.
 */
struct summary {
    uint64_t size;  /* of the records before it */
    uint64_t first; /* sequence of the first record … */
    uint64_t end;   /* … and the one after the last */
    uint64_t records;
    int64_t newest_us; /* the latest time of one */
    uint32_t tallies_len;
    unsigned char tallies[LEDGER_TALLIES_BYTES];
};

/* Writes it at `size`; on failure the file ends there again. */
void summary_write(int fd, const struct summary *summary, struct span tallies);

/* False: the file does not end in a summary that is whole. */
bool summary_read(int fd, struct summary *ret_summary) MUST_USE;

uint32_t crc32_of(uint32_t crc, struct span bytes); /* begins with 0 */

#endif
