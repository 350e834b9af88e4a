/* SPDX-License-Identifier: Apache-2.0 */
/* device-twin and module-twin: the same commands, with or without a module. */
#include "client.h"
#include "commands.h"
#include "urlcode.h"

#define TOP_MAX 1000

static int print_answer(struct cli *cli, const struct call *call)
{
    struct json *answer = NULL;
    int status = client_call(cli, call, &answer);
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}

int twin_show(struct cli *cli)
{
    const struct call call = {.method = "GET", .target = client_target(cli, "/twins")};
    return print_answer(cli, &call);
}

int twin_update(struct cli *cli)
{
    struct json *tags = NULL;
    struct json *desired = NULL;
    int status = cli_load_object(cli, OPTION_DESIRED, false, &desired);
    if (status == EXIT_DONE)
        status = cli_load_object(cli, OPTION_TAGS, false, &tags);
    if (status != EXIT_DONE)
        return status;
    if (desired == NULL && tags == NULL)
        return cli_fail(cli, EXIT_USAGE, "nothing to change: give --desired, --tags or both");
    struct json *patch = json_new(&cli->arena, JSON_OBJECT);
    struct json *properties = json_new(&cli->arena, JSON_OBJECT);
    bool built = patch != NULL && properties != NULL;
    if (tags != NULL)
        built = built && json_set(&cli->arena, patch, SPAN_LIT("tags"), tags);
    if (desired != NULL)
        built = built && json_set(&cli->arena, properties, SPAN_LIT("desired"), desired) &&
                json_set(&cli->arena, patch, SPAN_LIT("properties"), properties);
    if (!built)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    const struct call call = {
        .method = "PATCH",
        .target = client_target(cli, "/twins"),
        .body = patch,
        .etag = cli_span(cli, OPTION_ETAG),
    };
    return print_answer(cli, &call);
}

int twin_replace(struct cli *cli)
{
    struct json *document = NULL;
    int status = cli_load_object(cli, OPTION_JSON, true, &document);
    if (status != EXIT_DONE)
        return status;
    const struct call call = {
        .method = "PUT",
        .target = client_target(cli, "/twins"),
        .body = document,
        .etag = cli_span(cli, OPTION_ETAG),
    };
    return print_answer(cli, &call);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int append_twin(struct cli *cli, struct span device_id, struct json *list)
{
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    struct json *twin = NULL;
    buf_add_text(&target, "/twins/");
    url_encode(device_id, &target);
    buf_add_text(&target, "?api-version=" API_VERSION);
    const struct call call = {.method = "GET", .target = buf_span(&target)};
    struct response response;
    struct why why = {""};
    enum err err =
        target.failed ? ERR_MEMORY : client_send(cli, &call, &cli->arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    if (response.status == 404)
        return EXIT_DONE; /* deleted since it was listed */
    if (response.status != 200)
        return client_refused(cli, &response);
    int status = client_parse(cli, &response, &cli->arena, &twin);
    if (status == EXIT_DONE && !json_append(list, twin))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    return status;
}

/* The registry lists devices, and each has its twin: a hub needs no query language for this. */
int twin_list(struct cli *cli)
{
    uint64_t top = TOP_MAX;
    struct json *devices = NULL;
    if (cli_value(cli, OPTION_TOP) != NULL &&
        (!span_u64(cli_span(cli, OPTION_TOP), TOP_MAX, &top) || top == 0))
        return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 to %d", TOP_MAX);
    char *target =
        arena_format(&cli->arena, "/devices?api-version=" API_VERSION "&top=%u", (unsigned)top);
    const struct call call = {.method = "GET", .target = span_of(target)};
    int status = client_call(cli, &call, &devices);
    struct json *list = json_new(&cli->arena, JSON_ARRAY);
    if (status != EXIT_DONE)
        return status;
    if (list == NULL)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    if (!json_is(devices, JSON_ARRAY))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no list of devices");
    json_each (device, devices) {
        status = append_twin(cli, json_string_of(device, "deviceId"), list);
        if (status != EXIT_DONE)
            return status;
    }
    return cli_print(cli, list);
}
