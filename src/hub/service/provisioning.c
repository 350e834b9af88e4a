/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices ask of provisioning, over HTTPS and, put into the same calls by the gateway, over
 * MQTT. All is done at once: a registration is answered with its outcome, never with "assigning".
 *
 *   token or certificate -> enrollment -> device, its modules -> registration
 *
 * A device that comes again gets what it got. Its identity is touched only where what proves it is
 * another one: then the session that it may have ends.
 */
#include "enrollment.h"

#include "certificate.h"
#include "log.h"
#include "policies.h"
#include "provision.h"

#include <openssl/rand.h>

#define REGISTRATIONS "registrations/"

/* ---- who asks -------------------------------------------------------------------------------- */

/* The resource of the token is {idScope}/registrations/{id}, its "host" the id scope. */
static enum err read_token(struct rest *rest, struct enrollee *enrollee)
{
    const char *path =
        arena_format(rest->arena, REGISTRATIONS "%.*s", SPAN_ARG(enrollee->registration_id));
    if (path == NULL)
        return ERR_MEMORY;
    enrollee->by_token = true;
    enum err err = sas_parse(rest->arena, rest->call->authorization, &enrollee->sas, rest->why);
    if (err == ERR_NONE && !span_eq_nocase(enrollee->sas.host, rest->arguments[0]))
        return fail(ERR_FORBIDDEN, rest->why, "the token is for another id scope");
    if (err == ERR_NONE)
        err = sas_check_time(&enrollee->sas, now_us(rest->service),
            rest->service->options.limits.skew_seconds, rest->why);
    if (err == ERR_NONE)
        err = sas_check_audience(&enrollee->sas, span_of(path), rest->why);
    return err == ERR_UNAUTHORIZED ? ERR_FORBIDDEN : err;
}

static enum err read_proof(struct rest *rest, struct enrollee *enrollee)
{
    enrollee->registration_id = rest->arguments[1];
    if (rest->call->authorization.len > 0)
        return read_token(rest, enrollee);
    if (rest->call->certificates.len == 0)
        return fail(ERR_FORBIDDEN, rest->why, "there is neither a token nor a certificate");
    enrollee->certificates = rest->call->certificates;
    enrollee->certificate = arena_alloc(rest->arena, sizeof(*enrollee->certificate));
    if (enrollee->certificate == NULL)
        return ERR_MEMORY;
    enum err err =
        certificate_read(rest->arena, enrollee->certificates, enrollee->certificate, rest->why);
    return err == ERR_UNAUTHORIZED ? ERR_FORBIDDEN : err;
}

static enum err check_body(struct rest *rest)
{
    struct json *body = NULL;
    if (rest->call->body.len == 0)
        return ERR_NONE;
    enum err err = json_parse(rest->arena, rest->call->body, 0, &body, rest->why);
    if (err != ERR_NONE) {
        why_prefix(rest->why, "the body is no JSON");
        return err;
    }
    struct span id = json_string_of(body, "registrationId");
    if (id.len > 0 && !span_eq_nocase(id, rest->arguments[1]))
        return fail(ERR_ARGUMENT, rest->why,
            "registrationId of the body is not that of the path or user name");
    return ERR_NONE;
}

enum err provisioning_prepare(struct rest *rest)
{
    struct enrollee *enrollee = arena_alloc(rest->arena, sizeof(*enrollee));
    if (enrollee == NULL)
        return ERR_MEMORY;
    rest->input = enrollee;
    rest->caller.origin = SPAN_LIT("provisioning");
    rest->caller.user = rest->arguments[1];
    enum err err = provision_check_id(rest->arguments[1], rest->why);
    if (err == ERR_NONE)
        err = read_proof(rest, enrollee);
    return err == ERR_NONE ? check_body(rest) : err;
}

static enum err judge(struct rest *rest)
{
    enum err err = enrollee_judge(rest, rest->input);
    if (err == ERR_FORBIDDEN)
        log_info("service", "registration %.*s from %.*s is refused: %s",
            SPAN_ARG(rest->arguments[1]), SPAN_ARG(rest->call->peer), why_text(rest->why, err));
    return err;
}

/* ---- what it is told ------------------------------------------------------------------------- */

static void write_modules(const struct json *modules, struct buf *out)
{
    buf_add_text(out, ",\"payload\":{\"modules\":[");
    json_each (module, modules) {
        buf_add_text(out, module == modules->first ? "" : ",");
        json_write_string(module->key, out);
    }
    buf_add_text(out, "]}");
}

static void write_state(
    const struct rest *rest, const struct registration *registration, struct buf *out)
{
    const struct enrollee *enrollee = rest->input;
    const struct json *modules = json_find_text(enrollee->document, "modules");
    struct span host = json_string_of(enrollee->document, "iotHubHostName");
    char etag[IDENTITY_ETAG_SIZE];
    buf_add_text(out, "{\"registrationId\":");
    json_write_string(rest->arguments[1], out);
    write_time_member(out, "createdDateTimeUtc", registration->created_us);
    write_text_member(out, "assignedHub", host.len > 0 ? host : rest->host_name);
    write_text_member(out, "deviceId", registration->device_id);
    buf_add_text(out, ",\"status\":\"assigned\",\"substatus\":\"initialAssignment\"");
    write_time_member(out, "lastUpdatedDateTimeUtc", registration->updated_us);
    write_text_member(out, "etag", span_of(identity_etag(registration->etag, etag)));
    if (modules != NULL && modules->count > 0)
        write_modules(modules, out);
    buf_add_byte(out, '}');
}

static enum err respond(struct rest *rest, const struct registration *registration)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"operationId\":");
    json_write_string(registration->operation_id, &body);
    buf_add_text(&body, ",\"status\":\"assigned\",\"registrationState\":");
    write_state(rest, registration, &body);
    buf_add_byte(&body, '}');
    return respond_json(rest, 200, &body);
}

