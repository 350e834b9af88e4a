/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of TCP, UDP and ICMP on the interfaces of the settings: one event a flow, with the bytes of
 * each way, the packets, the process and user of our end, and the name that DNS gave for the other.
 * Our end is the one that the packet's direction says: the receiver of what came in, the sender of
 * what went out. What another protocol carries is not collected.
 */
#include "collector.h"
#include "log.h"
#include "network_watch.h"
#include "users.h"

#include <linux/capability.h>
#include <string.h>

struct network_activity {
    const char *etc_dir;
    struct network_watch *watch;
    size_t bound; /* of the settings in force; 0 before the first */
    uint64_t told[LOSS_COUNT];
};

static const char *const protocols[] = {
    [PACKET_TCP] = "TCP",
    [PACKET_UDP] = "UDP",
    [PACKET_ICMP] = "ICMP",
};

/* What usually speaks at a port; of a flow the other end's port comes first. */
static const struct {
    uint16_t port;
    const char *name;
} applications[] = {
    {20, "FTP-DATA"},
    {21, "FTP"},
    {22, "SSH"},
    {23, "TELNET"},
    {25, "SMTP"},
    {53, "DNS"},
    {67, "DHCP"},
    {68, "DHCP"},
    {69, "TFTP"},
    {80, "HTTP"},
    {102, "S7COMM"},
    {110, "POP3"},
    {123, "NTP"},
    {143, "IMAP"},
    {161, "SNMP"},
    {162, "SNMP-TRAP"},
    {389, "LDAP"},
    {443, "HTTPS"},
    {445, "SMB"},
    {502, "MODBUS"},
    {514, "SYSLOG"},
    {546, "DHCPV6"},
    {547, "DHCPV6"},
    {554, "RTSP"},
    {587, "SMTP"},
    {636, "LDAPS"},
    {853, "DNS-OVER-TLS"},
    {993, "IMAPS"},
    {995, "POP3S"},
    {1883, "MQTT"},
    {1900, "SSDP"},
    {2404, "IEC-104"},
    {3389, "RDP"},
    {4840, "OPC-UA"},
    {5353, "MDNS"},
    {5355, "LLMNR"},
    {5671, "AMQPS"},
    {5672, "AMQP"},
    {5683, "COAP"},
    {5684, "COAPS"},
    {8883, "MQTTS"},
    {20000, "DNP3"},
    {44818, "ETHERNET-IP"},
    {47808, "BACNET"},
};

static const char *application_at(uint16_t port)
{
    for (size_t i = 0; i < COUNT_OF(applications); i++)
        if (applications[i].port == port)
            return applications[i].name;
    return NULL;
}

static const char *application_of(const struct flow_key *key)
{
    const char *name = application_at(key->remote_port);
    return name != NULL ? name : application_at(key->local_port);
}

/* ---- settings ---- */

/* The form of the setting lets through what the kernel will never have as a name. */
static enum err check_names(struct span list, struct why *why)
{
    struct span item;
    while (span_cut(&list, ',', &item)) {
        item = span_trim(item);
        if (item.len > 0 && !network_device_name_fits(item))
            return fail(ERR_REFUSED, why,
                "\"%.*s\" is no name that an interface can have: 1 to 15 printable characters "
                "without blanks, '/', ':' and '%%'",
                SPAN_ARG(item));
    }
    return ERR_NONE;
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct network_activity *activity = state;
    struct span list = settings_list(settings, SETTING_NETWORK_ACTIVITY_DEVICES);
    size_t bound = (size_t)settings_int(settings, SETTING_NETWORK_ACTIVITY_CACHE_SIZE);
    size_t buffer = (size_t)settings_int(settings, SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE);
    enum err err = check_names(list, why);
    *ret_field = NULL;
    if (err != ERR_NONE) {
        *ret_field = setting_row(SETTING_NETWORK_ACTIVITY_DEVICES)->name;
        return err;
    }
    if (bound > activity->bound)
        err = network_watch_set_bound(activity->watch, bound);
    if (err != ERR_NONE)
        return fail(err, why, "%s", err_row(err)->text);
    err = network_watch_start(activity->watch, list, buffer, why);
    if (err == ERR_REFUSED)
        *ret_field = setting_row(SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE)->name;
    if (err != ERR_NONE) {
        /* Where the table cannot shrink for want of memory, the larger bound does no harm. */
        if (activity->bound > 0)
            (void)!network_watch_set_bound(activity->watch, activity->bound);
        return err;
    }
    /* A smaller bound drops flows, so it comes when nothing can fail any more. */
    if (bound < activity->bound)
        (void)!network_watch_set_bound(activity->watch, bound);
    activity->bound = bound;
    return ERR_NONE;
}

