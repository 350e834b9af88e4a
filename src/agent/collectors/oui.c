/* SPDX-License-Identifier: Apache-2.0 */
#include "oui.h"

#include "packages.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_KEPT 256u
#define FILE_BYTES_MAX (64u * 1024 * 1024)

static const char *const lists[] = {"/usr/share/ieee-data/oui.txt", "/var/lib/ieee-data/oui.txt",
    "/usr/share/hwdata/oui.txt", "/usr/share/misc/oui.txt", "/usr/share/nmap/nmap-mac-prefixes",
    "/usr/share/arp-scan/ieee-oui.txt"};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool oui_parse(struct span line, uint32_t *ret_prefix, struct span *ret_vendor)
{
    uint32_t prefix = 0;
    size_t at = 0;
    for (unsigned digits = 0; digits < 6; digits++, at++) {
        if (digits > 0 && digits % 2 == 0 && at < line.len &&
            (line.ptr[at] == '-' || line.ptr[at] == ':'))
            at++;
        int digit = at < line.len ? digit_of(line.ptr[at]) : -1;
        if (digit < 0)
            return false;
        prefix = prefix << 4 | (uint32_t)digit;
    }
    if (at >= line.len || !is_blank(line.ptr[at])) /* a longer prefix belongs to several vendors */
        return false;
    struct span rest = span_trim(span_from(line, at));
    if (rest.len > 0 && rest.ptr[0] == '(')
        rest = span_trim(span_from(rest, span_find(rest, ')') + 1));
    if (rest.len == 0)
        return false;
    *ret_prefix = prefix;
    *ret_vendor = rest;
    return true;
}

/* Takes the vendor of a line; returns how many prefixes are found by it. */
static size_t take_line(struct span line, struct oui *ouis, size_t count)
{
    uint32_t prefix;
    struct span vendor;
    size_t found = 0;
    if (!oui_parse(line, &prefix, &vendor))
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (ouis[i].prefix != prefix || ouis[i].len > 0)
            continue;
        vendor = span_first(vendor, OUI_VENDOR_MAX);
        memcpy(ouis[i].vendor, vendor.ptr, vendor.len);
        ouis[i].len = vendor.len;
        found++;
    }
    return found;
}

static void search(int fd, struct oui *ouis, size_t count)
{
    char bytes[4096], line[LINE_KEPT];
    size_t line_len = 0, left = count, total = 0;
    while (left > 0 && total < FILE_BYTES_MAX) {
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        total += (size_t)got;
        for (ssize_t i = 0; left > 0 && i < got; i++) {
            if (bytes[i] == '\n') {
                left -= take_line((struct span){line, line_len}, ouis, count);
                line_len = 0;
            } else if (line_len < LINE_KEPT) {
                line[line_len++] = bytes[i];
            }
        }
    }
    if (left > 0)
        (void)take_line((struct span){line, line_len}, ouis, count);
}

void oui_find(const char *root_dir, struct oui *ouis, size_t count)
{
    for (size_t i = 0; i < COUNT_OF(lists) && count > 0; i++) {
        char path[PATH_MAX];
        int fd, len = snprintf(path, sizeof(path), "%s%s", root_dir, lists[i]);
        if (len < 0 || (size_t)len >= sizeof(path) || packages_open(path, &fd, NULL) != ERR_NONE)
            continue;
        search(fd, ouis, count);
        close(fd);
        return;
    }
}
