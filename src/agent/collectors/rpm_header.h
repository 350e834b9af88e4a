/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the header of a package as rpm's databases keep it, all numbers big-endian:
 *
 *   index entries (4) | bytes of data (4) | entries of tag, type, offset, count (4 x 4) | data
 *
 * A header can be megabytes of file names, so it is read in pieces from wherever it lies.
 */
#ifndef GEMEL_RPM_HEADER_H
#define GEMEL_RPM_HEADER_H

#include "packages.h"

/* Reads `len` bytes at an offset of the header; false if it cannot. */
typedef bool rpm_header_source(void *self, size_t offset, void *ret_bytes, size_t len);

struct rpm_package {
    struct package_text name, version, release, vendor, packager, architecture;
    bool has_epoch;
    uint32_t epoch;
    struct package_text full_version; /* [epoch:]version-release */
};

/* Reads a header of `size` bytes. False: it is none, or names no package. The package borrows from
 * `ret_store`. */
bool rpm_header_read(size_t size, rpm_header_source *source, void *self,
    struct rpm_package *ret_store, struct package *ret_package) MUST_USE;

#endif
