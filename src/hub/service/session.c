/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices and modules ask. A connect takes two jobs: one reads and judges, the other notes it:
 *
 *   token, time, host, policy     caller's thread
 *   identity, its keys, or its    READ
 *   thumbprints, or authorities
 *   bus_session_open
 *   still the same identity and policy's key? connected
 *                                 WRITE   (what changed in between is seen here; what changes after
 *                                          ends the session)
 */
#include "service_priv.h"

#include "certificate.h"
#include "gate.h"
#include "log.h"
#include "methods.h"
#include "metrics.h"
#include "notices.h"

static struct gate_ask ask_of(const struct session_identity *who, enum throttle_class class)
{
    return (struct gate_ask){.class = class,
        .hub_id = who->hub_id,
        .kind = 'd',
        .name = who->device_id,
        .part = who->module_id,
        .cost = 1};
}

/* ---- connect -------------------------------------------------------------------------------- */

enum connect_proof { BY_KEY, BY_POLICY, BY_CERTIFICATE };

struct connect_work {
    struct connect_call *call;
    enum connect_proof proof;
    struct sas sas;
    struct certificate certificate;
    uint64_t mark; /* of the policy's key, its own, or of the authority; 0: none */
    uint64_t device_etag;
    uint64_t module_etag;
};

static void finish_connect(struct connect_call *call, enum err err, const struct why *why)
{
    auth_wipe(call->password);
    if (err == ERR_UNAUTHORIZED || err == ERR_FORBIDDEN || err == ERR_HUB_NOT_FOUND)
        log_info("service", "connect of %.*s%s%.*s from %.*s refused: %s",
            SPAN_ARG(call->device_id), call->module_id.len > 0 ? "/" : "",
            SPAN_ARG(call->module_id), SPAN_ARG(call->peer), why_text(why, err));
    call_finish(&call->call, err, why);
}

static void set_expiry(struct connect_call *call, int64_t expires_us)
{
    const struct service *service = call->call.service;
    if (expires_us <= now_us(service))
        expires_us += (int64_t)service->options.limits.skew_seconds * 1000000;
    call->expires_us = expires_us;
}

static enum err judge_token(
    struct connect_work *work, const struct hub_record *hub, struct span resource, struct why *why)
{
    struct connect_call *call = work->call;
    struct service *service = call->call.service;
    unsigned rights;
    enum err err = auth_token(service, hub, &work->sas, resource, &rights, why);
    if (err != ERR_NONE)
        return err;
    work->proof = work->sas.policy.len > 0 ? BY_POLICY : BY_KEY;
    if (work->proof == BY_POLICY && (rights & RIGHT_DEVICE_CONNECT) == 0)
        return fail(ERR_UNAUTHORIZED, why, "the policy \"%.*s\" lacks the right DeviceConnect",
            SPAN_ARG(work->sas.policy));
    if (work->proof == BY_POLICY)
        work->mark = auth_policy_mark(hub, &work->sas);
    set_expiry(call, work->sas.expires_s * 1000000);
    return ERR_NONE;
}

static enum err read_proof(struct connect_work *work, struct why *why)
{
    struct connect_call *call = work->call;
    if (call->password.len > 0 || call->certificates.len == 0)
        return sas_parse(&call->call.arena, call->password, &work->sas, why);
    work->proof = BY_CERTIFICATE;
    return certificate_read(&call->call.arena, call->certificates, &work->certificate, why);
}

static enum err begin_connect(struct service *service, struct connect_work *work, struct why *why)
{
    struct connect_call *call = work->call;
    AUTO(buf_done) struct buf resource = BUF_EMPTY;
    enum err err = read_proof(work, why);
    sas_write_path(&resource, call->device_id, call->module_id);
    if (resource.failed)
        return ERR_MEMORY;
    if (err != ERR_NONE)
        return err;
    const struct hub_table *table = hub_cache_lock(&service->hubs);
    const struct hub_record *hub = hub_find_by_host(table, call->host);
    if (hub == NULL)
        err = fail(ERR_HUB_NOT_FOUND, why, "no hub of this server has the host name %.*s",
            SPAN_ARG(call->host));
    else if (work->proof != BY_CERTIFICATE)
        err = judge_token(work, hub, buf_span(&resource), why);
    if (err == ERR_NONE)
        call->identity.hub_id = hub->id;
    hub_cache_unlock(&service->hubs);
    return err;
}

