/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink.h"

#include "bag.h"
#include "credentials.h"
#include "files.h"
#include "identity.h"
#include "log.h"
#include "mem.h"
#include "provision.h"
#include "refusal.h"
#include "settings.h"
#include "target.h"
#include "topic.h"
#include "uplink_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PART "uplink"
#define SECOND_US ((int64_t)1000000)

/* Who is refused by name will be refused again until somebody does something. */
#define PAUSE_REFUSED_TIMES 10
/* A connection that lasted less is no reason to hurry with the next one: two clients with one
 * identity push each other out for ever. */
#define LASTED_US (30 * SECOND_US)
#define FAILURES_AFTER_UP 2u
#define SHORT_LIVES_SAID 3u
#define CONNECT_US (60 * SECOND_US)
#define SUBSCRIBE_US (30 * SECOND_US)
#define DRAIN_US (5 * SECOND_US)
#define CLOSE_US (10 * SECOND_US)
#define REGISTER_US (60 * SECOND_US)
/* What was provisioned and is refused so often in a row is asked for anew. */
#define REFUSALS_MAX 3u

#define INTERFACE_ID "urn:azureiot:Security:SecurityAgent:1"
#define MESSAGE_TYPE "2.3-0-1-0" /* schema 2.3, JSON, Linux, raw events */

enum state { WAITING, CONNECTING, SUBSCRIBING, UP, DRAINING, CLOSING, STOPPED, STATE_COUNT };

#define TO(state) (1u << (state))

static const struct {
    const char *name;
    unsigned moves;
    int64_t longest_us; /* 0: no limit, or one of its own */
} states[STATE_COUNT] = {
    [WAITING] = {"waiting", TO(CONNECTING) | TO(WAITING) | TO(STOPPED), 0},
    [CONNECTING] = {"connecting", TO(SUBSCRIBING) | TO(WAITING) | TO(CLOSING) | TO(STOPPED),
        CONNECT_US},
    [SUBSCRIBING] = {"connecting", TO(UP) | TO(WAITING) | TO(CLOSING) | TO(STOPPED), SUBSCRIBE_US},
    [UP] = {"connected", TO(DRAINING) | TO(CLOSING) | TO(WAITING) | TO(STOPPED), 0},
    [DRAINING] = {"renewing", TO(CLOSING) | TO(WAITING) | TO(STOPPED), DRAIN_US},
    [CLOSING] = {"closing", TO(WAITING) | TO(STOPPED), CLOSE_US},
    [STOPPED] = {"stopped", 0, 0},
};

struct uplink {
    struct uplink_options options;
    struct identity identity;
    struct registration *registration; /* NULL: the connection string is given */
    char *provisioned_path;
    bool registering;  /* this connection is for that, not for the twin */
    bool asked;        /* and an answer is awaited */
    unsigned refusals; /* of credentials, in a row */
    struct credentials credentials;
    char *proxy; /* of the options; NULL: none. Holds a password. */

    enum state state;
    int64_t due_us; /* WAITING: connect; UP: renew; else give up */
    int64_t since_wall_us;
    int64_t up_at_us;
    unsigned failures;    /* in a row */
    unsigned short_lives; /* connections in a row that did not last */
    unsigned in_flight;
    bool stopping;
    uint64_t connections;
    char last_error[480];
    int64_t last_error_wall_us;
};

static int64_t now_of(const struct uplink *uplink)
{
    return clock_mono_us(uplink->options.clock);
}

static void move(struct uplink *uplink, enum state to)
{
    must((states[uplink->state].moves & TO(to)) != 0);
    if (strcmp(states[uplink->state].name, states[to].name) != 0)
        uplink->since_wall_us = clock_wall_us(uplink->options.clock);
    uplink->state = to;
    uplink->due_us =
        states[to].longest_us == 0 ? INT64_MAX : now_of(uplink) + states[to].longest_us;
}

static void note_error(struct uplink *uplink, const char *format, ...) PRINTF_LIKE(2, 3);
static void note_error(struct uplink *uplink, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(uplink->last_error, sizeof(uplink->last_error), format, list);
    va_end(list);
    uplink->last_error_wall_us = clock_wall_us(uplink->options.clock);
    log_warn(PART, "%s", uplink->last_error);
}

