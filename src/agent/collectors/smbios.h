/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of the firmware's own table (SMBIOS), as /sys/firmware/dmi/tables/DMI has it: structures of
 *
 *   type (1) | length (1) | handle (2) | formatted area up to the length | strings, each with a NUL
 *                                                                          | NUL
 *
 * in which a byte of the formatted area gives the number of a string, from 1; 0 is none.
 */
#ifndef GEMEL_SMBIOS_H
#define GEMEL_SMBIOS_H

#include "span.h"

/* Finds the text that the byte at `offset` of the first structure of a type names; the empty span
 * if there is none. */
struct span smbios_find(struct span table, uint8_t type, size_t offset);

#endif