static enum err get_known(struct connect_call *call, struct store_txn *txn, struct span module_id,
    struct identity *ret_identity, struct why *why)
{
    enum err err = find_identity(txn, &call->call.arena, call->identity.hub_id, call->device_id,
        module_id, ret_identity, why);
    return err == ERR_DEVICE_NOT_FOUND || err == ERR_MODULE_NOT_FOUND ? ERR_UNAUTHORIZED : err;
}

/* Reads the device, and the module if it is one that connects; `ret_who` is who connects. */
static enum err get_enabled(struct connect_call *call, struct store_txn *txn,
    struct identity *ret_device, struct identity *ret_who, struct why *why)
{
    enum err err = get_known(call, txn, SPAN_NONE, ret_device, why);
    if (err != ERR_NONE)
        return err;
    if (!ret_device->enabled)
        return fail(ERR_UNAUTHORIZED, why, "the device is disabled");
    *ret_who = *ret_device;
    return call->module_id.len > 0 ? get_known(call, txn, call->module_id, ret_who, why) : err;
}

/* ---- certificates --------------------------------------------------------------------------- */

static enum err judge_thumbprint(
    struct connect_work *work, const struct identity *who, struct why *why)
{
    const struct service *service = work->call->call.service;
    const struct certificate *certificate = &work->certificate;
    if (!certificate_has_thumbprint(certificate, who->primary_thumbprint) &&
        !certificate_has_thumbprint(certificate, who->secondary_thumbprint))
        return fail(ERR_UNAUTHORIZED, why,
            "the certificate's thumbprint, SHA1Hash %s, SHA2Hash %s, is not the identity's",
            certificate->sha1, certificate->sha256);
    set_expiry(work->call, certificate->until_us);
    return certificate_check_time(
        certificate, now_us(service), service->options.limits.skew_seconds, why);
}

/* A module's certificate is named "device/module", or it is the device's own. */
static bool is_named(const struct certificate *certificate, const struct connect_call *call)
{
    struct span name = certificate->common_name;
    size_t slash = call->device_id.len;
    if (span_eq(name, call->device_id))
        return true;
    return call->module_id.len > 0 && name.len > slash && name.ptr[slash] == '/' &&
           span_eq(span_first(name, slash), call->device_id) &&
           span_eq(span_from(name, slash + 1), call->module_id);
}

static enum err judge_authority(struct connect_work *work, struct store_txn *txn, struct why *why)
{
    struct connect_call *call = work->call;
    const struct service *service = call->call.service;
    struct span authority;
    int64_t until_us = 0;
    if (!is_named(&work->certificate, call))
        return fail(ERR_UNAUTHORIZED, why,
            "the certificate's common name is \"%.*s\", not the identity's",
            SPAN_ARG(work->certificate.common_name));
    enum err err =
        authorities_verify(txn, &call->call.arena, call->identity.hub_id, call->certificates,
            now_us(service), service->options.limits.skew_seconds, &authority, &until_us, why);
    if (err != ERR_NONE)
        return err;
    work->mark = auth_key_mark(authority);
    set_expiry(call, until_us);
    return ERR_NONE;
}