/* ---- pauses ---- */

static int64_t jittered(struct uplink *uplink, int64_t longest_us)
{
    return longest_us / 2 + uplink->options.random() % (longest_us / 2 + 1);
}

static void wait_before_next(struct uplink *uplink, int64_t times)
{
    int64_t most = uplink->options.pause_longest_us;
    int64_t longest = uplink->options.pause_first_us * times;
    for (unsigned i = 0; i < uplink->failures && longest < most; i++)
        longest *= 2;
    if (longest > most)
        longest = most;
    uplink->failures++;
    move(uplink, WAITING);
    uplink->due_us = now_of(uplink) + jittered(uplink, longest);
    log_info(PART, "connecting again in %.1f s",
        (double)(uplink->due_us - now_of(uplink)) / (double)SECOND_US);
}

/* Leaves a connection that was up: what was asked on it gets no answer. */
static void leave_up(struct uplink *uplink)
{
    if (uplink->state != UP && uplink->state != DRAINING)
        return;
    if (now_of(uplink) - uplink->up_at_us >= LASTED_US)
        uplink->failures = uplink->short_lives = 0;
    else
        uplink->short_lives++;
    uplink->in_flight = 0;
    if (!uplink->registering)
        uplink->options.lost(uplink->options.self);
}

static void begin_closing(struct uplink *uplink)
{
    leave_up(uplink);
    move(uplink, CLOSING);
    uplink->options.link.close(uplink->options.link.self);
}

static void closed(struct uplink *uplink)
{
    if (uplink->stopping) {
        move(uplink, STOPPED);
        return;
    }
    if (uplink->failures > 0) {
        wait_before_next(uplink, 1);
        return;
    }
    move(uplink, WAITING);
    uplink->due_us = now_of(uplink);
}

/* ---- connecting ---- */

/* From the file that a person wrote, else from the one that provisioning did. */
static enum err load_identity(
    const struct uplink *uplink, struct identity *ret_identity, struct why *why)
{
    const char *path = uplink->credentials.files[CREDENTIAL_CONNECTION_STRING].path;
    enum err err = identity_load(path, ret_identity, why);
    if (err == ERR_NOT_FOUND && uplink->registration != NULL)
        err = identity_load(uplink->provisioned_path, ret_identity, why);
    return err;
}

/* The file may have been changed since; a bad one is no reason to forget who we are. */
static void reload_identity(struct uplink *uplink)
{
    struct identity identity;
    struct why why = {""};
    enum err err = load_identity(uplink, &identity, &why);
    if (err != ERR_NONE) {
        if (!uplink->registering)
            log_warn(PART, "the connection string in use is kept: %s", why_text(&why, err));
        return;
    }
    if (!span_eq(buf_span(&identity.text), buf_span(&uplink->identity.text))) {
        log_info(PART, "the connection string is another than before");
        uplink->registering = false;
    }
    identity_done(&uplink->identity);
    uplink->identity = identity;
}

static void begin_connecting(struct uplink *uplink)
{
    struct why why = {""};
    reload_identity(uplink);
    int64_t expires_s =
        clock_wall_us(uplink->options.clock) / SECOND_US + uplink->options.token_life_s;
    const struct target_way way = {.transport = uplink->options.transport,
        .proxy = uplink->proxy,
        .keep_alive_s = (int)uplink->options.keep_alive_s,
        .agent_version = uplink->options.agent_version,
        .credentials = &uplink->credentials,
        .link = &uplink->options.link};
    enum err err = uplink->registering
                       ? target_connect_to_register(&way, uplink->registration, expires_s, &why)
                       : target_connect_as_module(&way, &uplink->identity, expires_s, &why);
    if (err == ERR_NONE) {
        move(uplink, CONNECTING);
        return;
    }
    note_error(uplink, "cannot connect: %s", why_text(&why, err));
    wait_before_next(uplink, PAUSE_REFUSED_TIMES);
}

static void subscribe(struct uplink *uplink)
{
    static const char *const twin[] = {
        "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"};
    static const char *const registering[] = {PROVISION_FILTER};
    struct why why = {""};
    move(uplink, SUBSCRIBING);
    enum err err = uplink->options.link.subscribe(uplink->options.link.self,
        uplink->registering ? registering : twin,
        uplink->registering ? COUNT_OF(registering) : COUNT_OF(twin), &why);
    if (err != ERR_NONE) {
        note_error(uplink, "%s", why_text(&why, err));
        uplink->failures++;
        begin_closing(uplink);
    }
}

