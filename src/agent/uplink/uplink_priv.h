/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GEMEL_UPLINK_PRIV_H
#define GEMEL_UPLINK_PRIV_H

#include "uplink.h"

/* Puts the setting's default where an option is 0. */
void uplink_use_defaults(struct uplink_options *options);

#endif
