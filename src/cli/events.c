/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor-events: asks the hub for what is new and waits there for it (a long poll), again and
 * again. What was seen is never asked for twice; a hub that goes away is asked until it is back.
 */
#include "client.h"
#include "commands.h"
#include "urlcode.h"

#define WAIT_S 30        /* that the hub lets a poll wait */
#define NETWORK_S 30     /* more than that for the answer to come */
#define PAUSE_US 1000000 /* before the hub is asked again after a failure */
#define PAGE_MAX_BYTES (256u << 20)

struct monitor {
    struct cli *cli;
    struct buf from; /* where to go on: "earliest", "latest", or a number */
    int64_t end_us;  /* monotonic time; INT64_MAX: none */
    bool answered;   /* there was an answer once */
    bool failing;    /* the last poll failed, and it was said */
    bool printed;
};

static bool check_from(struct span from)
{
    uint64_t sequence;
    return span_is(from, "earliest") || span_is(from, "latest") ||
           span_u64(from, UINT64_MAX, &sequence);
}

static void add_filter(struct buf *target, const char *name, struct span value)
{
    if (value.len == 0)
        return;
    buf_add_format(target, "&%s=", name);
    url_encode(value, target);
}

static int64_t left_us(const struct monitor *monitor)
{
    if (monitor->end_us == INT64_MAX)
        return INT64_MAX;
    return monitor->end_us - clock_mono_us(monitor->cli->clock);
}

static unsigned wait_s(const struct monitor *monitor)
{
    int64_t left = left_us(monitor);
    return left > (int64_t)WAIT_S * 1000000 ? WAIT_S : (unsigned)((left + 999999) / 1000000);
}

static enum err poll_once(
    struct monitor *monitor, struct arena *arena, struct response *ret_response, struct why *why)
{
    struct cli *cli = monitor->cli;
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    unsigned wait = wait_s(monitor);
    buf_add_format(&target, "/gemel/v1/events?from=%s&wait=%u", monitor->from.ptr, wait);
    add_filter(&target, "device", cli_span(cli, OPTION_DEVICE_ID));
    add_filter(&target, "module", cli_span(cli, OPTION_MODULE_ID));
    add_filter(&target, "source", cli_span(cli, OPTION_SOURCE));
    for (size_t i = 0; i < cli->arguments.repeated_count; i++)
        add_filter(&target, "property", span_of(cli->arguments.repeated[i]));
    const struct call call = {
        .method = "GET", .target = buf_span(&target), .timeout_s = wait + NETWORK_S};
    return target.failed ? ERR_MEMORY : client_send(cli, &call, arena, ret_response, why);
}

static int print_page(struct monitor *monitor, const struct json *page)
{
    struct cli *cli = monitor->cli;
    const struct json *events = json_find_text(page, "events");
    const struct json *next = json_find_text(page, "next");
    AUTO(buf_done) struct buf line = BUF_EMPTY;
    if (!json_is(events, JSON_ARRAY) || !json_is(next, JSON_NUMBER))
        return cli_fail(
            cli, EXIT_NO_HUB, "%.*s answers, but not with events", SPAN_ARG(cli->credentials.host));
    json_each (event, events) {
        buf_clear(&line);
        cli->writer->record(event, cli->arguments.command->columns, !monitor->printed, &line);
        monitor->printed = true;
        if (line.failed)
            return cli_fail(cli, EXIT_REFUSED, "out of memory");
        fwrite(line.ptr, 1, line.len, cli->out);
        /* One by one, so that a reader behind a pipe sees each as it comes. */
        if (fflush(cli->out) != 0)
            return cli_fail(cli, EXIT_REFUSED, "standard output cannot be written");
    }
    buf_clear(&monitor->from);
    buf_add(&monitor->from, next->text);
    return monitor->from.failed ? cli_fail(cli, EXIT_REFUSED, "out of memory") : EXIT_DONE;
}

static void pause_a_moment(const struct monitor *monitor)
{
    int64_t left = left_us(monitor);
    int64_t pause_us = left < PAUSE_US ? left : PAUSE_US;
    if (pause_us > 0 && monitor->cli->pause != NULL)
        monitor->cli->pause(pause_us);
}

/* A first failure ends the command; later ones are said once and overcome by asking again. */
static int handle_failure(
    struct monitor *monitor, enum err err, const struct response *response, const struct why *why)
{
    bool again = monitor->answered && err != ERR_CANCELLED &&
                 (err != ERR_NONE || response->status >= 500 || response->status == 429);
    if (!again)
        return err == ERR_NONE ? client_refused(monitor->cli, response)
                               : cli_fail_err(monitor->cli, err, why);
    if (!monitor->failing && err != ERR_NONE)
        cli_fail(monitor->cli, EXIT_NO_HUB, "%s. Asking again", why_text(why, err));
    else if (!monitor->failing)
        client_refused(monitor->cli, response);
    monitor->failing = true;
    pause_a_moment(monitor);
    return EXIT_DONE;
}

static int step(struct monitor *monitor)
{
    AUTO(arena_done) struct arena arena;
    arena_init(&arena, PAGE_MAX_BYTES);
    struct response response = {0};
    struct json *page = NULL;
    struct why why = {""};
    enum err err = poll_once(monitor, &arena, &response, &why);
    if (err != ERR_NONE || response.status != 200)
        return handle_failure(monitor, err, &response, &why);
    int status = client_parse(monitor->cli, &response, &arena, &page);
    monitor->answered = true;
    monitor->failing = false;
    return status == EXIT_DONE ? print_page(monitor, page) : status;
}

int events_monitor(struct cli *cli)
{
    struct span from = cli_span(cli, OPTION_FROM);
    uint64_t seconds = 0;
    bool has_timeout = cli_value(cli, OPTION_TIMEOUT) != NULL;
    if (from.len > 0 && !check_from(from))
        return cli_fail(cli, EXIT_USAGE, "--from is earliest, latest or a sequence number");
    if (has_timeout &&
        (!span_u64(cli_span(cli, OPTION_TIMEOUT), 366 * 86400, &seconds) || seconds == 0))
        return cli_fail(cli, EXIT_USAGE, "--timeout is a number of seconds, 1 or more");
    if (cli->catch_signals != NULL)
        cli->catch_signals();
    struct monitor monitor = {.cli = cli, .end_us = INT64_MAX};
    if (has_timeout)
        monitor.end_us = clock_mono_us(cli->clock) + (int64_t)seconds * 1000000;
    buf_add(&monitor.from, from.len > 0 ? from : SPAN_LIT("latest"));
    int status = monitor.from.failed ? cli_fail(cli, EXIT_REFUSED, "out of memory") : EXIT_DONE;
    while (status == EXIT_DONE && *cli->stop == 0 && left_us(&monitor) > 0)
        status = step(&monitor);
    buf_done(&monitor.from);
    return status == EXIT_DONE && monitor.failing ? EXIT_NO_HUB : status;
}
