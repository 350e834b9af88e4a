/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_priv.h"

#include "log.h"
#include "static_files.h"
#include "tls.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define THREADS_MAX 64u
#define THREADS_BY_ITSELF_MAX 16u

static unsigned choose_threads(unsigned asked)
{
    if (asked > 0)
        return asked < THREADS_MAX ? asked : THREADS_MAX;
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    if (count < 1)
        return 1;
    return (unsigned)count < THREADS_BY_ITSELF_MAX ? (unsigned)count : THREADS_BY_ITSELF_MAX;
}

static void hear_lws(int level, const char *line)
{
    enum log_level ours = level & (LLL_ERR | LLL_WARN) ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
    log_write(ours, "libwebsockets", "%.*s", (int)strcspn(line, "\n"), line);
}

static void close_sockets(const int *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(sockets[i]);
}

static enum err bind_ports(
    struct gateway *gateway, unsigned threads, int *ret_mqtt, int *ret_https, struct why *why)
{
    gateway->ports[LISTEN_MQTT] = gateway->options.mqtt_port;
    gateway->ports[LISTEN_HTTPS] = gateway->options.https_port;
    unsigned backlog = gateway->options.backlog == 0 ? SOMAXCONN : gateway->options.backlog;
    enum err err = listener_open(&gateway->address, &gateway->ports[LISTEN_MQTT], backlog,
        "--mqtt-port", threads, ret_mqtt, why);
    if (err != ERR_NONE)
        return err;
    err = listener_open(&gateway->address, &gateway->ports[LISTEN_HTTPS], backlog, "--https-port",
        threads, ret_https, why);
    if (err != ERR_NONE)
        close_sockets(ret_mqtt, threads);
    return err;
}

static enum err make_threads(
    struct gateway *gateway, unsigned threads, SSL_CTX *identity, struct why *why)
{
    int mqtt[THREADS_MAX], https[THREADS_MAX];
    enum err err = bind_ports(gateway, threads, mqtt, https, why);
    if (err != ERR_NONE)
        return err;
    for (unsigned i = 0; i < threads; i++) {
        int sockets[LISTEN_COUNT] = {[LISTEN_MQTT] = mqtt[i], [LISTEN_HTTPS] = https[i]};
        gateway->thread_count = i + 1;
        err = thread_init(&gateway->threads[i], gateway, &gateway->options, identity, sockets, why);
        if (err == ERR_NONE)
            continue;
        close_sockets(mqtt + i + 1, threads - i - 1);
        close_sockets(https + i + 1, threads - i - 1);
        return err;
    }
    return ERR_NONE;
}

static void free_identity(SSL_CTX **identity)
{
    SSL_CTX_free(*identity);
}

enum err gateway_open(
    const struct gateway_options *options, struct gateway **ret_gateway, struct why *why)
{
    unsigned threads = choose_threads(options->threads);
    signal(SIGPIPE, SIG_IGN);
    lws_set_log_level(LLL_ERR | LLL_WARN, hear_lws);

    AUTO(free_identity) SSL_CTX *identity = NULL;
    enum err err = tls_load(options->certificate_file, options->key_file, &identity, why);
    if (err != ERR_NONE)
        return err;
    struct gateway *gateway = mem_alloc(sizeof *gateway);
    if (gateway == NULL)
        return fail(ERR_MEMORY, why, "no memory for the gateway");
    gateway->options = *options;
    gateway->threads = mem_alloc(threads * sizeof *gateway->threads);
    err = gateway->threads == NULL ? fail(ERR_MEMORY, why, "no memory for the gateway") : ERR_NONE;
    if (err == ERR_NONE)
        err = listen_address_parse(options->listen, &gateway->address, why);
    if (err == ERR_NONE)
        err = static_files_open(
            options->portal_directory, options->hsts_seconds, &gateway->files, why);
    if (err == ERR_NONE)
        err = make_threads(gateway, threads, identity, why);
    if (err != ERR_NONE) {
        gateway_close(gateway);
        return err;
    }
    *ret_gateway = gateway;
    return ERR_NONE;
}

unsigned gateway_mqtt_port(const struct gateway *gateway)
{
    return gateway->ports[LISTEN_MQTT];
}

unsigned gateway_https_port(const struct gateway *gateway)
{
    return gateway->ports[LISTEN_HTTPS];
}

const char *gateway_address(const struct gateway *gateway)
{
    return gateway->address.text;
}

unsigned gateway_connections(const struct gateway *gateway)
{
    return atomic_load(&gateway->connections);
}

enum err gateway_start(struct gateway *gateway, struct service *service, struct why *why)
{
    enum err err = ERR_NONE;
    for (size_t i = 0; i < gateway->thread_count && err == ERR_NONE; i++) {
        gateway->threads[i].service = service;
        err = thread_start(&gateway->threads[i], why);
    }
    return err;
}

/* ---- another certificate --------------------------------------------------------------------- */

struct renewal {
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t left; /* threads that did not take it yet */
    SSL_CTX *identity;
};

struct renewal_mail {
    struct mail mail;
    struct renewal *renewal;
};

static void on_renewal(struct gateway_thread *thread, struct mail *mail)
{
    struct renewal *renewal = lws_container_of(mail, struct renewal_mail, mail)->renewal;
    thread_use_identity(thread, renewal->identity);
    pthread_mutex_lock(&renewal->lock);
    if (--renewal->left == 0)
        pthread_cond_signal(&renewal->done);
    pthread_mutex_unlock(&renewal->lock);
}

static void tell_threads(struct gateway *gateway, struct renewal *renewal)
{
    struct renewal_mail mails[THREADS_MAX];
    must(gateway->thread_count <= THREADS_MAX);
    renewal->left = gateway->thread_count;
    for (size_t i = 0; i < gateway->thread_count; i++) {
        mails[i] = (struct renewal_mail){.mail = {.deliver = on_renewal}, .renewal = renewal};
        if (gateway->threads[i].started)
            thread_post(&gateway->threads[i], &mails[i].mail);
        else
            on_renewal(&gateway->threads[i], &mails[i].mail);
    }
    pthread_mutex_lock(&renewal->lock);
    while (renewal->left > 0)
        pthread_cond_wait(&renewal->done, &renewal->lock);
    pthread_mutex_unlock(&renewal->lock);
}

enum err gateway_reload_certificate(struct gateway *gateway, struct why *why)
{
    struct renewal renewal = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    AUTO(free_identity) SSL_CTX *identity = NULL;
    enum err err =
        tls_load(gateway->options.certificate_file, gateway->options.key_file, &identity, why);
    if (err != ERR_NONE)
        return err;
    renewal.identity = identity;
    tell_threads(gateway, &renewal);
    return ERR_NONE;
}

/* ---- the end --------------------------------------------------------------------------------- */

void gateway_drain(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->thread_count; i++)
        if (gateway->threads[i].started)
            thread_post(&gateway->threads[i], &gateway->threads[i].drain_mail);
}

bool gateway_is_drained(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->thread_count; i++)
        if (gateway->threads[i].started && !atomic_load(&gateway->threads[i].drained))
            return false;
    return true;
}

void gateway_abort(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->thread_count; i++)
        if (gateway->threads[i].started)
            thread_post(&gateway->threads[i], &gateway->threads[i].abort_mail);
}

void gateway_close(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    for (size_t i = 0; i < gateway->thread_count; i++)
        thread_done(&gateway->threads[i]);
    static_files_close(gateway->files);
    mem_free(gateway->threads);
    mem_free(gateway);
}
