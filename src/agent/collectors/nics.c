/* SPDX-License-Identifier: Apache-2.0 */
#include "nics.h"

#include "file.h"
#include "nic_vlans.h"
#include "oui.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <unistd.h>

static bool has_entry(const char *sys_dir, const char *nic, const char *entry)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/class/net/%s/%s", sys_dir, nic, entry);
    return access(path, F_OK) == 0;
}

static bool is_mobile(const char *sys_dir, const char *nic)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/class/net/%s", sys_dir, nic);
    AUTO(buf_done) struct buf text = {0};
    struct span line;
    if (!file_read(path, "uevent", 4096, &text))
        return false;
    struct span rest = buf_span(&text);
    while (span_cut(&rest, '\n', &line))
        if (span_is(line, "DEVTYPE=wwan"))
            return true;
    return false;
}

/* The words of the schema; SATELLITE cannot be told from here. */
static const char *type_of(const char *sys_dir, const char *nic, unsigned hardware)
{
    if (has_entry(sys_dir, nic, "wireless") || has_entry(sys_dir, nic, "phy80211"))
        return "WIFI";
    if (is_mobile(sys_dir, nic))
        return "MOBILE";
    return hardware == ARPHRD_ETHER ? "ETH" : "UNKNOWN";
}

/* Adds the VLANs of an interface, if it has any. */
static bool add_vlans(struct arena *arena, struct json *nic, const struct buf *vlans, int index)
{
    struct json *ids = NULL;
    for (size_t at = 0; at + sizeof(struct nic_vlan) <= vlans->len; at += sizeof(struct nic_vlan)) {
        struct nic_vlan vlan;
        memcpy(&vlan, vlans->ptr + at, sizeof(vlan));
        if (vlan.index != index && vlan.parent != index)
            continue;
        if (ids == NULL) {
            ids = json_new(arena, JSON_ARRAY);
            if (ids == NULL || !json_set(arena, nic, SPAN_LIT("vlans"), ids))
                return false;
        }
        if (!json_append(ids, json_new_int(arena, vlan.id)))
            return false;
    }
    return true;
}

static struct json *nic_new(
    struct arena *arena, const char *sys_dir, const char *name, const struct sockaddr_ll *link)
{
    struct json *nic = json_new(arena, JSON_OBJECT);
    const char *type = type_of(sys_dir, name, link->sll_hatype);
    if (nic != NULL &&
        json_set(arena, nic, SPAN_LIT("name"), json_new_string(arena, span_of(name))) &&
        json_set(arena, nic, SPAN_LIT("type"), json_new_string(arena, span_of(type))) &&
        json_set(arena, nic, SPAN_LIT("info"), json_new(arena, JSON_ARRAY)))
        return nic;
    return NULL;
}

