/* SPDX-License-Identifier: Apache-2.0 */
#include "device_api.h"

#include "bag.h"
#include "event_batch.h"
#include "lock_token.h"
#include "log.h"
#include "messages.h"
#include "urlcode.h"

/* What authentication may use; as for CONNECT. */
#define CALLER_ARENA_BYTES (512u * 1024)

#define LOCK_SECONDS_MIN 5
#define LOCK_SECONDS_MAX 300

struct device_caller {
    struct connect_call connect; /* with an arena of its own */
    struct session_identity identity;
    struct span token; /* the path's, of a message; empty: none */
};

/* ---- who asks -------------------------------------------------------------------------------- */

static enum err run_judge(struct store_job *job, struct store_txn *txn)
{
    struct rest *rest = ((struct rest_call *)job)->call.work;
    struct device_caller *caller = rest->device;
    enum err err = connect_judge(&caller->connect, txn, &job->why);
    if (err != ERR_NONE)
        return err;
    caller->identity = caller->connect.identity;
    return rest_prepare(rest, &job->why);
}

static void judged(struct store_job *job, enum err err)
{
    struct rest *rest = ((struct rest_call *)job)->call.work;
    struct why why = job->why;
    if (err == ERR_NONE)
        rest_enter(rest);
    else
        rest_finish(rest, err, &why);
}

static enum err begin(struct rest *rest, struct why *why)
{
    struct device_caller *caller = arena_alloc(rest->arena, sizeof(*caller));
    struct rest_call *call = rest->call;
    if (caller == NULL)
        return ERR_MEMORY;
    const bool is_module = strstr(rest->operation->path, "/modules/") != NULL;
    struct connect_call *connect = &caller->connect;
    call_init(&connect->call, CALLER_ARENA_BYTES, NULL, NULL);
    rest->device = caller;
    connect->host = call->host;
    connect->device_id = rest->arguments[0];
    connect->module_id = is_module ? rest->arguments[1] : SPAN_NONE;
    connect->password = call->authorization;
    connect->certificates = call->certificates;
    connect->peer = call->peer;
    caller->token = rest->arguments[is_module ? 2 : 1];
    enum err err = connect_begin(rest->service, connect, why);
    rest->hub_id = connect->identity.hub_id;
    return err;
}

void device_begin(struct rest *rest)
{
    struct why why = {""};
    enum err err = begin(rest, &why);
    if (err != ERR_NONE) {
        rest_finish(rest, err, &why);
        return;
    }
    struct store_job *job = &rest->call->call.job;
    job->run = run_judge;
    job->done = judged;
    store_submit(rest->service->options.store, STORE_READ, job);
}

enum err device_judge_again(struct rest *rest, struct store_txn *txn, struct why *why)
{
    return connect_judge_again(&rest->device->connect, txn, why);
}

void device_end(struct rest *rest, enum err err, const struct why *why)
{
    struct rest_call *call = rest->call;
    if (err == ERR_UNAUTHORIZED || err == ERR_FORBIDDEN)
        log_info("service", "%.*s %.*s from %.*s refused: %s", SPAN_ARG(call->method),
            SPAN_ARG(call->path), SPAN_ARG(call->peer), why_text(why, err));
    auth_wipe(call->authorization);
    call_done(&rest->device->connect.call);
    rest->device = NULL;
}

void device_show(
    const struct rest *rest, char *ret_kind, struct span *ret_name, struct span *ret_part)
{
    *ret_kind = 'd';
    *ret_name = rest->device->identity.device_id;
    *ret_part = rest->device->identity.module_id;
}

static struct message_place place_of(const struct rest *rest)
{
    const struct session_identity *who = &rest->device->identity;
    return (struct message_place){who->hub_id, who->device_id, who->module_id, who->generation};
}

static struct span told(const struct rest_call *call, const char *name)
{
    for (size_t i = 0; i < call->told_count; i++)
        if (span_eq_nocase(span_of(call->told[i].name), span_of(name)))
            return call->told[i].value;
    return SPAN_NONE;
}

/* ---- device to cloud ------------------------------------------------------------------------- */

struct events {
    size_t count;
    struct event_work **works;
};

static enum err prepare_event(
    struct rest *rest, const struct event_message *message, struct event_work **ret_work)
{
    const struct event_input input = {
        .who = &rest->device->identity, .body = message->body, .properties = message->properties};
    return event_prepare(rest->service, rest->arena, &input, ret_work, rest->why);
}

static enum err prepare_single(struct rest *rest, struct events *events)
{
    const struct rest_call *call = rest->call;
    struct event_message message = {.body = call->body};
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct bag_writer bag = {.out = &text};
    for (size_t i = 0; i < call->told_count; i++)
        event_batch_add(&bag, span_of(call->told[i].name), call->told[i].value);
    events->count = 1;
    events->works = arena_alloc(rest->arena, sizeof(*events->works));
    if (events->works == NULL || text.failed ||
        !arena_span(rest->arena, buf_span(&text), &message.properties))
        return ERR_MEMORY;
    return prepare_event(rest, &message, &events->works[0]);
}