/* ---- registering ----------------------------------------------------------------------------- */

static void put_proof(const struct enrollee *enrollee, struct identity_input *input)
{
    input->has_auth = true;
    input->auth = AUTH_SAS;
    input->primary_key = enrollee->primary_key;
    input->secondary_key = enrollee->secondary_key;
    if (enrollee->by_token)
        return;
    input->auth = AUTH_SELF_SIGNED;
    input->primary_thumbprint = span_of(enrollee->certificate->sha256);
}

static bool has_proof(const struct identity *identity, const struct identity_input *input)
{
    return identity->auth == input->auth && span_eq(identity->primary_key, input->primary_key) &&
           span_eq(identity->secondary_key, input->secondary_key) &&
           (input->auth != AUTH_SELF_SIGNED ||
               span_eq_nocase(identity->primary_thumbprint, input->primary_thumbprint));
}

/* Makes the device or module, or gives it the proof that its enrollment has now. */
static enum err ensure(
    struct rest *rest, struct identity_input *input, const struct json *initial_twin)
{
    static const struct match any = {.given = true, .any = true};
    struct identity identity;
    put_proof(rest->input, input);
    enum err err = store_identity_get(
        rest->txn, rest->arena, rest->hub_id, input->device_id, input->module_id, &identity);
    if (err == ERR_NOT_FOUND)
        return registry_create(rest, input, false, initial_twin, &identity);
    if (err != ERR_NONE || has_proof(&identity, input))
        return err;
    return registry_update(rest, input, &any, false, &identity);
}

static enum err ensure_device(struct rest *rest, struct span device_id)
{
    const struct enrollee *enrollee = rest->input;
    const struct json *capabilities = json_find_text(enrollee->document, "capabilities");
    const struct json *edge = json_find_text(capabilities, "iotEdge");
    const struct json *modules = json_find_text(enrollee->document, "modules");
    struct identity_input device = {.device_id = device_id};
    device.has_edge = device.iot_edge = json_is(edge, JSON_BOOL) && edge->truth;
    enum err err = ensure(rest, &device, json_find_text(enrollee->document, "initialTwin"));
    if (err != ERR_NONE || modules == NULL)
        return err;
    json_each (module, modules) {
        struct identity_input input = {.device_id = device_id, .module_id = module->key};
        err = ensure(rest, &input, module);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

static enum err new_operation_id(struct rest *rest, struct span *ret_id)
{
    uint64_t parts[2];
    if (RAND_bytes((unsigned char *)parts, sizeof(parts)) != 1)
        return fail(ERR_SERVER, rest->why, "there is no randomness");
    const char *text = arena_format(rest->arena, "5.%016llx%016llx", (unsigned long long)parts[0],
        (unsigned long long)parts[1]);
    if (text == NULL)
        return ERR_MEMORY;
    *ret_id = span_of(text);
    return ERR_NONE;
}

/* The device of a registration stays what it became; of a new one it is the enrollment's, or is
 * named like the registration. */
static enum err begin_registration(struct rest *rest, struct registration *ret_registration)
{
    const struct enrollee *enrollee = rest->input;
    struct registration row = {.etag = 0};
    struct span device_id = json_string_of(enrollee->document, "deviceId");
    struct span id = enrollment_id(rest->arena, rest->arguments[1]);
    enum err err = store_registration_get(rest->txn, rest->arena, rest->hub_id, id, &row);
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND)
        row = (struct registration){
            .device_id = rest->arguments[1], .created_us = now_us(rest->service)};
    row.id = id;
    row.group_id = enrollee->group_id;
    if (device_id.len > 0)
        row.device_id = device_id;
    row.etag++;
    row.updated_us = now_us(rest->service);
    *ret_registration = row;
    return new_operation_id(rest, &ret_registration->operation_id);
}

enum err provisioning_register(struct rest *rest)
{
    struct registration registration;
    enum err err = judge(rest);
    if (err == ERR_NONE)
        err = begin_registration(rest, &registration);
    if (err == ERR_NONE)
        err = ensure_device(rest, registration.device_id);
    if (err == ERR_NONE)
        err = store_registration_put(rest->txn, rest->hub_id, &registration);
    if (err != ERR_NONE)
        return err;
    rest->audit.target = registration.device_id;
    return respond(rest, &registration);
}

/* ---- asking again ---------------------------------------------------------------------------- */

static enum err find(struct rest *rest, struct registration *ret_registration)
{
    enum err err = judge(rest);
    if (err == ERR_NONE)
        err = store_registration_get(rest->txn, rest->arena, rest->hub_id,
            enrollment_id(rest->arena, rest->arguments[1]), ret_registration);
    if (err == ERR_NOT_FOUND)
        return fail(ERR_REGISTRATION_NOT_FOUND, rest->why, "this device is not registered");
    return err;
}

enum err provisioning_status(struct rest *rest)
{
    struct registration registration;
    enum err err = find(rest, &registration);
    if (err == ERR_NONE && !span_eq(registration.operation_id, rest->arguments[2]))
        return fail(ERR_REGISTRATION_NOT_FOUND, rest->why, "there is no such operation");
    return err == ERR_NONE ? respond(rest, &registration) : err;
}

enum err provisioning_lookup(struct rest *rest)
{
    struct registration registration;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = find(rest, &registration);
    if (err != ERR_NONE)
        return err;
    write_state(rest, &registration, &body);
    return respond_json(rest, 200, &body);
}

/* Whether it would be let in: asked at the beginning of an MQTT connection. */
enum err provisioning_connect(struct rest *rest)
{
    enum err err = judge(rest);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}
