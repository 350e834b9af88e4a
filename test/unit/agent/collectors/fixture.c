/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "schema_check.h"

#include <setjmp.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct fixture *fixture_new(const struct collector *collector)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    settings_init(&f->settings);
    f->table[0] = collector;
    return f;
}

static int remove_one(
    const char *path, const struct stat *stat UNUSED, int flag UNUSED, struct FTW *at UNUSED)
{
    return remove(path);
}

void fixture_free(struct fixture *f)
{
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    if (f->dir[0] != '\0')
        nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    test_free(f);
}

void fixture_make_directory(struct fixture *f, const char *name)
{
    snprintf(f->dir, sizeof(f->dir), "/tmp/gemel-%s-XXXXXX", name);
    assert_non_null(mkdtemp(f->dir));
}

void fixture_open(struct fixture *f)
{
    collectors_free(f->collectors);
    f->collectors = NULL;
    assert_int_equal(
        collectors_new_of(&f->harness.options, f->table, 1, &f->collectors, NULL), ERR_NONE);
}

enum err fixture_try_apply(struct fixture *f, const char **ret_field, struct why *why)
{
    return collectors_apply(f->collectors, &f->settings, ret_field, why);
}

void fixture_apply(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    if (fixture_try_apply(f, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

void fixture_set_text(struct fixture *f, enum setting_id id, const char *text)
{
    mem_free(f->settings.values[id].text);
    f->settings.values[id].text = mem_text(span_of(text));
}

int64_t fixture_counter(struct fixture *f, const char *name)
{
    return harness_counter(&f->harness, f->collectors, f->table[0]->name, name);
}

void fixture_check_schema(struct fixture *f, const char *schema_dir, size_t most)
{
    struct why why = {""};
    for (size_t i = 0; i < f->harness.count && i < most; i++)
        if (!schema_check(schema_dir, "message.schema.json", f->harness.messages[i], &why))
            fail_msg("%s", why.text);
}
