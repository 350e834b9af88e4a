/* SPDX-License-Identifier: Apache-2.0 */
/* Direct methods that are under way, inside of the service. */
#ifndef GEMEL_SERVICE_METHODS_H
#define GEMEL_SERVICE_METHODS_H

#include "service_priv.h"

#include <stdatomic.h>

struct method_table *method_table_new(const struct clock *clock); /* NULL: no memory */
void method_table_free(struct method_table *table);               /* NULL is fine */

/* The client of an identity takes methods from now on: hands over what waits for it. */
void methods_wake(struct service *service, const struct session_identity *who);

/* Answers what waited long enough (or everything). */
void methods_release(struct service *service, bool all);

/* The identity was deleted; with an empty module id the device and all its modules. */
void methods_forget(
    struct service *service, int64_t hub_id, struct span device_id, struct span module_id);

#endif
