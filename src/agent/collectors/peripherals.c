/* SPDX-License-Identifier: Apache-2.0 */
#include "peripherals.h"

#include "file.h"
#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NEVER INT64_MAX

struct peripheral {
    struct peripheral *next;
    struct peripheral_facts facts;
    int64_t due_us; /* its connection is to be told; NEVER: it was */
    bool there;     /* at the look that goes on */
    char *path;     /* below /sys */
};

static struct peripheral **find(struct peripherals *peripherals, struct span path)
{
    struct peripheral **at = &peripherals->first;
    while (*at != NULL && !span_is(path, (*at)->path))
        at = &(*at)->next;
    return at;
}

static void tell(struct peripherals *peripherals, struct peripheral *one, bool connected)
{
    one->due_us = NEVER;
    one->facts.connected = connected;
    peripherals->told(peripherals->self, &one->facts);
}

static void remove_at(struct peripherals *peripherals, struct peripheral **at)
{
    struct peripheral *one = *at;
    *at = one->next;
    peripherals->count--;
    mem_free(one->path);
    mem_free(one);
}

void peripherals_done(struct peripherals *peripherals)
{
    while (peripherals->first != NULL)
        remove_at(peripherals, &peripherals->first);
}

/* Keeps one that came; `due_us` NEVER: without telling. What cannot be kept is told at once. */
static void add(struct peripherals *peripherals, const struct peripheral_facts *facts,
    struct span path, int64_t due_us)
{
    struct peripheral full = {.facts = *facts, .path = NULL};
    struct peripheral *one = NULL;
    if (peripherals->count < PERIPHERALS_MAX)
        one = mem_alloc(sizeof(*one));
    if (one != NULL)
        one->path = mem_text(path);
    if (one == NULL || one->path == NULL) {
        mem_free(one);
        if (due_us != NEVER)
            tell(peripherals, &full, true);
        return;
    }
    one->facts = *facts;
    one->due_us = due_us;
    one->there = true;
    one->next = peripherals->first;
    peripherals->first = one;
    peripherals->count++;
}

/* ---- facts ---- */

static bool is_virtual(struct span path)
{
    return span_starts(path, SPAN_LIT("/devices/virtual/"));
}

/* /devices/pci0000:00/0000:00:1f.6/net/eth0 -> 0000:00:1f.6 */
static struct span device_of(struct span path)
{
    struct span device = SPAN_NONE, before = SPAN_NONE, part;
    while (span_cut(&path, '/', &part)) {
        if (span_is(part, "net"))
            device = before;
        before = part;
    }
    return device;
}

/* A PCI address has its bus in the second place, 0000:03:00.0; below a USB device it is the number
 * of the port's bus, 3-1.2:1.0. */
static bool bus_of(const char *device, unsigned *ret_bus)
{
    unsigned domain, bus, slot, function;
    if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &slot, &function) == 4 ||
        sscanf(device, "%u-%u", &bus, &slot) == 2) {
        *ret_bus = bus;
        return true;
    }
    return false;
}

static bool net_facts(struct span name, struct span path, struct peripheral_facts *ret_facts)
{
    struct peripheral_facts facts = {.kind = PERIPHERAL_ETHERNET, .virtual = is_virtual(path)};
    if (!span_copy(name, facts.name, sizeof(facts.name)))
        return false;
    struct span device = facts.virtual ? SPAN_NONE : device_of(path);
    (void)!span_copy(
        span_first(device, sizeof(facts.bus_path) - 1), facts.bus_path, sizeof(facts.bus_path));
    facts.bus_known = bus_of(facts.bus_path, &facts.bus_number);
    *ret_facts = facts;
    return true;
}

static void set_product(struct peripheral_facts *facts, struct span product)
{
    struct span vendor_id, product_id;
    char digits[8];
    if (span_cut(&product, '/', &vendor_id) && span_copy(vendor_id, digits, 5))
        snprintf(facts->vendor_id, sizeof(facts->vendor_id), "%04lx", strtoul(digits, NULL, 16));
    if (span_cut(&product, '/', &product_id) && span_copy(product_id, digits, 5))
        snprintf(facts->product_id, sizeof(facts->product_id), "%04lx", strtoul(digits, NULL, 16));
}

static bool usb_facts(const struct uevent *event, struct peripheral_facts *ret_facts)
{
    struct peripheral_facts facts = {.kind = PERIPHERAL_USB, .bus_known = true};
    uint64_t bus, number;
    if (!span_u64(event->bus_number, UINT16_MAX, &bus) ||
        !span_u64(event->device_number, UINT16_MAX, &number) ||
        !uevent_triple(event->type, facts.device))
        return false;
    facts.bus_number = (unsigned)bus;
    facts.device_number = (unsigned)number;
    set_product(&facts, event->product);
    *ret_facts = facts;
    return true;
}

static bool waits_for_interface(const struct peripheral_facts *facts)
{
    return facts->kind == PERIPHERAL_USB && facts->device[0] == 0 && !facts->interface_known;
}

/* ---- what the kernel says ---- */

