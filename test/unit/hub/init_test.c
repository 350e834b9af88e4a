/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"
#include "certificates.h"
#include "connstr.h"
#include "data_directory.h"
#include "init.h"
#include "json.h"
#include "offline.h"
#include "password.h"
#include "store_sqlite.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char base[] = "/tmp/gemel-init-XXXXXX";
static char data_dir[64];
static char output[8192];
static char errors[2048];

/* ---- calling a command with its output caught ------------------------------------------------ */

static void read_back(FILE *file, char *text, size_t size)
{
    rewind(file);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
}

struct caught {
    int saved[2];
    FILE *files[2];
};

static struct caught catch_begin(void)
{
    struct caught caught;
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        caught.saved[i] = dup(i + 1);
        caught.files[i] = tmpfile();
        assert_true(caught.saved[i] >= 0 && caught.files[i] != NULL);
        dup2(fileno(caught.files[i]), i + 1);
    }
    return caught;
}

static void catch_end(struct caught *caught)
{
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        dup2(caught->saved[i], i + 1);
        close(caught->saved[i]);
    }
    read_back(caught->files[0], output, sizeof(output));
    read_back(caught->files[1], errors, sizeof(errors));
}

static int init_in(const char *directory, const char *hub, const char *const *names, size_t count)
{
    struct hub_init_options options = {
        .data_dir = directory, .hub = hub, .host_names = names, .host_name_count = count};
    options.json = true;
    struct caught caught = catch_begin();
    int status = hub_init(&options);
    catch_end(&caught);
    return status;
}

static size_t entries_of(const char *directory)
{
    DIR *list = opendir(directory);
    assert_non_null(list);
    size_t count = 0;
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count - 2;
}

/* ---- init ------------------------------------------------------------------------------------ */

static void the_output_is_what_programs_rely_on(void **state)
{
    (void)state;
    const char *names[] = {"Hub.Example:8443", "192.0.2.7"};
    assert_int_equal(init_in(data_dir, "my-hub", names, 2), 0);
    struct arena arena;
    arena_init(&arena, 0);
    struct json *root;
    struct why why = {0};
    assert_int_equal(json_parse(&arena, span_of(output), 0, &root, &why), ERR_NONE);
    assert_int_equal(root->count, 6);
    assert_true(span_starts(json_string_of(root, "idScope"), SPAN_LIT("0ne")));
    assert_true(span_is(json_string_of(root, "hub"), "my-hub"));
    assert_true(span_is(json_string_of(root, "hostName"), "hub.example"));
    struct json *admin = json_find_text(root, "admin");
    assert_int_equal(admin->count, 2);
    assert_true(span_is(json_string_of(admin, "user"), "admin"));
    assert_int_equal(json_string_of(admin, "password").len, PASSWORD_GENERATED_SIZE - 1);
    struct connstr connstr;
    assert_int_equal(
        connstr_parse(json_string_of(root, "connectionString"), &connstr, &why), ERR_NONE);
    assert_int_equal(connstr_check_service(&connstr, &why), ERR_NONE);
    assert_true(span_is(connstr.host_name, "hub.example"));
    assert_true(span_is(connstr.key_name, "iothubowner"));
    char key[64];
    size_t key_len;
    assert_int_equal(base64_decode(connstr.key, key, sizeof(key), &key_len, &why), ERR_NONE);
    assert_int_equal(key_len, 32);
    char ca_file[PATH_MAX];
    assert_true(span_copy(json_string_of(root, "caFile"), ca_file, sizeof(ca_file)));
    assert_int_equal(ca_file[0], '/');
    assert_int_equal(access(ca_file, R_OK), 0);
    arena_done(&arena);
}

struct listed {
    struct store_job job;
    struct arena arena;
    struct hub_record *hubs;
    size_t count;
    struct account account;
};

static enum err list_records(struct store_job *job, struct store_txn *txn)
{
    struct listed *listed = (struct listed *)job;
    enum err err = store_hub_list(txn, &listed->arena, &listed->hubs, &listed->count);
    return err == ERR_NONE
               ? store_account_get(txn, &listed->arena, SPAN_LIT("admin"), &listed->account)
               : err;
}

static bool fits(struct span password, const char *hash)
{
    bool matches = false;
    assert_int_equal(password_check(password, hash, &matches), ERR_NONE);
    return matches;
}