static void stop(void *state)
{
    struct network_activity *activity = state;
    network_watch_stop(activity->watch);
}

/* ---- events ---- */

static bool set_text(struct arena *arena, struct json *object, const char *name, struct span text)
{
    return text.len == 0 || json_set_text(arena, object, name, text);
}

static bool set_owner(struct arena *arena, struct json *payload, const struct flow *flow,
    size_t command_line_max, const struct users *users)
{
    if (flow->user_known &&
        (!json_set_int(arena, payload, "user_id", flow->user_id) ||
            !set_text(arena, payload, "user_name", users_find(users, flow->user_id))))
        return false;
    const struct socket_owner *owner = flow->owner;
    if (owner == NULL)
        return true;
    struct span command_line = span_first(owner->command_line, command_line_max);
    bool cut = owner->state == COMMAND_LINE_CUT || command_line.len < owner->command_line.len;
    return json_set_int(arena, payload, "process_id", owner->process_id) &&
           set_text(arena, payload, "executable", owner->executable) &&
           set_text(arena, payload, "commandline", command_line) &&
           set_text(arena, payload, "commandline_state", span_of(cut ? "CUT" : NULL));
}

static bool set_extended(struct arena *arena, struct json *payload, const struct flow *flow)
{
    if (flow->host_name == NULL)
        return true;
    struct json *extended = json_new(arena, JSON_OBJECT);
    return extended != NULL &&
           json_set_text(arena, extended, "dns_host_name", span_of(flow->host_name)) &&
           json_set_int(arena, extended, "dns_hit_count", (int64_t)flow->dns_hits) &&
           json_set(arena, payload, SPAN_LIT("extended_properties"), extended);
}

static struct json *payload_of(struct collector_writer *writer, const struct flow *flow,
    size_t command_line_max, const struct users *users)
{
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    char local[PACKET_ADDRESS_TEXT], remote[PACKET_ADDRESS_TEXT];
    if (payload == NULL)
        return NULL;
    const struct flow_key *key = &flow->key;
    bool ipv6 = key->ipv6 != 0;
    bool done = json_set_text(arena, payload, "local_address",
                    span_of(packet_address_text(ipv6, &key->local, local))) &&
                json_set_text(arena, payload, "remote_address",
                    span_of(packet_address_text(ipv6, &key->remote, remote))) &&
                json_set_int(arena, payload, "local_port", key->local_port) &&
                json_set_int(arena, payload, "remote_port", key->remote_port) &&
                json_set_int(arena, payload, "bytes_in", (int64_t)flow->bytes_in) &&
                json_set_int(arena, payload, "bytes_out", (int64_t)flow->bytes_out) &&
                json_set_text(arena, payload, "protocol", span_of(protocols[key->protocol])) &&
                set_text(arena, payload, "application_protocol", span_of(application_of(key))) &&
                set_owner(arena, payload, flow, command_line_max, users) &&
                json_set_int(arena, payload, "hit_count", (int64_t)flow->hit_count) &&
                set_extended(arena, payload, flow);
    return done ? payload : NULL;
}

/* Writes a flow; one that is too large alone gets its command line cut until it fits. */
static enum err write_flow(
    struct collector_writer *writer, const struct flow *flow, const struct users *users)
{
    size_t command_line_max = PROCESS_COMMAND_LINE_MAX;
    for (;;) {
        enum err err = collector_write(writer, flow->time_us, flow->hit_count,
            payload_of(writer, flow, command_line_max, users));
        if (err != ERR_TOO_LARGE)
            return err;
        if (command_line_max == 0) {
            collector_lose(writer, LOSS_TOO_LARGE, flow->hit_count);
            return err;
        }
        command_line_max /= 2;
    }
}

