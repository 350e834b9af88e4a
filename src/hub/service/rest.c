/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include "device_api.h"
#include "log.h"
#include "methods.h"
#include "urlcode.h"

#include <ctype.h>

const struct operation rest_operations[] = {
#define OPERATION(method, path, guard, rights, role, access, body, action, prepare, run)           \
    {method, path, guard, rights, role, access, body, action, prepare, run},
#include "operations.def"
#undef OPERATION
};

const size_t rest_operation_count = COUNT_OF(rest_operations);

#define MAX_SEGMENTS 12

/* /gemel/v1/hubs/{}: where an account finds a hub. */
#define HUB_SEGMENTS 4

struct segments {
    struct span texts[MAX_SEGMENTS]; /* decoded */
    size_t count;
};

enum err rest_prepare_nothing(struct rest *rest UNUSED)
{
    return ERR_NONE;
}

/* ---- which operation ------------------------------------------------------------------------ */

static enum err no_route(const struct rest *rest, struct why *why)
{
    return fail(ERR_NO_ROUTE, why, "there is nothing at %.*s", SPAN_ARG(rest->call->path));
}

static enum err split_path(struct rest *rest, struct segments *segments, struct why *why)
{
    struct span path = rest->call->path;
    struct span part;
    if (!span_starts(path, SPAN_LIT("/")))
        return no_route(rest, why);
    path = span_from(path, 1);
    if (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    segments->count = 0;
    while (span_cut(&path, '/', &part)) {
        if (segments->count == MAX_SEGMENTS || part.len == 0)
            return no_route(rest, why);
        enum err err = url_decode_text(rest->arena, part, &segments->texts[segments->count++], why);
        if (err != ERR_NONE) {
            why_prefix(why, "the path");
            return err == ERR_MEMORY ? err : ERR_ARGUMENT;
        }
    }
    return ERR_NONE;
}

static bool path_matches(const char *pattern, const struct segments *segments,
    struct span ret_arguments[REST_MAX_ARGUMENTS])
{
    struct span rest = span_of(pattern + 1);
    struct span word;
    struct span found[REST_MAX_ARGUMENTS] = {0};
    size_t at = 0;
    size_t arguments = 0;
    while (span_cut(&rest, '/', &word)) {
        if (at == segments->count)
            return false;
        struct span text = segments->texts[at++];
        if (!span_is(word, "{}") && !span_eq_nocase(word, text))
            return false;
        if (!span_is(word, "{}"))
            continue;
        must(arguments < REST_MAX_ARGUMENTS);
        found[arguments++] = text;
    }
    if (at < segments->count)
        return false;
    memcpy(ret_arguments, found, sizeof(found));
    return true;
}

/* Which operations the path may mean. */
static bool is_meant(const struct rest *rest, const struct operation *operation)
{
    return rest->mirror == MIRROR_NONE ||
           (rest->mirror == MIRROR_AZURE &&
               (operation->guard == GUARD_POLICY || operation->guard == GUARD_DPS)) ||
           (rest->mirror == MIRROR_GEMEL && operation->guard == GUARD_GEMEL &&
               operation->role != ROLE_NONE);
}

static enum err refuse_method(struct rest *rest, const struct segments *segments, struct why *why)
{
    AUTO(buf_done) struct buf allow = BUF_EMPTY;
    struct span ignored[REST_MAX_ARGUMENTS];
    struct span value;
    for (size_t i = 0; i < rest_operation_count; i++) {
        if (!is_meant(rest, &rest_operations[i]) ||
            !path_matches(rest_operations[i].path, segments, ignored))
            continue;
        buf_add_text(&allow, allow.len == 0 ? "" : ", ");
        buf_add_text(&allow, rest_operations[i].method);
    }
    if (allow.len == 0 && !allow.failed)
        return no_route(rest, why);
    if (allow.failed || !arena_span(rest->arena, buf_span(&allow), &value))
        return ERR_MEMORY;
    respond_header(rest->call, "allow", value);
    return fail(ERR_METHOD, why, "%.*s is not offered here, but %.*s", SPAN_ARG(rest->call->method),
        SPAN_ARG(value));
}

bool rest_writes(const struct operation *operation)
{
    return operation->access == ACCESS_WRITE || operation->access == ACCESS_TRAFFIC;
}

/* A HEAD must not lock a message or leave a word in the audit log, as some GETs do. */
static bool has_method(const struct rest *rest, const struct operation *operation)
{
    struct span method = rest->call->method;
    return span_is(method, operation->method) ||
           (span_is(method, "HEAD") && strcmp(operation->method, "GET") == 0 &&
               !rest_writes(operation));
}

static enum err find_operation(struct rest *rest, const struct segments *segments, struct why *why)
{
    for (size_t i = 0; i < rest_operation_count; i++) {
        const struct operation *operation = &rest_operations[i];
        if (!is_meant(rest, operation) || !has_method(rest, operation) ||
            !path_matches(operation->path, segments, rest->arguments))
            continue;
        rest->operation = operation;
        return ERR_NONE;
    }
    return refuse_method(rest, segments, why);
}

static bool is_path_of_a_row(const struct segments *segments)
{
    struct span ignored[REST_MAX_ARGUMENTS];
    for (size_t i = 0; i < rest_operation_count; i++)
        if (path_matches(rest_operations[i].path, segments, ignored))
            return true;
    return false;
}

static void cut_segments(struct segments *segments, size_t from, size_t count)
{
    segments->count -= count;
    memmove(&segments->texts[from], &segments->texts[from + count],
        (segments->count - from) * sizeof(segments->texts[0]));
}

/* Takes the hub out of the path of an account, so that the operation for tokens remains. */
static enum mirror cut_hub(struct segments *segments, struct span *ret_hub)
{
    static const char *const words[] = {"gemel", "v1", "hubs"};
    if (segments->count <= HUB_SEGMENTS || is_path_of_a_row(segments))
        return MIRROR_NONE;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (!span_eq_nocase(segments->texts[i], span_of(words[i])))
            return MIRROR_NONE;
    *ret_hub = segments->texts[HUB_SEGMENTS - 1];
    bool azure = span_eq_nocase(segments->texts[HUB_SEGMENTS], SPAN_LIT("iothub"));
    if (azure)
        cut_segments(segments, 0, HUB_SEGMENTS + 1);
    else
        cut_segments(segments, HUB_SEGMENTS - 2, 2);
    return azure ? MIRROR_AZURE : MIRROR_GEMEL;
}

/* Finds the operation; `*ret_hub` is the hub that the path names, if it does. */
static enum err route(
    struct rest *rest, struct segments *segments, struct span *ret_hub, struct why *why)
{
    enum err err = split_path(rest, segments, why);
    if (err != ERR_NONE)
        return err;
    rest->mirror = cut_hub(segments, ret_hub);
    err = find_operation(rest, segments, why);
    if (err != ERR_NONE || rest->operation->guard != GUARD_HUB)
        return err;
    *ret_hub = rest->arguments[0];
    memmove(rest->arguments, rest->arguments + 1,
        sizeof(rest->arguments[0]) * (REST_MAX_ARGUMENTS - 1));
    rest->arguments[REST_MAX_ARGUMENTS - 1] = SPAN_NONE;
    return ERR_NONE;
}

/* ---- whose, and may he ---------------------------------------------------------------------- */

static enum err write_resource(
    struct rest *rest, const struct segments *segments, struct span *ret_path)
{
    AUTO(buf_done) struct buf path = BUF_EMPTY;
    for (size_t i = 0; i < segments->count; i++) {
        buf_add_text(&path, i == 0 ? "" : "/");
        buf_add(&path, segments->texts[i]);
    }
    if (path.failed || !arena_span(rest->arena, buf_span(&path), ret_path))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* The borrowed hub is copied: nothing of it is used once the cache is unlocked. */
static enum err authorize(
    struct rest *rest, const struct hub_record *hub, struct span resource, struct why *why)
{
    struct sas sas;
    rest->hub_id = hub->id;
    if (hub->host_name_count == 0 || !arena_span(rest->arena, hub->name, &rest->hub_name) ||
        !arena_span(rest->arena, hub->host_names[0], &rest->host_name))
        return ERR_MEMORY;
    if (rest->call->authorization.len == 0)
        return fail(ERR_UNAUTHORIZED, why, "the request has no authorization header");
    enum err err = sas_parse(rest->arena, rest->call->authorization, &sas, why);
    if (err == ERR_NONE)
        err = auth_token(rest->service, hub, &sas, resource, &rest->rights, why);
    if (err != ERR_NONE)
        return err;
    if (!arena_span(rest->arena, sas.policy, &rest->caller.user))
        return ERR_MEMORY;
    if (sas.policy.len == 0)
        return fail(ERR_UNAUTHORIZED, why, "the token names no policy (skn), as this needs");
    if ((rest->rights & rest->operation->rights) != rest->operation->rights)
        return fail(ERR_FORBIDDEN, why, "the policy \"%.*s\" lacks the right for this",
            SPAN_ARG(sas.policy));
    rest->proof = PROOF_TOKEN;
    rest->expires_s = sas.expires_s;
    rest->mark = rest->operation->access == ACCESS_PARK ? auth_policy_mark(hub, &sas) : 0;
    return ERR_NONE;
}

static enum err admit(struct rest *rest, const struct segments *segments, struct why *why)
{
    struct span resource;
    enum err err = write_resource(rest, segments, &resource);
    if (err != ERR_NONE)
        return err;
    const struct hub_table *table = hub_cache_lock(&rest->service->hubs);
    const struct hub_record *hub = hub_find_by_host(table, rest->call->host);
    if (hub == NULL)
        err = fail(ERR_HUB_NOT_FOUND, why, "no hub of this server has the host name %.*s",
            SPAN_ARG(rest->call->host));
    else
        err = authorize(rest, hub, resource, why);
    hub_cache_unlock(&rest->service->hubs);
    auth_wipe(rest->call->authorization);
    if (err == ERR_UNAUTHORIZED || err == ERR_FORBIDDEN)
        log_info("service", "%.*s %.*s from %.*s refused: %s", SPAN_ARG(rest->call->method),
            SPAN_ARG(rest->call->path), SPAN_ARG(rest->call->peer), why->text);
    return err;
}

/* "2021-04-12", "2020-05-31-preview". */
static bool is_api_version(struct span text)
{
    static const char pattern[] = "dddd-dd-dd";
    if (text.len < sizeof(pattern) - 1)
        return false;
    for (size_t i = 0; pattern[i] != '\0'; i++)
        if (pattern[i] == 'd' ? !isdigit((unsigned char)text.ptr[i]) : text.ptr[i] != '-')
            return false;
    struct span tail = span_from(text, sizeof(pattern) - 1);
    return tail.len == 0 || span_eq_nocase(tail, SPAN_LIT("-preview"));
}

static enum err check_api_version(struct rest *rest, struct why *why)
{
    struct span version;
    if (!url_query_find_nocase(rest->call->query, "api-version", &version))
        return fail(ERR_ARGUMENT, why, "the parameter api-version is missing");
    if (!is_api_version(version))
        return fail(ERR_ARGUMENT, why,
            "api-version is \"%.*s\", it must have the form 2021-04-12 or 2021-04-12-preview",
            SPAN_ARG(version));
    return ERR_NONE;
}

/* ---- what it says --------------------------------------------------------------------------- */

struct match match_of(struct span text)
{
    struct match match = {.given = text.len > 0};
    text = span_trim(text);
    if (span_starts(text, SPAN_LIT("W/")))
        text = span_from(text, 2);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = (struct span){text.ptr + 1, text.len - 2};
    match.any = span_is(text, "*");
    match.etag = text;
    return match;
}

enum err match_check(const struct match *match, struct span etag, struct why *why)
{
    if (!match->given || match->any || span_eq(match->etag, etag))
        return ERR_NONE;
    return fail(ERR_PRECONDITION, why, "the etag \"%.*s\" is not the current one, \"%.*s\"",
        SPAN_ARG(match->etag), SPAN_ARG(etag));
}

static enum err read_body(struct rest *rest, struct why *why)
{
    struct json *body;
    if (!rest->operation->has_body)
        return ERR_NONE;
    if (rest->call->body.len > rest->service->options.limits.request_bytes)
        return fail(ERR_TOO_LARGE, why,
            "the body has %zu bytes, at most %zu are allowed (limits.request_bytes)",
            rest->call->body.len, rest->service->options.limits.request_bytes);
    if (rest->call->body.len == 0)
        return fail(ERR_ARGUMENT, why, "the request needs a JSON body");
    enum err err = json_parse(rest->arena, rest->call->body, 0, &body, why);
    if (err == ERR_NONE)
        rest->body = body;
    else
        why_prefix(why, "the body is no JSON");
    return err;
}

enum err rest_parameter(struct rest *rest, const char *name, struct span *ret_value)
{
    struct span value;
    if (!url_query_find_nocase(rest->call->query, name, &value)) {
        *ret_value = SPAN_NONE;
        return ERR_NONE;
    }
    enum err err = url_decode_text(rest->arena, value, ret_value, rest->why);
    if (err != ERR_NONE)
        why_prefix(rest->why, "the parameter %s", name);
    return err == ERR_FORMAT ? ERR_ARGUMENT : err;
}

enum err rest_number(
    struct rest *rest, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret_number)
{
    struct span text;
    *ret_number = fallback;
    enum err err = rest_parameter(rest, name, &text);
    if (err != ERR_NONE || text.len == 0)
        return err;
    if (!span_u64(text, max, ret_number))
        return fail(ERR_ARGUMENT, rest->why, "%s is \"%.*s\", it must be a number up to %llu", name,
            SPAN_ARG(text), (unsigned long long)max);
    return ERR_NONE;
}

enum err rest_max_items(struct rest *rest, uint64_t fallback, uint64_t *ret_items)
{
    struct span text = rest->call->max_items;
    uint64_t most = rest->service->options.limits.list_items;
    uint64_t items = fallback;
    if (text.len > 0 && !span_is(text, "-1") && (!span_u64(text, INT64_MAX, &items) || items == 0))
        return fail(ERR_ARGUMENT, rest->why,
            "x-ms-max-item-count is \"%.*s\", it must be a number from 1 on", SPAN_ARG(text));
    *ret_items = items < most ? items : most;
    return ERR_NONE;
}

enum err rest_prepare(struct rest *rest, struct why *why)
{
    enum err err = read_body(rest, why);
    rest->match = match_of(rest->call->if_match);
    rest->why = why;
    return err == ERR_NONE ? rest->operation->prepare(rest) : err;
}

/* Of a call with a token: everything up to the store. */
static enum err accept_token(struct rest *rest, const struct segments *segments, struct why *why)
{
    enum err err = admit(rest, segments, why);
    if (err == ERR_NONE && rest->operation->guard != GUARD_GEMEL &&
        rest->operation->guard != GUARD_KNOWN)
        err = check_api_version(rest, why);
    return err == ERR_NONE ? rest_prepare(rest, why) : err;
}

/* Of a device that is to be provisioned: the id scope says for which hub. */
static enum err accept_enrolled(struct rest *rest, struct why *why)
{
    enum err err = ERR_NONE;
    const struct hub_table *table = hub_cache_lock(&rest->service->hubs);
    const struct hub_record *hub = hub_find_by_scope(table, rest->arguments[0]);
    if (hub == NULL || hub->host_name_count == 0)
        err = fail(ERR_FORBIDDEN, why, "no hub of this server has the id scope %.*s",
            SPAN_ARG(rest->arguments[0]));
    else if (!arena_span(rest->arena, hub->name, &rest->hub_name) ||
             !arena_span(rest->arena, hub->host_names[0], &rest->host_name))
        err = ERR_MEMORY;
    else
        rest->hub_id = hub->id;
    hub_cache_unlock(&rest->service->hubs);
    if (err == ERR_NONE)
        err = check_api_version(rest, why);
    return err == ERR_NONE ? rest_prepare(rest, why) : err;
}

static struct span without_port(struct span address)
{
    size_t colon = address.len;
    for (size_t i = 0; i < address.len; i++)
        if (address.ptr[i] == ':')
            colon = i;
    struct span host = span_first(address, colon);
    /* "127.0.0.1:5", "fe80::1:5"; an address without a port has none behind its last colon. */
    return host.len > 0 ? host : address;
}

static void describe_caller(struct rest *rest)
{
    bool is_cli = span_starts(rest->call->user_agent, SPAN_LIT("gemel/"));
    rest->caller.origin = is_cli ? SPAN_LIT("cli") : SPAN_LIT("rest");
    rest->caller.address = without_port(rest->call->peer);
}

/* ---- effects -------------------------------------------------------------------------------- */

enum err rest_add_effect(struct rest *rest, enum effect_kind kind, struct effect **ret_effect)
{
    struct effect *effect = arena_alloc(rest->arena, sizeof(*effect));
    if (effect == NULL)
        return ERR_MEMORY;
    effect->kind = kind;
    effect->hub_id = rest->hub_id;
    if (rest->last_effect == NULL)
        rest->effects = effect;
    else
        rest->last_effect->next = effect;
    rest->last_effect = effect;
    *ret_effect = effect;
    return ERR_NONE;
}

static void drop_effects(struct rest *rest)
{
    rest->effects = NULL;
    rest->last_effect = NULL;
    hub_table_free(rest->hubs);
    rest->hubs = NULL;
}

static void carry_out_effects(struct rest *rest)
{
    struct bus *bus = rest->service->options.bus;
    for (const struct effect *e = rest->effects; e != NULL; e = e->next) {
        switch (e->kind) {
        case EFFECT_END:
            bus_end(bus, e->hub_id, e->device_id, e->module_id, e->reason);
            bus_twin_changed(bus, e->hub_id, e->device_id, e->module_id);
            if (e->reason == SESSION_DELETED)
                methods_forget(rest->service, e->hub_id, e->device_id, e->module_id);
            break;
        case EFFECT_KEY_GONE:
            bus_end_proved(
                bus, e->hub_id, e->device_id, e->module_id, e->mark, SESSION_KEYS_CHANGED);
            break;
        case EFFECT_TWIN:
            bus_twin_changed(bus, e->hub_id, e->device_id, e->module_id);
            configurator_note_twin(rest->service, e->hub_id, e->device_id, e->module_id);
            break;
        case EFFECT_CONFIGURATIONS:
            configurator_note_hub(rest->service, e->hub_id);
            break;
        case EFFECT_DESIRED:
            bus_desired(bus, e->hub_id, e->device_id, e->module_id, e->payload, e->version);
            break;
        case EFFECT_EVENTS:
            bus_events_appended(bus, e->hub_id, 0);
            break;
        case EFFECT_HUBS:
            hub_cache_put(&rest->service->hubs, rest->hubs);
            rest->hubs = NULL;
            break;
        case EFFECT_POLICY_KEY:
            bus_end_marked(bus, e->hub_id, e->mark, SESSION_KEYS_CHANGED);
            break;
        case EFFECT_HUB_GONE:
            bus_end_hub(bus, e->hub_id);
            break;
        case EFFECT_JOBS:
            jobs_note(rest->service, e->hub_id);
            break;
        case EFFECT_MESSAGE:
            bus_message(bus, e->hub_id, e->device_id, e->module_id);
            break;
        }
    }
}

/* ---- the store's side ----------------------------------------------------------------------- */

static bool is_of_provisioning(const struct rest *rest)
{
    return rest->operation != NULL &&
           (rest->operation->guard == GUARD_DPS || rest->operation->guard == GUARD_ENROLLED);
}

/* Not what a device did, or what passes. */
static bool is_our_failure(enum err err)
{
    return err != ERR_UNAVAILABLE && err != ERR_TIMEOUT && err != ERR_BAD_ANSWER;
}

void rest_finish(struct rest *rest, enum err err, const struct why *why)
{
    struct rest_call *call = rest->call;
    drop_effects(rest);
    if (rest->release != NULL)
        rest->release(rest);
    if (rest->access != NULL)
        access_end(rest, err, why);
    if (rest->device != NULL)
        device_end(rest, err, why);
    if (err != ERR_NONE) {
        if (is_of_provisioning(rest))
            respond_provisioning_error(rest->service, call, err, why);
        else
            respond_error(call, now_us(rest->service), err, why);
        if (call->status >= 500 && is_our_failure(err))
            log_error("service", "%.*s %.*s failed: %s", SPAN_ARG(call->method),
                SPAN_ARG(call->path), why_text(why, err));
    }
    health_count(rest);
    call_finish(&call->call, err, why);
}

static struct rest *rest_of(struct store_job *job)
{
    struct rest_call *call = (struct rest_call *)job;
    return call->call.work;
}

enum err rest_run(struct rest *rest, struct store_txn *txn, struct why *why)
{
    rest->txn = txn;
    rest->why = why;
    rest->cover = (struct cover){0};
    rest->park = NULL;
    rest->call->status = 0;
    rest->call->header_count = 0;
    rest->call->header_block = SPAN_NONE;
    rest->audit = (struct audit_note){0};
    drop_effects(rest);
    enum err err = rest->access == NULL ? ERR_NONE : access_judge(rest, txn, why);
    if (err == ERR_NONE && rest->device != NULL)
        err = device_judge_again(rest, txn, why);
    if (err == ERR_NONE)
        err = rest->operation->run(rest);
    if (err == ERR_NONE && rest->operation->access == ACCESS_WRITE)
        err = audit_write(rest);
    return err;
}

void rest_done(struct rest *rest, enum err result, const struct why *why)
{
    if (result == ERR_NONE && rest->park != NULL) {
        rest->park(rest);
        return;
    }
    if (result == ERR_NONE) {
        carry_out_effects(rest);
        if (hubs_await_cover(rest))
            return;
    }
    rest_finish(rest, result, why);
}

static enum err run_job(struct store_job *job, struct store_txn *txn)
{
    return rest_run(rest_of(job), txn, &job->why);
}

static void job_done(struct store_job *job, enum err result)
{
    struct why why = job->why;
    rest_done(rest_of(job), result, &why);
}

void rest_submit(struct rest *rest)
{
    struct store_job *job = &rest->call->call.job;
    job->run = run_job;
    job->done = job_done;
    store_submit(
        rest->service->options.store, rest_writes(rest->operation) ? STORE_WRITE : STORE_READ, job);
}

static bool is_by_token(const struct rest *rest)
{
    enum rest_guard guard = rest->operation->guard;
    if (guard == GUARD_KNOWN)
        return rest->call->authorization.len > 0;
    return rest->mirror == MIRROR_NONE &&
           (guard == GUARD_POLICY || guard == GUARD_DPS || guard == GUARD_GEMEL);
}

/* Runs without a store, and without anybody to be known. */
static bool is_for_anybody(const struct rest *rest)
{
    enum rest_guard guard = rest->operation->guard;
    return guard == GUARD_ANYBODY || (guard == GUARD_METRICS && health_knows_token(rest));
}

void service_rest(struct service *service, struct rest_call *call)
{
    struct why why = {""};
    struct segments segments;
    struct span hub = SPAN_NONE;
    call->call.service = service;
    call->status = 0;
    call->header_count = 0;
    call->more = false;
    struct rest *rest = arena_alloc(&call->call.arena, sizeof(*rest));
    if (rest == NULL) {
        respond_error(call, now_us(service), ERR_MEMORY, NULL);
        call_finish(&call->call, ERR_MEMORY, NULL);
        return;
    }
    *rest = (struct rest){.call = call,
        .arena = &call->call.arena,
        .service = service,
        .cost = 1,
        .began_us = clock_mono_us(service->options.clock)};
    call->call.work = rest;
    describe_caller(rest);
    enum err err = route(rest, &segments, &hub, &why);
    if (err == ERR_NONE && rest->operation->guard == GUARD_ENROLLED) {
        err = accept_enrolled(rest, &why);
        if (err == ERR_NONE)
            rest_submit(rest);
        else
            rest_finish(rest, err, &why);
        return;
    }
    if (err == ERR_NONE && rest->operation->guard == GUARD_DEVICE) {
        device_begin(rest);
        return;
    }
    bool open = err == ERR_NONE && is_for_anybody(rest);
    if (err == ERR_NONE && !open && !is_by_token(rest)) {
        access_begin(rest, hub);
        return;
    }
    if (err == ERR_NONE && !open)
        err = accept_token(rest, &segments, &why);
    if (err == ERR_NONE && !open && rest->operation->access != ACCESS_NONE) {
        rest_enter(rest);
        return;
    }
    if (err == ERR_NONE)
        err = rest_run(rest, NULL, &why);
    rest_finish(rest, err, &why);
}

static struct span first_part(struct span path)
{
    path = span_from(path, 1);
    return span_first(path, span_find(path, '/'));
}

bool service_is_api(struct span path)
{
    struct span behind = span_from(path, 1 + first_part(path).len);
    if (span_starts(first_part(path), SPAN_LIT("0ne")) &&
        span_eq_nocase(first_part(behind), SPAN_LIT("registrations")))
        return true;
    for (size_t i = 0; i < rest_operation_count; i++)
        if (span_eq_nocase(first_part(path), first_part(span_of(rest_operations[i].path))))
            return true;
    return false;
}

void service_rest_more(struct rest_call *call)
{
    rest_submit(call->call.work);
}

void service_rest_refuse(struct rest_call *call, enum err err, const struct why *why)
{
    const struct clock *clock =
        call->call.service == NULL ? &clock_system : call->call.service->options.clock;
    call->status = 0;
    call->header_count = 0;
    respond_error(call, clock_wall_us(clock), err, why);
    call->call.err = err;
}
