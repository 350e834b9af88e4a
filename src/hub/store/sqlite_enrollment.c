/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollments, and the devices that came by them. */
#include "sqlite_priv.h"

/* ---- enrollments ----------------------------------------------------------------------------- */

static struct query open_enrollment(
    struct store_txn *txn, enum sql sql, int64_t hub_id, enum enrollment_kind kind)
{
    struct query query = query_open(txn, sql);
    query_put_int(&query, hub_id);
    query_put_int(&query, kind);
    return query;
}

enum err sqlite_enrollment_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    enum enrollment_kind kind, struct span id, struct enrollment *ret_enrollment)
{
    AUTO(query_done)
    struct query query = open_enrollment(txn, SQL_ENROLLMENT_GET, hub_id, kind);
    struct enrollment enrollment = {.kind = kind};
    query_put_text(&query, id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    if (!query_copy(&query, arena, &enrollment.id) ||
        !query_copy(&query, arena, &enrollment.document))
        return ERR_MEMORY;
    enrollment.etag = (uint64_t)query_int(&query);
    enrollment.created_us = query_int(&query);
    enrollment.updated_us = query_int(&query);
    *ret_enrollment = enrollment;
    return ERR_NONE;
}

enum err sqlite_enrollment_put(
    struct store_txn *txn, int64_t hub_id, const struct enrollment *enrollment)
{
    AUTO(query_done)
    struct query query = open_enrollment(txn, SQL_ENROLLMENT_PUT, hub_id, enrollment->kind);
    query_put_text(&query, enrollment->id);
    query_put_text(&query, enrollment->document);
    query_put_int(&query, (int64_t)enrollment->etag);
    query_put_int(&query, enrollment->created_us);
    query_put_int(&query, enrollment->updated_us);
    return query_change(&query, NULL);
}

enum err sqlite_enrollment_delete(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, struct span id)
{
    AUTO(query_done)
    struct query query = open_enrollment(txn, SQL_ENROLLMENT_DELETE, hub_id, kind);
    query_put_text(&query, id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_enrollment_count(
    struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind, size_t *ret_count)
{
    AUTO(query_done)
    struct query query = open_enrollment(txn, SQL_ENROLLMENT_COUNT, hub_id, kind);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_count = (size_t)query_int(&query);
    return err;
}

enum err sqlite_enrollment_list(struct store_txn *txn, int64_t hub_id, enum enrollment_kind kind,
    struct span after, size_t limit, enrollment_visitor *visit, void *self)
{
    AUTO(query_done)
    struct query query = open_enrollment(txn, SQL_ENROLLMENT_LIST, hub_id, kind);
    query_put_text(&query, after);
    query_put_int(&query, (int64_t)limit);
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        struct enrollment enrollment = {.kind = kind};
        enrollment.id = query_span(&query);
        enrollment.document = query_span(&query);
        enrollment.etag = (uint64_t)query_int(&query);
        enrollment.created_us = query_int(&query);
        enrollment.updated_us = query_int(&query);
        err = visit(self, &enrollment);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* ---- registrations --------------------------------------------------------------------------- */

static struct registration read_registration(struct query *query)
{
    struct registration registration = {0};
    registration.id = query_span(query);
    registration.group_id = query_span(query);
    registration.device_id = query_span(query);
    registration.operation_id = query_span(query);
    registration.etag = (uint64_t)query_int(query);
    registration.created_us = query_int(query);
    registration.updated_us = query_int(query);
    return registration;
}

enum err sqlite_registration_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span id, struct registration *ret_registration)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_REGISTRATION_GET);
    query_put_int(&query, hub_id);
    query_put_text(&query, id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    struct registration found = read_registration(&query);
    if (!arena_span(arena, found.id, &found.id) ||
        !arena_span(arena, found.group_id, &found.group_id) ||
        !arena_span(arena, found.device_id, &found.device_id) ||
        !arena_span(arena, found.operation_id, &found.operation_id))
        return ERR_MEMORY;
    *ret_registration = found;
    return ERR_NONE;
}

enum err sqlite_registration_put(
    struct store_txn *txn, int64_t hub_id, const struct registration *registration)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_REGISTRATION_PUT);
    query_put_int(&query, hub_id);
    query_put_text(&query, registration->device_id);
    query_put_text(&query, registration->id);
    query_put_text(&query, registration->group_id);
    query_put_text(&query, registration->operation_id);
    query_put_int(&query, (int64_t)registration->etag);
    query_put_int(&query, registration->created_us);
    query_put_int(&query, registration->updated_us);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_registration_delete(struct store_txn *txn, int64_t hub_id, struct span id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_REGISTRATION_DELETE);
    query_put_int(&query, hub_id);
    query_put_text(&query, id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_registration_list(struct store_txn *txn, int64_t hub_id, struct span group_id,
    struct span after, size_t limit, registration_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_REGISTRATION_LIST);
    query_put_int(&query, hub_id);
    query_put_text(&query, group_id);
    query_put_text(&query, after);
    query_put_int(&query, (int64_t)limit);
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        struct registration registration = read_registration(&query);
        err = visit(self, &registration);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}
