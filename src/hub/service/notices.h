/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that the hub itself makes; see notices.c. Each function does nothing where events of its
 * class are switched off. Who appends one tells the bus after the commit; of REST calls an effect
 * does.
 */
#ifndef GEMEL_HUB_NOTICES_H
#define GEMEL_HUB_NOTICES_H

#include "service_priv.h"

enum notice_kind {
    NOTICE_CREATED,
    NOTICE_DELETED,
    NOTICE_TWIN_UPDATED,
    NOTICE_TWIN_REPLACED,
    NOTICE_CONNECTED,
    NOTICE_DISCONNECTED,
}; /* the numbers stand in the database */

struct notice {
    enum notice_kind kind;
    struct span device_id;
    struct span module_id;
    struct span body; /* JSON text */
};

bool notice_is_wanted(const struct service *service, enum notice_kind kind);
enum err notice_append(struct service *service, struct store_txn *txn, int64_t hub_id,
    const struct notice *notice) MUST_USE;

/* Puts the properties of an event of the log together, if it is one of these and they are not
 * there. ERR_CORRUPT, ERR_MEMORY. */
enum err notice_complete(struct arena *arena, struct span hub_name, struct event *event) MUST_USE;

/* An identity came; or it goes, with its modules (to be called before it does). */
enum err notice_lifecycle(struct rest *rest, enum notice_kind kind, const struct identity *identity,
    const struct twin_doc *twin) MUST_USE;
enum err notice_deletion(struct rest *rest, const struct identity *identity) MUST_USE;

/* A twin changed: by what body, and to what. */
struct twin_notice {
    struct span device_id;
    struct span module_id;
    enum twin_change_kind kind;
    const struct json *body;
    const struct twin_change *change;
};
enum err notice_twin(struct service *service, struct store_txn *txn, int64_t hub_id,
    const struct twin_notice *change) MUST_USE;
enum err notice_twin_of(struct rest *rest, const struct twin_notice *change) MUST_USE;

/* A client came or went. */
enum err notice_connection(struct service *service, struct store_txn *txn, int64_t hub_id,
    struct span device_id, struct span module_id, uint64_t session, bool connected) MUST_USE;

#endif
