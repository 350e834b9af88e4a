/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

static enum err read_certificate(
    struct query *query, struct arena *arena, struct ca_certificate *ret_certificate)
{
    struct ca_certificate certificate = {0};
    if (!query_copy(query, arena, &certificate.name) ||
        !query_copy(query, arena, &certificate.certificate))
        return ERR_MEMORY;
    certificate.etag = (uint64_t)query_int(query);
    certificate.created_us = query_int(query);
    certificate.updated_us = query_int(query);
    *ret_certificate = certificate;
    return ERR_NONE;
}

enum err sqlite_ca_get(struct store_txn *txn, struct arena *arena, int64_t hub_id, struct span name,
    struct ca_certificate *ret_certificate)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CA_GET);
    query_put_int(&query, hub_id);
    query_put_text(&query, name);
    enum err err = query_row(&query);
    return err == ERR_NONE ? read_certificate(&query, arena, ret_certificate) : err;
}

static enum err count_rows(struct store_txn *txn, int64_t hub_id, size_t *ret_count)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CA_COUNT);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err == ERR_NONE)
        *ret_count = (size_t)query_int(&query);
    return err;
}

enum err sqlite_ca_list(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct ca_certificate **ret_certificates, size_t *ret_count)
{
    size_t room = 0;
    size_t count = 0;
    enum err err = count_rows(txn, hub_id, &room);
    if (err != ERR_NONE)
        return err;
    struct ca_certificate *certificates = arena_alloc(arena, room * sizeof(*certificates));
    if (certificates == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_CA_LIST);
    query_put_int(&query, hub_id);
    while ((err = query_row(&query)) == ERR_NONE && count < room) {
        err = read_certificate(&query, arena, &certificates[count++]);
        if (err != ERR_NONE)
            return err;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_certificates = certificates;
    *ret_count = count;
    return ERR_NONE;
}

enum err sqlite_ca_put(
    struct store_txn *txn, int64_t hub_id, const struct ca_certificate *certificate)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CA_PUT);
    query_put_int(&query, hub_id);
    query_put_text(&query, certificate->name);
    query_put_bytes(&query, certificate->certificate);
    query_put_int(&query, (int64_t)certificate->etag);
    query_put_int(&query, certificate->created_us);
    query_put_int(&query, certificate->updated_us);
    return query_change(&query, NULL);
}

enum err sqlite_ca_delete(struct store_txn *txn, int64_t hub_id, struct span name)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_CA_DELETE);
    query_put_int(&query, hub_id);
    query_put_text(&query, name);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}
