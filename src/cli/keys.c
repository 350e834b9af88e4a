/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-identity and module-identity renew-key: the hub makes keys anew, for many identities with
 * a request a hundred; to swap the two keys of one, its document is read and written back.
 */
#include "client.h"
#include "commands.h"
#include "urlcode.h"

#define BATCH_ITEMS 100
#define PAGE_ITEMS 1000

struct renewal {
    struct cli *cli;
    const char *policy_key; /* NULL: the keys are swapped */
    bool include_modules;
    struct json *targets; /* [{id, moduleId}] */
    struct json *rotated;
    struct json *errors;
};

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, EXIT_REFUSED, "out of memory");
}

/* ---- whose keys ------------------------------------------------------------------------------ */

static bool add_target(struct renewal *renewal, struct span device_id, struct span module_id)
{
    struct arena *arena = &renewal->cli->arena;
    struct json *target = json_new(arena, JSON_OBJECT);
    return target != NULL && json_set_text(arena, target, "id", device_id) &&
           (module_id.len == 0 || json_set_text(arena, target, "moduleId", module_id)) &&
           json_append(renewal->targets, target);
}

static struct span module_path(struct cli *cli, struct span device_id, struct span module_id)
{
    AUTO(buf_done) struct buf suffix = BUF_EMPTY;
    if (module_id.len > 0) {
        buf_add_text(&suffix, "/modules/");
        url_encode(module_id, &suffix);
    }
    if (suffix.failed)
        return SPAN_NONE;
    return client_path(cli, "/devices", device_id, suffix.len > 0 ? suffix.ptr : "", API_VERSION);
}

/* Those that have keys. */
static int add_modules_of(struct renewal *renewal, struct span device_id)
{
    struct json *list = NULL;
    const struct call call = {.method = "GET",
        .target = client_path(renewal->cli, "/devices", device_id, "/modules", API_VERSION)};
    int status = client_call(renewal->cli, &call, &list);
    if (status != EXIT_DONE || !json_is(list, JSON_ARRAY))
        return status;
    json_each (module, list) {
        struct span type = json_string_of(json_find_text(module, "authentication"), "type");
        if (span_is(type, "sas") &&
            !add_target(renewal, device_id, json_string_of(module, "moduleId")))
            return no_memory(renewal->cli);
    }
    return EXIT_DONE;
}

static int add_device(struct renewal *renewal, struct span device_id)
{
    if (!add_target(renewal, device_id, SPAN_NONE))
        return no_memory(renewal->cli);
    return renewal->include_modules ? add_modules_of(renewal, device_id) : EXIT_DONE;
}

static int add_all_devices(struct renewal *renewal)
{
    struct cli *cli = renewal->cli;
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    if (body == NULL ||
        !json_set_text(&cli->arena, body, "query",
            SPAN_LIT("SELECT deviceId FROM devices WHERE authenticationType = 'sas'")))
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
        for (const struct json *row = json_is(page, JSON_ARRAY) ? page->first : NULL;
             row != NULL && status == EXIT_DONE; row = row->next)
            status = add_device(renewal, json_string_of(row, "deviceId"));
        if (status != EXIT_DONE)
            return status;
        call.continuation = response.continuation;
    } while (call.continuation.len > 0);
    return EXIT_DONE;
}

static int add_targets(struct renewal *renewal)
{
    struct cli *cli = renewal->cli;
    const struct arguments *arguments = &cli->arguments;
    struct span device_id = cli_span(cli, OPTION_DEVICE_ID);
    bool modules = device_id.len > 0;
    int status = EXIT_DONE;
    for (size_t i = 0; i < arguments->repeated_count && status == EXIT_DONE; i++) {
        struct span id = span_of(arguments->repeated[i]);
        if (span_is(id, "*"))
            status = modules ? add_modules_of(renewal, device_id) : add_all_devices(renewal);
        else if (!modules)
            status = add_device(renewal, id);
        else if (!add_target(renewal, device_id, id))
            status = no_memory(cli);
    }
    return status;
}

/* ---- anew ------------------------------------------------------------------------------------ */

static void move_items(struct json *from, struct json *to)
{
    while (json_is(from, JSON_ARRAY) && from->first != NULL) {
        struct json *item = from->first;
        from->first = item->next;
        if (!json_append(to, item))
            return;
    }
}