static enum err judge_proof(
    struct connect_work *work, struct store_txn *txn, const struct identity *who, struct why *why)
{
    bool by_certificate = work->proof == BY_CERTIFICATE;
    if (who->auth == AUTH_SAS && by_certificate)
        return fail(ERR_UNAUTHORIZED, why, "the identity authenticates by tokens, none was sent");
    if (who->auth == AUTH_SAS && work->proof == BY_POLICY)
        return ERR_NONE;
    if (who->auth == AUTH_SAS)
        return auth_identity_key(&work->sas, who, &work->mark, why);
    if (!by_certificate)
        return fail(ERR_UNAUTHORIZED, why, "the identity does not authenticate by tokens");
    if (who->auth == AUTH_SELF_SIGNED)
        return judge_thumbprint(work, who, why);
    if (who->auth == AUTH_CERTIFICATE_AUTHORITY)
        return judge_authority(work, txn, why);
    return fail(ERR_UNAUTHORIZED, why, "the identity has no way to authenticate");
}

static enum err write_method(struct connect_work *work)
{
    struct connect_call *call = work->call;
    const char *method =
        arena_format(&call->call.arena, "{\"scope\":\"%s\",\"type\":\"%s\",\"issuer\":\"iothub\"}",
            work->proof == BY_POLICY   ? "hub"
            : call->module_id.len == 0 ? "device"
                                       : "module",
            work->proof == BY_CERTIFICATE ? "x509" : "sas");
    if (method == NULL)
        return ERR_MEMORY;
    call->identity.auth_method = span_of(method);
    return ERR_NONE;
}

enum err connect_judge(struct connect_call *call, struct store_txn *txn, struct why *why)
{
    struct connect_work *work = call->call.work;
    struct identity device;
    struct identity who;
    enum err err = get_enabled(call, txn, &device, &who, why);
    if (err != ERR_NONE)
        return err;
    err = judge_proof(work, txn, &who, why);
    if (err == ERR_NONE)
        err = write_method(work);
    if (err != ERR_NONE)
        return err;
    work->device_etag = device.etag;
    work->module_etag = who.etag;
    call->identity.device_id = call->device_id;
    call->identity.module_id = call->module_id;
    call->identity.generation = who.generation;
    return ERR_NONE;
}

static enum err run_judge(struct store_job *job, struct store_txn *txn)
{
    return connect_judge((struct connect_call *)job, txn, &job->why);
}

/* Whether what let it in is still worth that. */
static enum err check_mark(struct connect_call *call, struct store_txn *txn, struct why *why)
{
    const struct connect_work *work = call->call.work;
    int64_t hub_id = call->identity.hub_id;
    if (work->proof == BY_POLICY &&
        !auth_mark_is_current(call->call.service, hub_id, work->sas.policy, work->mark))
        return fail(ERR_UNAUTHORIZED, why, "the policy's key was changed at this moment");
    if (work->proof == BY_CERTIFICATE && work->mark != 0)
        return authorities_check_mark(txn, &call->call.arena, hub_id, work->mark, why);
    return ERR_NONE;
}

enum err connect_judge_again(struct connect_call *call, struct store_txn *txn, struct why *why)
{
    const struct connect_work *work = call->call.work;
    struct identity device;
    struct identity who;
    enum err err = get_enabled(call, txn, &device, &who, why);
    if (err != ERR_NONE)
        return err;
    if (device.etag != work->device_etag || who.etag != work->module_etag ||
        who.generation != call->identity.generation)
        return fail(ERR_UNAUTHORIZED, why, "the identity was changed at this moment");
    return check_mark(call, txn, why);
}

static enum err run_note(struct store_job *job, struct store_txn *txn)
{
    struct connect_call *call = (struct connect_call *)job;
    enum err err = connect_judge_again(call, txn, &job->why);
    if (err != ERR_NONE)
        return err;
    err = store_connection_put(txn, call->identity.hub_id, call->device_id, call->module_id,
        call->session, true, call->model_id, now_us(call->call.service));
    if (err != ERR_NONE)
        return err;
    return notice_connection(call->call.service, txn, call->identity.hub_id, call->device_id,
        call->module_id, call->session, true);
}