/* ---- provisioning ---- */

static void ask_to_be_registered(struct uplink *uplink)
{
    int token;
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    registration_ask(uplink->registration, &topic, &body);
    uplink->due_us = now_of(uplink) + REGISTER_US;
    uplink->asked = true;
    if (topic.failed || body.failed ||
        uplink->options.link.publish(
            uplink->options.link.self, topic.ptr, buf_span(&body), 1, &token) != ERR_NONE)
        log_warn(PART, "the provisioning service could not be asked");
}

static void give_registration_up(struct uplink *uplink, const char *text)
{
    note_error(uplink, "%s", text);
    uplink->failures++;
    begin_closing(uplink);
}

static void take_registration(struct uplink *uplink, const struct link_event *event)
{
    unsigned retry_s = 0;
    struct why why = {""};
    enum registration_outcome outcome = registration_answer(
        uplink->registration, span_of(event->topic), event->body, &retry_s, &why);
    if (outcome == REGISTRATION_FOREIGN)
        return;
    uplink->asked = false;
    if (outcome == REGISTRATION_PENDING) {
        uplink->due_us = now_of(uplink) + retry_s * SECOND_US;
    } else if (outcome == REGISTRATION_FAILED) {
        give_registration_up(uplink, why.text);
    } else {
        log_info(PART, "the provisioning service has assigned hub and device");
        begin_closing(uplink); /* before the purpose changes: this connection has no twin */
        uplink->registering = false;
        uplink->failures = uplink->refusals = 0;
    }
}

static void come_up(struct uplink *uplink)
{
    if (uplink->registering) {
        move(uplink, UP);
        uplink->up_at_us = now_of(uplink);
        ask_to_be_registered(uplink);
        return;
    }
    uplink->refusals = 0;
    /* Renewed at 80 to 90 % of the token's life: a fleet that started together spreads out. */
    int64_t life_us = uplink->options.token_life_s * SECOND_US;
    bool renewable = uplink->identity.connstr.key.len > 0;
    move(uplink, UP);
    uplink->up_at_us = now_of(uplink);
    if (renewable)
        uplink->due_us =
            uplink->up_at_us + life_us / 10 * 8 + uplink->options.random() % (life_us / 10 + 1);
    uplink->connections++;
    if (uplink->failures > FAILURES_AFTER_UP)
        uplink->failures = FAILURES_AFTER_UP;
    log_info(PART, "connected");
    uplink->options.connected(uplink->options.self);
}

static void say_refused(struct uplink *uplink, int code, const char *text)
{
    struct why why = {""};
    int64_t wall_us = clock_wall_us(uplink->options.clock);
    if (uplink->registering)
        refusal_of_registration(
            registration_host(uplink->registration), uplink->proxy, code, text, wall_us, &why);
    else
        refusal_of_module(&uplink->identity.connstr, uplink->proxy, code, text, wall_us, &why);
    note_error(uplink, "%s", why.text);
}

static void refused(struct uplink *uplink, const struct link_event *event)
{
    bool credentials = event->code == 1 || event->code == 2 || event->code == 4 || event->code == 5;
    say_refused(uplink, event->code, event->text);
    if (credentials && !uplink->registering && uplink->registration != NULL &&
        ++uplink->refusals >= REFUSALS_MAX) {
        log_info(PART, "asking the provisioning service again");
        uplink->registering = true;
        uplink->refusals = 0;
    }
    wait_before_next(uplink, credentials ? PAUSE_REFUSED_TIMES : 1);
}

static void lost(struct uplink *uplink, const char *text)
{
    leave_up(uplink);
    note_error(uplink, "the connection is lost%s%s", text[0] == '\0' ? "" : ": ", text);
    if (uplink->short_lives == SHORT_LIVES_SAID)
        log_warn(PART, "again and again: is another client connected with this identity?");
    wait_before_next(uplink, 1);
}

