/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of the kernel's device events, and what is made of them. */
#include "peripherals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void told(void *self, const struct peripheral_facts *facts)
{
    unsigned *count = self;
    must(facts->name[sizeof(facts->name) - 1] == '\0');
    must(facts->bus_path[sizeof(facts->bus_path) - 1] == '\0');
    ++*count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span datagram = {(const char *)data, size};
    struct uevent event;
    unsigned count = 0;
    struct peripherals peripherals = {
        .sys_dir = "/nowhere", .virtual_too = true, .told = told, .self = &count};
    if (!uevent_parse(datagram, &event))
        return 0;
    peripherals_take(&peripherals, &event, 1);
    (void)peripherals_run(&peripherals, INT64_MAX - 1);
    peripherals_take(&peripherals, &event, 2);
    peripherals_done(&peripherals);
    return 0;
}
