/* SPDX-License-Identifier: Apache-2.0 */
/* device-identity and module-identity: the same commands, with or without a module. */
#include "client.h"
#include "commands.h"
#include "connstr.h"
#include "host.h"
#include "ids.h"

#define TOP_MAX 1000
#define MQTT_PORT 8883

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, EXIT_REFUSED, "out of memory");
}

static bool is_module(const struct cli *cli)
{
    return cli_value(cli, OPTION_MODULE_ID) != NULL;
}

/* ---- building the document ------------------------------------------------------------------- */

static bool set_text(struct cli *cli, struct json *object, const char *name, struct span text)
{
    return json_set(&cli->arena, object, span_of(name), json_new_string(&cli->arena, text));
}

/* Returns a member that is an object, made anew if there is none; NULL without memory. */
static struct json *sub_object(struct cli *cli, struct json *object, const char *name)
{
    struct json *member = json_find_text(object, name);
    if (json_is(member, JSON_OBJECT))
        return member;
    member = json_new(&cli->arena, JSON_OBJECT);
    return json_set(&cli->arena, object, span_of(name), member) ? member : NULL;
}

/* az's words for how a device authenticates, and the hub's. */
static const struct {
    const char *method;
    const char *type;
} methods[] = {
    {"shared_private_key", "sas"},
    {"x509_thumbprint", "selfSigned"},
    {"x509_ca", "certificateAuthority"},
};

/* The type that the options ask for: by name, or by what they bring; NULL: none. */
static const char *wanted_type(const struct cli *cli)
{
    const char *method = cli_value(cli, OPTION_AUTH_METHOD);
    for (size_t i = 0; method != NULL && i < COUNT_OF(methods); i++)
        if (strcmp(method, methods[i].method) == 0)
            return methods[i].type;
    if (cli_value(cli, OPTION_PRIMARY_THUMBPRINT) != NULL ||
        cli_value(cli, OPTION_SECONDARY_THUMBPRINT) != NULL)
        return "selfSigned";
    if (cli_value(cli, OPTION_PRIMARY_KEY) != NULL || cli_value(cli, OPTION_SECONDARY_KEY) != NULL)
        return "sas";
    return NULL;
}

static const struct {
    enum option option;
    const char *type;
    const char *part;
    const char *member;
} proofs[] = {
    {OPTION_PRIMARY_KEY, "sas", "symmetricKey", "primaryKey"},
    {OPTION_SECONDARY_KEY, "sas", "symmetricKey", "secondaryKey"},
    {OPTION_PRIMARY_THUMBPRINT, "selfSigned", "x509Thumbprint", "primaryThumbprint"},
    {OPTION_SECONDARY_THUMBPRINT, "selfSigned", "x509Thumbprint", "secondaryThumbprint"},
};

static int set_proofs(struct cli *cli, struct json *authentication, const char *type)
{
    for (size_t i = 0; i < COUNT_OF(proofs); i++) {
        struct span text;
        if (cli_value(cli, proofs[i].option) == NULL)
            continue;
        if (strcmp(type, proofs[i].type) != 0)
            return cli_fail(cli, EXIT_USAGE, "%s does not go with this --auth-method",
                option_rows[proofs[i].option].name);
        int status = cli_load(cli, proofs[i].option, false, &text);
        if (status != EXIT_DONE)
            return status;
        struct json *part = sub_object(cli, authentication, proofs[i].part);
        if (part == NULL || !set_text(cli, part, proofs[i].member, text))
            return no_memory(cli);
    }
    return EXIT_DONE;
}

