/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include "store_sqlite.h"

#include <argon2.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct world world;

static atomic_int_fast64_t wall = START_US;

static int64_t read_wall(void *self UNUSED)
{
    return wall;
}

static const struct clock still_clock = {read_wall, read_wall, NULL};

void world_advance(int64_t seconds)
{
    wall += seconds * 1000000;
}

struct hub_job {
    struct store_job job;
    struct hub_record hub;
    int64_t id;
};

static enum err run_put_hub(struct store_job *job, struct store_txn *txn)
{
    struct hub_job *put = (struct hub_job *)job;
    return store_hub_put(txn, &put->hub, &put->id);
}

static void put_hub(void)
{
    static struct span hosts[] = {SPAN_INIT("hub.local"), SPAN_INIT("other.local")};
    static struct policy policies[] = {
        {SPAN_INIT("owner"), SPAN_INIT(HUB_KEY), SPAN_INIT(OTHER_KEY), 15},
        {SPAN_INIT("read"), SPAN_INIT(HUB_KEY), SPAN_INIT(OTHER_KEY), RIGHT_REGISTRY_READ},
        {SPAN_INIT("write"), SPAN_INIT(HUB_KEY), SPAN_INIT(OTHER_KEY), RIGHT_REGISTRY_WRITE},
        {SPAN_INIT("service"), SPAN_INIT(HUB_KEY), SPAN_INIT(OTHER_KEY), RIGHT_SERVICE_CONNECT},
        {SPAN_INIT("device"), SPAN_INIT(HUB_KEY), SPAN_INIT(OTHER_KEY), RIGHT_DEVICE_CONNECT},
    };
    struct hub_job put = {.job = {.run = run_put_hub},
        .hub = {.name = SPAN_INIT("h1"),
            .created_us = START_US,
            .host_names = hosts,
            .host_name_count = COUNT_OF(hosts),
            .policies = policies,
            .policy_count = COUNT_OF(policies)}};
    assert_int_equal(store_run(world.store, STORE_WRITE, &put.job), ERR_NONE);
    world.hub_id = put.id;
}

