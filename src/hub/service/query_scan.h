/* SPDX-License-Identifier: Apache-2.0 */
/* What a query asks of the store's indexes. */
#ifndef GEMEL_QUERY_SCAN_H
#define GEMEL_QUERY_SCAN_H

#include "query.h"
#include "store_scan.h"

/* The scan for a query, from the first twin on: its term lies in the arena. False: no memory. */
bool query_scan_of(
    struct arena *arena, const struct query *query, struct twin_scan *ret_scan) MUST_USE;

/*
 * Counts the groups of a query that has a facet. `*ret_others`, in the arena: those that no facet
 * says the value of, to be looked at one by one; NULL: none.
 */
enum err query_scan_facets(struct store_txn *txn, int64_t hub_id, struct arena *arena,
    const struct query *query, struct query_groups *groups, const struct scan_term **ret_others,
    struct why *why) MUST_USE;

#endif
