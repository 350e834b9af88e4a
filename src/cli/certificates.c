/* SPDX-License-Identifier: Apache-2.0 */
/* certificate: the authorities whose certificates let devices in. */
#include "client.h"
#include "commands.h"

#define CERTIFICATES "/gemel/v1/certificates"

static struct span one(struct cli *cli)
{
    return client_path(cli, CERTIFICATES, cli_span(cli, OPTION_CERTIFICATE_NAME), "", NULL);
}

static int put(struct cli *cli, struct span etag)
{
    struct span text;
    int status = cli_load(cli, OPTION_PATH, true, &text);
    if (status != EXIT_DONE)
        return status;
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    if (body == NULL || !json_set_text(&cli->arena, body, "certificate", text))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    const struct call call = {.method = "PUT", .target = one(cli), .body = body, .etag = etag};
    return client_print(cli, &call);
}

/* One that is there is changed by `update` alone. */
int certificate_create(struct cli *cli)
{
    struct response response;
    struct why why = {""};
    const struct call call = {.method = "GET", .target = one(cli)};
    enum err err = client_send(cli, &call, &cli->arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    if (response.status == 200)
        return cli_fail(cli, EXIT_REFUSED, "the hub has a certificate of this name already");
    return response.status == 404 ? put(cli, SPAN_NONE) : client_refused(cli, &response);
}

int certificate_update(struct cli *cli)
{
    struct span etag = cli_span(cli, OPTION_ETAG);
    return put(cli, etag.len > 0 ? etag : SPAN_LIT("*"));
}

int certificate_list(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {.method = "GET", .target = SPAN_LIT(CERTIFICATES)};
    int status = client_call(cli, &call, &answer);
    return status == EXIT_DONE ? cli_print(cli, json_find_text(answer, "value")) : status;
}

int certificate_show(struct cli *cli)
{
    const struct call call = {.method = "GET", .target = one(cli)};
    return client_print(cli, &call);
}

int certificate_delete(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {
        .method = "DELETE", .target = one(cli), .etag = cli_span(cli, OPTION_ETAG)};
    return client_call(cli, &call, &answer);
}
