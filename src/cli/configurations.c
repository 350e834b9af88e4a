/* SPDX-License-Identifier: Apache-2.0 */
/* configuration: automatic device management. */
#include "client.h"
#include "commands.h"

#define TOP_MAX 100
#define PAGE_ITEMS 1000

static struct span one(struct cli *cli)
{
    return client_path(cli, "/configurations", cli_span(cli, OPTION_CONFIG_ID), "", API_VERSION);
}

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, EXIT_REFUSED, "out of memory");
}

/* Takes the part of that name out of what was given, or all of it: az's files have it either way.
 */
static const struct json *part_of(const struct json *given, const char *name)
{
    const struct json *part = json_find_text(given, name);
    return part != NULL ? part : given;
}

static int set_part(struct cli *cli, struct json *document, enum option option, const char *name)
{
    struct json *given = NULL;
    int status = cli_load_object(cli, option, false, &given);
    if (status != EXIT_DONE || given == NULL)
        return status;
    struct json *copy = json_copy(&cli->arena, part_of(given, name));
    return json_set(&cli->arena, document, span_of(name), copy) ? EXIT_DONE : no_memory(cli);
}

static int set_all(struct cli *cli, struct json *document)
{
    uint64_t priority = 0;
    int status = set_part(cli, document, OPTION_CONTENT, "content");
    if (status == EXIT_DONE)
        status = set_part(cli, document, OPTION_LABELS, "labels");
    if (status == EXIT_DONE)
        status = set_part(cli, document, OPTION_METRICS, "metrics");
    if (status != EXIT_DONE)
        return status;
    if (cli_value(cli, OPTION_TARGET_CONDITION) != NULL &&
        !json_set_text(
            &cli->arena, document, "targetCondition", cli_span(cli, OPTION_TARGET_CONDITION)))
        return no_memory(cli);
    if (cli_value(cli, OPTION_PRIORITY) == NULL)
        return EXIT_DONE;
    if (!span_u64(cli_span(cli, OPTION_PRIORITY), INT32_MAX, &priority))
        return cli_fail(cli, EXIT_USAGE, "--priority is a number from 0 on");
    return json_set_int(&cli->arena, document, "priority", (int64_t)priority) ? EXIT_DONE
                                                                              : no_memory(cli);
}

static int put(struct cli *cli, const struct json *document, struct span etag)
{
    const struct call call = {.method = "PUT", .target = one(cli), .body = document, .etag = etag};
    return client_print(cli, &call);
}

int configuration_create(struct cli *cli)
{
    struct json *document = json_new(&cli->arena, JSON_OBJECT);
    if (document == NULL ||
        !json_set_text(&cli->arena, document, "id", cli_span(cli, OPTION_CONFIG_ID)) ||
        !json_set_text(&cli->arena, document, "schemaVersion", SPAN_LIT("1.0")) ||
        !json_set_text(&cli->arena, document, "targetCondition", SPAN_LIT("")) ||
        !json_set_int(&cli->arena, document, "priority", 0))
        return no_memory(cli);
    int status = set_all(cli, document);
    return status == EXIT_DONE ? put(cli, document, SPAN_NONE) : status;
}

static int get(struct cli *cli, struct json **ret_document)
{
    const struct call call = {.method = "GET", .target = one(cli)};
    int status = client_call(cli, &call, ret_document);
    if (status == EXIT_DONE && !json_is(*ret_document, JSON_OBJECT))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no configuration");
    return status;
}

int configuration_update(struct cli *cli)
{
    struct json *document = NULL;
    int status = get(cli, &document);
    if (status == EXIT_DONE)
        status = set_all(cli, document);
    struct span etag = cli_span(cli, OPTION_ETAG);
    if (etag.len == 0)
        etag = json_string_of(document, "etag");
    return status == EXIT_DONE ? put(cli, document, etag) : status;
}

int configuration_show(struct cli *cli)
{
    struct json *document = NULL;
    int status = get(cli, &document);
    return status == EXIT_DONE ? cli_print(cli, document) : status;
}

int configuration_list(struct cli *cli)
{
    uint64_t top = TOP_MAX;
    if (cli_value(cli, OPTION_TOP) != NULL &&
        (!span_u64(cli_span(cli, OPTION_TOP), UINT32_MAX, &top) || top == 0))
        return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 on");
    char *suffix = arena_format(&cli->arena, "?top=%u", (unsigned)top);
    if (suffix == NULL)
        return no_memory(cli);
    const struct call call = {.method = "GET",
        .target = client_path(cli, "/configurations", SPAN_NONE, suffix, API_VERSION)};
    return client_print(cli, &call);
}

int configuration_delete(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {
        .method = "DELETE", .target = one(cli), .etag = cli_span(cli, OPTION_ETAG)};
    return client_call(cli, &call, &answer);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static int run_query(struct cli *cli, struct span query, struct json *rows)
{
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    if (body == NULL || !json_set_text(&cli->arena, body, "query", query))
        return no_memory(cli);
    struct call call = {.method = "POST",
        .target = SPAN_LIT("/devices/query?api-version=" API_VERSION),
        .body = body,
        .max_items = PAGE_ITEMS};
    do {
        struct response response = {0};
        struct json *page = NULL;
        struct why why = {""};
        enum err err = client_send(cli, &call, &cli->arena, &response, &why);
        if (err != ERR_NONE)
            return cli_fail_err(cli, err, &why);
        if (response.status != 200)
            return client_refused(cli, &response);
        int status = client_parse(cli, &response, &cli->arena, &page);
        if (status != EXIT_DONE)
            return status;
        while (json_is(page, JSON_ARRAY) && page->first != NULL) {
            struct json *row = page->first;
            page->first = row->next;
            if (!json_append(rows, row))
                return no_memory(cli);
        }
        call.continuation = response.continuation;
    } while (call.continuation.len > 0);
    return EXIT_DONE;
}

/* As az does it: the metric's query, and the rows that it finds now. */
int configuration_show_metric(struct cli *cli)
{
    struct json *document = NULL;
    const char *type = cli_value(cli, OPTION_METRIC_TYPE);
    bool system = type != NULL && strcmp(type, "system") == 0;
    struct span id = cli_span(cli, OPTION_METRIC_ID);
    int status = get(cli, &document);
    if (status != EXIT_DONE)
        return status;
    const struct json *queries =
        json_find_text(json_find_text(document, system ? "systemMetrics" : "metrics"), "queries");
    const struct json *query = json_find(queries, id);
    if (!json_is(query, JSON_STRING))
        return cli_fail(cli, EXIT_REFUSED, "the configuration has no %s metric \"%.*s\"",
            system ? "system" : "user", SPAN_ARG(id));
    struct json *rows = json_new(&cli->arena, JSON_ARRAY);
    struct json *result = json_new(&cli->arena, JSON_OBJECT);
    if (rows == NULL || result == NULL)
        return no_memory(cli);
    status = run_query(cli, query->text, rows);
    if (status != EXIT_DONE)
        return status;
    if (!json_set_text(&cli->arena, result, "metric", id) ||
        !json_set_text(&cli->arena, result, "query", query->text) ||
        !json_set(&cli->arena, result, SPAN_LIT("result"), rows))
        return no_memory(cli);
    return cli_print(cli, result);
}
