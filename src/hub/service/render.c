/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include "base64.h"

#include <openssl/rand.h>
#include <stdio.h>

static const struct span json_type = SPAN_INIT("application/json; charset=utf-8");

const char *new_request_id(char ret_text[REQUEST_ID_SIZE])
{
    unsigned char bytes[16] = {0};
    char hex[33];
    (void)RAND_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    snprintf(ret_text, REQUEST_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
        hex + 16, hex + 20);
    return ret_text;
}

void respond_header(struct rest_call *call, const char *name, struct span value)
{
    must(call->header_count < REST_MAX_RESPONSE_HEADERS);
    call->headers[call->header_count++] = (struct rest_header){name, value};
}

static enum err add_request_id(struct rest *rest)
{
    char text[REQUEST_ID_SIZE];
    struct span value;
    if (!arena_span(rest->arena, span_of(new_request_id(text)), &value))
        return ERR_MEMORY;
    respond_header(rest->call, "x-ms-request-id", value);
    return ERR_NONE;
}

enum err respond_json(struct rest *rest, int status, const struct buf *body)
{
    if (body->failed || !arena_span(rest->arena, buf_span(body), &rest->call->body_out))
        return ERR_MEMORY;
    rest->call->status = status;
    rest->call->content_type_out = json_type;
    return add_request_id(rest);
}

enum err respond_empty(struct rest *rest, int status)
{
    rest->call->status = status;
    rest->call->content_type_out = SPAN_NONE;
    rest->call->body_out = SPAN_NONE;
    return add_request_id(rest);
}

enum err respond_etag(struct rest *rest, const char *etag)
{
    char *value = arena_format(rest->arena, "\"%s\"", etag);
    if (value == NULL)
        return ERR_MEMORY;
    respond_header(rest->call, "etag", span_of(value));
    return ERR_NONE;
}

/* ---- errors --------------------------------------------------------------------------------- */

/* Errors between our own parts have no code; who sees one reaching a peer has found a bug. */
static enum err for_a_peer(enum err err)
{
    return err_row(err)->hub_code == 0 ? ERR_SERVER : err;
}

/* A ';' would end the sentence for the Node SDK. */
static struct why without_semicolons(const struct why *why, enum err err)
{
    struct why plain;
    snprintf(plain.text, sizeof(plain.text), "%s", why_text(why, err));
    for (char *c = plain.text; *c != '\0'; c++)
        if (*c == ';')
            *c = ',';
    return plain;
}

static void write_error(
    enum err err, const char *id, int64_t now, const struct why *why, struct buf *out)
{
    char time[CLOCK_TEXT_SIZE];
    struct why sentence = without_semicolons(why, err);
    AUTO(buf_done) struct buf message = BUF_EMPTY;
    buf_add_format(&message, "ErrorCode:%s;%s", err_row(err)->hub_name, sentence.text);
    buf_add_text(out, "{\"Message\":");
    json_write_string(buf_span(&message), out);
    buf_add_format(out, ",\"ExceptionMessage\":\"Tracking ID:%s-G:gemel-TimeStamp:%s\"}", id,
        clock_format(now, time));
    out->failed |= message.failed;
}

/* What is said when there is no memory left to say more. */
static void respond_plainly(struct rest_call *call)
{
    call->body_out =
        SPAN_LIT("{\"Message\":\"ErrorCode:ServerError;out of memory\",\"ExceptionMessage\":\"\"}");
    respond_header(call, "iothub-errorcode", SPAN_LIT("ServerError"));
    call->status = 500;
}

