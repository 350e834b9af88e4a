/* SPDX-License-Identifier: Apache-2.0 */
/* A twin with its identity, as the query language asks for it. */
#ifndef GEMEL_QUERY_DOCUMENT_H
#define GEMEL_QUERY_DOCUMENT_H

#include "query.h"
#include "store.h"

struct query_document {
    struct query_source source;
    const struct identity *identity;
    const struct twin_doc *twin; /* NULL where the query does not use it */
};

/* Borrows both. */
struct query_document query_document_of(
    const struct identity *identity, const struct twin_doc *twin);

#endif