void uplink_reconnect(struct uplink *uplink, const char *reason)
{
    if (uplink->state != UP)
        return;
    note_error(uplink, "connecting anew: %s", reason);
    begin_closing(uplink);
}

void uplink_stop(struct uplink *uplink)
{
    uplink->stopping = true;
    if (uplink->state == STOPPED || uplink->state == CLOSING)
        return;
    if (uplink->state == WAITING || uplink->state == CONNECTING) {
        if (uplink->state == CONNECTING)
            uplink->options.link.abort(uplink->options.link.self);
        move(uplink, STOPPED);
        return;
    }
    begin_closing(uplink);
}

bool uplink_stopped(const struct uplink *uplink)
{
    return uplink->state == STOPPED;
}

/* ---- what the hub says ---- */

static void take_message(struct uplink *uplink, const struct link_event *event)
{
    struct why why = {""};
    struct topic topic;
    uint64_t request;
    struct topic_owner owner = {
        uplink->identity.connstr.device_id, uplink->identity.connstr.module_id};
    if (uplink->state != UP && uplink->state != DRAINING && uplink->state != SUBSCRIBING)
        return;
    if (uplink->registering) {
        if (uplink->state == UP)
            take_registration(uplink, event);
        return;
    }
    enum err err = topic_parse_from_hub(span_of(event->topic), &owner, &topic, &why);
    if (err != ERR_NONE) {
        log_warn(PART, "a message of the hub is dropped: %s", why_text(&why, err));
        return;
    }
    if (topic.kind == TOPIC_TWIN_RESPONSE && span_u64(topic.rid, UINT32_MAX, &request))
        uplink->options.answer(
            uplink->options.self, (uint32_t)request, (int)topic.status, event->body);
    else if (topic.kind == TOPIC_TWIN_DESIRED)
        uplink->options.desired(uplink->options.self, topic.version, event->body);
    else
        log_debug(PART, "a message of the hub that nobody asked for is dropped");
}

static void delivered(struct uplink *uplink, int token)
{
    if (uplink->in_flight > 0)
        uplink->in_flight--;
    uplink->options.delivered(uplink->options.self, token);
    if (uplink->state == DRAINING && uplink->in_flight == 0)
        begin_closing(uplink);
}

static void handle(struct uplink *uplink, const struct link_event *event)
{
    enum state state = uplink->state;
    bool attached = state == SUBSCRIBING || state == UP || state == DRAINING;
    switch (event->kind) {
    case LINK_CONNECTED:
        if (state == CONNECTING)
            subscribe(uplink);
        break;
    case LINK_REFUSED:
        if (state == CONNECTING)
            refused(uplink, event);
        break;
    case LINK_SUBSCRIBED:
        if (state == SUBSCRIBING)
            come_up(uplink);
        break;
    case LINK_UNUSABLE:
        if (attached) {
            note_error(uplink, "%s", event->text);
            uplink->failures++;
            begin_closing(uplink);
        }
        break;
    case LINK_MESSAGE:
        take_message(uplink, event);
        break;
    case LINK_DELIVERED:
        if (state == UP || state == DRAINING)
            delivered(uplink, event->token);
        break;
    case LINK_LOST:
        if (attached)
            lost(uplink, event->text);
        else if (state == CLOSING)
            closed(uplink);
        break;
    case LINK_CLOSED:
        if (state == CLOSING)
            closed(uplink);
        break;
    }
}

/* ---- time ---- */

/* Begins to leave the connection for a new one; what is under way gets its acknowledgement first.
 */
static void begin_draining(struct uplink *uplink)
{
    move(uplink, DRAINING);
    if (uplink->in_flight == 0)
        begin_closing(uplink);
}

static void overdue(struct uplink *uplink)
{
    switch (uplink->state) {
    case WAITING:
        begin_connecting(uplink);
        break;
    case CONNECTING:
        uplink->options.link.abort(uplink->options.link.self);
        note_error(uplink, "the hub does not answer");
        wait_before_next(uplink, 1);
        break;
    case SUBSCRIBING:
        note_error(uplink, "the hub does not answer the subscription");
        uplink->failures++;
        begin_closing(uplink);
        break;
    case UP:
        if (uplink->registering && uplink->asked)
            give_registration_up(uplink, "the provisioning service does not answer");
        else if (uplink->registering)
            ask_to_be_registered(uplink);
        if (uplink->registering)
            break;
        log_info(PART, "renewing the token");
        begin_draining(uplink);
        break;
    case DRAINING:
        begin_closing(uplink);
        break;
    case CLOSING:
        uplink->options.link.abort(uplink->options.link.self);
        closed(uplink);
        break;
    case STOPPED:
    case STATE_COUNT:
        break;
    }
}

