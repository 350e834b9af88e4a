/* SPDX-License-Identifier: Apache-2.0 */
#include "rpm_header.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define ENTRIES_MAX 65535u /* rpm's own limits */
#define DATA_MAX (256u * 1024 * 1024)
#define ENTRY_BYTES 16u
#define ENTRIES_AT_ONCE 64u

enum { TYPE_INT32 = 4, TYPE_STRING = 6 };
enum { TAG_EPOCH = 1003 };

static const struct {
    uint32_t tag;
    size_t offset; /* of its text in struct rpm_package */
    size_t max;
} texts[] = {
    {1000, offsetof(struct rpm_package, name), PACKAGE_NAME_MAX},
    {1001, offsetof(struct rpm_package, version), 96},
    {1002, offsetof(struct rpm_package, release), 96},
    {1011, offsetof(struct rpm_package, vendor), PACKAGE_VENDOR_MAX},
    {1015, offsetof(struct rpm_package, packager), PACKAGE_VENDOR_MAX},
    {1022, offsetof(struct rpm_package, architecture), PACKAGE_ARCHITECTURE_MAX},
};

struct header {
    rpm_header_source *source;
    void *self;
    size_t data;      /* where the data begin */
    size_t data_size; /* and how much there is */
};

static uint32_t number(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Reads a text that ends in NUL, cut to `max`. */
static bool read_text(
    const struct header *header, uint32_t offset, size_t max, struct package_text *ret_text)
{
    if (offset >= header->data_size)
        return false;
    size_t left = header->data_size - offset;
    size_t len = left < max ? left : max;
    if (!header->source(header->self, header->data + offset, ret_text->bytes, len))
        return false;
    ret_text->len = span_find((struct span){ret_text->bytes, len}, '\0');
    return true;
}

static bool take_entry(
    const struct header *header, const unsigned char *entry, struct rpm_package *package)
{
    uint32_t tag = number(entry), type = number(entry + 4), offset = number(entry + 8);
    unsigned char bytes[4];
    if (tag == TAG_EPOCH && type == TYPE_INT32) {
        if (header->data_size < 4 || offset > header->data_size - 4 ||
            !header->source(header->self, header->data + offset, bytes, 4))
            return false;
        package->has_epoch = true;
        package->epoch = number(bytes);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (tag == texts[i].tag && type == TYPE_STRING)
            return read_text(header, offset, texts[i].max,
                (struct package_text *)(void *)((char *)package + texts[i].offset));
    return true;
}

static struct span span_of_text(const struct package_text *text)
{
    return (struct span){text->bytes, text->len};
}

static void join_version(struct rpm_package *package)
{
    char epoch[16] = "";
    struct package_text *full = &package->full_version;
    if (package->has_epoch)
        snprintf(epoch, sizeof(epoch), "%" PRIu32 ":", package->epoch);
    /* Byte by byte lengths: the texts may hold anything but NUL. */
    const struct span parts[] = {span_of(epoch), span_of_text(&package->version),
        span_of(package->release.len > 0 ? "-" : ""), span_of_text(&package->release)};
    full->len = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i].len > 0)
            memcpy(full->bytes + full->len, parts[i].ptr, parts[i].len);
        full->len += parts[i].len;
    }
}

bool rpm_header_read(size_t size, rpm_header_source *source, void *self,
    struct rpm_package *ret_store, struct package *ret_package)
{
    unsigned char index[ENTRIES_AT_ONCE * ENTRY_BYTES];
    if (size < 8 || !source(self, 0, index, 8))
        return false;
    size_t entries = number(index), data_size = number(index + 4);
    if (entries == 0 || entries > ENTRIES_MAX || data_size > DATA_MAX ||
        8 + entries * ENTRY_BYTES + data_size > size)
        return false;
    const struct header header = {source, self, 8 + entries * ENTRY_BYTES, data_size};
    *ret_store = (struct rpm_package){.has_epoch = false};
    for (size_t at = 0; at < entries; at += ENTRIES_AT_ONCE) {
        size_t count = entries - at < ENTRIES_AT_ONCE ? entries - at : ENTRIES_AT_ONCE;
        if (!source(self, 8 + at * ENTRY_BYTES, index, count * ENTRY_BYTES))
            return false;
        for (size_t i = 0; i < count; i++)
            if (!take_entry(&header, index + i * ENTRY_BYTES, ret_store))
                return false;
    }
    if (ret_store->name.len == 0)
        return false;
    join_version(ret_store);
    const struct package_text *vendor =
        ret_store->vendor.len > 0 ? &ret_store->vendor : &ret_store->packager;
    *ret_package = (struct package){.name = span_of_text(&ret_store->name),
        .version = span_of_text(&ret_store->full_version),
        .vendor = span_of_text(vendor),
        .architecture = span_of_text(&ret_store->architecture)};
    return true;
}