static int set_authentication(struct cli *cli, struct json *document)
{
    const char *type = wanted_type(cli);
    if (type == NULL)
        return EXIT_DONE;
    if (strcmp(type, "selfSigned") == 0 && cli_value(cli, OPTION_PRIMARY_THUMBPRINT) == NULL)
        return cli_fail(cli, EXIT_USAGE, "x509_thumbprint needs --primary-thumbprint");
    struct json *authentication = sub_object(cli, document, "authentication");
    if (authentication == NULL)
        return no_memory(cli);
    /* Proofs of another kind would contradict the type. */
    if (!span_is(json_string_of(authentication, "type"), type)) {
        json_take(authentication, SPAN_LIT("symmetricKey"));
        json_take(authentication, SPAN_LIT("x509Thumbprint"));
    }
    if (!set_text(cli, authentication, "type", span_of(type)))
        return no_memory(cli);
    return set_proofs(cli, authentication, type);
}

static int set_state(struct cli *cli, struct json *document)
{
    if (cli_value(cli, OPTION_STATUS) != NULL &&
        !set_text(cli, document, "status", cli_span(cli, OPTION_STATUS)))
        return no_memory(cli);
    if (cli_value(cli, OPTION_STATUS_REASON) != NULL &&
        !set_text(cli, document, "statusReason", cli_span(cli, OPTION_STATUS_REASON)))
        return no_memory(cli);
    return set_authentication(cli, document);
}

static int put(struct cli *cli, const struct json *document, struct span etag)
{
    struct json *answer = NULL;
    const struct call call = {
        .method = "PUT",
        .target = client_target(cli, "/devices"),
        .body = document,
        .etag = etag,
    };
    int status = client_call(cli, &call, &answer);
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}

/* ---- the commands ---------------------------------------------------------------------------- */

/* The hub would say the same; but an id with '/' would lead to another path of it. */
static int check_ids(struct cli *cli)
{
    struct why why;
    enum err err = ids_check_device(cli_span(cli, OPTION_DEVICE_ID), &why);
    if (err == ERR_NONE && is_module(cli))
        err = ids_check_module(cli_span(cli, OPTION_MODULE_ID), &why);
    return err == ERR_NONE ? EXIT_DONE : cli_fail(cli, EXIT_USAGE, "%s", why.text);
}

int identity_create(struct cli *cli)
{
    struct json *document = json_new(&cli->arena, JSON_OBJECT);
    int status = check_ids(cli);
    if (status != EXIT_DONE)
        return status;
    if (document == NULL || !set_text(cli, document, "deviceId", cli_span(cli, OPTION_DEVICE_ID)))
        return no_memory(cli);
    if (is_module(cli) && !set_text(cli, document, "moduleId", cli_span(cli, OPTION_MODULE_ID)))
        return no_memory(cli);
    status = set_state(cli, document);
    return status == EXIT_DONE ? put(cli, document, SPAN_NONE) : status;
}

static int get(struct cli *cli, struct json **ret_document)
{
    struct json *document = NULL;
    const struct call call = {.method = "GET", .target = client_target(cli, "/devices")};
    int status = client_call(cli, &call, &document);
    if (status == EXIT_DONE && !json_is(document, JSON_OBJECT))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no identity");
    *ret_document = document;
    return status;
}

int identity_show(struct cli *cli)
{
    struct json *document = NULL;
    int status = get(cli, &document);
    return status == EXIT_DONE ? cli_print(cli, document) : status;
}

int identity_list(struct cli *cli)
{
    struct json *list = NULL;
    uint64_t top = TOP_MAX;
    if (cli_value(cli, OPTION_TOP) != NULL &&
        (!span_u64(cli_span(cli, OPTION_TOP), TOP_MAX, &top) || top == 0))
        return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 to %d", TOP_MAX);
    struct span target = client_target(cli, "/devices");
    bool of_device = cli_value(cli, OPTION_DEVICE_ID) != NULL;
    char *text = of_device
                     ? arena_format(&cli->arena, "%.*s/modules%.*s", (int)span_find(target, '?'),
                           target.ptr, SPAN_ARG(span_from(target, span_find(target, '?'))))
                     : arena_format(&cli->arena, "%.*s&top=%u", SPAN_ARG(target), (unsigned)top);
    const struct call call = {.method = "GET", .target = span_of(text)};
    int status = client_call(cli, &call, &list);
    return status == EXIT_DONE ? cli_print(cli, list) : status;
}

