/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs: made, looked at, cancelled. */
#include "client.h"
#include "commands.h"

#define PATH "/jobs/v2"
#define POLL_US 1000000

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, EXIT_REFUSED, "out of memory");
}

static bool has_ended(const struct json *job)
{
    static const char *const words[] = {"completed", "failed", "cancelled"};
    struct span status = json_string_of(job, "status");
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_is(status, words[i]))
            return true;
    return false;
}

static int ask(struct cli *cli, const char *method, const char *behind, const struct json *body,
    struct json **ret_job)
{
    const struct call call = {.method = method,
        .target = client_path(cli, PATH, cli_span(cli, OPTION_JOB_ID), behind, API_VERSION),
        .body = body};
    return call.target.len == 0 ? no_memory(cli) : client_call(cli, &call, ret_job);
}

/* Until it has ended, or the person wants to stop; prints what it is by then. */
static int wait_and_print(struct cli *cli, struct json *job)
{
    int status = EXIT_DONE;
    if (cli->catch_signals != NULL && cli_value(cli, OPTION_WAIT_JOB) != NULL)
        cli->catch_signals();
    while (status == EXIT_DONE && cli_value(cli, OPTION_WAIT_JOB) != NULL && !has_ended(job) &&
           *cli->stop == 0) {
        if (cli->pause != NULL)
            cli->pause(POLL_US);
        status = ask(cli, "GET", "", NULL, &job);
    }
    return status == EXIT_DONE ? cli_print(cli, job) : status;
}

static int read_ttl(struct cli *cli, struct json *body)
{
    uint64_t seconds = 0;
    if (cli_value(cli, OPTION_TTL) == NULL)
        return EXIT_DONE;
    if (!span_u64(cli_span(cli, OPTION_TTL), UINT32_MAX, &seconds) || seconds == 0)
        return cli_fail(cli, EXIT_USAGE, "--ttl is a number of seconds from 1 on");
    return json_set_int(&cli->arena, body, "maxExecutionTimeInSeconds", (int64_t)seconds)
               ? EXIT_DONE
               : no_memory(cli);
}

/* With `name` and `task`, what the job does. */
static int create(struct cli *cli, const char *type, const char *name, struct json *task)
{
    struct span condition;
    struct json *job = NULL;
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    struct span start = cli_span(cli, OPTION_START_TIME);
    int status = cli_load(cli, OPTION_QUERY_CONDITION, false, &condition);
    if (status != EXIT_DONE)
        return status;
    if (body == NULL || !json_set_text(&cli->arena, body, "jobId", cli_span(cli, OPTION_JOB_ID)) ||
        !json_set_text(&cli->arena, body, "type", span_of(type)) ||
        !json_set(&cli->arena, body, span_of(name), task) ||
        !json_set_text(&cli->arena, body, "queryCondition", span_trim(condition)) ||
        (start.len > 0 && !json_set_text(&cli->arena, body, "startTime", start)))
        return no_memory(cli);
    status = read_ttl(cli, body);
    if (status == EXIT_DONE)
        status = ask(cli, "PUT", "", body, &job);
    return status == EXIT_DONE ? wait_and_print(cli, job) : status;
}

int job_create_update(struct cli *cli)
{
    struct json *patch = NULL;
    int status = cli_load_object(cli, OPTION_TWIN_PATCH, false, &patch);
    if (status != EXIT_DONE)
        return status;
    if (json_find_text(patch, "etag") == NULL &&
        !json_set_text(&cli->arena, patch, "etag", SPAN_LIT("*")))
        return no_memory(cli);
    return create(cli, "scheduleUpdateTwin", "updateTwin", patch);
}

int job_create_method(struct cli *cli)
{
    struct json *method = NULL;
    uint64_t seconds;
    int status = client_method(cli, &method, &seconds);
    return status == EXIT_DONE ? create(cli, "scheduleDeviceMethod", "cloudToDeviceMethod", method)
                               : status;
}

int job_show(struct cli *cli)
{
    struct json *job = NULL;
    int status = ask(cli, "GET", "", NULL, &job);
    return status == EXIT_DONE ? wait_and_print(cli, job) : status;
}

int job_cancel(struct cli *cli)
{
    struct json *job = NULL;
    int status = ask(cli, "POST", "/cancel", NULL, &job);
    return status == EXIT_DONE ? cli_print(cli, job) : status;
}

int job_list(struct cli *cli)
{
    uint64_t top = UINT32_MAX;
    struct json *rows = json_new(&cli->arena, JSON_ARRAY);
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    int status = client_top(cli, &top);
    if (status != EXIT_DONE)
        return status;
    buf_add_text(&target, PATH "/query?api-version=" API_VERSION);
    if (cli_value(cli, OPTION_JOB_TYPE) != NULL)
        buf_add_format(&target, "&jobType=%s", cli_value(cli, OPTION_JOB_TYPE));
    if (cli_value(cli, OPTION_JOB_STATUS) != NULL)
        buf_add_format(&target, "&jobStatus=%s", cli_value(cli, OPTION_JOB_STATUS));
    if (rows == NULL || target.failed)
        return no_memory(cli);
    struct call call = {.method = "GET", .target = buf_span(&target)};
    status = client_rows(cli, &call, top, rows);
    return status == EXIT_DONE ? cli_print(cli, rows) : status;
}
