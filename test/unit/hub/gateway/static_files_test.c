/* SPDX-License-Identifier: Apache-2.0 */
/* The portal's files: what is answered to which request, and what is never. */
#include "static_files.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static struct static_files *files;

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void open_files(unsigned hsts_seconds)
{
    struct why why = {""};
    if (static_files_open(directory, hsts_seconds, &files, &why) != ERR_NONE)
        fail_msg("%s", why.text);
}

static int set_up(void **state UNUSED)
{
    char path[128];
    snprintf(directory, sizeof directory, "/tmp/gemel-static-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/assets", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    put("index.html", "<p>page</p>");
    put("index.html.gz", "PAGE");
    put("assets/main-ABC.js", "script");
    put("assets/main-ABC.js.gz", "SCRIPT");
    put("assets/lone.svg", "picture");
    put("assets/lonely.gz", "no pair");
    put(".secret", "hidden");
    return 0;
}

static int remove_entry(
    const char *path, const struct stat *status UNUSED, int kind UNUSED, struct FTW *walk UNUSED)
{
    return remove(path);
}

static int tear_down(void **state UNUSED)
{
    mem_fail_after(-1);
    static_files_close(files);
    files = NULL;
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct span header(const struct rest_call *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return SPAN_NONE;
}

static bool answer(
    const char *path, const char *accept, const char *encoding, struct rest_call *ret_response)
{
    *ret_response = (struct rest_call){0};
    struct static_request request = {.path = span_of(path),
        .is_api = strncmp(path, "/devices", 8) == 0,
        .accept = span_of(accept),
        .accept_encoding = span_of(encoding)};
    return static_files_answer(files, &request, ret_response);
}

#define HTML "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

static void each_request_gets_its_file_or_the_service(void **state UNUSED)
{
    static const struct {
        const char *path;
        const char *accept;
        const char *encoding;
        const char *body; /* NULL: it is the service's */
        const char *type;
    } rows[] = {
        {"/", "*/*", "", "<p>page</p>", "text/html; charset=utf-8"},
        {"/", "", "gzip", "PAGE", "text/html; charset=utf-8"},
        {"/index.html", "", "", "<p>page</p>", "text/html; charset=utf-8"},
        {"/hubs/h%231/devices", HTML, "br, gzip", "PAGE", "text/html; charset=utf-8"},
        {"/hubs/h1", "application/json", "gzip", NULL, NULL},
        {"/devices/d", HTML, "gzip", NULL, NULL},
        {"/devices", HTML, "gzip", NULL, NULL},
        {"/assets/main-ABC.js", "*/*", "gzip, deflate", "SCRIPT", "text/javascript; charset=utf-8"},
        {"/assets/main-ABC.js", "*/*", "gzip;q=0, deflate", "script",
            "text/javascript; charset=utf-8"},
        {"/assets/main-ABC.js", "*/*", "gzip;q=0.000", "script", "text/javascript; charset=utf-8"},
        {"/assets/main-ABC.js", "*/*", "GZIP ; q=0.1", "SCRIPT", "text/javascript; charset=utf-8"},
        {"/assets/main-ABC.js", "*/*", "xgzip", "script", "text/javascript; charset=utf-8"},
        {"/assets/main-ABC.js.gz", "*/*", "", NULL, NULL},
        {"/assets/lone.svg", "", "gzip", "picture", "image/svg+xml"},
        {"/assets/lonely.gz", "", "", "no pair", "application/octet-stream"},
        {"/assets/older-XYZ.js", HTML, "", NULL, NULL},
        {"/assets/", "*/*", "", NULL, NULL},
        {"/assets", "*/*", "", NULL, NULL},
        {"/.secret", "*/*", "", NULL, NULL},
        {"/../etc/passwd", "*/*", "", NULL, NULL},
        {"/assets/../index.html", "*/*", "", NULL, NULL},
        {"/assets/%2e%2e/index.html", "*/*", "", NULL, NULL},
        {"//index.html", "*/*", "", NULL, NULL},
        {"index.html", "*/*", "", NULL, NULL},
        {"", "*/*", "", NULL, NULL},
    };
    open_files(0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rest_call response;
        bool ours = answer(rows[i].path, rows[i].accept, rows[i].encoding, &response);
        if (ours != (rows[i].body != NULL))
            fail_msg("%s", rows[i].path);
        if (!ours)
            continue;
        assert_int_equal(response.status, 200);
        if (!span_is(response.body_out, rows[i].body))
            fail_msg("%s: %.*s", rows[i].path, SPAN_ARG(response.body_out));
        assert_true(span_is(response.content_type_out, rows[i].type));
        bool gzip = span_is(header(&response, "content-encoding"), "gzip");
        assert_int_equal(
            gzip, strcmp(rows[i].body, "PAGE") == 0 || strcmp(rows[i].body, "SCRIPT") == 0);
    }
}

static void pages_are_asked_for_again_and_assets_are_not(void **state UNUSED)
{
    struct rest_call response;
    open_files(0);
    assert_true(answer("/", HTML, "", &response));
    assert_true(span_is(header(&response, "cache-control"), "no-cache"));
    assert_true(span_is(header(&response, "vary"), "accept-encoding"));
    assert_true(answer("/assets/main-ABC.js", "", "", &response));
    assert_true(span_is(header(&response, "cache-control"), "public, max-age=31536000, immutable"));
    assert_true(answer("/assets/lone.svg", "", "", &response));
    assert_int_equal(header(&response, "vary").len, 0);
}

static void what_a_browser_has_is_not_sent_again(void **state UNUSED)
{
    struct rest_call response;
    char list[128];
    open_files(0);
    assert_true(answer("/", HTML, "", &response));
    struct span plain = header(&response, "etag");
    assert_true(answer("/", HTML, "gzip", &response));
    struct span gzip = header(&response, "etag");
    assert_false(span_eq(plain, gzip));
    static const struct {
        const char *format;
        int status;
    } rows[] = {{"%.*s", 304}, {"W/%.*s", 304}, {"\"x\", %.*s", 304}, {"x%.*s", 200}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(list, sizeof list, rows[i].format, SPAN_ARG(plain));
        struct static_request request = {.path = SPAN_LIT("/"), .if_none_match = span_of(list)};
        response = (struct rest_call){0};
        assert_true(static_files_answer(files, &request, &response));
        assert_int_equal(response.status, rows[i].status);
        assert_int_equal(response.body_out.len, rows[i].status == 304 ? 0 : strlen("<p>page</p>"));
        assert_true(span_eq(header(&response, "etag"), plain));
    }
}

static void every_file_is_protected(void **state UNUSED)
{
    static const char *const paths[] = {"/", "/assets/main-ABC.js"};
    open_files(31536000);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct rest_call response;
        assert_true(answer(paths[i], HTML, "", &response));
        assert_true(span_is(header(&response, "content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'"));
        assert_true(span_is(header(&response, "cross-origin-opener-policy"), "same-origin"));
        assert_true(span_is(header(&response, "cross-origin-resource-policy"), "same-origin"));
        assert_true(header(&response, "permissions-policy").len > 0);
        assert_true(span_is(header(&response, "strict-transport-security"), "max-age=31536000"));
    }
    static_files_close(files);
    open_files(0);
    struct rest_call response;
    assert_true(answer("/", HTML, "", &response));
    assert_int_equal(header(&response, "strict-transport-security").len, 0);
}

static void without_a_portal_a_page_says_what_to_do(void **state UNUSED)
{
    struct rest_call response;
    assert_int_equal(static_files_open(NULL, 0, &files, NULL), ERR_NONE);
    assert_false(static_files_has_page(files));
    assert_true(answer("/", "*/*", "gzip", &response));
    assert_int_equal(response.status, 200);
    assert_non_null(memmem(response.body_out.ptr, response.body_out.len, "./dev build", 11));
    assert_true(header(&response, "content-security-policy").len > 0);
    assert_true(answer("/hubs", HTML, "", &response));
    assert_false(answer("/devices", HTML, "", &response));
    assert_false(answer("/x", "*/*", "", &response));
}

static void a_link_leads_nowhere_and_a_missing_folder_is_told(void **state UNUSED)
{
    char path[128];
    struct rest_call response;
    struct why why = {""};
    snprintf(path, sizeof path, "%s/passwd.txt", directory);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/etc", directory);
    assert_int_equal(symlink("/etc", path), 0);
    open_files(0);
    assert_false(answer("/passwd.txt", "", "", &response));
    assert_false(answer("/etc/passwd", "", "", &response));
    struct static_files *none = NULL;
    assert_int_equal(static_files_open("/nowhere", 0, &none, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "/nowhere"));
    assert_null(none);
}

static void whatever_memory_fails_opening_says_so(void **state UNUSED)
{
    enum err err = ERR_MEMORY;
    long n = 0;
    for (; err != ERR_NONE; n++) {
        mem_fail_after(n);
        err = static_files_open(directory, 0, &files, NULL);
        mem_fail_after(-1);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
    }
    assert_true(n > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_request_gets_its_file_or_the_service),
        TEST(pages_are_asked_for_again_and_assets_are_not),
        TEST(what_a_browser_has_is_not_sent_again),
        TEST(every_file_is_protected),
        TEST(without_a_portal_a_page_says_what_to_do),
        TEST(a_link_leads_nowhere_and_a_missing_folder_is_told),
        TEST(whatever_memory_fails_opening_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
