/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of hubs and identities, and the shared access policies that every hub begins with,
 * whoever makes it: init the first one, an administrator each further one.
 */
#ifndef GEMEL_HUB_POLICIES_H
#define GEMEL_HUB_POLICIES_H

#include "store.h"

/* Makes a symmetric key: 32 random bytes in base64, in the arena, to be wiped by the caller. The
 * empty span without memory or randomness. */
struct span policies_new_key(struct arena *arena);

/* Gives a hub the policies of the start, each with two fresh keys, iothubowner first. ERR_MEMORY,
 * also without randomness. */
enum err policies_make(struct arena *arena, struct hub_record *hub) MUST_USE;

#endif