static void take_add(struct peripherals *peripherals, const struct uevent *event,
    const struct peripheral_facts *facts, int64_t now_us)
{
    struct peripheral **at = find(peripherals, event->path);
    if (*at != NULL) {
        /* Known already: from a look that was quicker than the event. Another USB device at the
         * same place has another number. */
        if (facts->kind != PERIPHERAL_USB || (*at)->facts.device_number == facts->device_number)
            return;
        tell(peripherals, *at, false);
        remove_at(peripherals, at);
    }
    bool waits = facts->kind == PERIPHERAL_ETHERNET || waits_for_interface(facts);
    add(peripherals, facts, event->path, waits ? now_us + PERIPHERAL_WAIT_US : now_us);
}

static void take_remove(struct peripherals *peripherals, const struct uevent *event,
    const struct peripheral_facts *facts)
{
    struct peripheral unknown = {.facts = *facts};
    struct peripheral **at = find(peripherals, event->path);
    if (*at == NULL) {
        tell(peripherals, &unknown, false);
        return;
    }
    if ((*at)->due_us != NEVER)
        tell(peripherals, *at, true);
    tell(peripherals, *at, false);
    remove_at(peripherals, at);
}

static void take_usb_interface(struct peripherals *peripherals, const struct uevent *event)
{
    struct span device = event->path;
    while (device.len > 0 && device.ptr[device.len - 1] != '/')
        device.len--;
    if (device.len == 0 || !span_is(event->action, "add"))
        return;
    device.len--;
    struct peripheral *one = *find(peripherals, device);
    if (one == NULL || !waits_for_interface(&one->facts) ||
        !uevent_triple(event->interface, one->facts.interface))
        return;
    one->facts.interface_known = true;
    if (one->due_us != NEVER)
        tell(peripherals, one, true);
}

static void take_move(struct peripherals *peripherals, const struct uevent *event,
    const struct peripheral_facts *facts)
{
    struct peripheral *one = *find(peripherals, event->old_path);
    char *path = one == NULL ? NULL : mem_text(event->path);
    if (path == NULL)
        return;
    mem_free(one->path);
    one->path = path;
    memcpy(one->facts.name, facts->name, sizeof(facts->name));
}

static void take_net(struct peripherals *peripherals, const struct uevent *event, int64_t now_us)
{
    struct peripheral_facts facts;
    /* Wi-Fi, mobile and the like have a type; what has none is Ethernet. */
    if (!net_facts(event->interface, event->path, &facts) || span_is(event->interface, "lo"))
        return;
    if (facts.virtual ? !peripherals->virtual_too : event->device_type.len > 0)
        return;
    if (span_is(event->action, "add"))
        take_add(peripherals, event, &facts, now_us);
    else if (span_is(event->action, "remove"))
        take_remove(peripherals, event, &facts);
    else if (span_is(event->action, "move"))
        take_move(peripherals, event, &facts);
}

void peripherals_take(struct peripherals *peripherals, const struct uevent *event, int64_t now_us)
{
    struct peripheral_facts facts;
    if (event->synthetic)
        return;
    if (span_is(event->subsystem, "net"))
        take_net(peripherals, event, now_us);
    else if (!span_is(event->subsystem, "usb"))
        return;
    else if (span_is(event->device_type, "usb_interface"))
        take_usb_interface(peripherals, event);
    else if (!span_is(event->device_type, "usb_device") || !usb_facts(event, &facts))
        return;
    else if (span_is(event->action, "add"))
        take_add(peripherals, event, &facts, now_us);
    else if (span_is(event->action, "remove"))
        take_remove(peripherals, event, &facts);
}

int64_t peripherals_run(struct peripherals *peripherals, int64_t now_us)
{
    int64_t next_us = NEVER;
    for (struct peripheral *one = peripherals->first; one != NULL; one = one->next) {
        if (one->due_us != NEVER && one->due_us <= now_us)
            tell(peripherals, one, true);
        else if (one->due_us < next_us)
            next_us = one->due_us;
    }
    return next_us;
}

/* ---- a look at /sys ---- */

/* The device that an entry of a bus or class links to, as the kernel's events name it. */
static bool path_of(const char *dir, const char *entry, char ret_path[PATH_MAX])
{
    char link[PATH_MAX], target[PATH_MAX];
    if (snprintf(link, sizeof(link), "%s/%s", dir, entry) >= (int)sizeof(link))
        return false;
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len <= 0)
        return false;
    target[len] = '\0';
    const char *devices = strstr(target, "/devices/");
    if (devices == NULL)
        return false;
    snprintf(ret_path, PATH_MAX, "%s", devices);
    return true;
}