/* The document that was read goes back with its etag, so that nobody's change in between is lost.
 */
int identity_update(struct cli *cli)
{
    struct json *document = NULL;
    int status = get(cli, &document);
    if (status != EXIT_DONE)
        return status;
    status = set_state(cli, document);
    if (status != EXIT_DONE)
        return status;
    struct span etag = cli_span(cli, OPTION_ETAG);
    if (etag.len == 0)
        etag = json_string_of(document, "etag");
    return put(cli, document, etag.len > 0 ? etag : SPAN_LIT("*"));
}

int identity_delete(struct cli *cli)
{
    struct json *answer = NULL;
    struct span etag = cli_span(cli, OPTION_ETAG);
    const struct call call = {
        .method = "DELETE",
        .target = client_target(cli, "/devices"),
        .etag = etag.len > 0 ? etag : SPAN_LIT("*"),
    };
    return client_call(cli, &call, &answer);
}

/* ---- connection strings ---------------------------------------------------------------------- */

/* A hub of ours says where it speaks MQTT; any other speaks it at the usual port. */
static int64_t ask_mqtt_port(struct cli *cli)
{
    struct response response;
    struct json *about = NULL;
    int64_t port = MQTT_PORT;
    const struct call call = {.method = "GET", .target = SPAN_LIT("/gemel/v1/about")};
    if (client_send(cli, &call, &cli->arena, &response, NULL) != ERR_NONE ||
        response.status != 200 ||
        json_parse(&cli->arena, response.body, 0, &about, NULL) != ERR_NONE ||
        !json_int64(json_find_text(about, "mqttPort"), &port) || port < 1 || port > 65535)
        return MQTT_PORT;
    return port;
}

static struct span mqtt_host(struct cli *cli)
{
    struct span host;
    struct span port;
    host_split(cli->credentials.host, &host, &port);
    int64_t mqtt_port = ask_mqtt_port(cli);
    if (mqtt_port == MQTT_PORT)
        return host;
    return span_of(arena_format(&cli->arena, "%.*s:%lld", SPAN_ARG(host), (long long)mqtt_port));
}

static int fill(struct cli *cli, const struct json *document, struct connstr *connstr)
{
    const struct json *authentication = json_find_text(document, "authentication");
    struct span type = json_string_of(authentication, "type");
    const char *key_type = cli_value(cli, OPTION_KEY_TYPE);
    bool secondary = key_type != NULL && strcmp(key_type, "secondary") == 0;
    connstr->device_id = cli_span(cli, OPTION_DEVICE_ID);
    connstr->module_id = cli_span(cli, OPTION_MODULE_ID);
    connstr->x509 = span_is(type, "selfSigned") || span_is(type, "certificateAuthority");
    if (connstr->x509)
        return EXIT_DONE;
    connstr->key = json_string_of(
        json_find_text(authentication, "symmetricKey"), secondary ? "secondaryKey" : "primaryKey");
    if (connstr->key.len == 0)
        return cli_fail(cli, EXIT_REFUSED, "it has no %s key, so there is no connection string",
            secondary ? "secondary" : "primary");
    return EXIT_DONE;
}

int connection_string_show(struct cli *cli)
{
    struct json *document = NULL;
    struct connstr connstr = {0};
    int status = get(cli, &document);
    if (status == EXIT_DONE)
        status = fill(cli, document, &connstr);
    if (status != EXIT_DONE)
        return status;
    connstr.host_name = mqtt_host(cli);
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    connstr_write(&connstr, &text);
    struct json *answer = json_new(&cli->arena, JSON_OBJECT);
    if (text.failed || answer == NULL ||
        !set_text(cli, answer, "connectionString", buf_span(&text)))
        return no_memory(cli);
    return cli_print(cli, answer);
}
