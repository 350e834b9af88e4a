/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One capture: the packets of one interface, of both directions in the order in which they passed,
 * in a ring that is shared with the kernel (packet(7), PACKET_RX_RING of TPACKET_V3). What is kept
 * of a packet is decided in the kernel: IP only, the headers, and of DNS enough for its answers.
 * Every packet is read or counted as lost, exactly:
 *
 *   passed the filter = read + still in the ring + lost
 *
 *   ring:  | block | block | block | …      the kernel fills a block and hands it over when it is
 *          read -^       ^- filled          full, or CAPTURE_HOLD_MS after its first packet
 *
 * On the loopback interface the kernel shows each packet twice, as it goes out and as it comes
 * back; it is taken once, and stands for both.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_NETWORK_CAPTURE_H
#define GEMEL_NETWORK_CAPTURE_H

#include "err.h"
#include "network_packet.h"

/* How long the kernel holds packets back until a block of the ring is full. */
#define CAPTURE_HOLD_MS 100

enum capture_direction { CAPTURE_IN, CAPTURE_OUT, CAPTURE_LOOP };

struct network_capture;

typedef void capture_packet(void *self, enum capture_direction direction, enum packet_link link,
    struct span captured, size_t wire_bytes);

/* An interface: the index is what is captured, the name is for messages. */
struct capture_of {
    const char *name;
    unsigned index;
    unsigned short hardware; /* ARPHRD_… */
    bool loopback;
};

/*
 * Opens a capture with a ring of `ring_bytes`, less what is no whole block, and at least a page;
 * before capture_begin() nothing may be read. ERR_NOT_FOUND: there is no such interface any more;
 * ERR_REFUSED: the kernel does not let us, or it is of a kind that carries no IP.
 */
enum err capture_open(const struct capture_of *of, size_t ring_bytes,
    struct network_capture **ret_capture, struct why *why) MUST_USE;
void capture_close(struct network_capture *capture); /* NULL is fine */

/* What passed before the moment `from_us` (wall time, which is now) is left out: so one capture
 * takes over from another without a packet missing or twice. */
void capture_begin(struct network_capture *capture, int64_t from_us);

/* Whether its interface is still the one that was opened, up or down. */
bool capture_is_of(const struct network_capture *capture, unsigned interface);

/* Becomes readable when there are packets. */
int capture_fd(const struct network_capture *capture);

/* Takes note of an error of the socket, that of an interface that went down, so that it is not
 * readable for ever. */
void capture_clear_error(struct network_capture *capture);

/* Hands on `most` packets and the rest of their block; returns whether there are more. */
bool capture_read(
    struct network_capture *capture, int most, capture_packet *packet, void *self) MUST_USE;

/* Packets lost since the last call for want of room, as far as the kernel said so: with the next
 * block that it hands over, and at a mark. */
uint64_t capture_lost(struct network_capture *capture);

/* Marks what has come so far; then tells whether all of that was read. */
void capture_mark(struct network_capture *capture);
bool capture_passed_mark(const struct network_capture *capture);

/* Packets that had come by the mark and were not read. */
uint64_t capture_unread(const struct network_capture *capture);

/* Lets no more packets in, and ignores those from the moment `until_us` on; what is in the buffer
 * can still be read. Marks. */
void capture_end(struct network_capture *capture, int64_t until_us);

#endif