static enum err prepare_batch(struct rest *rest, struct events *events)
{
    struct event_message *messages;
    size_t count;
    enum err err = event_batch_read(rest->arena, rest->call->body, &messages, &count, rest->why);
    if (err != ERR_NONE)
        return err;
    events->works = arena_alloc(rest->arena, count * sizeof(*events->works));
    if (events->works == NULL)
        return ERR_MEMORY;
    for (; events->count < count; events->count++) {
        err = prepare_event(rest, &messages[events->count], &events->works[events->count]);
        if (err != ERR_NONE) {
            why_prefix(rest->why, "message %zu of the batch", events->count + 1);
            return err;
        }
    }
    return ERR_NONE;
}

static bool is_batch(struct span content_type)
{
    return span_eq_nocase(span_trim(span_first(content_type, span_find(content_type, ';'))),
        SPAN_LIT("application/vnd.microsoft.iothub.json"));
}

enum err device_prepare_events(struct rest *rest)
{
    const size_t most = rest->service->options.limits.event_bytes;
    struct events *events = arena_alloc(rest->arena, sizeof(*events));
    if (events == NULL)
        return ERR_MEMORY;
    rest->input = events;
    if (rest->call->body.len > most)
        return fail(ERR_TOO_LARGE, rest->why,
            "the body has %zu bytes, at most %zu are allowed (limits.event_bytes)",
            rest->call->body.len, most);
    enum err err = is_batch(rest->call->content_type) ? prepare_batch(rest, events)
                                                      : prepare_single(rest, events);
    rest->cost = (unsigned)events->count;
    for (size_t i = 0; err == ERR_NONE && i < events->count; i++)
        rest->messages += event_messages(events->works[i]);
    return err;
}

enum err device_send_events(struct rest *rest)
{
    const struct events *events = rest->input;
    uint64_t sequence = 0;
    enum err err = ERR_NONE;
    for (size_t i = 0; i < events->count && err == ERR_NONE; i++)
        err = event_append(
            rest->service, rest->arena, rest->txn, rest->hub_id, events->works[i], &sequence);
    if (err == ERR_NONE)
        err = message_add_event_effect(rest, sequence);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

/* ---- cloud to device ------------------------------------------------------------------------- */

struct receiving {
    int64_t lock_us;
    struct lock_token token; /* its lock */
};

static void write_token(const struct message *message, struct buf *out)
{
    lock_token_write(&(struct lock_token){message->sequence, message->lock}, out);
}

enum err device_prepare_receive(struct rest *rest)
{
    struct receiving *receiving = arena_alloc(rest->arena, sizeof(*receiving));
    struct span asked = told(rest->call, "iothub-messagelocktimeout");
    uint64_t seconds = rest->service->options.limits.message_lock_seconds;
    if (receiving == NULL)
        return ERR_MEMORY;
    rest->input = receiving;
    if (asked.len > 0 &&
        (!span_u64(asked, LOCK_SECONDS_MAX, &seconds) || seconds < LOCK_SECONDS_MIN))
        return fail(ERR_ARGUMENT, rest->why, "IotHub-MessageLockTimeout must be %d to %d seconds",
            LOCK_SECONDS_MIN, LOCK_SECONDS_MAX);
    receiving->lock_us = (int64_t)seconds * 1000000;
    return lock_token_new(&receiving->token, rest->why);
}

static void add_line(struct buf *out, const char *name, struct span value)
{
    if (value.len == 0)
        return;
    buf_add_text(out, name);
    buf_add_text(out, ": ");
    buf_add(out, value);
    buf_add_text(out, "\r\n");
}

static bool is_visible_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] >= 0x7f)
            return false;
    return true;
}

/* What no header can hold is percent-encoded. */
static void add_safe_line(struct buf *out, const char *name, struct span value)
{
    AUTO(buf_done) struct buf encoded = BUF_EMPTY;
    if (is_visible_ascii(value)) {
        add_line(out, name, value);
        return;
    }
    url_encode(value, &encoded);
    add_line(out, name, buf_span(&encoded));
    out->failed |= encoded.failed;
}

