/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "base64.h"
#include "sas.h"
#include "urlcode.h"

#define TOKEN_LIFE_S 600
#define TIMEOUT_S 60
#define PAGE_ITEMS 1000

/* ---- signing in ------------------------------------------------------------------------------ */

static enum err write_basic(const struct credentials *credentials, struct buf *out)
{
    AUTO(buf_done) struct buf pair = BUF_EMPTY;
    buf_add(&pair, credentials->user);
    buf_add_byte(&pair, ':');
    buf_add(&pair, credentials->password);
    buf_add_text(out, "Basic ");
    base64_write(buf_span(&pair), out);
    mem_wipe(pair.ptr, pair.len);
    return pair.failed || out->failed ? ERR_MEMORY : ERR_NONE;
}

static enum err write_authorization(struct cli *cli, struct buf *out, struct why *why)
{
    const struct connstr *login = &cli->credentials.connstr;
    if (cli->arguments.command->login == LOGIN_ADMINISTRATOR)
        return write_basic(&cli->credentials, out);
    if (login->signature.len > 0) {
        buf_add(out, login->signature);
        return out->failed ? ERR_MEMORY : ERR_NONE;
    }
    const struct sas_request request = {
        .host = login->host_name,
        .policy = login->key_name,
        .key_base64 = login->key,
        .expires_s = clock_wall_us(cli->clock) / 1000000 + TOKEN_LIFE_S,
    };
    return sas_sign(&request, out, why);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void add_header(struct request *request, const char *name, struct span value)
{
    must(request->header_count < REQUEST_HEADERS_MAX);
    request->headers[request->header_count++] = (struct header){name, value};
}

/* Entity tags are quoted in headers; people copy them from documents, where they are not. */
static bool quote_etag(struct arena *arena, struct span etag, struct span *ret_quoted)
{
    bool bare = !span_is(etag, "*") && !span_starts(etag, SPAN_LIT("\""));
    char *quoted = bare ? arena_format(arena, "\"%.*s\"", SPAN_ARG(etag)) : arena_text(arena, etag);
    *ret_quoted = span_of(quoted);
    return quoted != NULL;
}

static enum err send_with(struct cli *cli, const struct call *call, struct span authorization,
    struct arena *arena, struct response *ret_response, struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct request request = {
        .method = call->method,
        .host = cli->credentials.host,
        .target = call->target,
        .has_body = call->body != NULL || call->is_raw,
        .timeout_s = call->timeout_s > 0 ? call->timeout_s : TIMEOUT_S,
        .ca_file = cli->credentials.ca_file,
        .to_the_end = call->to_the_end,
    };
    struct span quoted;
    add_header(&request, "Authorization", authorization);
    add_header(&request, "Accept", SPAN_LIT("application/json"));
    if (call->etag.len > 0) {
        if (!quote_etag(arena, call->etag, &quoted))
            return ERR_MEMORY;
        add_header(&request, "If-Match", quoted);
    }
    if (call->continuation.len > 0)
        add_header(&request, "x-ms-continuation", call->continuation);
    if (call->max_items > 0) {
        char *count = arena_format(arena, "%u", call->max_items);
        if (count == NULL)
            return ERR_MEMORY;
        add_header(&request, "x-ms-max-item-count", span_of(count));
    }
    for (size_t i = 0; i < call->header_count; i++)
        add_header(&request, call->headers[i].name, call->headers[i].value);
    if (call->content_type != NULL)
        add_header(&request, "Content-Type", span_of(call->content_type));
    else if (call->body != NULL)
        add_header(&request, "Content-Type", SPAN_LIT("application/json; charset=utf-8"));
    if (call->body != NULL) {
        json_write(call->body, &body);
        request.body = buf_span(&body);
    } else if (call->is_raw) {
        request.body = call->raw;
    }
    enum err err =
        body.failed ? ERR_MEMORY
                    : cli->transport.send(cli->transport.self, &request, arena, ret_response, why);
    mem_wipe(body.ptr, body.len); /* it may hold keys */
    return err;
}

enum err client_send(struct cli *cli, const struct call *call, struct arena *arena,
    struct response *ret_response, struct why *why)
{
    AUTO(buf_done) struct buf authorization = BUF_EMPTY;
    if (call->target.ptr == NULL)
        return fail(ERR_MEMORY, why, "no memory for a request");
    enum err err = write_authorization(cli, &authorization, why);
    if (err == ERR_NONE)
        err = send_with(cli, call, buf_span(&authorization), arena, ret_response, why);
    mem_wipe(authorization.ptr, authorization.len);
    return err;
}

/* ---- refusals -------------------------------------------------------------------------------- */

struct refusal {
    struct span code; /* "DeviceNotFound" or "404001"; may be empty */
    struct span text;
};

/* Two forms are in use: "ErrorCode:NAME;text", and JSON within the text. */
static struct refusal read_refusal(struct cli *cli, const struct response *response)
{
    struct json *body = NULL;
    struct refusal refusal = {.code = response->error_name};
    if (json_parse(&cli->arena, response->body, 0, &body, NULL) != ERR_NONE)
        return refusal;
    struct span message = json_string_of(body, "Message");
    const struct span label = SPAN_LIT("ErrorCode:");
    if (span_starts(message, label)) {
        struct span code = span_from(message, label.len);
        size_t end = span_find(code, ';');
        refusal.text = span_from(code, end + 1);
        refusal.code = span_first(code, end);
        return refusal;
    }
    struct json *inner = NULL;
    if (json_parse(&cli->arena, message, 0, &inner, NULL) == ERR_NONE &&
        json_is(inner, JSON_OBJECT)) {
        const struct json *number = json_find_text(inner, "errorCode");
        if (refusal.code.len == 0 && number != NULL)
            refusal.code = number->text;
        message = json_string_of(inner, "message");
    }
    refusal.text = message.len > 0 ? message : json_string_of(body, "message");
    return refusal;
}

static const struct {
    const char *code;
    bool administrator; /* of a server, or else the user of one hub */
    const char *next;
} hints[] = {
    {"DeviceNotFound", false, "see what is registered: gemel device-identity list"},
    {"ModuleNotFound", false, "see what is registered: gemel module-identity list -d DEVICE"},
    {"DeviceAlreadyExists", false, "to change it: gemel device-identity update"},
    {"ModuleAlreadyExistsOnDevice", false, "to change it: gemel module-identity update"},
    {"ConfigurationAlreadyExists", false, "to change it: gemel configuration update"},
    {"PreconditionFailed", false,
        "somebody changed it meanwhile: read it again, or leave --etag out to overwrite"},
    {"IotHubUnauthorized", false,
        "check the key of the login (--login, GEMEL_LOGIN) and the clock of this machine"},
    {"IotHubUnauthorizedAccess", false,
        "sign in with a policy that has the right for this, for example iothubowner"},
    {"IotHubNotFound", false, "check HostName of the login: no hub of that server has this name"},
    {"ThrottlingException", false, "wait a little and try again"},
    {"ServiceUnavailable", false, "wait a little and try again"},
    {"IotHubUnauthorized", true, "check GEMEL_ADMIN_USER and the administrator's password"},
    {"IotHubNotFound", true, "see which there are: gemel hub list"},
};

static const char *find_hint(const struct cli *cli, struct span code)
{
    bool administrator = cli->arguments.command->login == LOGIN_ADMINISTRATOR;
    for (size_t i = 0; i < COUNT_OF(hints); i++)
        if (span_is(code, hints[i].code) && hints[i].administrator == administrator)
            return hints[i].next;
    return NULL;
}

int client_refused(struct cli *cli, const struct response *response)
{
    struct refusal refusal = read_refusal(cli, response);
    if (refusal.text.len == 0)
        refusal.text = SPAN_LIT("the answer has no reason that can be read");
    if (refusal.code.len == 0)
        refusal.code = span_of(arena_format(&cli->arena, "HTTP %d", response->status));
    int status =
        cli_fail(cli, EXIT_REFUSED, "%.*s: %.*s", SPAN_ARG(refusal.code), SPAN_ARG(refusal.text));
    const char *hint = find_hint(cli, refusal.code);
    if (hint != NULL)
        fprintf(cli->err, "  %s\n", hint);
    return status;
}

int client_parse(
    struct cli *cli, const struct response *response, struct arena *arena, struct json **ret_answer)
{
    struct why why;
    struct json *answer = NULL;
    enum err err =
        response->body.len == 0 ? ERR_NONE : json_parse(arena, response->body, 0, &answer, &why);
    if (err == ERR_MEMORY)
        return cli_fail_err(cli, err, NULL);
    if (err != ERR_NONE)
        return cli_fail(cli, EXIT_NO_HUB, "%.*s answers, but not as a hub does: %s",
            SPAN_ARG(cli->credentials.host), why.text);
    *ret_answer = answer;
    return EXIT_DONE;
}

int client_call(struct cli *cli, const struct call *call, struct json **ret_answer)
{
    struct response response;
    struct why why = {""};
    enum err err = client_send(cli, call, &cli->arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    if (response.status < 200 || response.status > 299)
        return client_refused(cli, &response);
    return client_parse(cli, &response, &cli->arena, ret_answer);
}

int client_print(struct cli *cli, const struct call *call)
{
    struct json *answer = NULL;
    int status = client_call(cli, call, &answer);
    return status == EXIT_DONE ? cli_print(cli, answer) : status;
}

struct span client_header(const struct response *response, const char *name)
{
    struct span rest = response->headers;
    struct span line;
    while (span_cut(&rest, '\n', &line)) {
        size_t colon = span_find(line, ':');
        if (colon < line.len && span_eq_nocase(span_first(line, colon), span_of(name)))
            return span_trim(span_from(line, colon + 1));
    }
    return SPAN_NONE;
}

/* ---- targets --------------------------------------------------------------------------------- */

struct span client_target(struct cli *cli, const char *prefix)
{
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    struct span text = SPAN_NONE;
    buf_add_text(&target, prefix);
    if (cli_value(cli, OPTION_DEVICE_ID) != NULL) {
        buf_add_byte(&target, '/');
        url_encode(cli_span(cli, OPTION_DEVICE_ID), &target);
    }
    if (cli_value(cli, OPTION_MODULE_ID) != NULL) {
        buf_add_text(&target, "/modules/");
        url_encode(cli_span(cli, OPTION_MODULE_ID), &target);
    }
    buf_add_text(&target, "?api-version=" API_VERSION);
    if (target.failed || !arena_span(&cli->arena, buf_span(&target), &text))
        return SPAN_NONE;
    return text;
}

struct span client_path(
    struct cli *cli, const char *prefix, struct span id, const char *suffix, const char *version)
{
    AUTO(buf_done) struct buf target = BUF_EMPTY;
    struct span text = SPAN_NONE;
    buf_add_text(&target, prefix);
    if (id.len > 0) {
        buf_add_byte(&target, '/');
        url_encode(id, &target);
    }
    buf_add_text(&target, suffix);
    if (version != NULL)
        buf_add_format(
            &target, "%capi-version=%s", strchr(suffix, '?') == NULL ? '?' : '&', version);
    if (target.failed || !arena_span(&cli->arena, buf_span(&target), &text))
        return SPAN_NONE;
    return text;
}

int client_top(struct cli *cli, uint64_t *ret_top)
{
    if (cli_value(cli, OPTION_TOP) == NULL ||
        (span_u64(cli_span(cli, OPTION_TOP), UINT32_MAX, ret_top) && *ret_top > 0))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 on");
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

int client_rows(struct cli *cli, struct call *call, uint64_t top, struct json *rows)
{
    int status;
    do {
        uint64_t left = top - rows->count;
        call->max_items = left < PAGE_ITEMS ? (unsigned)left : PAGE_ITEMS;
        status = read_page(cli, call, rows, &call->continuation);
    } while (status == EXIT_DONE && call->continuation.len > 0 && rows->count < top);
    return status;
}
