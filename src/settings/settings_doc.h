/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people and forms read about the settings, written from the table alone. A writer's failure
 * (no memory, the buffer's limit) shows in the buffer.
 */
#ifndef GEMEL_SETTINGS_DOC_H
#define GEMEL_SETTINGS_DOC_H

#include "buf.h"

/*
 * Writes the JSON Schema (draft 2020-12) of a desired document. "x-group" of a property names its
 * part, "x-groups" lists the parts in the order of a form, "x-unit" is the unit, "x-labels" says
 * what the numbers of a choice mean.
 */
void settings_write_schema(struct buf *out);

/* Writes the reference page in Markdown: every setting, also those of conf.json. */
void settings_write_reference(struct buf *out);

#endif
