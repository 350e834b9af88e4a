/* SPDX-License-Identifier: Apache-2.0 */
/* What tags and desired properties of a twin were before, and going back to it. */
#include "client.h"
#include "commands.h"
#include "urlcode.h"

#define TOP_MAX 1000

/* "/gemel/v1/twin-history/{device}[/{module}]" and what is said behind it. */
static struct span history_target(struct cli *cli, const char *behind)
{
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    struct span text = SPAN_NONE;
    buf_add_text(&target, "/gemel/v1/twin-history/");
    url_encode(cli_span(cli, OPTION_DEVICE_ID), &target);
    if (cli_value(cli, OPTION_MODULE_ID) != NULL) {
        buf_add_byte(&target, '/');
        url_encode(cli_span(cli, OPTION_MODULE_ID), &target);
    }
    buf_add_text(&target, behind == NULL ? "" : behind);
    if (behind == NULL || target.failed || !arena_span(&cli->arena, buf_span(&target), &text))
        return SPAN_NONE;
    return text;
}

/* 0: it is not given. */
static int read_id(struct cli *cli, uint64_t *ret_id)
{
    *ret_id = 0;
    if (cli_value(cli, OPTION_ID) == NULL ||
        (span_u64(cli_span(cli, OPTION_ID), INT64_MAX, ret_id) && *ret_id > 0))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "--id is a number that the history shows");
}

static int list_items(struct cli *cli, uint64_t limit, struct json **ret_items)
{
    struct json *answer = NULL;
    const struct call call = {
        .method = "GET",
        .target = history_target(
            cli, arena_format(&cli->arena, "?limit=%llu", (unsigned long long)limit)),
    };
    int status = client_call(cli, &call, &answer);
    if (status != EXIT_DONE)
        return status;
    *ret_items = json_find_text(answer, "items");
    if (!json_is(*ret_items, JSON_ARRAY))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no history");
    return EXIT_DONE;
}

int twin_history(struct cli *cli)
{
    uint64_t id;
    uint64_t top = TOP_MAX;
    struct json *answer = NULL;
    int status = read_id(cli, &id);
    if (status != EXIT_DONE)
        return status;
    if (cli_value(cli, OPTION_TOP) != NULL &&
        (!span_u64(cli_span(cli, OPTION_TOP), TOP_MAX, &top) || top == 0))
        return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 to %d", TOP_MAX);
    if (id == 0) {
        status = list_items(cli, top, &answer);
    } else {
        const struct call call = {
            .method = "GET",
            .target =
                history_target(cli, arena_format(&cli->arena, "?id=%llu", (unsigned long long)id)),
        };
        status = client_call(cli, &call, &answer);
    }
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}

/* The document before the newest: what undoes the last change. */
static int find_previous(struct cli *cli, uint64_t *ret_id)
{
    struct json *items = NULL;
    int64_t id = 0;
    int status = list_items(cli, 2, &items);
    if (status != EXIT_DONE)
        return status;
    if (items->count < 2)
        return cli_fail(cli, EXIT_REFUSED, "the twin has no former document to go back to");
    if (!json_int64(json_find_text(items->last, "id"), &id) || id <= 0)
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no history");
    *ret_id = (uint64_t)id;
    return EXIT_DONE;
}

int twin_revert(struct cli *cli)
{
    uint64_t id;
    struct json *answer = NULL;
    int status = read_id(cli, &id);
    if (status == EXIT_DONE && id == 0)
        status = find_previous(cli, &id);
    if (status != EXIT_DONE)
        return status;
    const struct call call = {
        .method = "POST",
        .target =
            history_target(cli, arena_format(&cli->arena, "/%llu/restore", (unsigned long long)id)),
        .etag = cli_span(cli, OPTION_ETAG),
    };
    status = client_call(cli, &call, &answer);
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}
