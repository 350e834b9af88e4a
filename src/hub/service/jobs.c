/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs have a path of their own, so that a client hears that they are not offered, and
 * not that it has the wrong address. */
#include "service_priv.h"

enum err jobs_refuse(struct rest *rest)
{
    return fail(ERR_NOT_OFFERED, rest->why,
        "scheduled jobs are not offered: configurations change many twins, and a method is invoked "
        "on "
        "each device");
}
