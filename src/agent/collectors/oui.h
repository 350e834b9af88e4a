/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a network interface, by the first three bytes of its address: looked up in the list of
 * the IEEE, if a package of the machine has one (ieee-data, hwdata, nmap, arp-scan). The list is
 * read from end to end, not kept: it is megabytes, and asked for once a day.
 */
#ifndef GEMEL_OUI_H
#define GEMEL_OUI_H

#include "span.h"

#define OUI_VENDOR_MAX 128u

struct oui {
    uint32_t prefix; /* 0xAABBCC */
    size_t len;      /* 0: not found */
    char vendor[OUI_VENDOR_MAX];
};

/* Looks prefixes up in the first list that there is below `root_dir` ("" is the machine). */
void oui_find(const char *root_dir, struct oui *ouis, size_t count);

/* Reads a line of such a list ("28-6F-B9   (hex)\t\tVendor", "286FB9\tVendor"); false if it names
 * no vendor. */
bool oui_parse(struct span line, uint32_t *ret_prefix, struct span *ret_vendor) MUST_USE;

#endif
