/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a package in rpm's databases. */
#include "rpm_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_bytes(void *self, size_t offset, void *ret_bytes, size_t len)
{
    const struct span *whole = self;
    must(offset <= whole->len && len <= whole->len - offset); /* it asks for nothing past the end */
    if (len > 0)
        memcpy(ret_bytes, whole->ptr + offset, len);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span whole = {(const char *)data, size};
    struct rpm_package store;
    struct package package;
    if (rpm_header_read(size, read_bytes, &whole, &store, &package)) {
        must(package.name.len > 0 && package.name.len <= PACKAGE_NAME_MAX);
        must(package.version.len <= PACKAGE_VERSION_MAX);
        must(package.vendor.len <= PACKAGE_VENDOR_MAX);
        must(package.architecture.len <= PACKAGE_ARCHITECTURE_MAX);
    }
    return 0;
}
