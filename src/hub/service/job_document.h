/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduled jobs as documents: what a client asks for, what the store keeps of it, what is shown.
 *
 *   body ----job_plan_read----> plan            checked before anything is stored
 *     |                           ^
 *     +--job_document_write--> document         of the store: read again when the job begins
 */
#ifndef GEMEL_JOB_DOCUMENT_H
#define GEMEL_JOB_DOCUMENT_H

#include "methods.h"
#include "query.h"
#include "store_scheduled.h"

/* What a job does, and to whom. */
struct job_plan {
    struct query *condition;
    const struct json *update; /* of a twin: a body as for PATCH /twins/{} */
    struct match match;        /* the etag that a twin must have */
    struct method_call method; /* its name, payload and times */
};

/* Reads it from a body or a document, into the arena; `json` must live as long. ERR_ARGUMENT with
 * the member that is wrong, ERR_TOO_LARGE. */
enum err job_plan_read(const struct service *service, struct arena *arena, enum scheduled_kind kind,
    const struct json *json, struct job_plan *ret_plan, struct why *why) MUST_USE;

/* What the store keeps of a body that job_plan_read() has read. */
enum err job_document_write(struct arena *arena, enum scheduled_kind kind, const struct json *body,
    struct span *ret_document) MUST_USE;

/* Finds the words that clients use; those of IoT Hub that no job of ours has give -1. False: there
 * is no such word. */
bool job_kind_find(struct span word, int *ret_kind);
bool job_status_find(struct span word, int *ret_status);
const char *job_kind_name(enum scheduled_kind kind);
/* Their lists, for sentences. */
const char *job_kind_words(void);
const char *job_status_words(void);

/* Writes the JobResponse of a job. ERR_MEMORY, ERR_CORRUPT. */
enum err job_write(const struct scheduled_job *job, struct buf *out) MUST_USE;

/* Writes a row of devices.jobs. */
void device_job_write(const struct device_job *job, struct buf *out);

/* The same as a document of the query language. */
struct device_job_document {
    struct query_source source;
    const struct device_job *job;
};

struct device_job_document device_job_document_of(const struct device_job *job);

/* Writes {"code":…,"description":…}. */
void device_job_write_error(enum err err, const struct why *why, struct buf *out);

#endif
