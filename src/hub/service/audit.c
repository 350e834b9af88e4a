/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: an entry for each change that somebody made, in the transaction of the change, so
 * that there is never one without the other; and for each attempt of somebody who is known that was
 * refused. Keys and passwords are never in it.
 */
#include "service_priv.h"

#include "log.h"

#include <stdio.h>

#define TEXT_MAX_BYTES 512
#define PRUNE_ITEMS 2000

static enum err join_arguments(struct rest *rest, struct span *ret_target)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    for (size_t i = 0; i < REST_MAX_ARGUMENTS && rest->arguments[i].len > 0; i++) {
        buf_add_text(&text, i == 0 ? "" : "/");
        buf_add(&text, rest->arguments[i]);
    }
    if (text.failed || !arena_span(rest->arena, buf_span(&text), ret_target))
        return ERR_MEMORY;
    return ERR_NONE;
}

static struct audit_entry entry_of(const struct rest *rest)
{
    const struct audit_note *note = &rest->audit;
    return (struct audit_entry){
        .time_us = now_us(rest->service),
        .user = rest->caller.user,
        .origin = rest->caller.origin,
        .address = rest->caller.address,
        .hub = note->hub.len > 0 ? note->hub : rest->hub_name,
        .action = span_of(note->action != NULL ? note->action : rest->operation->action),
        .target = note->target,
        .outcome = SPAN_LIT("done"),
        .detail = note->detail.len > 0 ? note->detail : SPAN_LIT("{}"),
    };
}

enum err audit_write(struct rest *rest)
{
    struct audit_entry entry = entry_of(rest);
    enum err err = ERR_NONE;
    if (entry.target.len == 0)
        err = join_arguments(rest, &entry.target);
    return err == ERR_NONE ? store_audit_append(rest->txn, &entry) : err;
}

enum err audit_prune(const struct service *service, struct store_txn *txn, bool *more)
{
    size_t dropped = 0;
    const struct access_limits *limits = &service->options.limits.access;
    int64_t before = now_us(service) - (int64_t)limits->audit_retention_days * 86400000000;
    enum err err = store_audit_prune(txn, before, limits->audit_entries, PRUNE_ITEMS, &dropped);
    *more = *more || dropped >= PRUNE_ITEMS;
    return err;
}

/* ---- what was refused ------------------------------------------------------------------------ */

struct refused_job {
    struct store_job job;
    struct service *service;
    struct arena arena;
    struct audit_entry entry;
};

static enum err run_refused(struct store_job *job, struct store_txn *txn)
{
    return store_audit_append(txn, &((struct refused_job *)job)->entry);
}

static void free_refused(struct refused_job *refused)
{
    arena_done(&refused->arena);
    mem_free(refused);
}

static void refused_done(struct store_job *job, enum err err)
{
    struct refused_job *refused = (struct refused_job *)job;
    struct service *service = refused->service;
    if (err != ERR_NONE)
        log_warn("service", "the audit log cannot be written: %s", why_text(&job->why, err));
    free_refused(refused);
    own_job_end(service);
}

/* A stranger's texts are kept as far as they can be of use. */
static bool copy_entry(struct refused_job *refused)
{
    struct audit_entry *entry = &refused->entry;
    struct span *const texts[] = {&entry->user, &entry->origin, &entry->address, &entry->hub,
        &entry->action, &entry->target, &entry->outcome, &entry->detail};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t len = texts[i]->len < TEXT_MAX_BYTES ? texts[i]->len : TEXT_MAX_BYTES;
        /* Never in the middle of a character: behind it must not stand the rest of one. */
        while (len < texts[i]->len && len > 0 && ((unsigned char)texts[i]->ptr[len] & 0xC0) == 0x80)
            len--;
        if (!arena_span(&refused->arena, span_first(*texts[i], len), texts[i]))
            return false;
    }
    return true;
}

void audit_refused(struct rest *rest, const struct why *why)
{
    struct service *service = rest->service;
    struct refused_job *refused = mem_alloc(sizeof(*refused));
    const struct access_password *password = rest->access->password;
    AUTO(buf_done) struct buf detail = BUF_EMPTY;
    if (refused == NULL)
        return;
    refused->service = service;
    refused->job.run = run_refused;
    refused->job.done = refused_done;
    refused->entry = entry_of(rest);
    /* Whoever is no user may have typed his password there. */
    if (refused->entry.user.len == 0 && password != NULL && password->hash != NULL)
        refused->entry.user = password->user;
    if (rest->operation->action[0] == '\0') {
        refused->entry.action = SPAN_LIT("read");
        refused->entry.target = rest->call->path;
    }
    refused->entry.outcome = SPAN_LIT("refused");
    buf_add_text(&detail, "{\"reason\":");
    json_write_string(span_of(why == NULL ? "" : why->text), &detail);
    buf_add_byte(&detail, '}');
    refused->entry.detail = buf_span(&detail);
    if (refused->entry.target.len == 0 && join_arguments(rest, &refused->entry.target) != ERR_NONE)
        refused->entry.target = SPAN_NONE;
    if (detail.failed || !copy_entry(refused)) {
        free_refused(refused);
        return;
    }
    own_job_begin(service);
    store_submit(service->options.store, STORE_WRITE, &refused->job);
}
