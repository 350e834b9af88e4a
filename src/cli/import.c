/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub import: what a hub exported goes into this one, up to 100 identities in a request:
 *
 *   reader -> item -> batch -> POST /devices -> what was refused, into the report
 *
 * A dry run asks in place of the last two which of a batch's exist already.
 * Memory is that of one batch. A hub that goes away is asked again; what stops the command for good
 * says from where to go on.
 */
#include "client.h"
#include "commands.h"
#include "import_item.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_ITEMS 100
#define ATTEMPTS 120
#define PAUSE_US 1000000
#define ARENA_BYTES (64u << 20)
#define QUERY_BYTES 7000 /* of the hub's 8192, room for one more id being left */
#define SHOWN_MAX 20     /* refusals that are printed where there is no report */

struct pending {
    struct import_item item;
    uint64_t number;
    bool exists; /* what it is to create: known in a dry run */
};

struct import {
    struct cli *cli;
    struct import_policy policy;
    bool dry_run;
    bool blind; /* the login may not ask what exists */
    bool skip;  /* what exists already */
    struct import_reader *reader;
    FILE *stream;
    uint64_t whole; /* bytes; 0: not known */
    FILE *report;   /* NULL: none */
    struct progress progress;
    struct arena arena; /* of the batch */
    struct pending batch[BATCH_ITEMS];
    size_t count;
    size_t batch_items; /* that a request takes: less where they are large */
    bool again;         /* the batch is sent once more after an answer that was lost */
    uint64_t from;      /* where to go on */
    uint64_t done;
    uint64_t skipped;
    uint64_t refused;
    uint64_t warned;
    uint64_t new_keys;
};

/* ---- telling --------------------------------------------------------------------------------- */

struct complaint {
    const char *kind; /* "error" or "warning" */
    const struct pending *pending;
    struct span code;
    struct span text;
};

static void write_complaint(
    const struct import *import, const struct complaint *complaint, struct buf *out)
{
    const struct import_item *item = &complaint->pending->item;
    const struct {
        const char *name;
        struct span value;
    } members[] = {
        {"deviceId", item->device_id},
        {"moduleId", item->module_id},
        {"operation", item->mode},
        {complaint->kind[0] == 'e' ? "errorCode" : "warningCode", complaint->code},
        {complaint->kind[0] == 'e' ? "errorStatus" : "warningStatus", complaint->text},
    };
    buf_add_format(out, "{\"%s\":%llu", import_reader_unit(import->reader),
        (unsigned long long)complaint->pending->number);
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (members[i].value.len == 0)
            continue;
        buf_add_format(out, ",\"%s\":", members[i].name);
        json_write_string(members[i].value, out);
    }
    buf_add_text(out, "}\n");
}

static int complain(struct import *import, const struct complaint *complaint)
{
    bool error = complaint->kind[0] == 'e';
    uint64_t before = import->refused + import->warned;
    AUTO(buf_done) struct buf line = BUF_EMPTY;
    import->refused += error;
    import->warned += !error;
    if (import->report != NULL) {
        write_complaint(import, complaint, &line);
        if (line.failed || fwrite(line.ptr, 1, line.len, import->report) != line.len)
            return cli_fail(import->cli, EXIT_REFUSED, "the report cannot be written");
        return EXIT_DONE;
    }
    if (before >= SHOWN_MAX)
        return EXIT_DONE;
    progress_end(&import->progress);
    const struct import_item *item = &complaint->pending->item;
    cli_fail(import->cli, EXIT_REFUSED, "%s %llu%s%.*s%s%.*s: %.*s: %.*s",
        import_reader_unit(import->reader), (unsigned long long)complaint->pending->number,
        item->device_id.len > 0 ? ", " : "", SPAN_ARG(item->device_id),
        item->module_id.len > 0 ? "/" : "", SPAN_ARG(item->module_id), SPAN_ARG(complaint->code),
        SPAN_ARG(complaint->text));
    if (before + 1 == SHOWN_MAX)
        cli_fail(import->cli, EXIT_REFUSED, "more is only counted; --report FILE has all of it");
    return EXIT_DONE;
}