static enum err add_application_lines(struct rest *rest, struct span bag, struct buf *out)
{
    struct bag_item item;
    enum err err;
    while ((err = bag_next(rest->arena, &bag, &item, rest->why)) == ERR_NONE) {
        char *name = arena_format(rest->arena, "iothub-app-%.*s", SPAN_ARG(item.key));
        if (name == NULL)
            return ERR_MEMORY;
        add_safe_line(out, name, item.value);
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err write_lines(struct rest *rest, const struct message *message, struct buf *out)
{
    char time[CLOCK_TEXT_SIZE];
    const struct message_place place = place_of(rest);
    AUTO(buf_done) struct buf to = BUF_EMPTY;
    buf_add_text(out, "etag: \"");
    write_token(message, out);
    buf_add_text(out, "\"\r\n");
    message_write_to(&place, &to);
    add_safe_line(out, "iothub-messageid", message->message_id);
    add_safe_line(out, "iothub-correlationid", message->correlation_id);
    add_safe_line(out, "iothub-userid", message->user_id);
    add_line(out, "iothub-to", buf_span(&to));
    add_safe_line(out, "iothub-contenttype", message->content_type);
    add_safe_line(out, "iothub-contentencoding", message->content_encoding);
    add_line(out, "iothub-ack", span_of(message_ack_name(message->ack)));
    add_line(out, "iothub-expiry", span_of(clock_format(message->expires_us, time)));
    add_line(out, "iothub-enqueuedtime", span_of(clock_format(message->enqueued_us, time)));
    buf_add_format(out, "iothub-sequencenumber: %llu\r\niothub-deliverycount: %u\r\n",
        (unsigned long long)message->sequence, message->deliveries - 1);
    out->failed |= to.failed;
    return add_application_lines(rest, message->properties, out);
}

static enum err respond_message(struct rest *rest, const struct message *message)
{
    AUTO(buf_done) struct buf lines = BUF_EMPTY;
    enum err err = write_lines(rest, message, &lines);
    if (err != ERR_NONE)
        return err;
    if (lines.failed || !arena_span(rest->arena, buf_span(&lines), &rest->call->header_block))
        return ERR_MEMORY;
    err = respond_empty(rest, 200);
    rest->call->body_out = message->body;
    rest->call->content_type_out =
        message->content_type.len > 0 && is_visible_ascii(message->content_type)
            ? message->content_type
            : SPAN_LIT("application/octet-stream");
    return err;
}

enum err device_receive(struct rest *rest)
{
    const struct receiving *receiving = rest->input;
    const struct message_place place = place_of(rest);
    struct message message;
    uint64_t event = 0;
    enum err err =
        message_find_next(rest->service, rest->arena, rest->txn, &place, &message, &event);
    const bool found = err == ERR_NONE;
    if (err == ERR_NOT_FOUND)
        err = ERR_NONE;
    if (found) {
        message.deliveries++;
        message.session = 0;
        message.lock = receiving->token.lock;
        message.locked_until_us = now_us(rest->service) + receiving->lock_us;
        err = store_message_hold(rest->txn, &message);
    }
    if (err == ERR_NONE)
        err = message_add_event_effect(rest, event);
    if (err != ERR_NONE)
        return err;
    return found ? respond_message(rest, &message) : respond_empty(rest, 204);
}

/* ---- settling -------------------------------------------------------------------------------- */

struct settling {
    struct lock_token held;
    bool reject;
};

enum err device_prepare_settle(struct rest *rest)
{
    struct settling *settling = arena_alloc(rest->arena, sizeof(*settling));
    struct span reject;
    if (settling == NULL)
        return ERR_MEMORY;
    rest->input = settling;
    struct span token = rest->device->token;
    if (!lock_token_read(match_of(token).etag, &settling->held))
        return fail(ERR_LOCK_LOST, rest->why, "\"%.*s\" is no token of a lock", SPAN_ARG(token));
    settling->reject = url_query_find_nocase(rest->call->query, "reject", &reject) &&
                       !span_eq_nocase(reject, SPAN_LIT("false"));
    return ERR_NONE;
}

static enum err find_held(struct rest *rest, struct message *ret_message)
{
    const struct settling *settling = rest->input;
    const struct message_place place = place_of(rest);
    AUTO(buf_done) struct buf token = BUF_EMPTY;
    enum err err = store_message_get(rest->txn, rest->arena, place.hub_id, place.device_id,
        place.module_id, settling->held.sequence, ret_message);
    if (err == ERR_NOT_FOUND ||
        (err == ERR_NONE && (ret_message->lock != settling->held.lock ||
                                ret_message->locked_until_us <= now_us(rest->service))))
        return fail(ERR_LOCK_LOST, rest->why, "the message is not held by this token any more");
    if (err != ERR_NONE)
        return err;
    write_token(ret_message, &token);
    return token.failed ? ERR_MEMORY : match_check(&rest->match, buf_span(&token), rest->why);
}

static enum err settle(struct rest *rest, const struct message *message, enum message_outcome how)
{
    const struct message_place place = place_of(rest);
    uint64_t event = 0;
    enum err err =
        message_settle(rest->service, rest->arena, rest->txn, &place, message, how, &event);
    if (err == ERR_NONE)
        err = message_add_event_effect(rest, event);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

enum err device_settle(struct rest *rest)
{
    const struct settling *settling = rest->input;
    struct message message;
    enum err err = find_held(rest, &message);
    if (err != ERR_NONE)
        return err;
    return settle(rest, &message, settling->reject ? OUTCOME_REJECTED : OUTCOME_SUCCESS);
}

enum err device_abandon(struct rest *rest)
{
    struct message message;
    struct effect *effect;
    enum err err = find_held(rest, &message);
    if (err != ERR_NONE)
        return err;
    if (message_is_spent(rest->service, &message))
        return settle(rest, &message, OUTCOME_DELIVERY_COUNT);
    message.lock = 0;
    message.locked_until_us = 0;
    err = rest_add_effect(rest, EFFECT_MESSAGE, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = rest->device->identity.device_id;
    effect->module_id = rest->device->identity.module_id;
    err = store_message_hold(rest->txn, &message);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}
