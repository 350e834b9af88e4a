/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device c2d-message: messages to devices and what becomes of them; and device send-d2c-message, an
 * event in a device's name. Receiving and sending as a device needs a policy with DeviceConnect.
 */
#include "client.h"
#include "commands.h"
#include "urlcode.h"

#define HEADERS_MAX 40
#define LOCK_SECONDS_MIN 5
#define LOCK_SECONDS_MAX 300
#define FEEDBACK_PAUSE_US 1000000

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, EXIT_REFUSED, "out of memory");
}

/* "/PREFIX/devices/{d}[/modules/{m}]SUFFIX" */
static struct span device_path(
    struct cli *cli, const char *prefix, const char *suffix, const char *version)
{
    AUTO(buf_done) struct buf rest = BUF_EMPTY;
    if (cli_value(cli, OPTION_MODULE_ID) != NULL) {
        buf_add_text(&rest, "/modules/");
        url_encode(cli_span(cli, OPTION_MODULE_ID), &rest);
    }
    buf_add_text(&rest, suffix);
    char *path = arena_format(&cli->arena, "%s/devices", prefix);
    if (rest.failed || path == NULL)
        return SPAN_NONE;
    return client_path(cli, path, cli_span(cli, OPTION_DEVICE_ID), rest.ptr, version);
}

/* ---- properties: "name=value;name=value" ----------------------------------------------------- */

struct property {
    struct span name;
    struct span value;
};

static int next_property(
    struct cli *cli, struct span *rest, struct property *ret_property, bool *ret_found)
{
    struct span part;
    *ret_found = false;
    while (span_cut(rest, ';', &part)) {
        size_t equals = span_find(part, '=');
        if (part.len == 0)
            continue;
        if (equals == 0 || equals == part.len)
            return cli_fail(cli, EXIT_USAGE,
                "--props: \"%.*s\" is no name=value; several have ';' between", SPAN_ARG(part));
        *ret_property = (struct property){span_first(part, equals), span_from(part, equals + 1)};
        *ret_found = true;
        return EXIT_DONE;
    }
    return EXIT_DONE;
}

/* ---- sending --------------------------------------------------------------------------------- */

static int read_data(struct cli *cli, struct span *ret_data)
{
    *ret_data = SPAN_LIT("Ping from gemel");
    if (cli_value(cli, OPTION_DATA) != NULL && cli_value(cli, OPTION_DATA_FILE) != NULL)
        return cli_fail(cli, EXIT_USAGE, "there is both --data and --data-file-path");
    if (cli_value(cli, OPTION_DATA_FILE) != NULL)
        return cli_load(cli, OPTION_DATA_FILE, true, ret_data);
    if (cli_value(cli, OPTION_DATA) != NULL)
        *ret_data = cli_span(cli, OPTION_DATA);
    return EXIT_DONE;
}

static const struct {
    enum option option;
    const char *member; /* of the request that sends to a device */
    const char *header; /* of the one that sends as a device */
} system_properties[] = {
    {OPTION_MESSAGE_ID, "messageId", "iothub-messageid"},
    {OPTION_CORRELATION_ID, "correlationId", "iothub-correlationid"},
    {OPTION_USER_ID, "userId", "iothub-userid"},
    {OPTION_CONTENT_TYPE, "contentType", "iothub-contenttype"},
    {OPTION_CONTENT_ENCODING, "contentEncoding", "iothub-contentencoding"},
    {OPTION_ACK, "ack", NULL},
    {OPTION_EXPIRY, "expiryTimeUtc", NULL},
};

/* az gives the expiry in milliseconds since 1970, the hub takes ISO 8601 too. */
static struct span expiry_text(struct cli *cli, struct span text)
{
    char iso[CLOCK_TEXT_SIZE];
    uint64_t ms = 0;
    if (!span_u64(text, INT64_MAX / 1000, &ms))
        return text;
    return span_of(arena_text(&cli->arena, span_of(clock_format((int64_t)ms * 1000, iso))));
}

