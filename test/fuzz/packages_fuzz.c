/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of packages: the first byte says of which kind, the rest is the file. */
#include "packages.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *self, const struct package *package)
{
    size_t *count = self;
    must(package->name.len > 0 && package->name.len <= PACKAGE_NAME_MAX);
    must(package->version.len <= PACKAGE_VERSION_MAX);
    must(package->vendor.len <= PACKAGE_VENDOR_MAX);
    must(package->architecture.len <= PACKAGE_ARCHITECTURE_MAX);
    return ++*count < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    size_t count = 0;
    struct why why = {""};
    if (size == 0)
        return 0;
    int fd = memfd_create("packages", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    enum err err = data[0] == 'a'   ? packages_read_apk(path, take, &count, &why)
                   : data[0] == 'n' ? packages_read_rpm_ndb(path, take, &count, &why)
                                    : packages_read_debian(path, take, &count, &why);
    must(err == ERR_NONE || why.text[0] != '\0');
    close(fd);
    return 0;
}