static bool stays_on_error(const char *name)
{
    static const char *const names[] = {"allow", "www-authenticate"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void add_retry_after(struct rest_call *call, enum err err)
{
    if (call->call.retry_seconds == 0 || (err != ERR_THROTTLED && err != ERR_QUOTA))
        return;
    char *seconds = arena_format(&call->call.arena, "%u", call->call.retry_seconds);
    if (seconds != NULL)
        respond_header(call, "retry-after", span_of(seconds));
}

void respond_error(struct rest_call *call, int64_t now, enum err err, const struct why *why)
{
    char id[REQUEST_ID_SIZE];
    struct span id_value;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    size_t kept = 0;
    /* What the refusal itself set stays; a half-made response goes. */
    for (size_t i = 0; i < call->header_count; i++)
        if (stays_on_error(call->headers[i].name))
            call->headers[kept++] = call->headers[i];
    call->header_count = kept;
    call->more = false;
    call->header_block = SPAN_NONE;
    call->content_type_out = json_type;
    err = for_a_peer(err);
    write_error(err, new_request_id(id), now, why, &body);
    if (body.failed || !arena_span(&call->call.arena, buf_span(&body), &call->body_out) ||
        !arena_span(&call->call.arena, span_of(id), &id_value)) {
        respond_plainly(call);
        return;
    }
    call->status = err_row(err)->http_status;
    respond_header(call, "iothub-errorcode", span_of(err_row(err)->hub_name));
    respond_header(call, "x-ms-request-id", id_value);
    add_retry_after(call, err);
}

void service_write_mqtt_error(
    struct service *service, enum err err, const struct why *why, struct buf *out)
{
    char id[REQUEST_ID_SIZE];
    char time[CLOCK_TEXT_SIZE];
    err = for_a_peer(err);
    clock_format(now_us(service), time);
    buf_add_format(out, "{\"errorCode\":%d,\"trackingId\":\"%s-G:gemel-TimeStamp:%s\"",
        err_row(err)->hub_code, new_request_id(id), time);
    write_text_member(out, "message", span_of(why_text(why, err)));
    write_text_member(out, "timestampUtc", span_of(time));
    buf_add_byte(out, '}');
}

void respond_provisioning_error(
    struct service *service, struct rest_call *call, enum err err, const struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    respond_error(call, now_us(service), err, why);
    service_write_mqtt_error(service, err, why, &body);
    /* Without memory the other form has to do. */
    struct span text;
    if (!body.failed && arena_span(&call->call.arena, buf_span(&body), &text))
        call->body_out = text;
}

/* ---- members -------------------------------------------------------------------------------- */

void write_text_member(struct buf *out, const char *name, struct span value)
{
    buf_add_format(out, ",\"%s\":", name);
    json_write_string(value, out);
}

void write_text_or_null(struct buf *out, const char *name, struct span value)
{
    if (value.len > 0)
        write_text_member(out, name, value);
    else
        buf_add_format(out, ",\"%s\":null", name);
}

void write_time_member(struct buf *out, const char *name, int64_t wall_us)
{
    char text[CLOCK_TEXT_SIZE];
    buf_add_format(out, ",\"%s\":\"%s\"", name, clock_format(wall_us, text));
}

const char *identity_etag(uint64_t etag, char ret_text[IDENTITY_ETAG_SIZE])
{
    char digits[24];
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)etag);
    base64_write(span_of(digits), &text);
    /* Without memory an etag that fits nothing: the caller's next step runs out of it as well. */
    if (!span_copy(buf_span(&text), ret_text, IDENTITY_ETAG_SIZE))
        ret_text[0] = '\0';
    return ret_text;
}

static const char *const auth_names[] = {
    [AUTH_SAS] = "sas",
    [AUTH_SELF_SIGNED] = "selfSigned",
    [AUTH_CERTIFICATE_AUTHORITY] = "certificateAuthority",
    [AUTH_NONE] = "none",
};

const char *auth_name(enum auth_type auth)
{
    return auth_names[auth];
}

void write_thumbprints(const struct identity *identity, struct buf *out)
{
    buf_add_text(out, "{\"primaryThumbprint\":");
    if (identity->primary_thumbprint.len > 0)
        json_write_string(identity->primary_thumbprint, out);
    else
        buf_add_text(out, "null");
    write_text_or_null(out, "secondaryThumbprint", identity->secondary_thumbprint);
    buf_add_byte(out, '}');
}

static void write_authentication(const struct identity *identity, bool with_keys, struct buf *out)
{
    buf_add_text(out, ",\"authentication\":{\"symmetricKey\":{\"primaryKey\":");
    if (with_keys && identity->primary_key.len > 0)
        json_write_string(identity->primary_key, out);
    else
        buf_add_text(out, "null");
    write_text_or_null(out, "secondaryKey", with_keys ? identity->secondary_key : SPAN_NONE);
    buf_add_text(out, "},\"x509Thumbprint\":");
    write_thumbprints(identity, out);
    buf_add_format(out, ",\"type\":\"%s\"}", auth_name(identity->auth));
}

static void write_capabilities(const struct identity *identity, struct buf *out)
{
    buf_add_format(
        out, ",\"capabilities\":{\"iotEdge\":%s}", identity->iot_edge ? "true" : "false");
}

static void write_scopes(const struct identity *identity, struct buf *out)
{
    if (identity->device_scope.len > 0)
        write_text_member(out, "deviceScope", identity->device_scope);
    if (identity->parent_scopes.len > 0) {
        buf_add_text(out, ",\"parentScopes\":");
        buf_add(out, identity->parent_scopes);
    }
}

static const char *connection_of(const struct identity *identity)
{
    return identity->connected ? "Connected" : "Disconnected";
}