static int set_members(struct cli *cli, struct json *body)
{
    for (size_t i = 0; i < COUNT_OF(system_properties); i++) {
        enum option option = system_properties[i].option;
        if (cli_value(cli, option) == NULL)
            continue;
        struct span text = cli_span(cli, option);
        if (option == OPTION_EXPIRY)
            text = expiry_text(cli, text);
        if (!json_set_text(&cli->arena, body, system_properties[i].member, text))
            return no_memory(cli);
    }
    return EXIT_DONE;
}

static int set_properties(struct cli *cli, struct json *body)
{
    struct json *properties = json_new(&cli->arena, JSON_OBJECT);
    struct span rest = cli_span(cli, OPTION_PROPS);
    bool found = true;
    if (properties == NULL)
        return no_memory(cli);
    while (found) {
        struct property property;
        int status = next_property(cli, &rest, &property, &found);
        if (status != EXIT_DONE)
            return status;
        if (found && !json_set(&cli->arena, properties, property.name,
                         json_new_string(&cli->arena, property.value)))
            return no_memory(cli);
    }
    return properties->count == 0 || json_set(&cli->arena, body, SPAN_LIT("properties"), properties)
               ? EXIT_DONE
               : no_memory(cli);
}

/* ---- feedback -------------------------------------------------------------------------------- */

static int read_feedback(struct cli *cli, int64_t from, struct json **ret_page)
{
    char *target = arena_format(&cli->arena, "/gemel/v1/feedback?from=%lld", (long long)from);
    const struct call call = {.method = "GET", .target = span_of(target)};
    int status = client_call(cli, &call, ret_page);
    if (status == EXIT_DONE && !json_is(json_find_text(*ret_page, "items"), JSON_ARRAY))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no feedback");
    return status;
}

int message_feedback(struct cli *cli)
{
    struct json *page = NULL;
    uint64_t from = 0;
    if (cli_value(cli, OPTION_FROM_FEEDBACK) != NULL &&
        !span_u64(cli_span(cli, OPTION_FROM_FEEDBACK), INT64_MAX, &from))
        return cli_fail(cli, EXIT_USAGE, "--from is a sequence number");
    int status = read_feedback(cli, (int64_t)from, &page);
    return status == EXIT_DONE ? cli_print(cli, json_find_text(page, "items")) : status;
}

/* Waits for the word on one message; what else comes is passed over. */
static int await_feedback(struct cli *cli, struct span message_id)
{
    int64_t from = 0;
    if (cli->catch_signals != NULL)
        cli->catch_signals();
    while (*cli->stop == 0) {
        struct json *page = NULL;
        int status = read_feedback(cli, from, &page);
        if (status != EXIT_DONE)
            return status;
        const struct json *items = json_find_text(page, "items");
        json_each (item, items)
            if (span_eq(json_string_of(item, "originalMessageId"), message_id) &&
                span_eq(json_string_of(item, "deviceId"), cli_span(cli, OPTION_DEVICE_ID)))
                return cli_print(cli, item);
        (void)json_int64(json_find_text(page, "next"), &from);
        if (items->count == 0 && cli->pause != NULL)
            cli->pause(FEEDBACK_PAUSE_US);
    }
    return EXIT_REFUSED;
}

int message_send(struct cli *cli)
{
    struct span data;
    struct json *answer = NULL;
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    bool waits = cli_value(cli, OPTION_WAIT) != NULL;
    const char *ack = cli_value(cli, OPTION_ACK);
    if (waits && (ack == NULL || strcmp(ack, "none") == 0))
        return cli_fail(cli, EXIT_USAGE, "--wait waits for feedback: ask for it with --ack");
    int status = read_data(cli, &data);
    if (status != EXIT_DONE)
        return status;
    if (body == NULL || !json_set_text(&cli->arena, body, "body", data))
        return no_memory(cli);
    status = set_members(cli, body);
    if (status == EXIT_DONE)
        status = set_properties(cli, body);
    if (status != EXIT_DONE)
        return status;
    const struct call call = {.method = "POST",
        .target = device_path(cli, "/gemel/v1", "/messages/deviceBound", NULL),
        .body = body};
    status = client_call(cli, &call, &answer);
    if (status != EXIT_DONE || !waits)
        return status == EXIT_DONE ? cli_print(cli, answer) : status;
    return await_feedback(cli, json_string_of(answer, "messageId"));
}

