/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

#include "conn.h"
#include "gateway_priv.h"
#include "log.h"
#include "tls.h"

#include <errno.h>
#include <unistd.h>

/* Connections taken from a listener before others get their turn. */
#define ACCEPT_BURST 64

/* libwebsockets ends handshakes and silent new connections by itself after this; conn.c does it
 * earlier, from a limit of ours, and switches this off. */
#define LWS_OWN_TIMEOUT_SECONDS 3600

static const struct {
    const char *name;
    const char *alpn;
    const struct conn_protocol *protocol;
} listeners[LISTEN_COUNT] = {
    [LISTEN_MQTT] = {"mqtt", "mqtt", &mqtt_protocol},
    [LISTEN_HTTPS] = {"https", "http/1.1", &http_protocol},
};

static const struct lws_protocols lws_protocols_of_ours[] = {
    {.name = "gemel", .callback = conn_callback, .tx_packet_size = THREAD_CHUNK_BYTES},
    {.name = NULL},
};

/* Calls that came back are mails; connections that went are seen at the next tick. */
static void look_whether_drained(struct gateway_thread *thread)
{
    if (!thread->draining || thread->conns != NULL || thread->calls > 0)
        return;
    atomic_store(&thread->drained, true);
}

/* ---- the mailbox ----------------------------------------------------------------------------- */

void thread_post(struct gateway_thread *thread, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&thread->lock);
    bool was_empty = thread->mails == NULL;
    *thread->last_mail = mail;
    thread->last_mail = &mail->next;
    /* Inside the lock: once the mail is delivered, the thread may end and the context go. */
    if (was_empty)
        lws_cancel_service(thread->context);
    pthread_mutex_unlock(&thread->lock);
}