/* A client that begins a new session ends the one that lasted. */
static enum err run_note_session(struct store_job *job, struct store_txn *txn)
{
    struct connect_call *call = (struct connect_call *)job;
    enum err err = run_note(job, txn);
    if (err != ERR_NONE)
        return err;
    int64_t hub_id = call->identity.hub_id;
    if (call->lasting)
        return store_subscriptions_get(
            txn, hub_id, call->device_id, call->module_id, &call->filters);
    call->filters = 0;
    return store_subscriptions_put(txn, hub_id, call->device_id, call->module_id, 0);
}

static void tell_readers(struct service *service, enum notice_kind kind, int64_t hub_id)
{
    if (notice_is_wanted(service, kind))
        bus_events_appended(service->options.bus, hub_id, 0);
}

static void noted(struct store_job *job, enum err result)
{
    struct connect_call *call = (struct connect_call *)job;
    struct why why = job->why;
    struct bus *bus = call->call.service->options.bus;
    if (result != ERR_NONE)
        bus_session_close(bus, call->session);
    else
        bus_twin_changed(bus, call->identity.hub_id, call->device_id, call->module_id);
    if (result == ERR_NONE)
        tell_readers(call->call.service, NOTICE_CONNECTED, call->identity.hub_id);
    finish_connect(call, result == ERR_NOT_FOUND ? ERR_UNAUTHORIZED : result, &why);
}

static void entered(struct call *entering, enum err err, const struct why *why)
{
    struct connect_call *call = (struct connect_call *)entering;
    struct service *service = call->call.service;
    if (err == ERR_NONE)
        err = bus_session_open(service->options.bus, call->identity.hub_id, call->device_id,
            call->module_id, call->sink, &call->session);
    if (err != ERR_NONE) {
        finish_connect(call, err, why);
        return;
    }
    const struct connect_work *work = call->call.work;
    if (work->mark != 0)
        bus_session_mark(service->options.bus, call->session, work->mark);
    call->call.job.run = run_note_session;
    call->call.job.done = noted;
    store_submit(service->options.store, STORE_WRITE, &call->call.job);
}

static void judged(struct store_job *job, enum err result)
{
    struct connect_call *call = (struct connect_call *)job;
    struct why why = job->why;
    if (result != ERR_NONE) {
        finish_connect(call, result, &why);
        return;
    }
    const struct gate_ask ask = ask_of(&call->identity, THROTTLE_CONNECTIONS);
    gate_enter(call->call.service->gate, &call->call, &ask, entered);
}

enum err connect_begin(struct service *service, struct connect_call *call, struct why *why)
{
    struct connect_work *work = arena_alloc(&call->call.arena, sizeof(*work));
    call->call.service = service;
    call->call.work = work;
    if (work == NULL)
        return ERR_MEMORY;
    work->call = call;
    return begin_connect(service, work, why);
}

void service_connect(struct service *service, struct connect_call *call)
{
    struct why why = {""};
    enum err err = connect_begin(service, call, &why);
    if (err != ERR_NONE) {
        finish_connect(call, err, &why);
        return;
    }
    call->call.job.run = run_judge;
    call->call.job.done = judged;
    store_submit(service->options.store, STORE_READ, &call->call.job);
}

/* ---- disconnect ----------------------------------------------------------------------------- */

struct disconnect_job {
    struct store_job job;
    struct service *service;
    int64_t hub_id;
    struct span device_id; /* into ids */
    struct span module_id;
    uint64_t session;
    char ids[];
};

/* A session that was taken over is no longer the one that counts: its end is no event. */
static enum err is_connected(
    const struct disconnect_job *gone, struct store_txn *txn, bool *ret_connected)
{
    AUTO(arena_done) struct arena arena;
    struct identity identity;
    arena_init(&arena, 0);
    *ret_connected = false;
    if (!notice_is_wanted(gone->service, NOTICE_DISCONNECTED))
        return ERR_NONE;
    enum err err =
        store_identity_get(txn, &arena, gone->hub_id, gone->device_id, gone->module_id, &identity);
    *ret_connected = err == ERR_NONE && identity.connected;
    return err;
}