static int refuse(
    struct import *import, const struct pending *pending, enum err err, const struct why *why)
{
    return complain(
        import, &(struct complaint){"error", pending,
                    span_of(err == ERR_FORMAT ? "IotHubFormatError" : "ArgumentInvalid"),
                    span_of(why->text)});
}

/* ---- what the hub answered ------------------------------------------------------------------- */

static bool is_about(const struct json *row, const struct pending *pending)
{
    return span_eq(json_string_of(row, "deviceId"), pending->item.device_id) &&
           span_eq(json_string_of(row, "moduleId"), pending->item.module_id);
}

static int take_error(
    struct import *import, const struct pending *pending, struct span code, struct span text)
{
    bool exists =
        span_is(code, "DeviceAlreadyExists") || span_is(code, "ModuleAlreadyExistsOnDevice");
    import->new_keys -= pending->item.without_keys;
    if (exists && import->skip) {
        import->skipped++;
        return EXIT_DONE;
    }
    if (exists && import->again) {
        char *longer = arena_format(&import->arena,
            "%.*s (perhaps by the attempt before, whose answer was lost)", SPAN_ARG(text));
        if (longer != NULL)
            text = span_of(longer);
    }
    return complain(import, &(struct complaint){"error", pending, code, text});
}

/* The rows stand in the order of the items; two items may be about one identity. */
static int take_errors(struct import *import, size_t from, size_t to, const struct json *errors)
{
    int status = EXIT_DONE;
    size_t at = from;
    for (const struct json *row = errors == NULL ? NULL : errors->first;
         row != NULL && status == EXIT_DONE; row = row->next) {
        while (at < to && !is_about(row, &import->batch[at]))
            at++;
        if (at == to)
            return cli_fail(
                import->cli, EXIT_NO_HUB, "the hub tells of errors of what it was not asked to do");
        status = take_error(import, &import->batch[at++], json_string_of(row, "errorCode"),
            json_string_of(row, "errorStatus"));
    }
    import->done += to - from - (errors == NULL ? 0 : errors->count);
    return status;
}

static int take_warnings(struct import *import, size_t from, size_t to, const struct json *warnings)
{
    int status = EXIT_DONE;
    for (const struct json *row = warnings == NULL ? NULL : warnings->first;
         row != NULL && status == EXIT_DONE; row = row->next)
        for (size_t at = from; at < to; at++)
            if (is_about(row, &import->batch[at])) {
                status = complain(import,
                    &(struct complaint){"warning", &import->batch[at],
                        json_string_of(row, "warningCode"), json_string_of(row, "warningStatus")});
                break;
            }
    return status;
}

/* ---- sending --------------------------------------------------------------------------------- */

static struct json *make_body(struct import *import, size_t from, size_t to)
{
    struct json *body = json_new(&import->arena, JSON_ARRAY);
    for (size_t i = from; body != NULL && i < to; i++)
        if (!json_append(body, import->batch[i].item.json))
            return NULL;
    return body;
}

static bool is_passing(enum err err, const struct response *response)
{
    if (err != ERR_NONE)
        return err == ERR_UNAVAILABLE || err == ERR_TIMEOUT;
    return response->status == 429 || response->status >= 500;
}

/* Sends until there is an answer that stays. The first request of all is tried once: what is wrong
 * with the login or the address shows there. */
static enum err send_patiently(
    struct import *import, const struct call *call, struct response *ret_response, struct why *why)
{
    struct cli *cli = import->cli;
    enum err err = ERR_NONE;
    bool first = import->done + import->refused + import->skipped == 0;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        err = client_send(cli, call, &import->arena, ret_response, why);
        if (first || *cli->stop != 0 || !is_passing(err, ret_response))
            return err;
        if (attempt == 0) {
            progress_end(&import->progress);
            cli_fail(cli, EXIT_NO_HUB, "%s. Asking again",
                err != ERR_NONE ? why_text(why, err) : "the hub has no time");
        }
        import->again = true;
        if (cli->pause != NULL)
            cli->pause(PAUSE_US);
    }
    return err;
}

static int send_range(struct import *import, size_t from, size_t to);

/* Larger than the hub takes: in halves, and so from now on. */
static int send_halves(struct import *import, size_t from, size_t to)
{
    size_t half = (to - from) / 2;
    import->batch_items = half;
    int status = send_range(import, from, from + half);
    return status == EXIT_DONE ? send_range(import, from + half, to) : status;
}

