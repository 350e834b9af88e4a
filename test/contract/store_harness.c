/* SPDX-License-Identifier: Apache-2.0 */
#include "store_harness.h"
#include "store_sqlite.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum err open_sqlite(const char *directory, unsigned group_jobs, uint64_t max_bytes,
    struct store **ret_store, struct why *why)
{
    struct sqlite_options options = sqlite_options_default;
    options.directory = directory;
    options.create = true;
    options.group_jobs = group_jobs;
    options.max_bytes = max_bytes;
    options.checkpoint_kib = 256; /* small, so that the tests meet it */
    return store_open_sqlite(&options, ret_store, why);
}

const struct store_backend store_backends[] = {
    {"sqlite", open_sqlite},
};
const size_t store_backend_count = COUNT_OF(store_backends);

void fixture_open(struct fixture *fixture, unsigned group_jobs, uint64_t max_bytes)
{
    struct why why = {0};
    enum err err =
        fixture->backend->open(fixture->directory, group_jobs, max_bytes, &fixture->store, &why);
    if (err != ERR_NONE)
        fail_msg("opening the store: %s", why_text(&why, err));
}

void fixture_close(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
}

int fixture_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->backend = *state;
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/gemel-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture_open(fixture, 64, 0);
    fixture->hub_id = add_hub(fixture, "h", "h.test");
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    mem_fail_after(-1);
    fixture_close(fixture);
    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

int run_for_every_backend(const char *group, const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < store_backend_count; i++) {
        struct CMUnitTest *with_backend = calloc(count, sizeof(*with_backend));
        assert_non_null(with_backend);
        for (size_t k = 0; k < count; k++) {
            with_backend[k] = tests[k];
            with_backend[k].setup_func = fixture_set_up;
            with_backend[k].teardown_func = fixture_tear_down;
            with_backend[k].initial_state = (void *)(uintptr_t)&store_backends[i];
        }
        failed += _cmocka_run_group_tests(group, with_backend, count, NULL, NULL);
        free(with_backend);
    }
    return failed;
}

static enum err run_body(struct store_job *job, struct store_txn *txn)
{
    struct test_job *test = (struct test_job *)job;
    return test->body(txn, test->argument);
}

struct test_job test_job_of(test_body *body, void *argument)
{
    return (struct test_job){.job = {.run = run_body}, .body = body, .argument = argument};
}

enum err in_write(struct fixture *fixture, test_body *body, void *argument)
{
    struct test_job job = test_job_of(body, argument);
    return store_run(fixture->store, STORE_WRITE, &job.job);
}

enum err in_read(struct fixture *fixture, test_body *body, void *argument)
{
    struct test_job job = test_job_of(body, argument);
    return store_run(fixture->store, STORE_READ, &job.job);
}

/* ---- shortcuts ------------------------------------------------------------------------------- */

struct hub_argument {
    struct hub_record hub;
    int64_t id;
};

static enum err put_hub(struct store_txn *txn, void *argument)
{
    struct hub_argument *wanted = argument;
    return store_hub_put(txn, &wanted->hub, &wanted->id);
}

int64_t add_hub(struct fixture *fixture, const char *name, const char *host_name)
{
    struct span names[] = {span_of(host_name)};
    struct policy policies[] = {{.name = SPAN_LIT("iothubowner"),
        .primary_key = SPAN_LIT("cHJpbWFyeQ=="),
        .secondary_key = SPAN_LIT("c2Vjb25kYXJ5"),
        .rights = 15}};
    struct hub_argument argument = {.hub = {.name = span_of(name),
                                        .created_us = 17,
                                        .host_names = names,
                                        .host_name_count = 1,
                                        .policies = policies,
                                        .policy_count = 1}};
    assert_int_equal(in_write(fixture, put_hub, &argument), ERR_NONE);
    return argument.id;
}

struct identity identity_named(const char *device_id, const char *module_id)
{
    return (struct identity){
        .device_id = span_of(device_id),
        .module_id = span_of(module_id),
        .generation = 638000000000000001,
        .etag = 7,
        .enabled = true,
        .status_reason = SPAN_LIT("weil \xC3\xA4"),
        .status_updated_us = 1700000000000000,
        .connection_updated_us = INT64_MIN,
        .last_activity_us = INT64_MIN,
        .auth = AUTH_SAS,
        .primary_key = SPAN_LIT("a2V5MQ=="),
        .secondary_key = SPAN_LIT("a2V5Mg=="),
    };
}

struct twin_doc twin_of_version(int64_t version)
{
    return (struct twin_doc){
        .tags = SPAN_LIT("{}"),
        .desired = {SPAN_LIT("{\"a\":1.50}"), SPAN_LIT("{\"$lastUpdated\":\"x\"}"), version - 1},
        .reported = {SPAN_LIT("{}"), SPAN_LIT("{}"), 1},
        .etag = (uint64_t)version - 1,
        .version = version,
    };
}

struct identity_argument {
    int64_t hub_id;
    struct identity identity;
    struct twin_doc twin;
};

static enum err insert_identity(struct store_txn *txn, void *argument)
{
    struct identity_argument *wanted = argument;
    enum err err = store_identity_insert(txn, wanted->hub_id, &wanted->identity);
    if (err == ERR_NONE)
        err = store_twin_put(txn, wanted->hub_id, wanted->identity.device_id,
            wanted->identity.module_id, &wanted->twin, 0);
    return err;
}

void add_identity(struct fixture *fixture, const char *device_id, const char *module_id)
{
    struct identity_argument argument = {
        fixture->hub_id, identity_named(device_id, module_id), twin_of_version(2)};
    assert_int_equal(in_write(fixture, insert_identity, &argument), ERR_NONE);
}
