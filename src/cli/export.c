/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub export: the identities of a hub with their twins as a file in the form of IoT Hub's own
 * exports, one JSON object a line, devices before modules. The file has its name only when it is
 * whole; it may hold keys, so nobody but its owner may read it.
 */
#include "client.h"
#include "commands.h"
#include "progress.h"
#include "urlcode.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDENTITIES "/gemel/v1/identities"
#define PAGE_ITEMS 1000
#define PAGE_MAX_BYTES (256u << 20)
#define ATTEMPTS 120
#define PAUSE_US 1000000

struct export
{
    struct cli *cli;
    FILE *file;
    const char *partial; /* its name until it is whole; NULL: standard output */
    bool with_keys;
    bool modules;
    struct buf after;
    struct buf after_module;
    struct progress progress;
    uint64_t whole; /* devices that there were at the beginning */
    uint64_t devices;
    uint64_t count; /* of modules too */
};

static enum err write_target(const struct export *export, struct buf *target)
{
    buf_add_format(target, IDENTITIES "?limit=%d&modules=%s&keys=%s", PAGE_ITEMS,
        export->modules ? "true" : "false", export->with_keys ? "true" : "false");
    if (export->after.len > 0) {
        buf_add_text(target, "&after=");
        url_encode(buf_span(&export->after), target);
    }
    if (export->after_module.len > 0) {
        buf_add_text(target, "&afterModule=");
        url_encode(buf_span(&export->after_module), target);
    }
    return target->failed ? ERR_MEMORY : ERR_NONE;
}

/* Asks again while the hub is away, once it has answered. */
static enum err ask(
    struct export *export, struct arena *arena, struct response *ret_response, struct why *why)
{
    struct cli *cli = export->cli;
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    enum err err = write_target(export, &target);
    const struct call call = {.method = "GET", .target = buf_span(&target)};
    for (unsigned attempt = 0; err == ERR_NONE && attempt < ATTEMPTS; attempt++) {
        err = client_send(cli, &call, arena, ret_response, why);
        bool passing =
            err == ERR_UNAVAILABLE || err == ERR_TIMEOUT ||
            (err == ERR_NONE && ret_response->status >= 500 && ret_response->status != 501);
        if (!passing || export->count == 0 || *cli->stop != 0)
            return err;
        if (cli->pause != NULL)
            cli->pause(PAUSE_US);
        if (attempt + 1 < ATTEMPTS)
            err = ERR_NONE;
    }
    return err;
}

static int write_items(struct export *export, const struct json *page)
{
    AUTO(buf_wipe) struct buf line = BUF_EMPTY;
    json_each (item, page) {
        buf_clear(&line);
        json_write(item, &line);
        buf_add_byte(&line, '\n');
        if (line.failed)
            return cli_fail(export->cli, EXIT_REFUSED, "out of memory");
        if (fwrite(line.ptr, 1, line.len, export->file) != line.len)
            return cli_fail(
                export->cli, EXIT_REFUSED, "the file cannot be written: %s", strerror(errno));
        export->count++;
        export->devices += !export->modules;
    }
    buf_clear(&export->after);
    buf_clear(&export->after_module);
    buf_add(&export->after, json_string_of(page->last, "id"));
    buf_add(&export->after_module, json_string_of(page->last, "moduleId"));
    return export->after.failed || export->after_module.failed
               ? cli_fail(export->cli, EXIT_REFUSED, "out of memory")
               : EXIT_DONE;
}