int world_open(void **state UNUSED)
{
    struct why why = {""};
    snprintf(world.directory, sizeof(world.directory), "/tmp/gemel-service-XXXXXX");
    assert_non_null(mkdtemp(world.directory));
    struct sqlite_options options = sqlite_options_default;
    options.directory = world.directory;
    options.create = true;
    if (store_open_sqlite(&options, &world.store, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    wall = START_US;
    world.bus = bus_local_new();
    assert_non_null(world.bus);
    put_hub();
    world.options = (struct service_options){.store = world.store,
        .bus = world.bus,
        .clock = &still_clock,
        .limits = service_limits_default,
        .mqtt_port = 8883,
        .https_port = 443};
    /* Tests that want them switch them on. */
    world.options.limits.lifecycle_events = 0;
    world.options.limits.twin_events = 0;
    world.options.limits.connection_events = 0;
    assert_int_equal(service_open(&world.options, &world.service, &why), ERR_NONE);
    arena_init(&world.arena, 0);
    return 0;
}

void world_reopen_service(void)
{
    struct why why = {""};
    service_close(world.service);
    assert_int_equal(service_open(&world.options, &world.service, &why), ERR_NONE);
}

static void remove_directory(const char *path)
{
    char file[512];
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        unlink(file);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

int world_close(void **state UNUSED)
{
    service_close(world.service);
    store_close(world.store);
    bus_free(world.bus);
    arena_done(&world.arena);
    remove_directory(world.directory);
    return 0;
}

/* ---- tokens --------------------------------------------------------------------------------- */

const char *token_of(const char *resource_host, const char *device_id, const char *module_id,
    const char *policy, const char *key, int64_t expires_s)
{
    struct buf out = BUF_EMPTY;
    struct sas_request request = {.host = span_of(resource_host),
        .device_id = span_of(device_id),
        .module_id = span_of(module_id),
        .policy = span_of(policy),
        .key_base64 = span_of(key),
        .expires_s = expires_s};
    assert_int_equal(sas_sign(&request, &out, NULL), ERR_NONE);
    char *text = arena_text(&world.arena, buf_span(&out));
    assert_non_null(text);
    buf_done(&out);
    return text;
}

const char *token(const char *policy, const char *key)
{
    return token_of("hub.local", NULL, NULL, policy, key, wall / 1000000 + 3600);
}

/* ---- calls ---------------------------------------------------------------------------------- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t replied;
    bool done;
};

#define WAITER_INIT                                                                                \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false                                 \
    }

static long fail_after = -1;

void world_fail_after(long successes)
{
    fail_after = successes;
}

static size_t arena_more_bytes;

void world_limit_arena(size_t more_bytes)
{
    arena_more_bytes = more_bytes;
}

static atomic_bool failing;

/* Touches the counter only when asked to: other calls' threads may be reading it. */
static void begin_failing(void)
{
    failing = fail_after >= 0;
    if (failing)
        mem_fail_after(fail_after);
    fail_after = -1;
}

static void on_reply(struct call *call)
{
    if (failing)
        mem_fail_after(-1);
    struct waiter *waiter = call->owner;
    pthread_mutex_lock(&waiter->lock);
    assert_false(waiter->done); /* exactly once */
    waiter->done = true;
    pthread_cond_signal(&waiter->replied);
    pthread_mutex_unlock(&waiter->lock);
}

static void wait_for(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->done)
        pthread_cond_wait(&waiter->replied, &waiter->lock);
    pthread_mutex_unlock(&waiter->lock);
}

static struct span keep(struct call *call, const char *text)
{
    struct span copy = SPAN_NONE;
    if (text != NULL)
        assert_true(arena_span(&call->arena, span_of(text), &copy));
    return copy;
}

static const char *keep_text(struct span text)
{
    const char *copy = arena_text(&world.arena, text);
    assert_non_null(copy);
    return copy;
}

static const char *header_of(const struct rest_call *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++)
        if (strcmp(call->headers[i].name, name) == 0)
            return keep_text(call->headers[i].value);
    return NULL;
}

static struct answer answer_of(const struct rest_call *call)
{
    struct answer answer = {.err = call->call.err,
        .status = call->status,
        .body = keep_text(call->body_out),
        .etag = header_of(call, "etag"),
        .error = header_of(call, "iothub-errorcode"),
        .allow = header_of(call, "allow"),
        .challenge = header_of(call, "www-authenticate"),
        .request_id = header_of(call, "x-ms-request-id"),
        .set_cookie = header_of(call, "set-cookie"),
        .retry_after = header_of(call, "retry-after"),
        .more = call->more};
    struct json *json = NULL;
    bool is_json = span_starts(call->content_type_out, SPAN_LIT("application/json"));
    if (call->body_out.len > 0 && is_json &&
        json_parse(&world.arena, call->body_out, 0, &json, NULL) != ERR_NONE)
        fail_msg("no JSON: %s", answer.body);
    answer.json = json;
    return answer;
}

struct pending {
    struct rest_call call;
    struct waiter waiter;
};

static const struct browser no_browser;

static void start(struct pending *pending, const struct browser *browser, const char *authorization,
    const char *host, const char *method, const char *target, const char *body,
    const char *if_match)
{
    struct rest_call *call = &pending->call;
    *call = (struct rest_call){0};
    pending->waiter = (struct waiter)WAITER_INIT;
    call_init(&call->call, 64u << 20, on_reply, &pending->waiter);
    struct span path = keep(&call->call, target);
    size_t mark = span_find(path, '?');
    call->path = span_first(path, mark);
    call->query = span_from(path, mark + 1);
    call->method = keep(&call->call, method);
    call->host = keep(&call->call, host);
    call->authorization = keep(&call->call, authorization);
    call->body = keep(&call->call, body);
    call->if_match = keep(&call->call, if_match);
    call->cookie = keep(&call->call, browser->cookie);
    call->csrf = keep(&call->call, browser->csrf);
    call->origin = keep(&call->call, browser->origin);
    call->user_agent = keep(&call->call, browser->user_agent);
    call->peer = keep(&call->call,
        arena_format(&world.arena, "%s:5000", browser->address ? browser->address : "127.0.0.1"));
    if (arena_more_bytes > 0)
        call->call.arena.limit_bytes = call->call.arena.used_bytes + arena_more_bytes;
    arena_more_bytes = 0;
    begin_failing();
    service_rest(world.service, call);
}

struct answer ask_with(const char *authorization, const char *host, const char *method,
    const char *target, const char *body, const char *if_match)
{
    struct pending pending;
    start(&pending, &no_browser, authorization, host, method, target, body, if_match);
    wait_for(&pending.waiter);
    struct answer answer = answer_of(&pending.call);
    call_done(&pending.call.call);
    return answer;
}

struct answer ask(const char *method, const char *target, const char *body, const char *if_match)
{
    return ask_with(token("owner", HUB_KEY), "hub.local", method, target, body, if_match);
}

struct pending *ask_later_with(const char *method, const char *target, const char *body)
{
    struct pending *pending = calloc(1, sizeof(*pending));
    assert_non_null(pending);
    start(pending, &no_browser, token("owner", HUB_KEY), "hub.local", method, target, body, NULL);
    return pending;
}

struct pending *ask_later(const char *method, const char *target)
{
    return ask_later_with(method, target, NULL);
}

bool has_answer(struct pending *pending)
{
    pthread_mutex_lock(&pending->waiter.lock);
    bool done = pending->waiter.done;
    pthread_mutex_unlock(&pending->waiter.lock);
    return done;
}

struct answer get_answer(struct pending *pending)
{
    wait_for(&pending->waiter);
    struct answer answer = answer_of(&pending->call);
    call_done(&pending->call.call);
    free(pending);
    return answer;
}

/* ---- accounts and browsers ------------------------------------------------------------------ */

struct account_job {
    struct store_job job;
    struct account account;
};

static enum err run_put_account(struct store_job *job, struct store_txn *txn)
{
    return store_account_put(txn, &((struct account_job *)job)->account);
}

void make_account(
    const char *user, const char *password, const struct grant *grants, size_t grant_count)
{
    char hash[128];
    struct grant copies[8];
    assert_true(grant_count <= COUNT_OF(copies));
    if (grant_count > 0)
        memcpy(copies, grants, grant_count * sizeof(*grants));
    assert_int_equal(argon2id_hash_encoded(1, 64, 1, password, strlen(password), "saltsaltsalt", 12,
                         32, hash, sizeof(hash)),
        ARGON2_OK);
    struct account_job put = {.job = {.run = run_put_account},
        .account = {.user = span_of(user),
            .password_hash = span_of(hash),
            .grants = copies,
            .grant_count = grant_count}};
    assert_int_equal(store_run(world.store, STORE_WRITE, &put.job), ERR_NONE);
}

void make_administrator(void)
{
    static const struct grant everything = {GRANT_EVERY_HUB, ROLE_ADMINISTRATOR};
    make_account("admin", "se:cret", &everything, 1);
}

struct answer browse_if(const struct browser *browser, const char *method, const char *target,
    const char *body, const char *if_match)
{
    struct pending pending;
    start(&pending, browser, NULL, "hub.local", method, target, body, if_match);
    wait_for(&pending.waiter);
    struct answer answer = answer_of(&pending.call);
    call_done(&pending.call.call);
    return answer;
}

struct answer browse(
    const struct browser *browser, const char *method, const char *target, const char *body)
{
    return browse_if(browser, method, target, body, NULL);
}

struct pending *browse_later(
    const struct browser *browser, const char *method, const char *target, const char *body)
{
    struct pending *pending = calloc(1, sizeof(*pending));
    assert_non_null(pending);
    start(pending, browser, NULL, "hub.local", method, target, body, NULL);
    return pending;
}

struct piecewise {
    struct pending pending;
    bool begun;
};

struct piecewise *begin_pieces(const struct browser *browser, const char *target)
{
    struct piecewise *reading = calloc(1, sizeof(*reading));
    assert_non_null(reading);
    start(&reading->pending, browser, NULL, "hub.local", "GET", target, NULL, NULL);
    return reading;
}

struct answer next_piece(struct piecewise *reading)
{
    struct pending *pending = &reading->pending;
    if (reading->begun) {
        pthread_mutex_lock(&pending->waiter.lock);
        pending->waiter.done = false;
        pthread_mutex_unlock(&pending->waiter.lock);
        service_rest_more(&pending->call);
    }
    reading->begun = true;
    wait_for(&pending->waiter);
    return answer_of(&pending->call);
}

void end_pieces(struct piecewise *reading)
{
    call_done(&reading->pending.call.call);
    free(reading);
}

struct answer try_sign_in(const char *user, const char *password, const char *address)
{
    struct browser browser = {.address = address};
    char *body =
        arena_format(&world.arena, "{\"user\":\"%s\",\"password\":\"%s\"}", user, password);
    return browse(&browser, "POST", "/gemel/v1/session", body);
}

struct browser sign_in(const char *user, const char *password)
{
    struct answer answer = try_sign_in(user, password, NULL);
    if (answer.status != 200)
        fail_msg("%s: %s", user, answer.body);
    const char *end = strchr(answer.set_cookie, ';');
    assert_non_null(end);
    return (struct browser){
        .cookie = keep_text((struct span){answer.set_cookie, (size_t)(end - answer.set_cookie)}),
        .csrf = member(&answer, "csrf")};
}

const char *member(const struct answer *answer, const char *path)
{
    const struct json *at = answer->json;
    struct span rest = span_of(path);
    struct span name;
    while (at != NULL && span_cut(&rest, '.', &name)) {
        if (at->kind != JSON_ARRAY) {
            at = json_find(at, name);
            continue;
        }
        uint64_t index = 0;
        assert_true(span_u64(name, 10000, &index));
        at = at->first;
        while (at != NULL && index-- > 0)
            at = at->next;
    }
    if (at == NULL)
        return NULL;
    if (at->kind == JSON_STRING)
        return keep_text(at->text);
    struct buf out = BUF_EMPTY;
    json_write(at, &out);
    const char *text = keep_text(buf_span(&out));
    buf_done(&out);
    return text;
}

/* ---- identities and sessions ---------------------------------------------------------------- */

#define KEYS                                                                                       \
    "{\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"" HUB_KEY            \
    "\",\"secondaryKey\":\"" OTHER_KEY "\"}}}"

void make_device(const char *id)
{
    char *target = arena_format(&world.arena, "/devices/%s?" V, id);
    assert_int_equal(ask("PUT", target, KEYS, NULL).status, 200);
}

void make_module(const char *device_id, const char *module_id)
{
    char *target = arena_format(&world.arena, "/devices/%s/modules/%s?" V, device_id, module_id);
    assert_int_equal(ask("PUT", target, KEYS, NULL).status, 200);
}

/* Methods and messages come from threads of the store. */
static pthread_mutex_t heard_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_desired(struct session_sink *sink, struct span payload, int64_t version)
{
    struct heard *heard = (struct heard *)sink;
    assert_true(span_copy(payload, heard->payload, sizeof(heard->payload)));
    heard->version = version;
    heard->desired_count++;
}

static void on_end(struct session_sink *sink, enum session_end reason)
{
    struct heard *heard = (struct heard *)sink;
    heard->reason = reason;
    heard->end_count++;
}

static bool on_method(struct session_sink *sink, const struct method_request *request)
{
    struct heard *heard = (struct heard *)sink;
    pthread_mutex_lock(&heard_lock);
    snprintf(heard->method, sizeof(heard->method), "%.*s", SPAN_ARG(request->name));
    snprintf(heard->request_id, sizeof(heard->request_id), "%.*s", SPAN_ARG(request->request_id));
    snprintf(heard->payload, sizeof(heard->payload), "%.*s", SPAN_ARG(request->payload));
    heard->method_count++;
    pthread_mutex_unlock(&heard_lock);
    return true;
}

static void on_message(struct session_sink *sink)
{
    struct heard *heard = (struct heard *)sink;
    pthread_mutex_lock(&heard_lock);
    heard->message_count++;
    pthread_mutex_unlock(&heard_lock);
}

int heard_methods(struct heard *heard)
{
    pthread_mutex_lock(&heard_lock);
    int count = heard->method_count;
    pthread_mutex_unlock(&heard_lock);
    return count;
}

int heard_messages(struct heard *heard)
{
    pthread_mutex_lock(&heard_lock);
    int count = heard->message_count;
    pthread_mutex_unlock(&heard_lock);
    return count;
}

void heard_init(struct heard *heard)
{
    *heard = (struct heard){.sink = {on_desired, on_end, on_method, on_message}};
}

static struct span in_world(struct span text)
{
    struct span copy;
    assert_true(arena_span(&world.arena, text, &copy));
    return copy;
}

struct session connect_as(
    const char *device_id, const char *module_id, const char *password, struct heard *heard)
{
    return connect_showing(device_id, module_id, password, SPAN_NONE, heard);
}

struct session connect_showing(const char *device_id, const char *module_id, const char *password,
    struct span certificates, struct heard *heard)
{
    struct waiter waiter = WAITER_INIT;
    struct connect_call call = {0};
    call_init(&call.call, 1 << 20, on_reply, &waiter);
    call.host = keep(&call.call, "Hub.Local:8883");
    call.device_id = keep(&call.call, device_id);
    call.module_id = keep(&call.call, module_id);
    call.password = keep(&call.call, password);
    call.peer = keep(&call.call, "127.0.0.1");
    assert_true(arena_span(&call.call.arena, certificates, &call.certificates));
    call.sink = &heard->sink;
    begin_failing();
    service_connect(world.service, &call);
    wait_for(&waiter);
    for (size_t i = 0; i < call.password.len; i++)
        assert_int_equal(call.password.ptr[i], 0); /* wiped */
    struct session session = {.number = call.session,
        .expires_us = call.expires_us,
        .err = call.call.err,
        .why = call.call.why,
        .identity = call.identity};
    session.identity.device_id = in_world(call.identity.device_id);
    session.identity.module_id = in_world(call.identity.module_id);
    session.identity.auth_method = in_world(call.identity.auth_method);
    call_done(&call.call);
    return session;
}

struct session connect_device(const char *device_id, struct heard *heard)
{
    heard_init(heard);
    struct session session = connect_as(device_id, NULL,
        token_of("hub.local", device_id, NULL, NULL, HUB_KEY, wall / 1000000 + 3600), heard);
    if (session.err != ERR_NONE)
        fail_msg("%s", session.why.text);
    return session;
}

enum err send_report(const struct session *session, const char *patch)
{
    struct waiter waiter = WAITER_INIT;
    struct reported_call call = {.identity = session->identity};
    call_init(&call.call, 1 << 20, on_reply, &waiter);
    call.patch = keep(&call.call, patch);
    begin_failing();
    service_reported(world.service, &call);
    wait_for(&waiter);
    enum err err = call.call.err;
    call_done(&call.call);
    return err;
}

enum err send_event(const struct session *session, const char *bag, struct span body)
{
    struct waiter waiter = WAITER_INIT;
    struct event_call call = {.identity = session->identity};
    call_init(&call.call, 4 << 20, on_reply, &waiter);
    call.properties = keep(&call.call, bag);
    assert_true(arena_span(&call.call.arena, body, &call.body));
    begin_failing();
    service_event(world.service, &call);
    wait_for(&waiter);
    enum err err = call.call.err;
    call_done(&call.call);
    return err;
}
