/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's contract tests share: a fresh store of the backend under test, and jobs made of
 * a function and an argument. A new backend adds its row in store_harness.c and must pass them all.
 */
#ifndef GEMEL_STORE_HARNESS_H
#define GEMEL_STORE_HARNESS_H

#include "store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct store_backend {
    const char *name;
    enum err (*open)(const char *directory, unsigned group_jobs, uint64_t max_bytes,
        struct store **ret_store, struct why *why);
};

extern const struct store_backend store_backends[];
extern const size_t store_backend_count;

struct fixture {
    const struct store_backend *backend;
    char directory[64];
    struct store *store;
    int64_t hub_id; /* of a first hub, "h", with the host name "h.test" */
};

/* For cmocka_unit_test_prestate_setup_teardown(): the prestate is the backend. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

void fixture_open(struct fixture *fixture, unsigned group_jobs, uint64_t max_bytes);
void fixture_close(struct fixture *fixture);

/* Runs all tests of a file against every backend. */
int run_for_every_backend(const char *group, const struct CMUnitTest *tests, size_t count);

typedef enum err test_body(struct store_txn *txn, void *argument);

struct test_job {
    struct store_job job;
    test_body *body;
    void *argument;
};

struct test_job test_job_of(test_body *body, void *argument);

/* Runs the body in a transaction of its own and waits. */
enum err in_write(struct fixture *fixture, test_body *body, void *argument);
enum err in_read(struct fixture *fixture, test_body *body, void *argument);

/* Makes a hub, a device or module, with its twin: shortcuts that must succeed. */
int64_t add_hub(struct fixture *fixture, const char *name, const char *host_name);
void add_identity(struct fixture *fixture, const char *device_id, const char *module_id);
struct identity identity_named(const char *device_id, const char *module_id);
struct twin_doc twin_of_version(int64_t version);

#define check_span(span, text) assert_true(span_is((span), (text)))

#endif