/* One page; `*ret_more` is false behind the last. */
static int read_page(struct export *export, bool *ret_more)
{
    AUTO(arena_done) struct arena arena;
    struct response response = {0};
    struct json *page = NULL;
    struct why why = {""};
    arena_init(&arena, PAGE_MAX_BYTES);
    enum err err = ask(export, &arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(export->cli, err, &why);
    if (response.status == 404 && export->count == 0)
        return cli_fail(export->cli, EXIT_REFUSED,
            "this hub has no " IDENTITIES ": only a Gemel hub can be exported so, an Azure IoT Hub "
            "is by az iot hub device-identity export");
    if (response.status != 200)
        return client_refused(export->cli, &response);
    int status = client_parse(export->cli, &response, &arena, &page);
    if (status == EXIT_DONE && !json_is(page, JSON_ARRAY))
        status = cli_fail(export->cli, EXIT_NO_HUB, "the answer is no list of identities");
    if (status != EXIT_DONE)
        return status;
    *ret_more = page->count > 0;
    if (*ret_more)
        status = write_items(export, page);
    progress_show(&export->progress, export->devices, export->whole, export->count);
    return status;
}

static int read_all(struct export *export)
{
    int status = EXIT_DONE;
    for (int pass = 0; pass < 2 && status == EXIT_DONE; pass++) {
        bool more = true;
        export->modules = pass == 1;
        buf_clear(&export->after);
        buf_clear(&export->after_module);
        while (more && status == EXIT_DONE && *export->cli->stop == 0)
            status = read_page(export, &more);
    }
    return status == EXIT_DONE && *export->cli->stop != 0 ? EXIT_REFUSED : status;
}

/* For the progress alone. */
static uint64_t count_devices(struct cli *cli)
{
    struct response response;
    struct json *answer = NULL;
    int64_t count = 0;
    const struct call call = {
        .method = "GET", .target = SPAN_LIT("/statistics/devices?api-version=" API_VERSION)};
    if (client_send(cli, &call, &cli->arena, &response, NULL) == ERR_NONE &&
        response.status == 200 &&
        json_parse(&cli->arena, response.body, 0, &answer, NULL) == ERR_NONE)
        (void)json_int64(json_find_text(answer, "totalDeviceCount"), &count);
    return count < 0 ? 0 : (uint64_t)count;
}

/* ---- the file -------------------------------------------------------------------------------- */

static int open_file(struct export *export, const char *name)
{
    struct cli *cli = export->cli;
    if (strcmp(name, "-") == 0) {
        export->file = cli->out;
        return export->with_keys ? cli_fail(cli, EXIT_USAGE,
                                       "keys go into a file alone, which nobody else can read")
                                 : EXIT_DONE;
    }
    if (access(name, F_OK) == 0)
        return cli_fail(cli, EXIT_USAGE, "%s is there already", name);
    export->partial = arena_format(&cli->arena, "%s.part", name);
    if (export->partial == NULL)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    /* What an export left that was killed; a link that somebody put there is removed, not followed.
     */
    unlink(export->partial);
    int file = open(export->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    export->file = file < 0 ? NULL : fdopen(file, "w");
    if (export->file == NULL)
        return cli_fail(
            cli, EXIT_USAGE, "%s cannot be written: %s", export->partial, strerror(errno));
    return EXIT_DONE;
}

static int close_file(struct export *export, const char *name, int status)
{
    if (export->partial == NULL || export->file == NULL)
        return status;
    bool written = fflush(export->file) == 0 && fsync(fileno(export->file)) == 0;
    written = fclose(export->file) == 0 && written;
    if (status == EXIT_DONE && written && rename(export->partial, name) == 0)
        return EXIT_DONE;
    if (status == EXIT_DONE)
        status =
            cli_fail(export->cli, EXIT_REFUSED, "%s cannot be written: %s", name, strerror(errno));
    unlink(export->partial);
    return status;
}

static int summarise(struct cli *cli, const struct export *export)
{
    struct json *summary = json_new(&cli->arena, JSON_OBJECT);
    if (summary == NULL ||
        !json_set_int(&cli->arena, summary, "devices", (int64_t) export->devices) ||
        !json_set_int(
            &cli->arena, summary, "modules", (int64_t)(export->count - export->devices)) ||
        !json_set_bool(&cli->arena, summary, "keys", export->with_keys))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    return cli_print(cli, summary);
}

int hub_export(struct cli *cli)
{
    const char *name = cli_value(cli, OPTION_FILE);
    struct export export = {.cli = cli, .with_keys = cli_value(cli, OPTION_INCLUDE_KEYS) != NULL};
    int status = open_file(&export, name);
    if (status != EXIT_DONE)
        return status;
    if (cli->catch_signals != NULL)
        cli->catch_signals();
    export.whole = count_devices(cli);
    export.progress = progress_start("exported", cli->err, cli->clock);
    status = read_all(&export);
    progress_end(&export.progress);
    status = close_file(&export, name, status);
    buf_done(&export.after);
    buf_done(&export.after_module);
    if (status == EXIT_DONE && export.partial != NULL)
        return summarise(cli, &export);
    return status;
}