static enum err run_disconnect(struct store_job *job, struct store_txn *txn)
{
    const struct disconnect_job *gone = (const struct disconnect_job *)job;
    bool was = false;
    bool is = false;
    enum err err = is_connected(gone, txn, &was);
    if (err == ERR_NONE)
        err = store_connection_put(txn, gone->hub_id, gone->device_id, gone->module_id,
            gone->session, false, SPAN_NONE, now_us(gone->service));
    if (err == ERR_NONE && was)
        err = is_connected(gone, txn, &is);
    if (err == ERR_NONE && was && !is)
        err = notice_connection(gone->service, txn, gone->hub_id, gone->device_id, gone->module_id,
            gone->session, false);
    return err == ERR_NOT_FOUND ? ERR_NONE : err; /* it was deleted meanwhile */
}

static void disconnect_done(struct store_job *job, enum err result)
{
    struct disconnect_job *gone = (struct disconnect_job *)job;
    struct service *service = gone->service;
    if (result != ERR_NONE)
        log_warn("service", "that %.*s went cannot be stored: %s", SPAN_ARG(gone->device_id),
            why_text(&job->why, result));
    bus_twin_changed(service->options.bus, gone->hub_id, gone->device_id, gone->module_id);
    tell_readers(service, NOTICE_DISCONNECTED, gone->hub_id);
    mem_free(gone);
    own_job_end(service);
}

void service_disconnect(
    struct service *service, const struct session_identity *identity, uint64_t session)
{
    bus_session_close(service->options.bus, session);
    struct disconnect_job *gone =
        mem_alloc(sizeof(*gone) + identity->device_id.len + identity->module_id.len);
    if (gone == NULL) {
        log_warn("service", "that %.*s went cannot be stored: out of memory",
            SPAN_ARG(identity->device_id));
        return;
    }
    gone->job.run = run_disconnect;
    gone->job.done = disconnect_done;
    gone->service = service;
    gone->hub_id = identity->hub_id;
    gone->session = session;
    gone->device_id = (struct span){gone->ids, identity->device_id.len};
    gone->module_id = (struct span){gone->ids + identity->device_id.len, identity->module_id.len};
    memcpy(gone->ids, identity->device_id.ptr, identity->device_id.len);
    if (identity->module_id.len > 0)
        memcpy(
            gone->ids + identity->device_id.len, identity->module_id.ptr, identity->module_id.len);
    own_job_begin(service);
    store_submit(service->options.store, STORE_WRITE, &gone->job);
}

/* ---- subscriptions ------------------------------------------------------------------------- */

static enum err run_subscriptions(struct store_job *job, struct store_txn *txn)
{
    const struct subscriptions_call *call = (const struct subscriptions_call *)job;
    const struct session_identity *who = &call->identity;
    return store_subscriptions_put(txn, who->hub_id, who->device_id, who->module_id, call->filters);
}

static void subscriptions_done(struct store_job *job, enum err result)
{
    struct call *call = (struct call *)job;
    struct why why = job->why;
    call_finish(call, result, &why);
}

void service_subscriptions(struct service *service, struct subscriptions_call *call)
{
    call->call.service = service;
    call->call.job.run = run_subscriptions;
    call->call.job.done = subscriptions_done;
    store_submit(service->options.store, STORE_WRITE, &call->call.job);
}

/* ---- the twin ------------------------------------------------------------------------------- */

static void reply_done(struct store_job *job, enum err result)
{
    struct call *call = (struct call *)job;
    struct why why = job->why;
    call_finish(call, result, &why);
}

static enum err get_twin(struct call *call, struct store_txn *txn,
    const struct session_identity *who, struct twin_doc *ret_twin)
{
    enum err err =
        store_twin_get(txn, &call->arena, who->hub_id, who->device_id, who->module_id, ret_twin);
    if (err == ERR_NOT_FOUND)
        return who->module_id.len > 0 ? ERR_MODULE_NOT_FOUND : ERR_DEVICE_NOT_FOUND;
    return err;
}

