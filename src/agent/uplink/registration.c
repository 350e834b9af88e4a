/* SPDX-License-Identifier: Apache-2.0 */
#include "registration.h"

#include "connstr.h"
#include "files.h"
#include "host.h"
#include "ids.h"
#include "json.h"
#include "mem.h"
#include "provision.h"
#include "sas.h"

#include <inttypes.h>
#include <stdio.h>

#define RETRY_S 3u /* where the service names no time */
#define DEPTH_MAX 16

struct registration {
    char *id_scope;
    char *registration_id;
    char *key; /* NULL: by certificate */
    char *host;
    char *module_id;
    char *state_dir;
    struct buf operation_id; /* empty: not asked yet */
    uint32_t question;       /* the number of the last */
};

static bool copy(char **ret_copy, const char *text)
{
    *ret_copy = mem_text(span_of(text));
    return *ret_copy != NULL;
}

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

enum err registration_new(const struct registration_options *options,
    struct registration **ret_registration, struct why *why)
{
    char host[HOST_SIZE];
    const char *name = given(options->host) ? options->host : REGISTRATION_HOST;
    if (!given(options->registration_id))
        return fail(ERR_ARGUMENT, why,
            "Provisioning_IdScope is given, and Provisioning_RegistrationId is missing");
    if (provision_check_id(span_of(options->registration_id), why) != ERR_NONE) {
        why_prefix(why, "Provisioning_RegistrationId");
        return ERR_ARGUMENT;
    }
    if (host_normalise(span_of(name), host).len == 0)
        return fail(ERR_ARGUMENT, why, "Provisioning_Host '%s' is no host name", name);
    struct registration *registration = mem_alloc(sizeof(*registration));
    bool made = registration != NULL && copy(&registration->id_scope, options->id_scope) &&
                copy(&registration->registration_id, options->registration_id) &&
                (!given(options->key) || copy(&registration->key, options->key)) &&
                copy(&registration->host, name) &&
                copy(&registration->module_id, options->module_id) &&
                copy(&registration->state_dir, options->state_dir);
    if (!made) {
        registration_free(registration);
        return fail(ERR_MEMORY, why, "no memory for the registration");
    }
    *ret_registration = registration;
    return ERR_NONE;
}

void registration_free(struct registration *registration)
{
    if (registration == NULL)
        return;
    if (registration->key != NULL)
        mem_wipe(registration->key, strlen(registration->key));
    mem_free(registration->id_scope);
    mem_free(registration->registration_id);
    mem_free(registration->key);
    mem_free(registration->host);
    mem_free(registration->module_id);
    mem_free(registration->state_dir);
    buf_done(&registration->operation_id);
    mem_free(registration);
}

bool registration_by_certificate(const struct registration *registration)
{
    return registration->key == NULL;
}

/* ---- CONNECT ---- */

struct span registration_host(const struct registration *registration)
{
    return span_of(registration->host);
}

struct span registration_client_id(const struct registration *registration)
{
    return span_of(registration->registration_id);
}

void registration_write_username(
    const struct registration *registration, const char *version, struct buf *out)
{
    AUTO(buf_done) struct buf client = BUF_EMPTY;
    const struct provision_user user = {
        span_of(registration->id_scope), span_of(registration->registration_id)};
    buf_add_format(&client, "gemel-agent/%s", version);
    out->failed |= client.failed;
    provision_write_user(&user, buf_span(&client), out);
}

enum err registration_write_password(
    const struct registration *registration, int64_t expires_s, struct buf *out, struct why *why)
{
    AUTO(buf_done) struct buf path = BUF_EMPTY;
    if (registration->key == NULL)
        return ERR_NONE;
    buf_add_format(&path, "registrations/%s", registration->registration_id);
    if (path.failed)
        return fail(ERR_MEMORY, why, "no memory for a token");
    const struct sas_request request = {.host = span_of(registration->id_scope),
        .path = buf_span(&path),
        .policy = SPAN_LIT("registration"),
        .key_base64 = span_of(registration->key),
        .expires_s = expires_s};
    return sas_sign(&request, out, why);
}

/* ---- asking ---- */