static bool read_number(const char *dir, const char *name, int base, unsigned *ret_number)
{
    AUTO(buf_done) struct buf text = {0};
    char digits[16];
    if (!file_read(dir, name, sizeof(digits) - 1, &text) ||
        !span_copy(span_trim(buf_span(&text)), digits, sizeof(digits)) || digits[0] == '\0')
        return false;
    char *end;
    unsigned long number = strtoul(digits, &end, base);
    if (*end != '\0' || number > UINT16_MAX)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static bool read_class(const char *dir, const char *const names[3], unsigned char ret_numbers[3])
{
    for (size_t i = 0; i < 3; i++) {
        unsigned number;
        if (!read_number(dir, names[i], 16, &number))
            return false;
        ret_numbers[i] = (unsigned char)number;
    }
    return true;
}

/* The first interface is a directory in the device's, as 1-1:1.0 in 1-1. */
static void read_interface(const char *dir, struct peripheral_facts *facts)
{
    static const char *const names[] = {
        "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"};
    char path[PATH_MAX];
    DIR *entries = opendir(dir);
    const struct dirent *entry = NULL;
    while (entries != NULL && !facts->interface_known && (entry = readdir(entries)) != NULL)
        if (strchr(entry->d_name, ':') != NULL &&
            snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < (int)sizeof(path))
            facts->interface_known = read_class(path, names, facts->interface);
    if (entries != NULL)
        closedir(entries);
}

static bool look_at_usb(const char *dir, const char *entry, struct peripheral_facts *ret_facts)
{
    static const char *const names[] = {"bDeviceClass", "bDeviceSubClass", "bDeviceProtocol"};
    struct peripheral_facts facts = {.kind = PERIPHERAL_USB, .bus_known = true};
    char path[PATH_MAX];
    unsigned vendor, product;
    if (strchr(entry, ':') != NULL ||
        snprintf(path, sizeof(path), "%s/%s", dir, entry) >= (int)sizeof(path) ||
        !read_number(path, "busnum", 10, &facts.bus_number) ||
        !read_number(path, "devnum", 10, &facts.device_number) ||
        !read_class(path, names, facts.device))
        return false;
    if (read_number(path, "idVendor", 16, &vendor) &&
        read_number(path, "idProduct", 16, &product)) {
        snprintf(facts.vendor_id, sizeof(facts.vendor_id), "%04x", vendor);
        snprintf(facts.product_id, sizeof(facts.product_id), "%04x", product);
    }
    if (facts.device[0] == 0)
        read_interface(path, &facts);
    *ret_facts = facts;
    return true;
}

static bool look_at_net(const struct peripherals *peripherals, const char *dir, const char *entry,
    const char *path, struct peripheral_facts *ret_facts)
{
    char place[PATH_MAX];
    AUTO(buf_done) struct buf text = {0};
    struct span line;
    if (strcmp(entry, "lo") == 0 || !net_facts(span_of(entry), span_of(path), ret_facts) ||
        snprintf(place, sizeof(place), "%s/%s", dir, entry) >= (int)sizeof(place))
        return false;
    if (ret_facts->virtual)
        return peripherals->virtual_too;
    struct span rest = file_read(place, "uevent", 4096, &text) ? buf_span(&text) : SPAN_NONE;
    while (span_cut(&rest, '\n', &line))
        if (span_starts(line, SPAN_LIT("DEVTYPE=")))
            return false;
    return true;
}

static void look_in(struct peripherals *peripherals, enum peripheral_kind kind, int64_t due_us)
{
    char dir[PATH_MAX], path[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s/%s", peripherals->sys_dir,
        kind == PERIPHERAL_USB ? "bus/usb/devices" : "class/net");
    DIR *entries = opendir(dir);
    if (entries == NULL && errno != ENOENT)
        log_warn("peripheral", "%s: %s", dir, strerror(errno));
    const struct dirent *entry = NULL;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        struct peripheral_facts facts;
        if (entry->d_name[0] == '.' || !path_of(dir, entry->d_name, path) ||
            !(kind == PERIPHERAL_USB ? look_at_usb(dir, entry->d_name, &facts)
                                     : look_at_net(peripherals, dir, entry->d_name, path, &facts)))
            continue;
        struct peripheral **at = find(peripherals, span_of(path));
        if (*at != NULL && (*at)->facts.device_number == facts.device_number)
            (*at)->there = true;
        else
            add(peripherals, &facts, span_of(path),
                facts.virtual && !peripherals->virtual_known ? NEVER : due_us);
    }
    if (entries != NULL)
        closedir(entries);
}

void peripherals_look(struct peripherals *peripherals, bool tell_changes, int64_t now_us)
{
    for (struct peripheral *one = peripherals->first; one != NULL; one = one->next)
        one->there = false;
    look_in(peripherals, PERIPHERAL_USB, tell_changes ? now_us : NEVER);
    look_in(peripherals, PERIPHERAL_ETHERNET, tell_changes ? now_us : NEVER);
    for (struct peripheral **at = &peripherals->first; *at != NULL;) {
        if ((*at)->there) {
            at = &(*at)->next;
            continue;
        }
        bool news = tell_changes && (!(*at)->facts.virtual || peripherals->virtual_too);
        if (news && (*at)->due_us != NEVER)
            tell(peripherals, *at, true);
        if (news)
            tell(peripherals, *at, false);
        remove_at(peripherals, at);
    }
    peripherals->virtual_known = peripherals->virtual_too;
}