static enum err run_twin_get(struct store_job *job, struct store_txn *txn)
{
    struct twin_get_call *call = (struct twin_get_call *)job;
    struct twin_doc twin;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = get_twin(&call->call, txn, &call->identity, &twin);
    if (err != ERR_NONE)
        return err;
    twin_write_client(&twin, &body);
    if (body.failed || !arena_span(&call->call.arena, buf_span(&body), &call->body))
        return ERR_MEMORY;
    call->desired_version = twin.desired.version;
    return ERR_NONE;
}

void service_twin_get(struct service *service, struct twin_get_call *call)
{
    call->call.service = service;
    call->call.job.run = run_twin_get;
    call->call.job.done = reply_done;
    const struct gate_ask ask = ask_of(&call->identity, THROTTLE_TWIN_READS);
    if (call->again)
        gate_to_reader(&call->call, ERR_NONE, NULL);
    else
        gate_enter(service->gate, &call->call, &ask, gate_to_reader);
}

static enum err run_reported(struct store_job *job, struct store_txn *txn)
{
    struct reported_call *call = (struct reported_call *)job;
    struct service *service = call->call.service;
    const struct session_identity *who = &call->identity;
    struct twin_doc twin;
    struct twin_change change;
    enum err err = get_twin(&call->call, txn, who, &twin);
    if (err != ERR_NONE)
        return err;
    if (call->expected_version != 0 && call->expected_version != twin.reported.version)
        return fail(ERR_PRECONDITION, &job->why,
            "the reported properties have $version %lld and not %lld",
            (long long)twin.reported.version, (long long)call->expected_version);
    err = twin_apply(&call->call.arena, &twin, TWIN_REPORT, call->call.work,
        &service->options.limits.twin, now_us(service), &change, &job->why);
    if (err == ERR_NONE)
        err = store_twin_put(
            txn, who->hub_id, who->device_id, who->module_id, &change.doc, twin.version);
    const struct twin_notice notice = {
        who->device_id, who->module_id, TWIN_REPORT, call->call.work, &change};
    if (err == ERR_NONE)
        err = notice_twin(service, txn, who->hub_id, &notice);
    if (err == ERR_NONE)
        call->version = change.doc.reported.version;
    return err;
}

static void reported_done(struct store_job *job, enum err result)
{
    struct reported_call *call = (struct reported_call *)job;
    const struct session_identity *who = &call->identity;
    if (result == ERR_NONE) {
        bus_twin_changed(
            call->call.service->options.bus, who->hub_id, who->device_id, who->module_id);
        metrics_add(METRIC_TWIN_UPDATES, TWIN_REPORTED_UPDATE, 1);
        tell_readers(call->call.service, NOTICE_TWIN_UPDATED, who->hub_id);
        configurator_note_twin(call->call.service, who->hub_id, who->device_id, who->module_id);
    }
    reply_done(job, result);
}

void service_reported(struct service *service, struct reported_call *call)
{
    struct why why = {""};
    struct json *patch;
    enum err err = json_parse(&call->call.arena, call->patch, 0, &patch, &why);
    call->call.service = service;
    if (err != ERR_NONE) {
        why_prefix(&why, "the patch is no JSON");
        call_finish(&call->call, err, &why);
        return;
    }
    call->call.work = patch;
    call->call.job.run = run_reported;
    call->call.job.done = reported_done;
    const struct gate_ask ask = ask_of(&call->identity, THROTTLE_TWIN_UPDATES);
    gate_enter(service->gate, &call->call, &ask, gate_to_writer);
}

void service_takes(struct service *service, const struct session_identity *identity,
    uint64_t session, unsigned takes)
{
    bus_session_takes(service->options.bus, session, takes);
    if ((takes & SESSION_TAKES_METHODS) != 0)
        methods_wake(service, identity);
}

void service_delivered(struct service *service, uint64_t session, int64_t version)
{
    bus_session_delivered(service->options.bus, session, version);
}
