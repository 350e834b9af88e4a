/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and building trees share. */
#ifndef GEMEL_JSON_PRIV_H
#define GEMEL_JSON_PRIV_H

#include "json.h"

/* Puts a child, which is in no container, at the end. */
static inline void json_link(struct json *container, struct json *child)
{
    if (container->last == NULL)
        container->first = child;
    else
        container->last->next = child;
    container->last = child;
    container->count++;
}

#endif
