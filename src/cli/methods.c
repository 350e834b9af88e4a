/* SPDX-License-Identifier: Apache-2.0 */
/* invoke-device-method and invoke-module-method: the same, without or with a module. */
#include "client.h"
#include "commands.h"

#define RESPONSE_SECONDS_MIN 5
#define SECONDS_MAX 300
#define RESPONSE_SECONDS_DEFAULT 30

/* Beyond what the hub itself waits. */
#define PATIENCE_S 30

static int read_seconds(struct cli *cli, enum option option, uint64_t min, uint64_t *seconds)
{
    if (cli_value(cli, option) == NULL)
        return EXIT_DONE;
    if (span_u64(cli_span(cli, option), SECONDS_MAX, seconds) && *seconds >= min)
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "%s is a number of seconds from %u to %u",
        option_rows[option].name, (unsigned)min, SECONDS_MAX);
}

/* az sends an empty object where none is given. */
static int read_payload(struct cli *cli, struct json **ret_payload)
{
    struct span text = SPAN_LIT("{}");
    struct why why = {""};
    int status = EXIT_DONE;
    if (cli_value(cli, OPTION_METHOD_PAYLOAD) != NULL)
        status = cli_load(cli, OPTION_METHOD_PAYLOAD, false, &text);
    if (status != EXIT_DONE)
        return status;
    enum err err = json_parse(&cli->arena, text, 0, ret_payload, &why);
    return err == ERR_NONE
               ? EXIT_DONE
               : cli_fail(cli, EXIT_USAGE, "--method-payload is no JSON: %s", why_text(&why, err));
}

int client_method(struct cli *cli, struct json **ret_method, uint64_t *ret_seconds)
{
    uint64_t response = RESPONSE_SECONDS_DEFAULT;
    uint64_t connect = 0;
    struct json *payload = NULL;
    int status = read_seconds(cli, OPTION_TIMEOUT, RESPONSE_SECONDS_MIN, &response);
    if (status == EXIT_DONE)
        status = read_seconds(cli, OPTION_CONNECT_TIMEOUT, 0, &connect);
    if (status == EXIT_DONE)
        status = read_payload(cli, &payload);
    if (status != EXIT_DONE)
        return status;
    struct json *method = json_new(&cli->arena, JSON_OBJECT);
    if (method == NULL ||
        !json_set_text(&cli->arena, method, "methodName", cli_span(cli, OPTION_METHOD_NAME)) ||
        !json_set(&cli->arena, method, SPAN_LIT("payload"), payload) ||
        !json_set_int(&cli->arena, method, "responseTimeoutInSeconds", (int64_t)response) ||
        !json_set_int(&cli->arena, method, "connectTimeoutInSeconds", (int64_t)connect))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    *ret_method = method;
    *ret_seconds = response + connect;
    return EXIT_DONE;
}

int method_invoke(struct cli *cli)
{
    uint64_t seconds = 0;
    struct json *body = NULL;
    struct json *answer = NULL;
    int status = client_method(cli, &body, &seconds);
    if (status != EXIT_DONE)
        return status;
    struct span path = client_target(cli, "/twins");
    size_t mark = span_find(path, '?');
    char *target = arena_format(
        &cli->arena, "%.*s/methods%.*s", (int)mark, path.ptr, SPAN_ARG(span_from(path, mark)));
    if (target == NULL)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    const struct call call = {
        .method = "POST",
        .target = span_of(target),
        .body = body,
        .timeout_s = (unsigned)(seconds + PATIENCE_S),
    };
    status = client_call(cli, &call, &answer);
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}