static void the_store_holds_the_hub_its_policies_and_the_administrator(void **state)
{
    (void)state;
    const char *names[] = {"a.example", "A.Example.", "LOCALHOST", "[::1]", "192.0.2.7"};
    assert_int_equal(init_in(data_dir, NULL, names, 5), 0);
    struct sqlite_options options = sqlite_options_default;
    options.directory = data_dir;
    struct store *store;
    struct why why = {0};
    assert_int_equal(store_open_sqlite(&options, &store, &why), ERR_NONE);
    struct listed listed = {.job = {.run = list_records}};
    assert_int_equal(store_run(store, STORE_READ, &listed.job), ERR_NONE);
    store_close(store);
    assert_int_equal(listed.count, 1);
    struct hub_record *hub = &listed.hubs[0];
    assert_true(span_is(hub->name, HUB_NAME_DEFAULT));
    static const char *const expected[] = {
        "a.example", "localhost", "::1", "192.0.2.7", "127.0.0.1"};
    assert_int_equal(hub->host_name_count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_true(span_is(hub->host_names[i], expected[i]));
    static const struct {
        const char *name;
        unsigned rights;
    } policies[] = {{"iothubowner", 15}, {"service", 4}, {"device", 8}, {"registryRead", 1},
        {"registryReadWrite", 3}};
    assert_int_equal(hub->policy_count, COUNT_OF(policies));
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        assert_true(span_is(hub->policies[i].name, policies[i].name));
        assert_int_equal(hub->policies[i].rights, policies[i].rights);
        assert_int_equal(hub->policies[i].primary_key.len, 44);
        assert_false(span_eq(hub->policies[i].primary_key, hub->policies[i].secondary_key));
    }
    assert_true(listed.account.must_change);
    assert_int_equal(listed.account.grant_count, 1);
    assert_int_equal(listed.account.grants[0].hub_id, GRANT_EVERY_HUB);
    assert_int_equal(listed.account.grants[0].role, ROLE_ADMINISTRATOR);
    char *password = strstr(output, "\"password\":\"") + strlen("\"password\":\"");
    struct span typed = {password, PASSWORD_GENERATED_SIZE - 1};
    assert_true(fits(typed, listed.account.password_hash.ptr));
    password[0] = password[0] == 'A' ? 'B' : 'A';
    assert_false(fits(typed, listed.account.password_hash.ptr));
    assert_false(fits(typed, "no hash"));
    arena_done(&listed.arena);
}

