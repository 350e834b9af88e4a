/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces that are captured, as they come and go: those that exist, are up, and have a name
 * of the list. A name that ends in '*' is the beginning of names; the loopback interface is meant
 * only by its own. An interface that is made anew under its old name is another one, and is
 * captured again. A change of the list touches only the interfaces that it changes; a change of the
 * buffer's size opens all anew, and each new capture takes over from the old one at one moment.
 *
 * A capture that ends is read to its end before it is closed. For one thread.
 */
#ifndef GEMEL_NETWORK_DEVICES_H
#define GEMEL_NETWORK_DEVICES_H

#include "network_capture.h"

#include <net/if.h>
#include <poll.h>

/* As many as the setting may name; more that match a '*' are left out, and said to be. */
#define NETWORK_DEVICES_MAX 32u
#define NETWORK_DEVICES_ENDING_MAX 32u
#define NETWORK_DEVICES_FDS (1 + NETWORK_DEVICES_MAX + NETWORK_DEVICES_ENDING_MAX)
#define NETWORK_DEVICES_STATES_MAX (NETWORK_DEVICES_MAX * 2)

enum network_device_is { DEVICE_ABSENT, DEVICE_DOWN, DEVICE_CAPTURED, DEVICE_REFUSED, DEVICE_LEFT };

struct network_device_state {
    char name[IF_NAMESIZE];
    enum network_device_is is;
};

struct network_device {
    char name[IF_NAMESIZE];
    unsigned index;
    size_t buffer_bytes;
    bool wanted;
    struct network_capture *capture;
};

struct network_devices {
    int link_fd; /* -1: the kernel tells nothing of links, and one must look from time to time */
    char *list;  /* owned; names with commas between */
    size_t buffer_bytes;
    bool refused; /* an interface that is captured could not be with a buffer of that size */
    struct why refusal;
    size_t count;
    struct network_device devices[NETWORK_DEVICES_MAX];
    size_t ending_count;
    struct {
        struct network_capture *capture;
        int64_t until_us;
    } ending[NETWORK_DEVICES_ENDING_MAX];
    size_t state_count;
    struct network_device_state states[NETWORK_DEVICES_STATES_MAX];
    uint64_t lost; /* packets for which the kernel had no room */
};

void network_devices_open(struct network_devices *ret_devices);
void network_devices_close(struct network_devices *devices);

/* Sets what is wanted, owning `list` from now on; network_devices_settle() makes it so. */
void network_devices_set(struct network_devices *devices, char *list, size_t buffer_bytes);

/* Compares what is wanted, what there is and what is captured, and makes it right. */
void network_devices_settle(struct network_devices *devices, int64_t wall_us);

/* Writes the descriptors to wait for; returns how many. The first tells of links. */
size_t network_devices_poll(
    const struct network_devices *devices, struct pollfd ret_fds[NETWORK_DEVICES_FDS]);

/* Takes note of the errors of sockets that were waited for, so that they can be waited for again.
 */
void network_devices_polled(
    struct network_devices *devices, const struct pollfd fds[], size_t count);

/* Reads what the kernel told of links; returns whether it told anything. */
bool network_devices_heard(struct network_devices *devices);

/* Hands on a bounded number of packets of every capture; returns whether there may be more. Closes
 * captures that have ended and were read. */
bool network_devices_read(
    struct network_devices *devices, capture_packet *packet, void *self, int64_t mono_us);

/* Marks what has come so far; then tells whether all of that was read. */
void network_devices_mark(struct network_devices *devices);
bool network_devices_passed_mark(struct network_devices *devices);

/* Lets nothing more in; what is in the buffers can still be read. */
void network_devices_end(struct network_devices *devices, int64_t wall_us);

/* Whether the text is a name, or the beginning of names, that an interface can have. */
bool network_device_name_fits(struct span name);

#endif