static void write_module_identity(const struct identity *identity, bool with_keys, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    buf_add_text(out, "{\"moduleId\":");
    json_write_string(identity->module_id, out);
    write_text_or_null(out, "managedBy", identity->managed_by);
    write_text_member(out, "deviceId", identity->device_id);
    buf_add_format(out, ",\"generationId\":\"%llu\"", (unsigned long long)identity->generation);
    write_text_member(out, "etag", span_of(identity_etag(identity->etag, etag)));
    write_text_member(out, "connectionState", span_of(connection_of(identity)));
    write_time_member(out, "connectionStateUpdatedTime", identity->connection_updated_us);
    write_time_member(out, "lastActivityTime", identity->last_activity_us);
    buf_add_format(
        out, ",\"cloudToDeviceMessageCount\":%llu", (unsigned long long)identity->messages);
    write_authentication(identity, with_keys, out);
    buf_add_byte(out, '}');
}

void write_identity(const struct identity *identity, bool with_keys, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    if (identity->module_id.len > 0) {
        write_module_identity(identity, with_keys, out);
        return;
    }
    buf_add_text(out, "{\"deviceId\":");
    json_write_string(identity->device_id, out);
    buf_add_format(out, ",\"generationId\":\"%llu\"", (unsigned long long)identity->generation);
    write_text_member(out, "etag", span_of(identity_etag(identity->etag, etag)));
    write_text_member(out, "connectionState", span_of(connection_of(identity)));
    write_text_member(out, "status", span_of(identity->enabled ? "enabled" : "disabled"));
    write_text_or_null(out, "statusReason", identity->status_reason);
    write_time_member(out, "connectionStateUpdatedTime", identity->connection_updated_us);
    write_time_member(out, "statusUpdatedTime", identity->status_updated_us);
    write_time_member(out, "lastActivityTime", identity->last_activity_us);
    buf_add_format(
        out, ",\"cloudToDeviceMessageCount\":%llu", (unsigned long long)identity->messages);
    write_authentication(identity, with_keys, out);
    write_capabilities(identity, out);
    write_scopes(identity, out);
    buf_add_byte(out, '}');
}

void write_exported(
    const struct identity *identity, const struct twin_doc *twin, bool with_keys, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    char counter[TWIN_ETAG_SIZE];
    bool module = identity->module_id.len > 0;
    buf_add_text(out, "{\"id\":");
    json_write_string(identity->device_id, out);
    if (module)
        write_text_member(out, "moduleId", identity->module_id);
    write_text_member(out, "eTag", span_of(identity_etag(identity->etag, etag)));
    if (module && identity->managed_by.len > 0)
        write_text_member(out, "managedBy", identity->managed_by);
    if (!module)
        write_text_member(out, "status", span_of(identity->enabled ? "enabled" : "disabled"));
    if (!module && identity->status_reason.len > 0)
        write_text_member(out, "statusReason", identity->status_reason);
    write_authentication(identity, with_keys, out);
    write_text_member(out, "twinETag", span_of(twin_etag(twin->etag, counter)));
    buf_add_text(out, ",\"tags\":");
    buf_add(out, twin->tags);
    buf_add_byte(out, ',');
    twin_write_properties(twin, out);
    if (!module)
        write_capabilities(identity, out);
    write_scopes(identity, out);
    buf_add_byte(out, '}');
}

void write_twin(const struct identity *identity, const struct twin_doc *twin, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    char counter[TWIN_ETAG_SIZE];
    buf_add_text(out, "{\"deviceId\":");
    json_write_string(identity->device_id, out);
    if (identity->module_id.len > 0)
        write_text_member(out, "moduleId", identity->module_id);
    write_text_member(out, "etag", span_of(twin_etag(twin->etag, counter)));
    write_text_member(out, "deviceEtag", span_of(identity_etag(identity->etag, etag)));
    write_text_member(out, "status", span_of(identity->enabled ? "enabled" : "disabled"));
    if (identity->status_reason.len > 0)
        write_text_member(out, "statusReason", identity->status_reason);
    write_time_member(out, "statusUpdateTime", identity->status_updated_us);
    write_text_member(out, "connectionState", span_of(connection_of(identity)));
    write_time_member(out, "lastActivityTime", identity->last_activity_us);
    buf_add_format(
        out, ",\"cloudToDeviceMessageCount\":%llu", (unsigned long long)identity->messages);
    write_text_member(out, "authenticationType", span_of(auth_name(identity->auth)));
    buf_add_text(out, ",\"x509Thumbprint\":");
    write_thumbprints(identity, out);
    write_text_member(out, "modelId", identity->model_id);
    buf_add_format(out, ",\"version\":%lld", (long long)twin->version);
    if (!span_is(twin->tags, "{}")) {
        buf_add_text(out, ",\"tags\":");
        buf_add(out, twin->tags);
    }
    buf_add_byte(out, ',');
    twin_write_properties(twin, out);
    if (twin->configurations.len > 0) {
        buf_add_text(out, ",\"configurations\":");
        buf_add(out, twin->configurations);
    }
    if (identity->module_id.len == 0)
        write_capabilities(identity, out);
    write_scopes(identity, out);
    buf_add_byte(out, '}');
}