static bool add_info(struct arena *arena, struct json *nic, const struct sockaddr_ll *link,
    const char *key, const char *address)
{
    struct json *info = json_new(arena, JSON_OBJECT);
    if (info == NULL)
        return false;
    if (link->sll_halen == 6) {
        const unsigned char *m = link->sll_addr;
        char mac[18];
        snprintf(
            mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
        if (!json_set(arena, info, SPAN_LIT("mac"), json_new_string(arena, span_of(mac))))
            return false;
    }
    if (key != NULL &&
        !json_set(arena, info, span_of(key), json_new_string(arena, span_of(address))))
        return false;
    return info->count == 0 || json_append(json_find_text(nic, "info"), info);
}

/* Adds the addresses of one interface; without any, its hardware address alone. */
static bool add_addresses(struct arena *arena, struct json *nic, const struct ifaddrs *list,
    const char *name, const struct sockaddr_ll *link)
{
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        if (at->ifa_addr == NULL || strcmp(at->ifa_name, name) != 0)
            continue;
        char text[INET6_ADDRSTRLEN];
        int family = at->ifa_addr->sa_family;
        const void *bytes;
        if (family == AF_INET)
            bytes = &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr;
        else if (family == AF_INET6)
            bytes = &((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr;
        else
            continue;
        if (inet_ntop(family, bytes, text, sizeof(text)) != NULL &&
            !add_info(arena, nic, link, family == AF_INET ? "ipv4_address" : "ipv6_address", text))
            return false;
    }
    if (json_find_text(nic, "info")->count > 0)
        return true;
    return add_info(arena, nic, link, NULL, NULL);
}

/* The first three bytes of the address, where its maker chose it; 0: it was made up. */
static uint32_t prefix_of(const struct json *nic)
{
    unsigned a, b, c;
    char mac[18];
    const struct json *info = json_find_text(nic, "info")->first;
    if (!span_copy(json_string_of(info, "mac"), mac, sizeof(mac)) ||
        sscanf(mac, "%2x:%2x:%2x", &a, &b, &c) != 3 || (a & 3) != 0)
        return 0;
    return a << 16 | b << 8 | c;
}

/* What a USB interface's device says; the interface stands below it in /sys. */
static bool add_usb_vendor(struct arena *arena, struct json *nic, const char *sys_dir)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/class/net/%.*s/device/..", sys_dir,
        SPAN_ARG(json_string_of(nic, "name")));
    if (!file_read(path, "manufacturer", OUI_VENDOR_MAX, &text))
        return true;
    struct span vendor = span_trim(buf_span(&text));
    return vendor.len == 0 || json_set_text(arena, nic, "vendor", vendor);
}

static enum err add_vendors(
    struct arena *arena, struct json *array, const char *sys_dir, const char *root_dir)
{
    size_t count = 0;
    struct oui *ouis =
        array->count == 0 ? NULL : arena_alloc(arena, array->count * sizeof(struct oui));
    if (ouis == NULL)
        return array->count == 0 ? ERR_NONE : ERR_MEMORY;
    json_each (nic, array) {
        uint32_t prefix = prefix_of(nic);
        if (prefix != 0)
            ouis[count++].prefix = prefix;
    }
    oui_find(root_dir, ouis, count);
    json_each (nic, array) {
        uint32_t prefix = prefix_of(nic);
        size_t i = 0;
        while (i < count && (ouis[i].prefix != prefix || ouis[i].len == 0))
            i++;
        if (i < count &&
            !json_set_text(arena, nic, "vendor", (struct span){ouis[i].vendor, ouis[i].len}))
            return ERR_MEMORY;
        if (i == count && !add_usb_vendor(arena, nic, sys_dir))
            return ERR_MEMORY;
    }
    return ERR_NONE;
}

/* Adds the interfaces of the kernel's list. */
static enum err add_nics(struct arena *arena, struct json *array, const struct ifaddrs *list,
    const char *sys_dir, size_t max, size_t *left_out)
{
    AUTO(buf_done) struct buf vlans = BUF_EMPTY;
    nic_vlans_list(&vlans);
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_PACKET ||
            (at->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        if (array->count >= max) {
            (*left_out)++;
            continue;
        }
        const struct sockaddr_ll *link = (const struct sockaddr_ll *)(const void *)at->ifa_addr;
        struct json *nic = nic_new(arena, sys_dir, at->ifa_name, link);
        if (nic == NULL || !add_vlans(arena, nic, &vlans, link->sll_ifindex) ||
            !add_addresses(arena, nic, list, at->ifa_name, link) || !json_append(array, nic))
            return ERR_MEMORY;
    }
    return ERR_NONE;
}

enum err nics_list(struct arena *arena, const char *sys_dir, const char *root_dir, size_t max,
    struct json **ret_array, size_t *ret_left_out)
{
    struct json *array = json_new(arena, JSON_ARRAY);
    if (array == NULL)
        return ERR_MEMORY;
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return ERR_IO;
    size_t left_out = 0;
    enum err err = add_nics(arena, array, list, sys_dir, max, &left_out);
    freeifaddrs(list);
    if (err == ERR_NONE)
        err = add_vendors(arena, array, sys_dir, root_dir);
    if (err != ERR_NONE)
        return err;
    *ret_array = array;
    *ret_left_out = left_out;
    return ERR_NONE;
}
