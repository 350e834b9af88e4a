/* SPDX-License-Identifier: Apache-2.0 */
/* What most tests of one collector begin with: it alone, before the harness, with settings. */
#ifndef GEMEL_TEST_COLLECTORS_FIXTURE_H
#define GEMEL_TEST_COLLECTORS_FIXTURE_H

#include "harness.h"

struct fixture {
    struct harness harness;
    struct settings settings;
    const struct collector *table[1];
    struct collectors *collectors; /* NULL: not yet, or not any more */
    char dir[64];                  /* empty: fixture_make_directory() was not called */
};

/* Makes one, with the defaults; fixture_free() also removes the directory and all in it. */
struct fixture *fixture_new(const struct collector *collector);
void fixture_free(struct fixture *f);

/* Makes a directory below /tmp. */
void fixture_make_directory(struct fixture *f, const char *name);

/* Makes the collector, in place of the one there is, with the harness's options. */
void fixture_open(struct fixture *f);

enum err fixture_try_apply(struct fixture *f, const char **ret_field, struct why *why);
void fixture_apply(struct fixture *f);

/* Changes a setting, and does not put it in force. */
void fixture_set_text(struct fixture *f, enum setting_id id, const char *text);

int64_t fixture_counter(struct fixture *f, const char *name);

/* Checks up to `most` of the messages that came, with the schemas of a folder. */
void fixture_check_schema(struct fixture *f, const char *schema_dir, size_t most);

#endif