/* ---- receiving and settling ------------------------------------------------------------------ */

static const struct {
    const char *header;
    const char *member;
} received[] = {
    {"iothub-ack", "ack"},
    {"iothub-correlationid", "correlationId"},
    {"iothub-deliverycount", "deliveryCount"},
    {"iothub-enqueuedtime", "enqueuedTime"},
    {"iothub-expiry", "expiry"},
    {"iothub-messageid", "messageId"},
    {"iothub-sequencenumber", "sequenceNumber"},
    {"iothub-to", "to"},
    {"iothub-userid", "userId"},
    {"iothub-contenttype", "contentType"},
    {"iothub-contentencoding", "contentEncoding"},
};

static bool add_properties(struct cli *cli, const struct response *response, struct json *message)
{
    static const struct span prefix = SPAN_INIT("iothub-app-");
    struct json *properties = json_new(&cli->arena, JSON_OBJECT);
    struct span rest = response->headers;
    struct span line;
    while (properties != NULL && span_cut(&rest, '\n', &line)) {
        size_t colon = span_find(line, ':');
        struct span name = span_first(line, colon);
        if (name.len <= prefix.len || !span_eq_nocase(span_first(name, prefix.len), prefix))
            continue;
        struct json *value = json_new_string(&cli->arena, span_trim(span_from(line, colon + 1)));
        if (!json_set(&cli->arena, properties, span_from(name, prefix.len), value))
            return false;
    }
    return json_set(&cli->arena, message, SPAN_LIT("properties"), properties);
}