static int regenerate(struct renewal *renewal)
{
    struct cli *cli = renewal->cli;
    while (renewal->targets->first != NULL) {
        struct response response = {0};
        struct json *answer = NULL;
        struct why why = {""};
        struct json *body = json_new(&cli->arena, JSON_OBJECT);
        struct json *devices = json_new(&cli->arena, JSON_ARRAY);
        for (size_t i = 0; devices != NULL && i < BATCH_ITEMS && renewal->targets->first != NULL;
             i++) {
            struct json *target = renewal->targets->first;
            renewal->targets->first = target->next;
            if (!json_append(devices, target))
                return no_memory(cli);
        }
        if (body == NULL ||
            !json_set_text(&cli->arena, body, "policyKey", span_of(renewal->policy_key)) ||
            !json_set(&cli->arena, body, SPAN_LIT("devices"), devices))
            return no_memory(cli);
        const struct call call = {.method = "POST",
            .target = SPAN_LIT("/devices/keys/regenerate?api-version=2024-03-31"),
            .body = body};
        enum err err = client_send(cli, &call, &cli->arena, &response, &why);
        if (err != ERR_NONE)
            return cli_fail_err(cli, err, &why);
        int status = client_parse(cli, &response, &cli->arena, &answer);
        if (status != EXIT_DONE)
            return status;
        if (json_find_text(answer, "rotatedKeys") == NULL)
            return client_refused(cli, &response);
        move_items(json_find_text(answer, "rotatedKeys"), renewal->rotated);
        move_items(json_find_text(answer, "errors"), renewal->errors);
    }
    return EXIT_DONE;
}

/* ---- swapped --------------------------------------------------------------------------------- */

static bool note_swapped(struct renewal *renewal, const struct json *target, struct json *keys)
{
    struct arena *arena = &renewal->cli->arena;
    struct json *row = json_copy(arena, target);
    return row != NULL &&
           json_set_text(arena, row, "primaryKey", json_string_of(keys, "primaryKey")) &&
           json_set_text(arena, row, "secondaryKey", json_string_of(keys, "secondaryKey")) &&
           json_append(renewal->rotated, row);
}

static int swap_one(struct renewal *renewal, const struct json *target)
{
    struct cli *cli = renewal->cli;
    struct span module_id = json_string_of(target, "moduleId");
    struct span path = module_path(cli, json_string_of(target, "id"), module_id);
    struct json *document = NULL;
    const struct call get = {.method = "GET", .target = path};
    int status = client_call(cli, &get, &document);
    if (status != EXIT_DONE)
        return status;
    struct json *keys = json_find_text(json_find_text(document, "authentication"), "symmetricKey");
    struct span primary = json_string_of(keys, "primaryKey");
    struct span secondary = json_string_of(keys, "secondaryKey");
    if (primary.len == 0 || secondary.len == 0)
        return cli_fail(cli, EXIT_REFUSED, "%.*s%s%.*s has no keys to swap",
            SPAN_ARG(json_string_of(target, "id")), module_id.len > 0 ? "/" : "",
            SPAN_ARG(module_id));
    struct span etag = cli_span(cli, OPTION_ETAG);
    if (etag.len == 0)
        etag = json_string_of(document, "etag");
    if (!json_set_text(&cli->arena, keys, "primaryKey", secondary) ||
        !json_set_text(&cli->arena, keys, "secondaryKey", primary) ||
        !note_swapped(renewal, target, keys))
        return no_memory(cli);
    const struct call put = {.method = "PUT", .target = path, .body = document, .etag = etag};
    return client_call(cli, &put, &document);
}

static int swap_all(struct renewal *renewal)
{
    int status = EXIT_DONE;
    json_each (target, renewal->targets)
        if (status == EXIT_DONE)
            status = swap_one(renewal, target);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static const struct {
    const char *key_type;
    const char *policy_key;
} key_types[] = {
    {"primary", "primaryKey"},
    {"secondary", "secondaryKey"},
    {"both", "both"},
    {"swap", NULL},
};

int keys_renew(struct cli *cli)
{
    struct arena *arena = &cli->arena;
    struct renewal renewal = {.cli = cli,
        .include_modules = cli_value(cli, OPTION_INCLUDE_MODULES) != NULL,
        .targets = json_new(arena, JSON_ARRAY),
        .rotated = json_new(arena, JSON_ARRAY),
        .errors = json_new(arena, JSON_ARRAY)};
    struct json *result = json_new(arena, JSON_OBJECT);
    struct span key_type = cli_span(cli, OPTION_RENEW_KEY_TYPE);
    if (renewal.targets == NULL || renewal.rotated == NULL || renewal.errors == NULL ||
        result == NULL || !json_set_text(arena, result, "policyKey", key_type))
        return no_memory(cli);
    for (size_t i = 0; i < COUNT_OF(key_types); i++)
        if (span_is(key_type, key_types[i].key_type))
            renewal.policy_key = key_types[i].policy_key;
    if (renewal.policy_key != NULL && cli_value(cli, OPTION_ETAG) != NULL)
        return cli_fail(cli, EXIT_USAGE, "--etag goes with --key-type swap alone");
    int status = add_targets(&renewal);
    if (status == EXIT_DONE)
        status = renewal.policy_key != NULL ? regenerate(&renewal) : swap_all(&renewal);
    if (status != EXIT_DONE && renewal.rotated->count == 0)
        return status;
    /* What was done is told also when the rest failed. */
    size_t failed = renewal.errors->count;
    if (!json_set(arena, result, SPAN_LIT("rotatedKeys"), renewal.rotated) ||
        !json_set(arena, result, SPAN_LIT("errors"), renewal.errors))
        return no_memory(cli);
    int printed = cli_print(cli, result);
    return status != EXIT_DONE ? status : failed > 0 ? EXIT_REFUSED : printed;
}