void registration_ask(struct registration *registration, struct buf *topic, struct buf *body)
{
    char number[12];
    registration->question++;
    snprintf(number, sizeof(number), "%" PRIu32, registration->question);
    if (registration->operation_id.len > 0) {
        provision_write_status(topic, span_of(number), buf_span(&registration->operation_id));
        buf_add_text(body, " ");
        return;
    }
    provision_write_register(topic, span_of(number));
    buf_add_text(body, "{\"registrationId\":");
    json_write_string(span_of(registration->registration_id), body);
    buf_add_byte(body, '}');
}

/* ---- answers ---- */

/* Writes the connection string of the module of what was assigned. */
static enum err keep(
    const struct registration *registration, const struct json *state, struct why *why)
{
    char host[HOST_SIZE];
    struct buf text = BUF_EMPTY;
    const struct connstr connstr = {.host_name = json_string_of(state, "assignedHub"),
        .device_id = json_string_of(state, "deviceId"),
        .module_id = span_of(registration->module_id),
        .key = registration->key == NULL ? SPAN_NONE : span_of(registration->key),
        .x509 = registration->key == NULL};
    if (host_normalise(connstr.host_name, host).len == 0 ||
        ids_check_device(connstr.device_id, NULL) != ERR_NONE)
        return fail(ERR_FORMAT, why, "the answer names no hub or no device");
    connstr_write(&connstr, &text);
    buf_add_byte(&text, '\n');
    enum err err =
        text.failed ? fail(ERR_MEMORY, why, "no memory")
                    : files_stage(registration->state_dir, REGISTRATION_FILE, buf_span(&text), why);
    if (err == ERR_NONE)
        err = files_commit(registration->state_dir, REGISTRATION_FILE, why);
    buf_wipe(&text);
    return err;
}

static enum registration_outcome judge(struct registration *registration,
    const struct provision_answer *answer, const struct json *body, unsigned *ret_retry_s,
    struct why *why)
{
    const struct json *state = json_find_text(body, "registrationState");
    struct span status = json_string_of(body, "status");
    *ret_retry_s = answer->retry_s > 0 ? answer->retry_s : RETRY_S;
    if (answer->status == 429 || answer->status >= 500)
        return REGISTRATION_PENDING;
    if (answer->status >= 300) {
        why_set(why, "the provisioning service refuses: status %d, %.*s", answer->status,
            SPAN_ARG(span_first(json_string_of(body, "message"), 200)));
        return REGISTRATION_FAILED;
    }
    if (span_is(status, "assigned")) {
        enum err err = keep(registration, state, why);
        buf_clear(&registration->operation_id);
        return err == ERR_NONE ? REGISTRATION_DONE : REGISTRATION_FAILED;
    }
    if (span_is(status, "assigning") || span_is(status, "unassigned")) {
        struct span operation = json_string_of(body, "operationId");
        buf_clear(&registration->operation_id);
        buf_add(&registration->operation_id, span_first(operation, 512));
        return REGISTRATION_PENDING;
    }
    why_set(why, "the provisioning service says %.*s: %.*s", SPAN_ARG(span_first(status, 40)),
        SPAN_ARG(span_first(json_string_of(state, "errorMessage"), 200)));
    buf_clear(&registration->operation_id);
    return REGISTRATION_FAILED;
}

enum registration_outcome registration_answer(struct registration *registration, struct span topic,
    struct span body, unsigned *ret_retry_s, struct why *why)
{
    struct provision_answer answer;
    struct arena arena;
    struct json *object;
    uint64_t number;
    if (provision_parse_answer(topic, &answer, why) != ERR_NONE ||
        !span_u64(answer.rid, UINT32_MAX, &number) || number != registration->question)
        return REGISTRATION_FOREIGN;
    arena_init(&arena, 1u << 20);
    enum registration_outcome outcome = REGISTRATION_FAILED;
    if (json_parse(&arena, body, DEPTH_MAX, &object, why) != ERR_NONE)
        why_prefix(why, "the answer of the provisioning service");
    else
        outcome = judge(registration, &answer, object, ret_retry_s, why);
    arena_done(&arena);
    return outcome;
}
