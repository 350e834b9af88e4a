/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What those ask who watch the server: does it live, may clients be sent to it, what does it count.
 *
 * It is not ready while it is about to stop, and from a write that the disk did not take until one
 * that it did: without clients none would come, so the server then tries one itself now and then.
 */
#include "service_priv.h"

#include "log.h"
#include "metrics.h"

#include <openssl/crypto.h>

#define PROBE_EVERY_US 5000000

static const struct span plain_type = SPAN_INIT("text/plain; charset=utf-8");

void service_begin_leaving(struct service *service)
{
    service->leaving = true;
}

bool service_is_ready(struct service *service, const char **ret_reason)
{
    *ret_reason = "ready";
    if (service->leaving)
        *ret_reason = "stopping";
    else if (!store_can_write(service->options.store))
        *ret_reason = "the store cannot write";
    else
        return true;
    return false;
}

void service_write_metrics(struct buf *out)
{
    metrics_write(out);
    metrics_write_process(GEMEL_VERSION, out);
}

/* ---- the operations -------------------------------------------------------------------------- */

static enum err respond_text(struct rest *rest, int status, struct span text, struct span type)
{
    enum err err = respond_empty(rest, status);
    rest->call->content_type_out = type;
    rest->call->body_out = text;
    return err;
}

enum err health_live(struct rest *rest)
{
    return respond_text(rest, 200, SPAN_LIT("alive\n"), plain_type);
}

enum err health_ready(struct rest *rest)
{
    const char *reason;
    bool ready = service_is_ready(rest->service, &reason);
    char *text = arena_format(rest->arena, "%s\n", reason);
    return text == NULL ? ERR_MEMORY
                        : respond_text(rest, ready ? 200 : 503, span_of(text), plain_type);
}

enum err health_metrics(struct rest *rest)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct span copy;
    service_write_metrics(&text);
    if (text.failed || !arena_span(rest->arena, buf_span(&text), &copy))
        return ERR_MEMORY;
    return respond_text(rest, 200, copy, SPAN_LIT("text/plain; version=0.0.4; charset=utf-8"));
}

bool health_knows_token(const struct rest *rest)
{
    static const struct span scheme = SPAN_INIT("Bearer ");
    struct span expected = rest->service->options.metrics_token;
    struct span shown = rest->call->authorization;
    if (expected.len == 0 || !span_eq_nocase(span_first(shown, scheme.len), scheme))
        return false;
    shown = span_trim(span_from(shown, scheme.len));
    return shown.len == expected.len && CRYPTO_memcmp(shown.ptr, expected.ptr, shown.len) == 0;
}

/* ---- counting -------------------------------------------------------------------------------- */

void health_count(struct rest *rest)
{
    const struct operation *operation = rest->operation;
    if (rest->counted)
        return;
    rest->counted = true;
    int64_t us = clock_mono_us(rest->service->options.clock) - rest->began_us;
    bool waits = operation != NULL && operation->access == ACCESS_PARK;
    size_t row = operation == NULL ? rest_operation_count : (size_t)(operation - rest_operations);
    metrics_rest((unsigned)row, rest->call->status, waits ? -1 : us);
}

/* ---- can the store write again? -------------------------------------------------------------- */

struct probe_job {
    struct store_job job;
    struct service *service;
};

static enum err run_probe(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    return store_probe(txn);
}

static void probe_done(struct store_job *job, enum err result)
{
    struct probe_job *probe = (struct probe_job *)job;
    struct service *service = probe->service;
    if (result == ERR_NONE)
        log_info("service", "the store can write again");
    pthread_mutex_lock(&service->lock);
    service->probing = false;
    pthread_mutex_unlock(&service->lock);
    mem_free(probe);
    own_job_end(service);
}

void health_probe(struct service *service)
{
    if (store_can_write(service->options.store))
        return;
    int64_t now = clock_mono_us(service->options.clock);
    pthread_mutex_lock(&service->lock);
    bool due = !service->probing && !service->draining && now >= service->probe_mono_us;
    struct probe_job *probe = due ? mem_alloc(sizeof(*probe)) : NULL;
    if (probe != NULL) {
        service->probing = true;
        service->probe_mono_us = now + PROBE_EVERY_US;
    }
    pthread_mutex_unlock(&service->lock);
    if (probe == NULL)
        return;
    probe->service = service;
    probe->job.run = run_probe;
    probe->job.done = probe_done;
    own_job_begin(service);
    store_submit(service->options.store, STORE_WRITE, &probe->job);
}