static int send_range(struct import *import, size_t from, size_t to)
{
    struct cli *cli = import->cli;
    struct response response = {0};
    struct json *answer = NULL;
    struct why why = {""};
    struct json *body = make_body(import, from, to);
    if (body == NULL)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    const struct call call = {.method = "POST",
        .target = SPAN_LIT("/devices?api-version=" API_VERSION),
        .body = body,
        .to_the_end = true};
    import->again = false;
    enum err err = send_patiently(import, &call, &response, &why);
    if (err != ERR_NONE)
        return err == ERR_CANCELLED ? EXIT_REFUSED : cli_fail_err(cli, err, &why);
    if (response.status == 413 && to - from > 1)
        return send_halves(import, from, to);
    if (response.status == 413) {
        why_set(&why, "%s", "the hub takes no request of this size");
        return refuse(import, &import->batch[from], ERR_ARGUMENT, &why);
    }
    if (response.status == 200 || response.status == 400) {
        int status = client_parse(cli, &response, &import->arena, &answer);
        if (status != EXIT_DONE)
            return status;
    }
    if (json_find_text(answer, "isSuccessful") == NULL)
        return client_refused(cli, &response);
    int status = take_errors(import, from, to, json_find_text(answer, "errors"));
    return status == EXIT_DONE ? take_warnings(import, from, to, json_find_text(answer, "warnings"))
                               : status;
}

/* ---- trying ---------------------------------------------------------------------------------- */

static bool is_created(const struct pending *pending, bool module)
{
    return span_is(pending->item.mode, "create") && (pending->item.module_id.len > 0) == module;
}

/* Asks for those from `*at` on, as many as a query takes; false: there are none. No id holds what
 * would have to be escaped. */
static bool write_query(const struct import *import, bool modules, size_t *at, struct buf *out)
{
    size_t ids = 0;
    buf_add_text(out, modules ? "SELECT deviceId, moduleId FROM devices.modules WHERE deviceId IN ["
                              : "SELECT deviceId FROM devices WHERE deviceId IN [");
    for (; *at < import->count && out->len < QUERY_BYTES; (*at)++) {
        const struct pending *pending = &import->batch[*at];
        if (!is_created(pending, modules))
            continue;
        buf_add_format(out, "%s\"%.*s\"", ids++ == 0 ? "" : ",", SPAN_ARG(pending->item.device_id));
    }
    buf_add_byte(out, ']');
    return ids > 0;
}

static void note_rows(struct import *import, bool modules, const struct json *rows)
{
    json_each (row, rows)
        for (size_t i = 0; i < import->count; i++)
            if (is_created(&import->batch[i], modules) && is_about(row, &import->batch[i]))
                import->batch[i].exists = true;
}

static int ask_rows(struct import *import, bool modules, const struct buf *query)
{
    struct cli *cli = import->cli;
    struct json *body = json_new(&import->arena, JSON_OBJECT);
    if (body == NULL || query->failed ||
        !json_set_text(&import->arena, body, "query", buf_span(query)))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    struct call call = {.method = "POST",
        .target = SPAN_LIT("/devices/query?api-version=" API_VERSION),
        .body = body,
        .max_items = 1000};
    do {
        struct response response = {0};
        struct json *rows = NULL;
        struct why why = {""};
        enum err err = send_patiently(import, &call, &response, &why);
        if (err != ERR_NONE)
            return err == ERR_CANCELLED ? EXIT_REFUSED : cli_fail_err(cli, err, &why);
        if (response.status == 401 || response.status == 403) {
            import->blind = true;
            client_refused(cli, &response);
            cli_fail(cli, EXIT_REFUSED, "so what exists already is not looked at");
            return EXIT_DONE;
        }
        if (response.status != 200)
            return client_refused(cli, &response);
        int status = client_parse(cli, &response, &import->arena, &rows);
        if (status != EXIT_DONE)
            return status;
        if (!json_is(rows, JSON_ARRAY))
            return cli_fail(cli, EXIT_NO_HUB, "the answer is no list of rows");
        note_rows(import, modules, rows);
        call.continuation = response.continuation;
    } while (call.continuation.len > 0);
    return EXIT_DONE;
}

