/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patches (RFC 7386) on the agent's copies of desired and reported. */
#ifndef GEMEL_MERGE_PRIV_H
#define GEMEL_MERGE_PRIV_H

#include "json.h"

/* Merges a patch into an object: objects member by member, null removes, all else replaces. False:
 * no memory, and `target` is half merged. */
bool config_merge(struct arena *arena, struct json *target, const struct json *patch) MUST_USE;

#endif