/* Says once a collection what was lost since the last one. */
static void tell_losses(struct network_activity *activity)
{
    struct network_watch_counts counts;
    network_watch_count(activity->watch, &counts);
    uint64_t count = counts.lost[LOSS_KERNEL_BUFFER] - activity->told[LOSS_KERNEL_BUFFER];
    if (count > 0)
        log_warn("networkactivity",
            "the capture buffer had no room for %llu packets; a larger %s would keep them",
            (unsigned long long)count,
            setting_row(SETTING_NETWORK_ACTIVITY_PACKET_BUFFER_SIZE)->name);
    count = counts.lost[LOSS_CACHE_BOUND] - activity->told[LOSS_CACHE_BOUND];
    if (count > 0)
        log_warn("networkactivity",
            "flows of %llu packets gave way to newer ones; a larger %s than %zu would keep them",
            (unsigned long long)count, setting_row(SETTING_NETWORK_ACTIVITY_CACHE_SIZE)->name,
            activity->bound);
    memcpy(activity->told, counts.lost, sizeof(activity->told));
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct network_activity *activity = state;
    struct flow *flow = network_watch_take(activity->watch);
    tell_losses(activity);
    AUTO(users_done) struct users users = {0};
    if (flow != NULL)
        users_load(activity->etc_dir, &users);
    enum err ret = ERR_NONE;
    while (flow != NULL) {
        enum err err = write_flow(writer, flow, &users);
        if (err != ERR_NONE)
            ret = fail(err, why, "a flow could not be written: %s", err_row(err)->text);
        struct flow *next = flow->next;
        flow_free(flow);
        flow = next;
    }
    return ret;
}

static void count(void *state, struct collector_counts *ret_counts)
{
    const struct network_activity *activity = state;
    struct network_watch_counts counts;
    network_watch_count(activity->watch, &counts);
    ret_counts->seen = counts.seen;
    ret_counts->waiting = counts.waiting;
    memcpy(ret_counts->lost, counts.lost, sizeof(counts.lost));
}

static bool status(void *state, struct arena *arena, struct json *object)
{
    static const char *const words[] = {
        [DEVICE_ABSENT] = "absent",
        [DEVICE_DOWN] = "down",
        [DEVICE_CAPTURED] = "captured",
        [DEVICE_REFUSED] = "refused",
        [DEVICE_LEFT] = "left out",
    };
    const struct network_activity *activity = state;
    struct network_device_state states[NETWORK_DEVICES_STATES_MAX];
    struct network_watch_counts counts;
    size_t device_count = network_watch_states(activity->watch, states);
    network_watch_count(activity->watch, &counts);
    struct json *interfaces = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; i < device_count; i++)
        if (interfaces == NULL ||
            !json_set_text(arena, interfaces, states[i].name, span_of(words[states[i].is])))
            return false;
    return json_set(arena, object, SPAN_LIT("interfaces"), interfaces) &&
           json_set_int(arena, object, "ignored", (int64_t)counts.ignored);
}

static void network_activity_free(void *state)
{
    struct network_activity *activity = state;
    if (activity == NULL)
        return;
    network_watch_free(activity->watch);
    mem_free(activity);
}

static enum err network_activity_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct network_activity *activity = mem_alloc(sizeof(*activity));
    if (activity == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    activity->etc_dir = options->etc_dir;
    const struct network_watch_options watch_options = {.clock = options->clock,
        .gate = options->gate,
        .proc_dir = options->proc_dir,
        .seed = (uint64_t)options->random() << 32 | options->random()};
    enum err err = network_watch_new(&watch_options, &activity->watch, why);
    if (err != ERR_NONE) {
        mem_free(activity);
        return err;
    }
    *ret_state = activity;
    return ERR_NONE;
}

const struct collector network_activity_collector = {
    .name = "NetworkActivity",
    .part = PART_NETWORK_ACTIVITY,
    .disabled = SETTING_NETWORK_ACTIVITY_DISABLED,
    .frequency = SETTING_NETWORK_ACTIVITY_MESSAGE_FREQUENCY,
    .capabilities =
        UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_SYS_PTRACE,
    .new = network_activity_new,
    .free = network_activity_free,
    .start = start,
    .stop = stop,
    .collect = collect,
    .count = count,
    .status = status,
};