static struct span unquoted(struct span etag)
{
    if (etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"')
        return span_first(span_from(etag, 1), etag.len - 2);
    return etag;
}

static int settle(struct cli *cli, const char *method, const char *behind, struct span token)
{
    AUTO(buf_done) struct buf suffix = BUF_EMPTY;
    struct json *answer = NULL;
    buf_add_text(&suffix, "/messages/deviceBound/");
    url_encode(unquoted(token), &suffix);
    buf_add_text(&suffix, behind);
    if (suffix.failed)
        return no_memory(cli);
    const struct call call = {
        .method = method, .target = device_path(cli, "", suffix.ptr, API_VERSION)};
    return client_call(cli, &call, &answer);
}

static const struct {
    enum option option;
    const char *method;
    const char *behind;
} settlements[] = {
    {OPTION_COMPLETE, "DELETE", ""},
    {OPTION_REJECT, "DELETE", "?reject"},
    {OPTION_ABANDON, "POST", "/abandon"},
};

static int settle_as_asked(struct cli *cli, struct span token)
{
    for (size_t i = 0; i < COUNT_OF(settlements); i++)
        if (cli_value(cli, settlements[i].option) != NULL)
            return settle(cli, settlements[i].method, settlements[i].behind, token);
    return EXIT_DONE;
}

static int print_message(struct cli *cli, const struct response *response, struct span token)
{
    struct json *message = json_new(&cli->arena, JSON_OBJECT);
    if (message == NULL || !json_set_text(&cli->arena, message, "etag", token) ||
        !json_set_text(&cli->arena, message, "data", response->body))
        return no_memory(cli);
    for (size_t i = 0; i < COUNT_OF(received); i++) {
        struct span value = client_header(response, received[i].header);
        if (value.len > 0 && !json_set_text(&cli->arena, message, received[i].member, value))
            return no_memory(cli);
    }
    return add_properties(cli, response, message) ? cli_print(cli, message) : no_memory(cli);
}

int message_receive(struct cli *cli)
{
    struct span seconds = cli_span(cli, OPTION_LOCK_TIMEOUT);
    uint64_t number;
    unsigned ways = 0;
    struct response response;
    struct why why = {""};
    if (seconds.len > 0 &&
        (!span_u64(seconds, LOCK_SECONDS_MAX, &number) || number < LOCK_SECONDS_MIN))
        return cli_fail(cli, EXIT_USAGE, "--lock-timeout is a number of seconds from %d to %d",
            LOCK_SECONDS_MIN, LOCK_SECONDS_MAX);
    for (size_t i = 0; i < COUNT_OF(settlements); i++)
        ways += cli_value(cli, settlements[i].option) != NULL;
    if (ways > 1)
        return cli_fail(cli, EXIT_USAGE, "--complete, --reject and --abandon exclude each other");
    const struct header lock = {"IotHub-MessageLockTimeout", seconds};
    const struct call call = {.method = "GET",
        .target = device_path(cli, "", "/messages/deviceBound", API_VERSION),
        .headers = &lock,
        .header_count = seconds.len > 0};
    enum err err = client_send(cli, &call, &cli->arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    if (response.status == 204)
        return EXIT_DONE;
    if (response.status != 200)
        return client_refused(cli, &response);
    struct span token = unquoted(client_header(&response, "etag"));
    int status = print_message(cli, &response, token);
    return status == EXIT_DONE ? settle_as_asked(cli, token) : status;
}

int message_complete(struct cli *cli)
{
    return settle(cli, "DELETE", "", cli_span(cli, OPTION_ETAG));
}

int message_reject(struct cli *cli)
{
    return settle(cli, "DELETE", "?reject", cli_span(cli, OPTION_ETAG));
}

int message_abandon(struct cli *cli)
{
    return settle(cli, "POST", "/abandon", cli_span(cli, OPTION_ETAG));
}

int message_purge(struct cli *cli)
{
    const struct call call = {
        .method = "DELETE", .target = device_path(cli, "", "/commands", API_VERSION)};
    return client_print(cli, &call);
}

/* ---- as a device ----------------------------------------------------------------------------- */

static int make_headers(struct cli *cli, struct header *headers, size_t *ret_count)
{
    struct span rest = cli_span(cli, OPTION_PROPS);
    bool found = true;
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(system_properties); i++)
        if (system_properties[i].header != NULL &&
            cli_value(cli, system_properties[i].option) != NULL)
            headers[count++] = (struct header){
                system_properties[i].header, cli_span(cli, system_properties[i].option)};
    while (found) {
        struct property property;
        int status = next_property(cli, &rest, &property, &found);
        if (status != EXIT_DONE)
            return status;
        if (!found)
            break;
        if (count == HEADERS_MAX)
            return cli_fail(cli, EXIT_USAGE, "there are more than %d properties", HEADERS_MAX);
        char *name = arena_format(&cli->arena, "iothub-app-%.*s", SPAN_ARG(property.name));
        if (name == NULL)
            return no_memory(cli);
        headers[count++] = (struct header){name, property.value};
    }
    *ret_count = count;
    return EXIT_DONE;
}

/* With an arena of its own: there may be many. */
static int send_event(struct cli *cli, const struct call *call)
{
    AUTO(arena_done) struct arena arena;
    struct response response = {0};
    struct why why = {""};
    arena_init(&arena, 0);
    enum err err = client_send(cli, call, &arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    return response.status == 204 ? EXIT_DONE : client_refused(cli, &response);
}

int event_send(struct cli *cli)
{
    struct header headers[HEADERS_MAX];
    struct span data;
    uint64_t times = 1;
    struct call call = {.method = "POST",
        .target = device_path(cli, "", "/messages/events", API_VERSION),
        .is_raw = true,
        .content_type = "application/octet-stream",
        .headers = headers};
    if (cli_value(cli, OPTION_MESSAGE_COUNT) != NULL &&
        (!span_u64(cli_span(cli, OPTION_MESSAGE_COUNT), 1000000, &times) || times == 0))
        return cli_fail(cli, EXIT_USAGE, "--msg-count is a number from 1 to 1000000");
    int status = read_data(cli, &data);
    if (status == EXIT_DONE)
        status = make_headers(cli, headers, &call.header_count);
    call.raw = data;
    for (uint64_t i = 0; i < times && status == EXIT_DONE; i++)
        status = send_event(cli, &call);
    return status;
}
