/* SPDX-License-Identifier: Apache-2.0 */
/* A hub at a glance. Everything in it is counted while it is written: nothing is walked through. */
#include "service_priv.h"

#define MINUTES 60
#define MINUTE_US 60000000

static void write_modules(const struct identity_counts *counts, struct buf *out)
{
    buf_add_format(out, ",\"modules\":{\"success\":%llu,\"failed\":%llu,\"none\":%llu}",
        (unsigned long long)counts->success_modules, (unsigned long long)counts->failed_modules,
        (unsigned long long)(counts->modules - counts->success_modules - counts->failed_modules));
}

static void write_minutes(const uint64_t minutes[MINUTES], struct buf *out)
{
    buf_add_text(out, ",\"eventsPerMinute\":[");
    for (size_t i = 0; i < MINUTES; i++)
        buf_add_format(out, "%s%llu", i == 0 ? "" : ",", (unsigned long long)minutes[i]);
    buf_add_byte(out, ']');
}

enum err overview_read(struct rest *rest)
{
    const struct service_options *options = &rest->service->options;
    struct identity_counts counts;
    uint64_t minutes[MINUTES];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    /* The running minute is not over: the last that is shown is the one before. */
    int64_t first = now_us(rest->service) / MINUTE_US - MINUTES;
    enum err err = store_identity_count(rest->txn, rest->hub_id, SPAN_NONE, &counts);
    if (err == ERR_NONE)
        err = store_event_minutes(rest->txn, rest->hub_id, first, MINUTES, minutes);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
    buf_add_text(&body, "{\"name\":");
    json_write_string(rest->hub_name, &body);
    write_text_member(&body, "hostName", rest->host_name);
    buf_add_format(&body, ",\"devices\":%llu,\"enabledDevices\":%llu,\"connectedDevices\":%llu",
        (unsigned long long)counts.devices, (unsigned long long)counts.enabled_devices,
        (unsigned long long)counts.connected_devices);
    write_modules(&counts, &body);
    write_minutes(minutes, &body);
    buf_add_format(
        &body, ",\"mqttPort\":%u,\"httpsPort\":%u}", options->mqtt_port, options->https_port);
    return respond_json(rest, 200, &body);
}
