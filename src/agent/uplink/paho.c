/* SPDX-License-Identifier: Apache-2.0 */
#include "paho.h"

#include "log.h"
#include "mem.h"

#include <MQTTAsync.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PART "uplink"
#define CONNECT_TIMEOUT_S 30
#define DESCRIPTORS_MAX 1024
/* How long the loop waits for a client to go; see drop_client(). */
#define DROP_PATIENCE_MS 500

/* What a hub may send at once before the agent has looked at it; the largest twin is a tenth. */
#define BODY_MAX_BYTES (1u << 20)
#define QUEUE_MAX_EVENTS 1000u

struct queued {
    struct queued *next;
    struct link_event event;
};

struct paho {
    MQTTAsync client; /* NULL: none */
    char *client_id;  /* of `client`; Paho fixes it when a client is made */
    int wake_fd;
    pthread_t dropper; /* destroys `client` … */
    bool dropping;     /* … there is one, and nobody else may touch the client */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool dropped; /* the dropper is done */
    bool bloated; /* Paho keeps the room of the largest message until the client goes */
    struct queued *first;
    struct queued **last;
    size_t count;
    size_t ungranted; /* filters that the hub has not granted yet */
    bool lost_events; /* the queue had no room or no memory: the connection must begin anew */
    char tls_error[160];
};

/* ---- the queue, and Paho's threads ---- */

static void wake(struct paho *paho)
{
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the loop is awake already. */
    ssize_t done UNUSED = write(paho->wake_fd, &one, sizeof(one));
}

static void put(struct paho *paho, struct link_event event)
{
    struct queued *queued = mem_alloc(sizeof(*queued));
    pthread_mutex_lock(&paho->mutex);
    if (queued == NULL || (event.kind == LINK_MESSAGE && paho->count >= QUEUE_MAX_EVENTS)) {
        paho->lost_events = true;
        mem_free(queued);
        mem_free(event.topic);
    } else {
        queued->event = event;
        *paho->last = queued;
        paho->last = &queued->next;
        paho->count++;
    }
    pthread_mutex_unlock(&paho->mutex);
    wake(paho);
}

static void put_text(struct paho *paho, enum link_event_kind kind, int code, const char *text)
{
    struct link_event event = {.kind = kind, .code = code};
    pthread_mutex_lock(&paho->mutex);
    bool tls = kind == LINK_REFUSED && paho->tls_error[0] != '\0';
    if (tls)
        snprintf(event.text, sizeof(event.text), "TLS: %s", paho->tls_error);
    else
        snprintf(event.text, sizeof(event.text), "%s", text == NULL ? "" : text);
    paho->tls_error[0] = '\0';
    pthread_mutex_unlock(&paho->mutex);
    put(paho, event);
}

static bool take(void *self, struct link_event *ret_event)
{
    struct paho *paho = self;
    uint64_t wakes;
    ssize_t done UNUSED = read(paho->wake_fd, &wakes, sizeof(wakes));
    pthread_mutex_lock(&paho->mutex);
    struct queued *queued = paho->first;
    bool lost = queued == NULL && paho->lost_events;
    if (queued != NULL) {
        paho->first = queued->next;
        if (paho->first == NULL)
            paho->last = &paho->first;
        paho->count--;
    }
    if (lost)
        paho->lost_events = false;
    pthread_mutex_unlock(&paho->mutex);
    if (lost) {
        *ret_event = (struct link_event){
            .kind = LINK_UNUSABLE, .text = "the hub sent more than the agent can hold"};
        return true;
    }
    if (queued == NULL)
        return false;
    *ret_event = queued->event;
    mem_free(queued);
    return true;
}

static int on_tls_error(const char *text, size_t len, void *self)
{
    struct paho *paho = self;
    struct span line = span_trim((struct span){text, len});
    /* OpenSSL's form: thread:error:code:library:function:reason:file:line:details */
    for (int i = 0; i < 5; i++)
        line = span_from(line, span_find(line, ':') + 1);
    line = span_first(line, span_find(line, ':'));
    pthread_mutex_lock(&paho->mutex);
    if (line.len > 0)
        snprintf(paho->tls_error, sizeof(paho->tls_error), "%.*s", SPAN_ARG(line));
    pthread_mutex_unlock(&paho->mutex);
    return 0;
}

static void on_connected(void *self, MQTTAsync_successData *data UNUSED)
{
    put_text(self, LINK_CONNECTED, 0, NULL);
}

static void on_refused(void *self, MQTTAsync_failureData *data)
{
    put_text(
        self, LINK_REFUSED, data == NULL ? -1 : data->code, data == NULL ? NULL : data->message);
}

static void on_lost(void *self, char *cause)
{
    put_text(self, LINK_LOST, 0, cause);
}

static void on_delivered(void *self, MQTTAsync_token token)
{
    put(self, (struct link_event){.kind = LINK_DELIVERED, .token = token});
}

static void on_unusable(void *self, MQTTAsync_failureData *data)
{
    put_text(self, LINK_UNUSABLE, data == NULL ? -1 : data->code,
        "the hub does not grant the subscription to the twin");
}

