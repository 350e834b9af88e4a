/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks JSON against a JSON Schema: the keywords that docs/reference/events uses, and no other; a
 * schema with another keyword is refused, so that nothing in it goes unchecked.
 */
#ifndef GEMEL_SCHEMA_CHECK_H
#define GEMEL_SCHEMA_CHECK_H

#include "json.h"

/* Checks a value against the schema DIR/FILE; false with a sentence that says where and why. */
bool schema_check(
    const char *dir, const char *file, const struct json *value, struct why *why) MUST_USE;

#endif
