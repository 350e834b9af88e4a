/* SPDX-License-Identifier: Apache-2.0 */
#include "store_sqlite.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/gemel-sqlite-XXXXXX";
static char file_name[64];

static enum err open_store(bool create, struct store **ret_store, struct why *why)
{
    struct sqlite_options options = sqlite_options_default;
    options.directory = directory;
    options.create = create;
    return store_open_sqlite(&options, ret_store, why);
}

static void drop_files(void)
{
    static const char *const names[] = {"hub.db", "hub.db-wal", "hub.db-shm", "lock", "copy.db"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[96];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
}

static void write_file(const char *bytes, size_t size)
{
    drop_files();
    FILE *file = fopen(file_name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file_name, &db), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s", message);
    sqlite3_close(db);
}

static void make_store(void)
{
    struct store *store = NULL;
    struct why why = {0};
    drop_files();
    if (open_store(true, &store, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    store_close(store);
}

static void check_refused(enum err expected, const char *says)
{
    struct store *store = NULL;
    struct why why = {0};
    enum err err = open_store(false, &store, &why);
    if (err != expected || strstr(why.text, says) == NULL)
        fail_msg("%s: %s", err_row(err)->name, why.text);
    assert_null(store);
}

static void a_database_is_made_only_when_asked_for(void **state)
{
    (void)state;
    drop_files();
    check_refused(ERR_NOT_FOUND, "gemel-hub init makes one");
    assert_int_not_equal(access(file_name, F_OK), 0);
    make_store();
    struct store *store = NULL;
    struct why why;
    assert_int_equal(open_store(false, &store, &why), ERR_NONE);
    store_close(store);
}

static void a_file_that_is_none_of_ours_is_refused(void **state)
{
    (void)state;
    write_file("", 0);
    check_refused(ERR_CORRUPT, "is empty");
    static char noise[8192];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * 31 + 7);
    write_file(noise, sizeof(noise));
    check_refused(ERR_CORRUPT, "damaged");
    drop_files();
    run_sql("CREATE TABLE recipes (name TEXT)");
    check_refused(ERR_CORRUPT, "not made by gemel-hub");
}

static void a_schema_of_the_future_is_refused(void **state)
{
    (void)state;
    make_store();
    run_sql("INSERT INTO schema_step (number, taken_s) VALUES (9999, 0)");
    check_refused(ERR_OPERATION, "newer gemel-hub");
    run_sql("DELETE FROM schema_step WHERE number = 9999");
    struct store *store = NULL;
    struct why why;
    assert_int_equal(open_store(false, &store, &why), ERR_NONE);
    store_close(store);
}

struct listing_job {
    struct store_job job;
    struct arena arena;
};

static enum err list_hubs(struct store_job *job, struct store_txn *txn)
{
    struct hub_record *hubs;
    size_t count;
    return store_hub_list(txn, &((struct listing_job *)job)->arena, &hubs, &count);
}

static void a_damaged_page_is_an_error_and_no_crash(void **state)
{
    (void)state;
    static char page[4096];
    memset(page, 0xA5, sizeof(page));
    unsigned refused = 0;
    for (long at = 1; at < 12; at++) {
        make_store();
        FILE *file = fopen(file_name, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, at * 4096, SEEK_SET), 0);
        assert_int_equal(fwrite(page, 1, sizeof(page), file), sizeof(page));
        fclose(file);
        struct store *store = NULL;
        struct why why = {0};
        enum err err = open_store(false, &store, &why);
        struct listing_job job = {.job = {.run = list_hubs}};
        if (err == ERR_NONE)
            err = store_run(store, STORE_READ, &job.job);
        arena_done(&job.arena);
        store_close(store);
        assert_true(err == ERR_NONE || err == ERR_CORRUPT);
        refused += err == ERR_CORRUPT;
    }
    assert_true(refused > 0);
}

static void a_copy_is_a_whole_database_and_replaces_nothing(void **state)
{
    (void)state;
    make_store();
    char copy[96];
    snprintf(copy, sizeof(copy), "%s/copy.db", directory);
    struct why why = {0};
    assert_int_equal(store_sqlite_copy(directory, copy, &why), ERR_NONE);
    assert_int_equal(store_sqlite_copy(directory, copy, &why), ERR_CONFLICT);
    assert_int_equal(rename(copy, file_name), 0);
    struct store *store = NULL;
    assert_int_equal(open_store(false, &store, &why), ERR_NONE);
    store_close(store);
    assert_int_equal(store_sqlite_copy("/nowhere", copy, &why), ERR_IO);
    assert_int_not_equal(access(copy, F_OK), 0);
}

/* ---- from the schema before ------------------------------------------------------------------ */

static const struct {
    int number;
    const char *sql;
} schema_steps[] = {
#define STEP(number, what, sql) {number, sql},
#include "sqlite_schema.def"
#undef STEP
};

/* A database as a program left it that knew the first `count` steps. */
static void make_older_schema(size_t count)
{
    drop_files();
    run_sql(
        "PRAGMA application_id = 0x47454D4C;"
        "CREATE TABLE schema_step (number INTEGER PRIMARY KEY, taken_s INTEGER NOT NULL) STRICT");
    for (size_t i = 0; i < count; i++) {
        char noted[64];
        run_sql(schema_steps[i].sql);
        snprintf(
            noted, sizeof(noted), "INSERT INTO schema_step VALUES (%d, 0)", schema_steps[i].number);
        run_sql(noted);
    }
    run_sql("INSERT INTO hub VALUES (7, 'h', 0);"
            "INSERT INTO hub_counter (hub_id) VALUES (7);"
            "INSERT INTO account VALUES ('admin', '$hash', 'administrator', 1),"
            "  ('op', '$hash', 'operator', 0), ('re', '$hash', 'reader', 0);");
    static const char *const modules[][2] = {{"", "{\"latest_state\":\"success\"}"},
        {"m1", "{\"latest_state\":\"success\"}"}, {"m2", "{\"latest_state\":\"failed\"}"},
        {"m3", "{}"}};
    for (size_t i = 0; i < COUNT_OF(modules); i++) {
        char sql[1024];
        snprintf(sql, sizeof(sql),
            "INSERT INTO identity VALUES (%zu, 7, 'd', '%s', 1, 1, 1, '', 0, 0, 0, 0, 0, 0, '', '',"
            " '', '', '', 0, '', '', '');"
            "INSERT INTO twin VALUES (%zu, 1, 1, '{}', '{}', '{}', 1, '%s', '{}', 1)",
            i + 1, modules[i][0], i + 1, modules[i][1]);
        run_sql(sql);
    }
}

struct migrated_job {
    struct store_job job;
    struct arena arena;
    struct account *accounts;
    size_t count;
    struct identity_counts counts;
};

static enum err read_migrated(struct store_job *job, struct store_txn *txn)
{
    struct migrated_job *read = (struct migrated_job *)job;
    enum err err = store_account_list(txn, &read->arena, &read->accounts, &read->count);
    return err == ERR_NONE ? store_identity_count(txn, 7, SPAN_NONE, &read->counts) : err;
}

static void check_migration(size_t count)
{
    static const struct {
        const char *user;
        enum role role;
    } expected[] = {{"admin", ROLE_ADMINISTRATOR}, {"op", ROLE_OPERATOR}, {"re", ROLE_READER}};
    struct store *store = NULL;
    struct why why = {0};
    make_older_schema(count);
    if (open_store(false, &store, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    struct migrated_job read = {.job = {.run = read_migrated}};
    assert_int_equal(store_run(store, STORE_READ, &read.job), ERR_NONE);
    assert_int_equal(read.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        const struct account *account = &read.accounts[i];
        assert_true(span_is(account->user, expected[i].user));
        assert_true(span_is(account->password_hash, "$hash"));
        assert_int_equal(account->must_change, i == 0);
        assert_false(account->disabled);
        assert_int_equal(account->grant_count, 1);
        assert_int_equal(account->grants[0].hub_id, GRANT_EVERY_HUB);
        assert_int_equal(account->grants[0].role, expected[i].role);
    }
    assert_int_equal(read.counts.devices, 1);
    assert_int_equal(read.counts.modules, 3);
    assert_int_equal(read.counts.success_modules, 1);
    assert_int_equal(read.counts.failed_modules, 1);
    arena_done(&read.arena);
    store_close(store);
}

static void an_older_database_keeps_its_accounts_and_is_counted(void **state)
{
    (void)state;
    check_migration(1);
    check_migration(2);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(file_name, sizeof(file_name), "%s/hub.db", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drop_files();
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_is_made_only_when_asked_for),
        cmocka_unit_test(a_file_that_is_none_of_ours_is_refused),
        cmocka_unit_test(a_schema_of_the_future_is_refused),
        cmocka_unit_test(an_older_database_keeps_its_accounts_and_is_counted),
        cmocka_unit_test(a_damaged_page_is_an_error_and_no_crash),
        cmocka_unit_test(a_copy_is_a_whole_database_and_replaces_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
