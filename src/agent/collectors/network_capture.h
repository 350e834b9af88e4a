/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One capture: the packets of one interface in one direction, in a buffer of its own that libpcap
 * shares with the kernel. What is kept of a packet is decided in the kernel: IP only, the headers,
 * and of DNS enough for its answers. Every packet is read or counted as lost, exactly:
 *
 *   passed the filter = read + still in the buffer + lost
 *
 * On the loopback interface the kernel shows each packet twice, as it goes out and as it comes
 * back; one capture takes it once, and stands for both.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_NETWORK_CAPTURE_H
#define GEMEL_NETWORK_CAPTURE_H

#include "err.h"
#include "network_packet.h"

/* How long the kernel holds packets back until a block of the buffer is full. */
#define CAPTURE_HOLD_MS 100

enum capture_direction { CAPTURE_IN, CAPTURE_OUT, CAPTURE_LOOP };

struct network_capture;

typedef void capture_packet(void *self, enum capture_direction direction, enum packet_link link,
    struct span captured, size_t wire_bytes);

/*
 * Opens a capture; before capture_begin() nothing may be read. ERR_NOT_FOUND: there is no such
 * interface, or it is down; ERR_REFUSED: the kernel does not let us, or it is of a kind that
 * carries no IP.
 */
enum err capture_open(const char *device, enum capture_direction direction, size_t buffer_bytes,
    struct network_capture **ret_capture, struct why *why) MUST_USE;
void capture_close(struct network_capture *capture); /* NULL is fine */

/* What passed before the moment `from_us` (wall time, which is now) is left out: so one capture
 * takes over from another without a packet missing or twice. */
void capture_begin(struct network_capture *capture, int64_t from_us);

/* Whether its interface is still the one that was opened, up or down. */
bool capture_is_of(const struct network_capture *capture, unsigned interface);

/* Becomes readable when there are packets. */
int capture_fd(const struct network_capture *capture);

/* Hands on at most `most` packets; returns whether it was as many. */
bool capture_read(
    struct network_capture *capture, int most, capture_packet *packet, void *self) MUST_USE;

/* Packets lost since the last call: for want of room in the buffer. */
uint64_t capture_lost(struct network_capture *capture);

/* Marks what has come so far; then tells whether all of that was read. */
void capture_mark(struct network_capture *capture);
bool capture_passed_mark(struct network_capture *capture);

/* Lets no more packets in, and ignores those from the moment `until_us` on; what is in the buffer
 * can still be read. Marks. */
void capture_end(struct network_capture *capture, int64_t until_us);

#endif