static unsigned mode_of(const char *name)
{
    char path[128];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", data_dir, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void nobody_else_can_read_it_whatever_the_umask(void **state)
{
    (void)state;
    mode_t before = umask(0);
    int status = init_in(data_dir, NULL, NULL, 0);
    umask(before);
    assert_int_equal(status, 0);
    assert_int_equal(mode_of("."), 0700);
    static const char *const names[] = {
        "ca.key", "server.key", "ca.pem", "server.pem", "hub.db", "lock"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(mode_of(names[i]), 0600);
    assert_int_equal(entries_of(data_dir), COUNT_OF(names)); /* no log, no leftovers */
}

static void a_directory_that_is_not_empty_is_refused_and_untouched(void **state)
{
    (void)state;
    assert_int_equal(mkdir(data_dir, 0700), 0);
    assert_int_equal(data_file_write(data_dir, "mine", SPAN_LIT("x"), NULL), ERR_NONE);
    assert_int_equal(init_in(data_dir, NULL, NULL, 0), 1);
    assert_non_null(strstr(errors, "is not empty"));
    assert_string_equal(output, "");
    assert_int_equal(entries_of(data_dir), 1);
    assert_int_equal(entries_of(base), 1); /* nothing half-made beside it */
    char file[128];
    snprintf(file, sizeof(file), "%s/mine", data_dir);
    assert_int_equal(init_in(file, NULL, NULL, 0), 1);
    assert_non_null(strstr(errors, "no directory"));
}

static void an_empty_directory_is_filled(void **state)
{
    (void)state;
    assert_int_equal(mkdir(data_dir, 0755), 0);
    char slashed[80];
    snprintf(slashed, sizeof(slashed), "%s//", data_dir);
    assert_int_equal(init_in(slashed, NULL, NULL, 0), 0);
    assert_int_equal(mode_of("."), 0700);
    assert_int_equal(init_in(data_dir, NULL, NULL, 0), 1);
}

static void wrong_names_are_refused_before_anything_is_made(void **state)
{
    (void)state;
    static const struct {
        const char *hub;
        const char *host_name;
    } rows[] = {{"a hub", "x"}, {"", "x"}, {"-a", "x"}, {NULL, ""}, {NULL, "a b"}, {NULL, "a/b"},
        {NULL, "host:port"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(init_in(data_dir, rows[i].hub, &rows[i].host_name, 1), 2);
        assert_true(strlen(errors) > 20);
        assert_int_equal(entries_of(base), 0);
    }
    assert_int_equal(init_in("/nowhere/at/all", NULL, NULL, 0), 1);
    assert_non_null(strstr(errors, "/nowhere/at/all"));
}

/* ---- certificates ---------------------------------------------------------------------------- */

static X509 *load(const char *name, int which)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", data_dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *certificate = NULL;
    for (int i = 0; i <= which; i++) {
        X509_free(certificate);
        certificate = PEM_read_X509(file, NULL, NULL, NULL);
        assert_non_null(certificate);
    }
    fclose(file);
    return certificate;
}

static void the_chain_verifies_for_every_name_and_no_other(void **state)
{
    (void)state;
    const char *names[] = {"hub.example", "192.0.2.7", "2001:db8::7"};
    assert_int_equal(init_in(data_dir, NULL, names, 3), 0);
    X509 *ca = load("ca.pem", 0);
    X509 *server = load("server.pem", 0);
    X509 *chained = load("server.pem", 1);
    assert_int_equal(X509_cmp(ca, chained), 0);
    static const struct {
        const char *name;
        bool address;
        int matches;
    } rows[] = {{"hub.example", false, 1}, {"HUB.example", false, 1}, {"localhost", false, 1},
        {"other.example", false, 0}, {"gemel-hub", false, 0}, {"192.0.2.7", true, 1},
        {"127.0.0.1", true, 1}, {"::1", true, 1}, {"2001:db8::7", true, 1}, {"192.0.2.8", true, 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int got = rows[i].address ? X509_check_ip_asc(server, rows[i].name, 0)
                                  : X509_check_host(server, rows[i].name, 0, 0, NULL);
        assert_int_equal(got, rows[i].matches);
    }
    X509_STORE *trust = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(trust, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(context, trust, server, NULL), 1);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
    assert_int_equal(X509_verify_cert(context), 1);
    X509_STORE_CTX_free(context);
    X509_STORE_free(trust);
    X509_free(ca);
    X509_free(server);
    X509_free(chained);
}

#define DAY_US INT64_C(86400000000)

static void a_server_certificate_is_renewed_when_due_and_only_then(void **state)
{
    (void)state;
    const char *names[] = {"hub.example", "192.0.2.7"};
    assert_int_equal(init_in(data_dir, NULL, names, 2), 0);
    int64_t now_us = (int64_t)time(NULL) * 1000000;
    X509 *first = load("server.pem", 0);
    bool renewed = true;
    struct why why = {0};
    assert_int_equal(
        certificates_renew_if_due(data_dir, 30, now_us + 334 * DAY_US, &renewed, &why), ERR_NONE);
    assert_false(renewed);
    assert_int_equal(
        certificates_renew_if_due(data_dir, 30, now_us + 336 * DAY_US, &renewed, &why), ERR_NONE);
    assert_true(renewed);
    X509 *second = load("server.pem", 0);
    assert_int_not_equal(X509_cmp(first, second), 0);
    assert_true(ASN1_TIME_compare(X509_get0_notAfter(second), X509_get0_notAfter(first)) > 0);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(first), X509_get0_pubkey(second)), 1);
    assert_int_equal(X509_check_host(second, "hub.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(second, "192.0.2.7", 0), 1);
    /* What outlives its CA is cut. */
    assert_int_equal(
        certificates_renew_if_due(data_dir, 30, now_us + 3600 * DAY_US, &renewed, &why), ERR_NONE);
    X509 *third = load("server.pem", 0);
    X509 *ca = load("ca.pem", 0);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(third), X509_get0_notAfter(ca)), 0);
    X509_free(first);
    X509_free(second);
    X509_free(third);
    X509_free(ca);
}

static void the_certificate_stands_for_the_names_that_are_asked_for(void **state)
{
    (void)state;
    const char *first_names[] = {"hub.example"};
    assert_int_equal(init_in(data_dir, NULL, first_names, 1), 0);
    int64_t now_us = (int64_t)time(NULL) * 1000000;
    const struct span one[] = {SPAN_INIT("hub.example")};
    const struct span two[] = {SPAN_INIT("hub.example"), SPAN_INIT("south.example")};
    bool renewed = true;
    struct why why = {0};
    assert_int_equal(certificates_cover(data_dir, one, 1, now_us, &renewed, &why), ERR_NONE);
    assert_false(renewed);
    assert_int_equal(certificates_cover(data_dir, two, 2, now_us, &renewed, &why), ERR_NONE);
    assert_true(renewed);
    X509 *both = load("server.pem", 0);
    assert_int_equal(X509_check_host(both, "south.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(both, "127.0.0.1", 0), 1);
    assert_int_equal(certificates_cover(data_dir, one, 1, now_us, &renewed, &why), ERR_NONE);
    assert_true(renewed);
    X509 *less = load("server.pem", 0);
    assert_int_equal(X509_check_host(less, "south.example", 0, 0, NULL), 0);
    X509_free(both);
    X509_free(less);
}

/* The files of one server in the directory of another stand for those of a public CA. */
static void a_certificate_from_elsewhere_is_never_replaced(void **state)
{
    (void)state;
    assert_int_equal(init_in(data_dir, NULL, NULL, 0), 0);
    struct buf foreign = BUF_EMPTY;
    assert_int_equal(data_file_read(data_dir, "server.pem", &foreign, NULL), ERR_NONE);
    char second_dir[128];
    snprintf(second_dir, sizeof(second_dir), "%s-2", data_dir);
    const char *names[] = {"hub.example"};
    assert_int_equal(init_in(second_dir, NULL, names, 1), 0);
    assert_int_equal(data_file_write(second_dir, "server.pem", buf_span(&foreign), NULL), ERR_NONE);
    const struct span wanted[] = {SPAN_INIT("localhost"), SPAN_INIT("hub.example")};
    int64_t now_us = (int64_t)time(NULL) * 1000000;
    bool renewed = true;
    struct why why = {0};
    assert_int_equal(
        certificates_cover(second_dir, wanted, 2, now_us, &renewed, &why), ERR_REFUSED);
    assert_non_null(strstr(why.text, "does not cover hub.example, and"));
    assert_int_equal(certificates_cover(second_dir, wanted, 1, now_us, &renewed, &why), ERR_NONE);
    assert_false(renewed);
    assert_int_equal(
        certificates_renew_if_due(second_dir, 30, now_us + 360 * DAY_US, &renewed, &why), ERR_NONE);
    assert_false(renewed);
    struct buf after = BUF_EMPTY;
    assert_int_equal(data_file_read(second_dir, "server.pem", &after, NULL), ERR_NONE);
    assert_true(span_eq(buf_span(&after), buf_span(&foreign)));
    buf_done(&after);
    buf_done(&foreign);
}

static void damaged_certificate_files_are_named(void **state)
{
    (void)state;
    assert_int_equal(init_in(data_dir, NULL, NULL, 0), 0);
    bool renewed;
    struct why why = {0};
    int64_t late_us = ((int64_t)time(NULL) + 360 * 86400) * 1000000;
    assert_int_equal(data_file_write(data_dir, "ca.key", SPAN_LIT("rubbish"), NULL), ERR_NONE);
    assert_int_equal(certificates_renew_if_due(data_dir, 30, late_us, &renewed, &why), ERR_CORRUPT);
    assert_non_null(strstr(why.text, "ca.key"));
    struct buf other = BUF_EMPTY;
    assert_int_equal(data_file_read(data_dir, "server.key", &other, &why), ERR_NONE);
    assert_int_equal(data_file_write(data_dir, "ca.key", buf_span(&other), NULL), ERR_NONE);
    buf_done(&other);
    assert_int_equal(certificates_renew_if_due(data_dir, 30, late_us, &renewed, &why), ERR_CORRUPT);
    assert_non_null(strstr(why.text, "is not the key of"));
    char path[128];
    snprintf(path, sizeof(path), "%s/ca.key", data_dir);
    unlink(path);
    assert_int_equal(certificates_renew_if_due(data_dir, 30, late_us, &renewed, &why), ERR_NONE);
    assert_false(renewed);
    assert_int_equal(data_file_write(data_dir, "server.pem", SPAN_LIT(""), NULL), ERR_NONE);
    assert_int_equal(certificates_renew_if_due(data_dir, 30, late_us, &renewed, &why), ERR_CORRUPT);
    assert_non_null(strstr(why.text, "server.pem"));
}

/* ---- backup ---------------------------------------------------------------------------------- */

static int quietly(int (*command)(const char *, const char *), const char *a, const char *b)
{
    struct caught caught = catch_begin();
    int status = command(a, b);
    catch_end(&caught);
    return status;
}

static void a_backup_of_a_running_server_can_be_restored(void **state)
{
    (void)state;
    assert_int_equal(init_in(data_dir, "kept", NULL, 0), 0);
    char backup[64];
    char restored[64];
    snprintf(backup, sizeof(backup), "%s/backup", base);
    snprintf(restored, sizeof(restored), "%s/restored", base);
    struct sqlite_options options = sqlite_options_default;
    options.directory = data_dir;
    struct store *store;
    struct why why = {0};
    assert_int_equal(store_open_sqlite(&options, &store, &why), ERR_NONE);
    assert_int_equal(quietly(hub_backup, data_dir, backup), 0);
    store_close(store);
    assert_int_equal(quietly(hub_backup, data_dir, backup), 1);
    assert_non_null(strstr(errors, "is not empty"));
    assert_int_equal(quietly(hub_restore, restored, backup), 0);
    assert_int_equal(quietly(hub_restore, data_dir, backup), 1);
    options.directory = restored;
    assert_int_equal(store_open_sqlite(&options, &store, &why), ERR_NONE);
    struct listed listed = {.job = {.run = list_records}};
    assert_int_equal(store_run(store, STORE_READ, &listed.job), ERR_NONE);
    assert_int_equal(listed.count, 1);
    assert_true(span_is(listed.hubs[0].name, "kept"));
    arena_done(&listed.arena);
    store_close(store);
    char key[128];
    snprintf(key, sizeof(key), "%s/ca.key", restored);
    assert_int_equal(access(key, R_OK), 0);
    snprintf(restored, sizeof(restored), "%s/other", base);
    assert_int_equal(quietly(hub_backup, "/nowhere", restored), 1);
    assert_non_null(strstr(errors, "/nowhere/hub.db"));
    assert_int_not_equal(access(restored, F_OK), 0);
}

/* Writes nonsense over a file of the backup, from a place on. */
static void spoil(const char *directory, const char *name, long offset, size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    for (size_t i = 0; i < size; i++)
        fputc((int)(i * 7 % 251), file);
    assert_int_equal(fclose(file), 0);
}

static void a_backup_that_is_spoiled_is_not_restored(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        long offset;
        size_t size;
        const char *says;
    } rows[] = {
        {"hub.db", 0, 100, "damaged"},
        {"hub.db", 8 * 4096, 40960, "damaged"},
        {"server.pem", 0, 400, "server.pem"},
        {"server.key", 40, 60, "server.key"},
    };
    char backup[96];
    char restored[96];
    assert_int_equal(init_in(data_dir, "kept", NULL, 0), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(backup, sizeof(backup), "%s/backup-%zu", base, i);
        snprintf(restored, sizeof(restored), "%s/restored-%zu", base, i);
        assert_int_equal(quietly(hub_backup, data_dir, backup), 0);
        spoil(backup, rows[i].file, rows[i].offset, rows[i].size);
        assert_int_equal(quietly(hub_restore, restored, backup), 1);
        if (strstr(errors, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].file, errors);
        assert_int_not_equal(access(restored, F_OK), 0);
    }
}

/* ---- around each test ------------------------------------------------------------------------ */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    memcpy(base + sizeof(base) - 7, "XXXXXX", 6);
    if (mkdtemp(base) == NULL)
        return 1;
    snprintf(data_dir, sizeof(data_dir), "%s/data", base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(base, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#define with_directory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_directory(the_output_is_what_programs_rely_on),
        with_directory(the_store_holds_the_hub_its_policies_and_the_administrator),
        with_directory(nobody_else_can_read_it_whatever_the_umask),
        with_directory(a_directory_that_is_not_empty_is_refused_and_untouched),
        with_directory(an_empty_directory_is_filled),
        with_directory(wrong_names_are_refused_before_anything_is_made),
        with_directory(the_chain_verifies_for_every_name_and_no_other),
        with_directory(a_server_certificate_is_renewed_when_due_and_only_then),
        with_directory(the_certificate_stands_for_the_names_that_are_asked_for),
        with_directory(a_certificate_from_elsewhere_is_never_replaced),
        with_directory(damaged_certificate_files_are_named),
        with_directory(a_backup_of_a_running_server_can_be_restored),
        with_directory(a_backup_that_is_spoiled_is_not_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