static void on_subscribed(void *self, MQTTAsync_successData *data UNUSED)
{
    struct paho *paho = self;
    pthread_mutex_lock(&paho->mutex);
    bool all = paho->ungranted > 0 && --paho->ungranted == 0;
    pthread_mutex_unlock(&paho->mutex);
    if (all)
        put_text(self, LINK_SUBSCRIBED, 0, NULL);
}

static void on_closed(void *self, MQTTAsync_successData *data UNUSED)
{
    put_text(self, LINK_CLOSED, 0, NULL);
}

static void on_close_failed(void *self, MQTTAsync_failureData *data UNUSED)
{
    put_text(self, LINK_CLOSED, 0, NULL);
}

/* Whoever sends so much is no hub to stay with. */
static void refuse_message(struct paho *paho, size_t body_len)
{
    char text[80];
    snprintf(text, sizeof(text), "the hub sent a message of %zu bytes", body_len);
    pthread_mutex_lock(&paho->mutex);
    paho->bloated = true;
    pthread_mutex_unlock(&paho->mutex);
    put_text(paho, LINK_UNUSABLE, 0, text);
}

static int on_message(void *self, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct paho *paho = self;
    size_t len = topic_len > 0 ? (size_t)topic_len : strlen(topic);
    size_t body_len = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;
    struct link_event event = {.kind = LINK_MESSAGE};
    if (body_len > BODY_MAX_BYTES)
        refuse_message(paho, body_len);
    else
        event.topic = mem_alloc(len + 1 + body_len);
    if (event.topic != NULL) {
        memcpy(event.topic, topic, len);
        if (body_len > 0)
            memcpy(event.topic + len + 1, message->payload, body_len);
        event.body = (struct span){event.topic + len + 1, body_len};
        put(paho, event);
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* ---- the agent's loop ---- */

static void drop_queue(struct paho *paho)
{
    struct link_event event;
    while (take(paho, &event))
        mem_free(event.topic);
}

static void *destroy(void *self)
{
    struct paho *paho = self;
    MQTTAsync_destroy(&paho->client);
    pthread_mutex_lock(&paho->mutex);
    paho->dropped = true;
    pthread_cond_signal(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
    return NULL;
}

/* Waits for the dropper a while; false: it is not done. */
static bool wait_for_dropper(struct paho *paho, int patience_ms)
{
    struct timespec end;
    int result = 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += patience_ms / 1000;
    end.tv_nsec += patience_ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&paho->mutex);
    while (!paho->dropped && result == 0)
        result = pthread_cond_timedwait(&paho->changed, &paho->mutex, &end);
    bool done = paho->dropped;
    pthread_mutex_unlock(&paho->mutex);
    if (!done)
        return false;
    pthread_join(paho->dropper, NULL);
    paho->dropping = false;
    return true;
}

/* Paho holds its lock while it looks up a name or waits for a proxy's answer, half a minute and
 * more, and whoever calls it then waits as long. So a client goes in a thread of its own, for which
 * the loop waits a moment and no longer. False: it is not gone yet. */
static bool drop(struct paho *paho)
{
    if (!paho->dropping && paho->client != NULL) {
        paho->dropped = false;
        paho->dropping = pthread_create(&paho->dropper, NULL, destroy, paho) == 0;
        if (!paho->dropping)
            MQTTAsync_destroy(&paho->client);
    }
    if (paho->dropping && !wait_for_dropper(paho, DROP_PATIENCE_MS))
        return false;
    paho->client = NULL;
    mem_free(paho->client_id);
    paho->client_id = NULL;
    drop_queue(paho);
    return true;
}

static void drop_client(void *self)
{
    (void)drop(self);
}

static enum err make_client(struct paho *paho, const struct link_target *target, struct why *why)
{
    pthread_mutex_lock(&paho->mutex);
    bool bloated = paho->bloated;
    paho->bloated = false;
    pthread_mutex_unlock(&paho->mutex);
    if (!bloated && !paho->dropping && paho->client != NULL &&
        strcmp(paho->client_id, target->client_id) == 0)
        return ERR_NONE;
    if (!drop(paho))
        return fail(
            ERR_UNAVAILABLE, why, "the attempt before still waits for a name server or a proxy");
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    paho->client_id = mem_text(span_of(target->client_id));
    if (paho->client_id == NULL)
        return fail(ERR_MEMORY, why, "no memory for the MQTT client");
    int result = MQTTAsync_createWithOptions(
        &paho->client, target->uri, target->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (result == MQTTASYNC_SUCCESS)
        result = MQTTAsync_setCallbacks(paho->client, paho, on_lost, on_message, on_delivered);
    if (result == MQTTASYNC_SUCCESS)
        return ERR_NONE;
    drop_client(paho);
    return fail(ERR_UNAVAILABLE, why, "the MQTT client cannot be made (%d)", result);
}

static enum err do_connect(void *self, const struct link_target *target, struct why *why)
{
    struct paho *paho = self;
    enum err err = make_client(paho, target, why);
    if (err != ERR_NONE)
        return err;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    tls.enableServerCertAuth = 1;
    tls.verify = 1;
    tls.trustStore = target->ca_file;
    /* With a file of one's own Paho leaves out the system's roots; by name it finds them again,
     * and loads only the one that it needs. */
    tls.CApath = target->ca_file == NULL ? NULL : X509_get_default_cert_dir();
    tls.keyStore = target->certificate_file;
    tls.privateKey = target->key_file;
    tls.ssl_error_cb = on_tls_error;
    tls.ssl_error_context = paho;

    char *uri = (char *)(uintptr_t)target->uri;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    options.keepAliveInterval = target->keep_alive_s;
    options.cleansession = 1;
    options.maxInflight = 100;
    options.connectTimeout = CONNECT_TIMEOUT_S;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.username = target->username;
    options.password = target->password;
    options.ssl = &tls;
    options.httpsProxy = target->proxy; /* what is behind the CONNECT is TLS, so this one of both */
    options.serverURIs = &uri;
    options.serverURIcount = 1;
    options.onSuccess = on_connected;
    options.onFailure = on_refused;
    options.context = paho;
    int result = MQTTAsync_connect(paho->client, &options);
    if (result == MQTTASYNC_SUCCESS)
        return ERR_NONE;
    /* A client in an unclear state is made anew the next time. */
    drop_client(paho);
    return fail(ERR_UNAVAILABLE, why, "the MQTT client does not connect (%d)", result);
}

/* Paho leaves Nagle's algorithm on, and then a short message behind a long one waits for the hub's
 * delayed ACK, 40 ms. It does not give its socket out either; it has the only TCP connection of
 * this process. */
static void send_without_delay(void)
{
    const int on = 1;
    for (int fd = 3; fd < DESCRIPTORS_MAX; fd++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
            (peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
}

/* One filter a packet: Paho itself looks at the answer to one, while for several it hands out what
 * it makes of the hub's list, which may be shorter than what was asked, or no list at all. */
static enum err do_subscribe(void *self, const char *const *filters, size_t count, struct why *why)
{
    struct paho *paho = self;
    int result = MQTTASYNC_SUCCESS;
    send_without_delay();
    pthread_mutex_lock(&paho->mutex);
    paho->ungranted = count;
    pthread_mutex_unlock(&paho->mutex);
    for (size_t i = 0; i < count && result == MQTTASYNC_SUCCESS; i++) {
        MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
        response.onSuccess = on_subscribed;
        response.onFailure = on_unusable;
        response.context = paho;
        result = MQTTAsync_subscribe(paho->client, filters[i], 0, &response);
    }
    return result == MQTTASYNC_SUCCESS
               ? ERR_NONE
               : fail(ERR_UNAVAILABLE, why, "cannot subscribe (%d)", result);
}

static enum err do_publish(void *self, const char *topic, struct span body, int qos, int *ret_token)
{
    struct paho *paho = self;
    MQTTAsync_message message = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    message.payload = (void *)(uintptr_t)body.ptr;
    message.payloadlen = (int)body.len;
    message.qos = qos;
    if (paho->dropping || paho->client == NULL ||
        MQTTAsync_sendMessage(paho->client, topic, &message, &response) != MQTTASYNC_SUCCESS)
        return ERR_UNAVAILABLE;
    *ret_token = response.token;
    return ERR_NONE;
}

static void do_close(void *self)
{
    struct paho *paho = self;
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    options.onSuccess = on_closed;
    options.onFailure = on_close_failed;
    options.context = paho;
    if (paho->dropping || paho->client == NULL ||
        MQTTAsync_disconnect(paho->client, &options) != MQTTASYNC_SUCCESS)
        put_text(paho, LINK_CLOSED, 0, NULL);
}

static int wake_fd(void *self)
{
    return ((const struct paho *)self)->wake_fd;
}

struct link_driver paho_link(struct paho *paho)
{
    return (struct link_driver){.connect = do_connect,
        .subscribe = do_subscribe,
        .publish = do_publish,
        .close = do_close,
        .abort = drop_client,
        .fd = wake_fd,
        .take = take,
        .self = paho};
}

enum err paho_new(struct paho **ret_paho, struct why *why)
{
    struct paho *paho = mem_alloc(sizeof(*paho));
    if (paho == NULL)
        return fail(ERR_MEMORY, why, "no memory for the MQTT client");
    /* Otherwise Paho writes each step of each packet into a history of 400 lines, 125 KiB, that
     * nobody reads; MQTT_C_CLIENT_TRACE_LEVEL still asks for more. */
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    paho->last = &paho->first;
    paho->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (paho->wake_fd < 0) {
        mem_free(paho);
        return fail(ERR_IO, why, "eventfd: %s", strerror(errno));
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&paho->mutex, NULL);
    pthread_cond_init(&paho->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret_paho = paho;
    return ERR_NONE;
}

bool paho_free(struct paho *paho)
{
    if (paho == NULL)
        return true;
    if (!drop(paho))
        return false;
    pthread_cond_destroy(&paho->changed);
    pthread_mutex_destroy(&paho->mutex);
    close(paho->wake_fd);
    mem_free(paho);
    return true;
}