static int find_existing(struct import *import, bool modules)
{
    int status = EXIT_DONE;
    for (size_t at = 0; at < import->count && !import->blind && status == EXIT_DONE;) {
        AUTO(buf_done) struct buf query = BUF_EMPTY;
        if (write_query(import, modules, &at, &query))
            status = ask_rows(import, modules, &query);
    }
    return status;
}

static int try_batch(struct import *import)
{
    int status = find_existing(import, false);
    if (status == EXIT_DONE)
        status = find_existing(import, true);
    for (size_t i = 0; i < import->count && status == EXIT_DONE; i++) {
        const struct pending *pending = &import->batch[i];
        bool module = pending->item.module_id.len > 0;
        if (!pending->exists)
            import->done++;
        else
            status = take_error(import, pending,
                span_of(module ? "ModuleAlreadyExistsOnDevice" : "DeviceAlreadyExists"),
                span_of("it is registered already"));
    }
    return status;
}

static void clear_arena(struct import *import)
{
    arena_done(&import->arena);
    arena_init(&import->arena, 0);
}

static int flush_batch(struct import *import)
{
    if (import->count == 0) {
        clear_arena(import);
        return EXIT_DONE;
    }
    int status = import->dry_run ? try_batch(import) : send_range(import, 0, import->count);
    if (status != EXIT_DONE)
        return status;
    import->from = import->batch[import->count - 1].number + 1;
    import->count = 0;
    clear_arena(import);
    progress_show(&import->progress, import_reader_bytes(import->reader), import->whole,
        import->done + import->skipped + import->refused);
    return EXIT_DONE;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int add_document(struct import *import, const struct import_document *document)
{
    struct pending *pending = &import->batch[import->count];
    struct why why = {""};
    *pending = (struct pending){.number = document->number};
    enum err err =
        import_item_make(&import->arena, document, &import->policy, &pending->item, &why);
    if (err == ERR_NONE && import->dry_run)
        err = import_item_check(&import->arena, &pending->item, &why);
    if (err == ERR_MEMORY)
        return cli_fail(import->cli, EXIT_REFUSED, "out of memory");
    if (err != ERR_NONE)
        return refuse(import, pending, err, &why);
    pending->item.without_keys =
        pending->item.without_keys && span_is(pending->item.mode, "create");
    import->new_keys += pending->item.without_keys;
    import->count++;
    return import->count >= import->batch_items ? flush_batch(import) : EXIT_DONE;
}

static int read_all(struct import *import)
{
    int status = EXIT_DONE;
    while (status == EXIT_DONE && *import->cli->stop == 0) {
        struct import_document document;
        struct why why = {""};
        enum err err = import_reader_next(import->reader, &import->arena, &document, &why);
        if (err == ERR_NOT_FOUND)
            return flush_batch(import);
        if (err == ERR_FORMAT) {
            const struct pending broken = {.number = document.number};
            status = refuse(import, &broken, err, &why);
        } else if (err != ERR_NONE) {
            return cli_fail(import->cli, EXIT_USAGE, "%s: %s", cli_value(import->cli, OPTION_FILE),
                why_text(&why, err));
        } else {
            status = add_document(import, &document);
        }
        /* What was refused lies there too. */
        if (status == EXIT_DONE && import->arena.used_bytes > ARENA_BYTES)
            status = flush_batch(import);
    }
    return status == EXIT_DONE ? EXIT_REFUSED : status; /* stopped */
}

/* ---- the command ----------------------------------------------------------------------------- */

static int open_files(struct import *import)
{
    struct cli *cli = import->cli;
    const char *name = cli_value(cli, OPTION_FILE);
    const char *report = cli_value(cli, OPTION_REPORT);
    struct stat facts;
    import->stream = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    if (import->stream == NULL)
        return cli_fail(cli, EXIT_USAGE, "%s cannot be opened: %s", name, strerror(errno));
    if (fstat(fileno(import->stream), &facts) == 0 && S_ISREG(facts.st_mode))
        import->whole = (uint64_t)facts.st_size;
    if (report == NULL)
        return EXIT_DONE;
    int how = import->from > 1 ? O_APPEND : O_TRUNC;
    int file = open(report, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600);
    import->report = file < 0 ? NULL : fdopen(file, import->from > 1 ? "a" : "w");
    if (import->report == NULL)
        return cli_fail(cli, EXIT_USAGE, "%s cannot be written: %s", report, strerror(errno));
    return EXIT_DONE;
}

static int read_options(struct import *import)
{
    struct cli *cli = import->cli;
    struct span conflict = cli_span(cli, OPTION_ON_CONFLICT);
    const char *mode = cli_value(cli, OPTION_IMPORT_MODE);
    import->dry_run = cli_value(cli, OPTION_DRY_RUN) != NULL;
    import->skip = span_is(conflict, "skip");
    import->policy.overwrite = span_is(conflict, "overwrite");
    import->policy.mode = mode != NULL ? mode : "create";
    if (cli_value(cli, OPTION_FROM_LINE) != NULL &&
        (!span_u64(cli_span(cli, OPTION_FROM_LINE), UINT64_MAX, &import->from) ||
            import->from == 0))
        return cli_fail(cli, EXIT_USAGE, "--from-line is a number from 1 on");
    return EXIT_DONE;
}

static int summarise(struct import *import, bool complete)
{
    struct cli *cli = import->cli;
    const struct {
        const char *name;
        uint64_t number;
    } counts[] = {
        {"done", import->done},
        {"skipped", import->skipped},
        {"refused", import->refused},
        {"warnings", import->warned},
        {"newKeys", import->new_keys},
    };
    struct json *summary = json_new(&cli->arena, JSON_OBJECT);
    bool made = summary != NULL;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        made =
            made && json_set_int(&cli->arena, summary, counts[i].name, (int64_t)counts[i].number);
    char *seconds = arena_format(&cli->arena, "%.1f", progress_seconds(&import->progress));
    struct json *number = json_new(&cli->arena, JSON_NUMBER);
    made = made && seconds != NULL && number != NULL;
    if (made)
        number->text = span_of(seconds);
    made = made && json_set(&cli->arena, summary, SPAN_LIT("seconds"), number) &&
           json_set_bool(&cli->arena, summary, "complete", complete) &&
           (complete || json_set_int(&cli->arena, summary, "fromLine", (int64_t)import->from));
    if (!made)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    if (import->report != NULL) {
        AUTO(buf_done) struct buf line = BUF_EMPTY;
        buf_add_text(&line, "{\"summary\":");
        json_write(summary, &line);
        buf_add_text(&line, "}\n");
        if (line.failed || fwrite(line.ptr, 1, line.len, import->report) != line.len ||
            fflush(import->report) != 0)
            return cli_fail(cli, EXIT_REFUSED, "the report cannot be written");
    }
    return cli_print(cli, summary);
}

static int run(struct import *import)
{
    struct cli *cli = import->cli;
    if (import_reader_new(import->stream, import->from, &import->reader) != ERR_NONE)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    if (cli->catch_signals != NULL)
        cli->catch_signals();
    import->progress = progress_start("read", cli->err, cli->clock);
    int status = read_all(import);
    progress_end(&import->progress);
    if (status != EXIT_DONE && !import->dry_run)
        cli_fail(cli, EXIT_REFUSED, "not complete; go on with --from-line %llu",
            (unsigned long long)import->from);
    int told = summarise(import, status == EXIT_DONE);
    if (status == EXIT_DONE)
        status = told;
    return status == EXIT_DONE && import->refused > 0 ? EXIT_REFUSED : status;
}

int hub_import(struct cli *cli)
{
    struct import *import = mem_alloc(sizeof(*import));
    if (import == NULL)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    import->cli = cli;
    import->from = 1;
    import->batch_items = BATCH_ITEMS;
    arena_init(&import->arena, 0);
    int status = read_options(import);
    if (status == EXIT_DONE)
        status = open_files(import);
    if (status == EXIT_DONE)
        status = run(import);
    import_reader_free(import->reader);
    if (import->stream != NULL && import->stream != stdin)
        fclose(import->stream);
    if (import->report != NULL && fclose(import->report) != 0 && status == EXIT_DONE)
        status = cli_fail(cli, EXIT_REFUSED, "the report cannot be written");
    arena_done(&import->arena);
    mem_free(import);
    return status;
}
