/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network interfaces of the machine, as the SystemInformation payload shows them. The loopback
 * interface is none of them. `vlans` are the VLANs that lie on an interface, or the one that it is;
 * the vendor is that of the address (oui.h), or what a USB device says of itself.
 */
#ifndef GEMEL_NICS_H
#define GEMEL_NICS_H

#include "json.h"

/* A machine with containers may have thousands; the message has an end. */
#define NICS_MAX 256u

/*
 * Lists at most `max` interfaces as an array of {"name","type","vlans","vendor","info":[{"mac",
 * "ipv4_address" or "ipv6_address"}…]}, one info an address, and says how many were left out.
 * `sys_dir` ("/sys") tells wireless ones, the list of vendors is below `root_dir` (""). ERR_IO: the
 * kernel did not say. ERR_MEMORY.
 */
enum err nics_list(struct arena *arena, const char *sys_dir, const char *root_dir, size_t max,
    struct json **ret_array, size_t *ret_left_out) MUST_USE;

#endif
