/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one value as its row asks, and writing it back: the only code that knows the kinds. */
#ifndef GEMEL_VALUE_PRIV_H
#define GEMEL_VALUE_PRIV_H

#include "json.h"
#include "settings.h"

/*
 * Reads a JSON value that is not null. `*ret_value` owns its text. ERR_ARGUMENT: `problem` says
 * what is wrong with it, without name and without what is allowed. ERR_MEMORY.
 */
enum err value_read(const struct setting *row, const struct json *json,
    struct setting_value *ret_value, struct why *problem) MUST_USE;

/* Writes the value in force as JSON. NULL without memory. */
struct json *value_write(
    struct arena *arena, const struct settings *settings, enum setting_id id) MUST_USE;

#endif