void thread_deliver(struct gateway_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    struct mail *mail = thread->mails;
    thread->mails = NULL;
    thread->last_mail = &thread->mails;
    pthread_mutex_unlock(&thread->lock);

    while (mail != NULL) {
        struct mail *next = mail->next;
        mail->deliver(thread, mail);
        mail = next;
    }
    look_whether_drained(thread);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void pause_accepting(struct gateway_thread *thread, int error)
{
    for (int i = 0; i < LISTEN_COUNT; i++)
        uv_poll_stop(&thread->acceptors[i]);
    thread->out_of_fds = true;
    if (thread->wheel.now - thread->told_tick < 60 * 1000 / TICK_MS)
        return;
    thread->told_tick = thread->wheel.now;
    log_warn("gateway", "no more connections can be accepted for now: %s", strerror(error));
}

static void on_acceptable(uv_poll_t *acceptor, int status, int events)
{
    struct gateway_thread *thread = acceptor->data;
    int which = acceptor == &thread->acceptors[LISTEN_MQTT] ? LISTEN_MQTT : LISTEN_HTTPS;
    if (status < 0 || (events & UV_READABLE) == 0)
        return;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        int fd = accept4(thread->sockets[which], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_accept(thread, which, listeners[which].protocol, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(thread, errno);
        /* ECONNABORTED and the like concern one connection only: the poll calls again. */
        return;
    }
}

static void resume_accepting(struct gateway_thread *thread)
{
    thread->out_of_fds = false;
    for (int i = 0; i < LISTEN_COUNT; i++)
        uv_poll_start(&thread->acceptors[i], UV_READABLE, on_acceptable);
}

static void on_acceptor_closed(uv_handle_t *handle)
{
    struct gateway_thread *thread = handle->data;
    int which =
        handle == (uv_handle_t *)&thread->acceptors[LISTEN_MQTT] ? LISTEN_MQTT : LISTEN_HTTPS;
    close(thread->sockets[which]);
    thread->sockets[which] = -1;
}

static void stop_accepting(struct gateway_thread *thread)
{
    if (!thread->accepting)
        return;
    thread->accepting = false;
    for (int i = 0; i < LISTEN_COUNT; i++)
        uv_close((uv_handle_t *)&thread->acceptors[i], on_acceptor_closed);
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t mono_ms(const struct gateway_thread *thread)
{
    return clock_mono_us(thread->clock) / 1000;
}

int64_t thread_tick_in(const struct gateway_thread *thread, int64_t ms)
{
    return (mono_ms(thread) + ms + TICK_MS - 1) / TICK_MS;
}

static void on_tick(uv_timer_t *ticker)
{
    struct gateway_thread *thread = ticker->data;
    wheel_advance(&thread->wheel, mono_ms(thread) / TICK_MS, conn_expired, thread);
    if (thread->out_of_fds && thread->accepting)
        resume_accepting(thread);
    look_whether_drained(thread);
}

/* ---- draining -------------------------------------------------------------------------------- */

static void for_each_conn(struct gateway_thread *thread, void (*act)(struct conn *conn))
{
    size_t left = 0;
    struct conn *conn = thread->conns;
    if (conn == NULL)
        return;
    do {
        left++;
        conn = conn->next;
    } while (conn != thread->conns);
    /* Acting may end and free this one, never the next. */
    for (; left > 0; left--) {
        struct conn *next = conn->next;
        act(conn);
        conn = next;
    }
}

static void drain_conn(struct conn *conn)
{
    if (conn->phase == CONN_HANDSHAKE) {
        conn_fail(conn);
    } else if (conn->phase == CONN_OPEN) {
        conn_enter(conn);
        conn->protocol->drain(conn);
        conn_leave(conn);
    }
}

static void on_drain(struct gateway_thread *thread, struct mail *mail)
{
    (void)mail;
    stop_accepting(thread);
    thread->draining = true;
    for_each_conn(thread, drain_conn);
}

static void on_abort(struct gateway_thread *thread, struct mail *mail)
{
    (void)mail;
    for_each_conn(thread, conn_fail);
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum err make_vhosts(struct gateway_thread *thread, const struct gateway_options *options,
    struct lws_context_creation_info *info, struct why *why)
{
    info->protocols = lws_protocols_of_ours;
    info->ssl_cert_filepath = options->certificate_file;
    info->ssl_private_key_filepath = options->key_file;
    info->ssl_cipher_list = TLS_1_2_SUITES;
    info->provided_client_ssl_ctx = thread->no_client;
    for (int i = 0; i < LISTEN_COUNT; i++) {
        info->vhost_name = listeners[i].name;
        info->alpn = listeners[i].alpn;
        thread->vhosts[i] = lws_create_vhost(thread->context, info);
        if (thread->vhosts[i] == NULL)
            return fail(ERR_SERVER, why, "libwebsockets could not set up TLS with %s",
                options->certificate_file);
    }
    return ERR_NONE;
}

/* Contexts are made one after another by one thread, as libwebsockets initialises globals then. */
static enum err make_context(
    struct gateway_thread *thread, const struct gateway_options *options, struct why *why)
{
    void *loops[] = {&thread->loop};
    thread->no_client = SSL_CTX_new(TLS_client_method());
    if (thread->no_client == NULL)
        return fail(ERR_MEMORY, why, "no memory for TLS");
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
        .foreign_loops = loops,
        .count_threads = 1,
        .pt_serv_buf_size = THREAD_CHUNK_BYTES + LWS_PRE + 1024,
        .timeout_secs = LWS_OWN_TIMEOUT_SECONDS,
        .user = thread,
        .pcontext = &thread->context,
    };
    thread->context = lws_create_context(&info);
    if (thread->context == NULL)
        return fail(ERR_SERVER, why,
            "libwebsockets could not be started (is its libuv plug-in, "
            "package libwebsockets-evlib-uv, installed?)");
    return make_vhosts(thread, options, &info, why);
}

void thread_configure_tls(struct gateway_thread *thread, struct lws *wsi, SSL_CTX *context)
{
    const char *name = lws_get_vhost_name(lws_get_vhost(wsi));
    bool is_https = strcmp(name, listeners[LISTEN_HTTPS].name) == 0;
    tls_configure(context, &thread->identity,
        !is_https || thread->gateway->options.https_client_certificates);
}

static void start_acceptors(struct gateway_thread *thread)
{
    for (int i = 0; i < LISTEN_COUNT; i++) {
        must(uv_poll_init(&thread->loop, &thread->acceptors[i], thread->sockets[i]) == 0);
        thread->acceptors[i].data = thread;
    }
    thread->accepting = true;
}

void thread_use_identity(struct gateway_thread *thread, SSL_CTX *identity)
{
    must(SSL_CTX_up_ref(identity) == 1);
    SSL_CTX_free(thread->identity);
    thread->identity = identity;
}

enum err thread_init(struct gateway_thread *thread, struct gateway *gateway,
    const struct gateway_options *options, SSL_CTX *identity, const int sockets[LISTEN_COUNT],
    struct why *why)
{
    *thread = (struct gateway_thread){
        .gateway = gateway,
        .limits = &gateway->options.limits,
        .clock = options->clock,
        .drain_mail = {.deliver = on_drain},
        .abort_mail = {.deliver = on_abort},
        .told_tick = INT64_MIN / 2,
    };
    memcpy(thread->sockets, sockets, sizeof thread->sockets);
    thread_use_identity(thread, identity);
    thread->last_mail = &thread->mails;
    pthread_mutex_init(&thread->lock, NULL);
    must(uv_loop_init(&thread->loop) == 0);
    must(uv_timer_init(&thread->loop, &thread->ticker) == 0);
    thread->ticker.data = thread;
    start_acceptors(thread);
    wheel_init(&thread->wheel, mono_ms(thread) / TICK_MS);
    thread->chunk = mem_alloc(LWS_PRE + THREAD_CHUNK_BYTES);
    if (thread->chunk == NULL)
        return fail(ERR_MEMORY, why, "no memory for a gateway thread");
    return make_context(thread, options, why);
}

static void *run(void *self)
{
    struct gateway_thread *thread = self;
    pthread_setname_np(pthread_self(), "gateway");
    uv_timer_start(&thread->ticker, on_tick, TICK_MS, TICK_MS);
    resume_accepting(thread);
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    return NULL;
}

enum err thread_start(struct gateway_thread *thread, struct why *why)
{
    int error = pthread_create(&thread->handle, NULL, run, thread);
    if (error != 0)
        return fail(ERR_SERVER, why, "cannot start a gateway thread: %s", strerror(error));
    thread->started = true;
    return ERR_NONE;
}

static void on_stop(struct gateway_thread *thread, struct mail *mail)
{
    (void)mail;
    uv_stop(&thread->loop);
}

/* The context closes its handles through the loop, which therefore runs once more, here; a second
 * call frees it, unless (in later versions) that happened by itself, which clears the pointer. */
static void end_loop(struct gateway_thread *thread)
{
    stop_accepting(thread);
    uv_close((uv_handle_t *)&thread->ticker, NULL);
    if (thread->context != NULL)
        lws_context_destroy(thread->context);
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    if (thread->context != NULL)
        lws_context_destroy(thread->context);
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&thread->loop) != 0)
        log_warn("gateway", "a thread's event loop did not close cleanly");
}

void thread_done(struct gateway_thread *thread)
{
    if (thread->started) {
        struct mail stop = {.deliver = on_stop};
        thread_post(thread, &stop);
        pthread_join(thread->handle, NULL);
    }
    end_loop(thread);
    SSL_CTX_free(thread->no_client);
    SSL_CTX_free(thread->identity);
    buf_done(&thread->encoder);
    mem_free(thread->chunk);
    pthread_mutex_destroy(&thread->lock);
}
