/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The USB devices and network interfaces that are plugged in, as far as the kernel has told. A
 * device that goes is gone from /sys by then, so what is known of each is kept. What is there when
 * it begins was not plugged in just now, and is no event.
 *
 * A connection is told a moment after it was heard of: a USB device without a class of its own gets
 * that of its first interface, and a network interface the name that the system gives it, and both
 * come right after.
 *
 * A network interface is physical if it belongs to a device; those of containers, bridges, tunnels
 * and the like belong to none, and stand below /devices/virtual.
 */
#ifndef GEMEL_PERIPHERALS_H
#define GEMEL_PERIPHERALS_H

#include "uevent.h"

#include <net/if.h>

#define PERIPHERALS_MAX 4096u
#define PERIPHERAL_WAIT_US INT64_C(1000000)

enum peripheral_kind { PERIPHERAL_USB, PERIPHERAL_ETHERNET };

struct peripheral_facts {
    enum peripheral_kind kind;
    bool connected; /* of an event: or disconnected */
    bool virtual;
    bool bus_known;
    bool interface_known;
    unsigned bus_number;
    unsigned device_number;     /* USB */
    unsigned char device[3];    /* USB: class, subclass, protocol */
    unsigned char interface[3]; /* USB, of the first interface, where the device's class is 0 */
    char vendor_id[8];          /* USB: hexadecimal digits; "" if unknown */
    char product_id[8];         /* USB */
    char name[IFNAMSIZ];        /* Ethernet */
    char bus_path[64];          /* Ethernet: the device, as 0000:00:1f.6; "" if it is virtual */
};

struct peripheral;

struct peripherals {
    const char *sys_dir;
    bool virtual_too;
    bool virtual_known; /* those that are there were learnt: else a look does not tell of them */
    struct peripheral *first;
    size_t count;
    void (*told)(void *self, const struct peripheral_facts *facts);
    void *self;
};

void peripherals_done(struct peripherals *peripherals);

/* Looks at /sys for what is there. `tell`: what came or went since the last look is told; else it
 * is only learnt. */
void peripherals_look(struct peripherals *peripherals, bool tell, int64_t now_us);

/* Takes in what the kernel said. */
void peripherals_take(struct peripherals *peripherals, const struct uevent *event, int64_t now_us);

/* Tells the connections that have waited; all of them with INT64_MAX. Returns when the next one is
 * due. */
int64_t peripherals_run(struct peripherals *peripherals, int64_t now_us);

#endif
