/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "commands.h"

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

int query_run(struct cli *cli)
{
    uint64_t top = UINT32_MAX;
    struct span text;
    int status = client_top(cli, &top);
    if (status == EXIT_DONE)
        status = cli_load(cli, OPTION_QUERY, false, &text);
    if (status != EXIT_DONE)
        return status;
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    struct json *rows = json_new(&cli->arena, JSON_ARRAY);
    if (body == NULL || rows == NULL || !json_set_text(&cli->arena, body, "query", span_trim(text)))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    struct call call = {.method = "POST",
        .target = SPAN_LIT("/devices/query?api-version=" API_VERSION),
        .body = body};
    status = client_rows(cli, &call, top, rows);
    return status == EXIT_DONE ? print(cli, rows) : status;
}