void uplink_renew(struct uplink *uplink)
{
    if (uplink->state == WAITING)
        uplink->due_us = now_of(uplink);
    else if (uplink->state == UP)
        begin_draining(uplink);
}

void uplink_look(struct uplink *uplink)
{
    struct why why = {""};
    const char *changed = credentials_changed(&uplink->credentials);
    bool by_certificate = uplink->registering ? registration_by_certificate(uplink->registration)
                                              : uplink->identity.connstr.x509;
    if (changed == NULL)
        return;
    /* Certificate and key are replaced one after the other: until they go together, a connection
     * that works is not given up for them. */
    if (uplink->state == UP && changed != credentials_name(CREDENTIAL_CONNECTION_STRING) &&
        credentials_check(&uplink->credentials, by_certificate, &why) != ERR_NONE) {
        log_warn(PART, "%s has changed, but the connection stays as it is: %s", changed, why.text);
    } else {
        log_info(PART, "%s has changed: connecting with it", changed);
        uplink_renew(uplink);
    }
}

int64_t uplink_run(struct uplink *uplink)
{
    struct link_event event;
    while (uplink->options.link.take(uplink->options.link.self, &event)) {
        handle(uplink, &event);
        if (event.kind == LINK_MESSAGE)
            mem_free(event.topic);
    }
    if (uplink->state != STOPPED && now_of(uplink) >= uplink->due_us)
        overdue(uplink);
    return uplink_due(uplink);
}

int64_t uplink_due(const struct uplink *uplink)
{
    return uplink->state == STOPPED ? INT64_MAX : uplink->due_us;
}

/* ---- asking and publishing ---- */

static enum err publish(
    struct uplink *uplink, struct buf *topic, struct span body, int qos, int *ret_token)
{
    enum err err = topic->failed ? ERR_MEMORY
                                 : uplink->options.link.publish(
                                       uplink->options.link.self, topic->ptr, body, qos, ret_token);
    buf_done(topic);
    return err;
}

/* Whether the connection is one to the hub, as the module. */
static bool has_twin(const struct uplink *uplink)
{
    return uplink->state == UP && !uplink->registering;
}

static struct span rid_of(uint32_t request, char ret_text[12])
{
    int len = snprintf(ret_text, 12, "%" PRIu32, request);
    return (struct span){ret_text, (size_t)len};
}

enum err uplink_read_twin(struct uplink *uplink, uint32_t request)
{
    char rid[12];
    int token;
    struct buf topic = BUF_EMPTY;
    if (!has_twin(uplink))
        return ERR_UNAVAILABLE;
    topic_write_twin_get(&topic, rid_of(request, rid));
    return publish(uplink, &topic, SPAN_NONE, 0, &token);
}

enum err uplink_report(struct uplink *uplink, uint32_t request, struct span patch)
{
    char rid[12];
    int token;
    struct buf topic = BUF_EMPTY;
    if (!has_twin(uplink))
        return ERR_UNAVAILABLE;
    topic_write_twin_reported(&topic, rid_of(request, rid), 0);
    return publish(uplink, &topic, patch, 0, &token);
}

enum err uplink_publish(struct uplink *uplink, const char *id, struct span body, int *ret_token)
{
    const struct {
        const char *key;
        const char *value;
    } properties[] = {{"$.mid", id}, {"$.ct", "application/json"}, {"$.ce", "utf-8"},
        {"$.ifid", INTERFACE_ID}, {"mti", MESSAGE_TYPE}};
    AUTO(buf_done) struct buf bag = BUF_EMPTY;
    struct bag_writer writer = {.out = &bag};
    struct buf topic = BUF_EMPTY;
    struct topic_owner owner = {
        uplink->identity.connstr.device_id, uplink->identity.connstr.module_id};
    if (!has_twin(uplink))
        return ERR_UNAVAILABLE;
    for (size_t i = 0; i < COUNT_OF(properties); i++)
        bag_add(&writer, span_of(properties[i].key), span_of(properties[i].value));
    if (bag.failed)
        return ERR_MEMORY;
    topic_write_events(&topic, &owner, buf_span(&bag));
    enum err err = publish(uplink, &topic, body, 1, ret_token);
    if (err == ERR_NONE)
        uplink->in_flight++;
    return err;
}

