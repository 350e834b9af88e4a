/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of devices (netlink, KOBJECT_UEVENT). Only the kernel's own word counts, and
 * not what somebody asked it to repeat (as udevadm trigger does): those bear SYNTH_UUID.
 */
#ifndef GEMEL_UEVENT_H
#define GEMEL_UEVENT_H

#include "err.h"
#include "span.h"

/* The kernel's own bound of a message is a page and some. */
#define UEVENT_BYTES_MAX 8192u

struct uevent {
    struct span action; /* "add", "remove", "move", … */
    struct span path;   /* below /sys, as /devices/pci0000:00/… */
    struct span old_path;
    struct span subsystem;
    struct span device_type;
    struct span
        interface;       /* a network interface's name; a USB interface's class/subclass/protocol */
    struct span type;    /* a USB device's class/subclass/protocol */
    struct span product; /* vendor/product/version, in hexadecimal digits */
    struct span bus_number;
    struct span device_number;
    bool synthetic;
};

/* Reads a datagram; false: it is none of the kernel's form. The spans stand in it. */
bool uevent_parse(struct span datagram, struct uevent *ret_event);

/* Reads "8/6/80": three decimal numbers of one byte. */
bool uevent_triple(struct span text, unsigned char ret_numbers[3]);

/* Opens the socket; its descriptor is non-blocking. ERR_REFUSED. */
enum err uevent_open(int buffer_bytes, int *ret_fd, struct why *why) MUST_USE;

enum uevent_read { UEVENT_NONE, UEVENT_READ, UEVENT_SKIPPED, UEVENT_OVERFLOW };

/* Reads the next one into `bytes`. */
enum uevent_read uevent_next(
    int fd, char bytes[UEVENT_BYTES_MAX], struct uevent *ret_event) MUST_USE;

#endif
