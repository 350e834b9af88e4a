/* SPDX-License-Identifier: Apache-2.0 */
/* hub: the administration of a server with many hubs, and what a hub counts. */
#include "client.h"
#include "commands.h"
#include "ids.h"

#define HUBS "/gemel/v1/hubs"

static struct span one_hub(struct cli *cli)
{
    return client_path(cli, HUBS, cli_span(cli, OPTION_NAME), "", NULL);
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
    return client_print(cli, &call);
}

int hub_list(struct cli *cli)
{
    const struct call call = {.method = "GET", .target = SPAN_LIT(HUBS)};
    return client_print(cli, &call);
}

int hub_show(struct cli *cli)
{
    const struct call call = {.method = "GET", .target = one_hub(cli)};
    return client_print(cli, &call);
}

int hub_delete(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {.method = "DELETE", .target = one_hub(cli)};
    return client_call(cli, &call, &answer);
}

/* Two questions, one answer. */
int hub_show_stats(struct cli *cli)
{
    struct json *devices = NULL;
    struct json *service = NULL;
    const struct call first = {
        .method = "GET", .target = SPAN_LIT("/statistics/devices?api-version=" API_VERSION)};
    const struct call second = {
        .method = "GET", .target = SPAN_LIT("/statistics/service?api-version=" API_VERSION)};
    int status = client_call(cli, &first, &devices);
    if (status == EXIT_DONE)
        status = client_call(cli, &second, &service);
    if (status != EXIT_DONE)
        return status;
    if (!json_is(devices, JSON_OBJECT) || !json_is(service, JSON_OBJECT))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no statistics");
    struct json *connected = json_take(service, SPAN_LIT("connectedDeviceCount"));
    if (connected != NULL &&
        !json_set(&cli->arena, devices, SPAN_LIT("connectedDeviceCount"), connected))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    return cli_print(cli, devices);
}
