/* SPDX-License-Identifier: Apache-2.0 */
/* Words about a row, for sentences and for the reference page alike. */
#ifndef GEMEL_DESCRIBE_PRIV_H
#define GEMEL_DESCRIBE_PRIV_H

#include "buf.h"
#include "settings.h"

/* Writes what values a setting may have: "integers from 1 to 65536". */
void describe_allowed(const struct setting *row, struct buf *out);

/* Writes the default as JSON. */
void describe_default(const struct setting *row, struct buf *out);

/*
 * Returns the setting whose name or alias is nearest to an unknown name, NULL if none is near. Case
 * and blanks do not count. Local settings are looked at only when `local` is true.
 */
const struct setting *describe_nearest(struct span name, bool local);

#define SHOWN_SIZE 64

/* Writes a text as it may be shown to a person: cut, and without control characters. */
void describe_text(struct span text, char ret_shown[SHOWN_SIZE]);

#endif
