/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gemel-agent check` and `gemel-agent schema`: judging a desired document without an agent, a hub
 * or root, as the agent itself would judge it on a device without conf.json.
 */
#ifndef GEMEL_CHECK_H
#define GEMEL_CHECK_H

#include "buf.h"

/* What the program ends with. */
enum check_exit { CHECK_APPLIED = 0, CHECK_REFUSED = 1, CHECK_UNREADABLE = 2 };

/* A larger file is no desired document: a twin's section has 32 KB. */
#define CHECK_BYTES_MAX (1u << 20)

/*
 * Judges a text; `name` is what sentences call it. What is found goes to `out`, as text or as JSON
 * {"latest_state","latest_invalid_fields","latest_errors","effective"}, where "effective" is what
 * is in force afterwards: the defaults if the document is refused. Why it cannot be judged (no
 * JSON, no object: with line and column) goes to `err_out`.
 */
enum check_exit check_text(
    const char *name, struct span text, bool json_output, struct buf *out, struct buf *err_out);

/* Judges a file ("-": standard input) and prints; returns the exit status. */
int agent_check(const char *file, bool json_output);

/* Prints the settings as JSON Schema; returns the exit status. */
int agent_schema(void);

#endif