/* ---- life ---- */

/* Without a connection string, given or provisioned before, the first thing is to register. */
static enum err find_identity(struct uplink *uplink, struct why *why)
{
    struct registration_options *options = &uplink->options.registration;
    if (options->id_scope != NULL && options->id_scope[0] != '\0') {
        uplink->provisioned_path = files_path(options->state_dir, REGISTRATION_FILE);
        enum err err = uplink->provisioned_path == NULL
                           ? fail(ERR_MEMORY, why, "no memory for the uplink")
                           : registration_new(options, &uplink->registration, why);
        if (err != ERR_NONE)
            return err;
    }
    *options = (struct registration_options){0}; /* they are copied */
    enum err err = load_identity(uplink, &uplink->identity, why);
    uplink->registering = err == ERR_NOT_FOUND && uplink->registration != NULL;
    return uplink->registering ? ERR_NONE : err;
}

enum err uplink_new(
    const struct uplink_options *options, struct uplink **ret_uplink, struct why *why)
{
    struct uplink *uplink = mem_alloc(sizeof(*uplink));
    if (uplink == NULL)
        return fail(ERR_MEMORY, why, "no memory for the uplink");
    uplink->options = *options;
    uplink_use_defaults(&uplink->options);
    uplink->since_wall_us = clock_wall_us(options->clock);
    uplink->due_us = now_of(uplink);
    uplink->options.proxy = NULL;
    enum err err = ERR_NONE;
    if (credentials_init(options->config_dir, &uplink->credentials) != ERR_NONE)
        err = fail(ERR_MEMORY, why, "no memory for the uplink");
    if (err == ERR_NONE)
        err = find_identity(uplink, why);
    if (err == ERR_NONE && options->proxy != NULL && options->proxy[0] != '\0' &&
        (uplink->proxy = mem_text(span_of(options->proxy))) == NULL)
        err = fail(ERR_MEMORY, why, "no memory for the uplink");
    if (err == ERR_NONE)
        *ret_uplink = uplink;
    else
        uplink_free(uplink);
    return err;
}

void uplink_free(struct uplink *uplink)
{
    if (uplink == NULL)
        return;
    credentials_done(&uplink->credentials);
    registration_free(uplink->registration);
    mem_free(uplink->provisioned_path);
    if (uplink->proxy != NULL)
        mem_wipe(uplink->proxy, strlen(uplink->proxy));
    mem_free(uplink->proxy);
    identity_done(&uplink->identity);
    mem_free(uplink);
}

static bool add_time(struct arena *arena, struct json *object, const char *name, int64_t wall_us)
{
    char text[CLOCK_TEXT_SIZE];
    return json_set_text(arena, object, name, span_of(clock_format(wall_us, text)));
}

enum err uplink_status(const struct uplink *uplink, struct arena *arena, struct json *object)
{
    const struct connstr *connstr = &uplink->identity.connstr;
    const char *name = uplink->registering ? "registering" : states[uplink->state].name;
    bool ok = json_set_text(arena, object, "connection", span_of(name)) &&
              add_time(arena, object, "since", uplink->since_wall_us) &&
              json_set_text(arena, object, "hub", connstr->host_name) &&
              json_set_text(arena, object, "device", connstr->device_id) &&
              json_set_text(arena, object, "module", connstr->module_id) &&
              json_set_int(arena, object, "connections", (int64_t)uplink->connections);
    if (ok && connstr->gateway_host_name.len > 0)
        ok = json_set_text(arena, object, "gateway", connstr->gateway_host_name);
    if (ok && uplink->last_error[0] != '\0')
        ok = json_set_text(arena, object, "last_error", span_of(uplink->last_error)) &&
             add_time(arena, object, "last_error_at", uplink->last_error_wall_us);
    return ok ? ERR_NONE : ERR_MEMORY;
}
