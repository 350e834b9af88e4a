/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "commands.h"

#define PAGE_ITEMS 1000
#define COLUMNS_SHOWN 8

/* What of the rows a table shows: the first members that are no containers, in the order in which
 * the rows have them. */
struct shown {
    struct column columns[COLUMNS_SHOWN + 1];
    size_t count;
};

static bool is_shown(const struct shown *shown, struct span key)
{
    for (size_t i = 0; i < shown->count; i++)
        if (span_is(key, shown->columns[i].title))
            return true;
    return false;
}

static bool choose_columns(struct cli *cli, const struct json *rows, struct shown *shown)
{
    json_each (row, rows) {
        json_each (member, row) {
            if (shown->count == COLUMNS_SHOWN)
                return true;
            if (member->kind == JSON_OBJECT || is_shown(shown, member->key))
                continue;
            char *title = arena_text(&cli->arena, member->key);
            if (title == NULL)
                return false;
            shown->columns[shown->count++] = (struct column){.title = title, .path = title};
        }
    }
    return true;
}

static int print(struct cli *cli, const struct json *rows)
{
    struct shown shown = {.count = 0};
    if (!choose_columns(cli, rows, &shown))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    return cli_print_columns(cli, rows, shown.columns);
}

/* Appends a page to the rows; `*ret_next` is where the hub goes on. */
static int read_page(
    struct cli *cli, const struct call *call, struct json *rows, struct span *ret_next)
{
    struct response response;
    struct json *page = NULL;
    struct why why = {""};
    enum err err = client_send(cli, call, &cli->arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    if (response.status != 200)
        return client_refused(cli, &response);
    int status = client_parse(cli, &response, &cli->arena, &page);
    if (status != EXIT_DONE)
        return status;
    if (!json_is(page, JSON_ARRAY))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no list of rows");
    while (page->first != NULL) {
        struct json *row = page->first;
        page->first = row->next;
        if (!json_append(rows, row))
            return cli_fail(cli, EXIT_REFUSED, "out of memory");
    }
    *ret_next = response.continuation;
    return EXIT_DONE;
}

static int read_rows(struct cli *cli, struct call *call, uint64_t top, struct json *rows)
{
    int status;
    do {
        uint64_t left = top - rows->count;
        call->max_items = left < PAGE_ITEMS ? (unsigned)left : PAGE_ITEMS;
        status = read_page(cli, call, rows, &call->continuation);
    } while (status == EXIT_DONE && call->continuation.len > 0 && rows->count < top);
    return status;
}

int query_run(struct cli *cli)
{
    uint64_t top = UINT32_MAX;
    struct span text;
    if (cli_value(cli, OPTION_TOP) != NULL &&
        (!span_u64(cli_span(cli, OPTION_TOP), UINT32_MAX, &top) || top == 0))
        return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 on");
    int status = cli_load(cli, OPTION_QUERY, false, &text);
    if (status != EXIT_DONE)
        return status;
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    struct json *rows = json_new(&cli->arena, JSON_ARRAY);
    if (body == NULL || rows == NULL || !json_set_text(&cli->arena, body, "query", span_trim(text)))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    struct call call = {.method = "POST",
        .target = SPAN_LIT("/devices/query?api-version=" API_VERSION),
        .body = body};
    status = read_rows(cli, &call, top, rows);
    return status == EXIT_DONE ? print(cli, rows) : status;
}
