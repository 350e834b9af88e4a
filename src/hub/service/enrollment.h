/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may become a device: an individual enrollment is for one registration id, a group's for all
 * that prove to belong to it. The stored document is the one of the service API (2021-10-01), with
 * keys and certificates, and with one member that is ours:
 *
 *   "modules": {"DefenderIotMicroAgent": {"tags": …, "properties": {"desired": …}}}
 *
 * the modules that the device is to have, each with its first twin, which may be empty.
 */
#ifndef GEMEL_SERVICE_ENROLLMENT_H
#define GEMEL_SERVICE_ENROLLMENT_H

#include "service_priv.h"

/*
 * Makes the document to store from a request's body and, where there was one before, from that: its
 * keys and certificates stay where the body names none. Twins in it are tried. ERR_ARGUMENT with
 * the member, ERR_TOO_LARGE and others of twins, ERR_MEMORY.
 */
enum err enrollment_make(struct rest *rest, enum enrollment_kind kind, const struct json *body,
    const struct json *before, struct json **ret_document) MUST_USE;

/* Adds what the service API tells of it, without closing the object. */
void enrollment_write(struct arena *arena, const struct enrollment *enrollment,
    const struct json *document, bool with_keys, struct buf *out);

/* {"type":…,…} with keys. */
void enrollment_write_attestation(
    struct arena *arena, const struct json *document, bool with_keys, struct buf *out);

/* An id as it is compared: in lower case. Empty without memory. */
struct span enrollment_id(struct arena *arena, struct span id);

/* What a device showed, and what it amounts to. */
struct enrollee {
    struct span registration_id; /* as sent */
    struct sas sas;
    bool by_token;
    struct span certificates;        /* see connect_call */
    struct certificate *certificate; /* NULL: none was shown */
    /* out */
    const struct json *document;
    struct span group_id;    /* in lower case; empty: an individual enrollment */
    struct span primary_key; /* of the device, where tokens prove it */
    struct span secondary_key;
};

/* Finds the enrollment that lets it in. ERR_FORBIDDEN, also for one that is disabled; ERR_MEMORY.
 */
enum err enrollee_judge(struct rest *rest, struct enrollee *enrollee) MUST_USE;

/* ---- enrollments.c: one of them, for single and bulk operations -------------------------------
 */

struct enrollment_change {
    struct span id;
    const struct json *body;
    const struct match *match;
    bool must_exist;
    bool must_be_new;
};

/* What the path of the operation is about. */
enum enrollment_kind enrollments_kind(const struct rest *rest);

/* Makes or changes one. They check before they write. */
enum err enrollments_store(struct rest *rest, const struct enrollment_change *change,
    struct enrollment *ret_row, struct json **ret_document) MUST_USE;
enum err enrollments_remove(struct rest *rest, struct span id, const struct match *match) MUST_USE;

/* ERR_NOT_FOUND becomes what a client is told; any other error stays. */
enum err enrollments_not_found(struct rest *rest, struct span id, enum err err) MUST_USE;

#endif
