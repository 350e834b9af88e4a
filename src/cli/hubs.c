/* SPDX-License-Identifier: Apache-2.0 */
/* hub: the administration of a server with many hubs. */
#include "client.h"
#include "commands.h"
#include "ids.h"
#include "urlcode.h"

#define HUBS "/gemel/v1/hubs"

static int print_answer(struct cli *cli, const struct call *call)
{
    struct json *answer = NULL;
    int status = client_call(cli, call, &answer);
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}

/* "/gemel/v1/hubs/NAME", or no span without memory. */
static struct span one_hub(struct cli *cli)
{
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    struct span text = SPAN_NONE;
    buf_add_text(&target, HUBS "/");
    url_encode(cli_span(cli, OPTION_NAME), &target);
    return !target.failed && arena_span(&cli->arena, buf_span(&target), &text) ? text : SPAN_NONE;
}

static bool add_host_names(struct cli *cli, struct json *document)
{
    struct json *names = json_new(&cli->arena, JSON_ARRAY);
    for (size_t i = 0; names != NULL && i < cli->arguments.repeated_count; i++) {
        struct span name = span_of(cli->arguments.repeated[i]);
        if (!json_append(names, json_new_string(&cli->arena, name)))
            return false;
    }
    return names != NULL &&
           (names->count == 0 || json_set(&cli->arena, document, SPAN_LIT("hostNames"), names));
}

int hub_create(struct cli *cli)
{
    struct why why;
    if (ids_check_hub(cli_span(cli, OPTION_NAME), &why) != ERR_NONE)
        return cli_fail(cli, EXIT_USAGE, "%s", why.text);
    struct json *document = json_new(&cli->arena, JSON_OBJECT);
    if (document == NULL ||
        !json_set(&cli->arena, document, SPAN_LIT("name"),
            json_new_string(&cli->arena, cli_span(cli, OPTION_NAME))) ||
        !add_host_names(cli, document))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    const struct call call = {.method = "POST", .target = SPAN_LIT(HUBS), .body = document};
    return print_answer(cli, &call);
}

int hub_list(struct cli *cli)
{
    const struct call call = {.method = "GET", .target = SPAN_LIT(HUBS)};
    return print_answer(cli, &call);
}

int hub_show(struct cli *cli)
{
    const struct call call = {.method = "GET", .target = one_hub(cli)};
    return print_answer(cli, &call);
}

int hub_delete(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {.method = "DELETE", .target = one_hub(cli)};
    return client_call(cli, &call, &answer);
}
