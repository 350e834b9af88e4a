/* SPDX-License-Identifier: Apache-2.0 */
/* One arena for the length of each test: open_arena() and close_arena() are set-up and tear-down.
 */
#ifndef GEMEL_TEST_IN_ARENA_H
#define GEMEL_TEST_IN_ARENA_H

#include "json.h"

#include <setjmp.h>

#include <cmocka.h>

static struct arena arena;

static int open_arena(void **state UNUSED)
{
    arena_init(&arena, 0);
    return 0;
}

static int close_arena(void **state UNUSED)
{
    mem_fail_after(-1);
    arena_done(&arena);
    return 0;
}

/* Reads a JSON text; fails the test if it is none. */
static inline struct json *json_of(const char *text)
{
    struct json *value = NULL;
    struct why why = {""};
    if (json_parse(&arena, span_of(text), 0, &value, &why) != ERR_NONE)
        fail_msg("%s: %s", text, why.text);
    return value;
}

#endif
