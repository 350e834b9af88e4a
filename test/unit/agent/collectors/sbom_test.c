/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "log.h"
#include "packages.h"

#include <setjmp.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct collector *const table[] = {&sbom_collector};
static const char *fixtures; /* files that rpm wrote */

struct fixture {
    struct harness harness;
    struct collectors *collectors;
    char root[64];
};

static void quiet(void *self UNUSED, enum log_level level UNUSED, const char *part UNUSED,
    const char *sentence UNUSED)
{
}

static void open_collectors(struct fixture *f)
{
    struct settings settings;
    const char *field;
    struct why why = {""};
    settings_init(&settings);
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, &why),
        ERR_NONE);
    assert_int_equal(collectors_apply(f->collectors, &settings, &field, &why), ERR_NONE);
    settings_done(&settings);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    log_set_writer(quiet, NULL);
    harness_init(&f->harness);
    strcpy(f->root, "/tmp/sbom_test_XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->harness.options.root_dir = f->root;
    open_collectors(f);
    *state = f;
    return 0;
}

static void run_program(const char *const *arguments)
{
    pid_t pid = fork();
    if (pid == 0) {
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    harness_done(&f->harness);
    run_program((const char *const[]){"rm", "-rf", f->root, NULL});
    test_free(f);
    log_set_writer(NULL, NULL);
    return 0;
}

/* Opens a file below the root, with the directories on its way. */
static FILE *make(struct fixture *f, const char *path)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "%s%s", f->root, path);
    for (char *at = strchr(whole + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(whole, 0700);
        *at = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    return file;
}

static void write_bytes(struct fixture *f, const char *path, struct span bytes)
{
    FILE *file = make(f, path);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    fclose(file);
}

static void write_text(struct fixture *f, const char *path, const char *text)
{
    write_bytes(f, path, span_of(text));
}

static void scan(struct fixture *f)
{
    harness_clear(&f->harness);
    f->harness.mono_us += 1440 * 60 * SECOND;
    (void)collectors_run(f->collectors);
}

/* All packages of the last scan as one JSON array, after a look at how its events hang together. */
static struct json *packages(struct fixture *f, const char *manager)
{
    struct json *all = json_new(&f->harness.arena, JSON_ARRAY);
    size_t events = harness_events(&f->harness, "SBoM");
    int64_t count = 0;
    assert_true(events > 0);
    struct span id = json_string_of(harness_payload(&f->harness, "SBoM", 0), "scan_id");
    assert_int_equal(id.len, 36);
    for (size_t i = 0; i < events; i++) {
        const struct json *payload = harness_payload(&f->harness, "SBoM", i);
        assert_true(span_eq(json_string_of(payload, "scan_id"), id));
        assert_int_equal(harness_number(payload, "part"), i + 1);
        assert_int_equal(json_find_text(payload, "last")->truth, i + 1 == events);
        assert_int_equal(json_find_text(payload, "package_count") != NULL, i + 1 == events);
        json_each (package, json_find_text(payload, "packages")) {
            count++;
            if (manager == NULL || span_is(json_string_of(payload, "manager"), manager))
                assert_true(json_append(all, json_copy(&f->harness.arena, package)));
        }
    }
    const struct json *last = harness_payload(&f->harness, "SBoM", events - 1);
    assert_int_equal(harness_number(last, "package_count"), count);
    return all;
}

static const struct json *at(const struct json *array, size_t index)
{
    json_each (item, array)
        if (index-- == 0)
            return item;
    fail_msg("there is no such package");
    return NULL;
}

static const struct json *named(const struct json *array, const char *name)
{
    json_each (item, array)
        if (span_is(json_string_of(item, "name"), name))
            return item;
    fail_msg("there is no package %s", name);
    return NULL;
}

static void check(const struct json *package, const char *name, const char *version,
    const char *vendor, const char *architecture)
{
    const struct {
        const char *member, *expected;
    } rows[] = {
        {"name", name}, {"version", version}, {"vendor", vendor}, {"architecture", architecture}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span is = json_string_of(package, rows[i].member);
        if (!span_is(is, rows[i].expected))
            fail_msg("%s is \"%.*s\", not \"%s\"", rows[i].member, SPAN_ARG(is), rows[i].expected);
    }
}

static void a_dpkg_status_lists_what_is_installed(void **state)
{
    struct fixture *f = *state;
    write_text(f, "/var/lib/dpkg/status",
        "Package: one\nStatus: install ok installed\nMaintainer: A \"B\" <a@b.example>\n"
        "Architecture: amd64\nVersion: 1:2.0-3\nDescription: short\n long: Package: no\n"
        " .\n\tPackage: no\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
        "Package: never\nStatus: unknown ok not-installed\n\n\n"
        "package: two \nstatus: install ok half-configured\nVERSION: 2\n\n"
        "Version: of none\n\nPackage\n\n: x\n\n"
        "Package: three\nVersion:\nStatus: hold ok installed");
    scan(f);
    struct json *all = packages(f, "dpkg");
    assert_int_equal(all->count, 3);
    check(at(all, 0), "one", "1:2.0-3", "A \"B\" <a@b.example>", "amd64");
    check(at(all, 1), "two", "2", "", "");
    check(at(all, 2), "three", "", "", "");
}

static void a_distroless_image_lists_its_packages_in_files(void **state)
{
    struct fixture *f = *state;
    write_text(f, "/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\n");
    write_text(f, "/var/lib/dpkg/status.d/base.md5sums", "Package: no\nVersion: 12\n");
    write_text(f, "/var/lib/dpkg/status.d/libssl3", "Package: libssl3\nVersion: 3\n\n");
    scan(f);
    assert_int_equal(packages(f, "dpkg")->count, 2);
}

static void apk_and_opkg_are_read_and_a_machine_may_have_several(void **state)
{
    struct fixture *f = *state;
    write_text(f, "/lib/apk/db/installed",
        "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:1\nm:Timo <t@example>\nF:lib\nR:ld.so\na:0:0:755\n"
        "Z:Q1\n\nP:busybox\nV:1.36\np:cmd:V=2\n\n");
    write_text(f, "/usr/lib/opkg/status",
        "Package: libc\nVersion: 1.1-2\nStatus: install user installed\nArchitecture: mips\n"
        "Conffiles:\n /etc/x 0123\nInstalled-Time: 1\n\n"
        "Package: kmod\nVersion: 5\nStatus: install hold unpacked\n\n");
    scan(f);
    assert_int_equal(packages(f, NULL)->count, 4);
    check(at(packages(f, "apk"), 0), "musl", "1.2.4-r2", "Timo <t@example>", "x86_64");
    check(at(packages(f, "apk"), 1), "busybox", "1.36", "", "");
    check(at(packages(f, "opkg"), 0), "libc", "1.1-2", "", "mips");
}

static void a_database_behind_two_paths_is_read_once(void **state)
{
    struct fixture *f = *state;
    char from[128], to[128];
    write_text(f, "/lib/apk/db/installed", "P:musl\nV:1\n\n");
    write_text(f, "/usr/lib/x", "");
    snprintf(from, sizeof(from), "%s/lib/apk", f->root);
    snprintf(to, sizeof(to), "%s/usr/lib/apk", f->root);
    assert_int_equal(symlink(from, to), 0);
    scan(f);
    assert_int_equal(packages(f, NULL)->count, 1);
}

static void a_machine_without_packages_says_so(void **state)
{
    struct fixture *f = *state;
    scan(f);
    assert_int_equal(packages(f, NULL)->count, 0);
    assert_int_equal(harness_events(&f->harness, "SBoM"), 1);
}

/* No limit of 500, and no more in memory at a time than an event. */
static void ten_thousand_packages_come_in_parts_that_fit(void **state)
{
    struct fixture *f = *state;
    char text[256];
    FILE *file = make(f, "/var/lib/dpkg/status");
    for (int i = 0; i < 10000; i++)
        fprintf(file,
            "Package: package-%d\nStatus: install ok installed\nMaintainer: Some Body <%d@x>\n"
            "Version: 1.%d\nDescription: none\n none at all\n\n",
            i, i, i);
    fclose(file);
    scan(f);
    struct json *all = packages(f, "dpkg");
    assert_int_equal(all->count, 10000);
    int i = 0;
    json_each (package, all) {
        snprintf(text, sizeof(text), "package-%d", i++);
        assert_true(span_is(json_string_of(package, "name"), text));
    }
    assert_in_range(harness_events(&f->harness, "SBoM"), 20, 100);
    assert_true(f->harness.largest_bytes <= COLLECTORS_MESSAGE_BYTES);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "sent"), 10000);
}

static void past_the_bound_packages_are_counted(void **state)
{
    struct fixture *f = *state;
    FILE *file = make(f, "/lib/apk/db/installed");
    for (int i = 0; i < 100123; i++)
        fprintf(file, "P:p%d\n\n", i);
    fclose(file);
    scan(f);
    size_t events = harness_events(&f->harness, "SBoM");
    const struct json *last = harness_payload(&f->harness, "SBoM", events - 1);
    assert_int_equal(harness_number(last, "package_count"), 100000);
    assert_int_equal(harness_number(last, "packages_left_out"), 123);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "lost.cache_bound"), 123);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "seen"), 100123);
}

static void hostile_texts_become_valid_json_and_are_cut(void **state)
{
    struct fixture *f = *state;
    FILE *file = make(f, "/var/lib/dpkg/status");
    for (int i = 0; i < 256; i++) {
        fprintf(file, "Package: x");
        for (int j = 0; j < 5000; j++)
            fputc(i == '\n' ? 'n' : i, file);
        fprintf(file, "\nVersion: %c\"\\\n\n", i == '\n' ? 'n' : i);
    }
    fclose(file);
    scan(f); /* the harness parses what is sent */
    struct json *all = packages(f, "dpkg");
    assert_int_equal(all->count, 256);
    json_each (package, all)
        assert_in_range(json_string_of(package, "name").len, 1, 3 * 256);
}

static void what_is_no_file_is_an_error_and_the_rest_is_sent(void **state)
{
    struct fixture *f = *state;
    char path[128];
    write_text(f, "/lib/apk/db/installed", "P:musl\nV:1\n\n");
    write_text(f, "/usr/lib/opkg/x", "");
    snprintf(path, sizeof(path), "%s/usr/lib/opkg/status", f->root);
    assert_int_equal(mkfifo(path, 0600), 0);
    scan(f);
    assert_int_equal(packages(f, NULL)->count, 1);
    const struct json *payload = harness_payload(&f->harness, "SBoM", 0);
    assert_true(json_string_of(payload, "error").len > 0);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "failures"), 1);
}

/* After a loss of power, or while somebody writes it in place: a short list is no good news. */
static void a_database_that_is_not_all_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    const struct {
        struct span bytes;
        int64_t packages;
        const char *says; /* NULL: nothing */
    } rows[] = {
        {SPAN_LIT("Package: a\n\nPackage: b\n"), 2, NULL},
        {SPAN_LIT(""), 0, NULL},
        {SPAN_LIT("Package: a\nStatus: purge ok not-installed\n\n"), 0, NULL},
        {SPAN_LIT("Package: a\n\nPackage: b\nVers"), 2, "ends within a line"},
        {SPAN_LIT("Package: a\n\n\0\0\0\0\n"), 1, "has bytes that are in no text"},
        {SPAN_LIT("\n\n\n"), 0, "names no package"},
        {SPAN_LIT("something else\n"), 0, "names no package"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_bytes(f, "/var/lib/dpkg/status", rows[i].bytes);
        scan(f);
        assert_int_equal(packages(f, "dpkg")->count, rows[i].packages);
        struct span error = json_string_of(harness_payload(&f->harness, "SBoM", 0), "error");
        char wanted[256] = "";
        if (rows[i].says != NULL)
            snprintf(wanted, sizeof(wanted), "%s/var/lib/dpkg/status %s: packages may be missing",
                f->root, rows[i].says);
        assert_true(span_is(error, wanted));
    }
}

static bool lengthen(void *self, const struct package *package)
{
    if (!span_is(package->name, "a"))
        return true;
    FILE *file = fopen(self, "a");
    assert_non_null(file);
    fputs("Package: late\n\n", file);
    fclose(file);
    return true;
}

static void a_database_that_changes_while_it_is_read_is_an_error(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct why why = {""};
    fclose(make(f, "/var/lib/dpkg/status"));
    snprintf(path, sizeof(path), "%s/var/lib/dpkg/status", f->root);
    assert_int_equal(packages_read_debian(path, lengthen, path, &why), ERR_NONE);
    write_text(f, "/var/lib/dpkg/status", "Package: a\n\n");
    FILE *file = fopen(path, "a");
    for (unsigned i = 0; i < 1000; i++) /* more than is read at once */
        fputs("Description: something\n", file);
    fclose(file);
    assert_int_equal(packages_read_debian(path, lengthen, path, &why), ERR_FORMAT);
    assert_non_null(strstr(why.text, "changed while it was read"));
}

static void a_small_message_limit_makes_more_parts(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    f->harness.options.message_limit_bytes = 8192;
    open_collectors(f);
    FILE *file = make(f, "/lib/apk/db/installed");
    for (int i = 0; i < 100; i++)
        fprintf(file, "P:p%d\nm:\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\n\n", i);
    fclose(file);
    scan(f);
    assert_int_equal(packages(f, "apk")->count, 100);
    assert_true(f->harness.count > 1);
}

/* ---- rpm ---- */

/* The fixture is a database of two packages that rpm 4.18 made, less the indices. */
static void copy_fixture(struct fixture *f, const char *name, const char *path)
{
    char from[512], to[256];
    write_text(f, path, "");
    snprintf(from, sizeof(from), "%s/%s", fixtures, name);
    snprintf(to, sizeof(to), "%s%s", f->root, path);
    run_program((const char *const[]){"cp", from, to, NULL});
}

static void check_the_two(const struct json *all)
{
    assert_int_equal(all->count, 2);
    check(named(all, "alpha"), "alpha", "4:1.2-3", "Some \"Vendor\" Ltd", "noarch");
    check(named(all, "beta"), "beta", "0.0.1~rc1-3", "", "noarch");
}

static void the_database_of_rpm_is_read_or_its_library_is_named(void **state)
{
    struct fixture *f = *state;
    copy_fixture(f, "rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite");
    scan(f);
    void *library = dlopen("libsqlite3.so.0", RTLD_NOW);
    if (library == NULL) { /* as on a device, or under emulation */
        const struct json *payload = harness_payload(&f->harness, "SBoM", 0);
        assert_true(span_is(json_string_of(payload, "error"),
            "the packages of rpm cannot be read without libsqlite3.so.0"));
        assert_int_equal(packages(f, NULL)->count, 0);
        return;
    }
    dlclose(library);
    check_the_two(packages(f, "rpm"));
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "failures"), 0);
}

static void put_number(FILE *file, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        fputc((int)(number >> (8 * i) & 0xff), file);
}

/* Around the headers that rpm made, the frame of its other format. */
static void the_other_format_of_rpm_is_read(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"alpha.header", "beta.header"};
    FILE *file = make(f, "/var/lib/rpm/Packages.db");
    fputs("RpmP", file);
    for (int i = 0; i < 7; i++)
        put_number(file, i == 2 ? 1 : 0);
    for (uint32_t i = 0; i < 2; i++) {
        fputs("Slot", file);
        put_number(file, i + 1);
        put_number(file, (4096 + i * 8192) / 16);
        put_number(file, 8192 / 16);
    }
    for (uint32_t i = 0; i < 254 - 2; i++) {
        fputs("Slot", file);
        for (int j = 0; j < 3; j++)
            put_number(file, 0);
    }
    assert_int_equal(ftell(file), 4096);
    for (uint32_t i = 0; i < 2; i++) {
        char path[512], header[8192];
        snprintf(path, sizeof(path), "%s/%s", fixtures, names[i]);
        FILE *from = fopen(path, "r");
        assert_non_null(from);
        size_t len = fread(header, 1, sizeof(header), from);
        fclose(from);
        assert_in_range(len, 100, 8192 - 32);
        fseek(file, 4096 + (long)i * 8192, SEEK_SET);
        fputs("BlbS", file);
        put_number(file, i + 1);
        put_number(file, 0);
        put_number(file, (uint32_t)len);
        assert_int_equal(fwrite(header, 1, len, file), len);
    }
    fclose(file);
    scan(f);
    check_the_two(packages(f, "rpm"));
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "failures"), 0);
}

static void damaged_databases_of_rpm_are_errors(void **state)
{
    struct fixture *f = *state;
    char path[256];
    copy_fixture(f, "rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite");
    snprintf(path, sizeof(path), "%s/var/lib/rpm/rpmdb.sqlite", f->root);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    /* Noise, block by block; then cut. */
    srand(1);
    for (off_t offset = 0; offset < about.st_size; offset += 1000) {
        FILE *file = fopen(path, "r+");
        assert_non_null(file);
        fseeko(file, offset, SEEK_SET);
        fputc(rand() % 256, file);
        fclose(file);
        scan(f);
        assert_true(harness_events(&f->harness, "SBoM") > 0);
    }
    for (off_t size = about.st_size; size >= 0; size -= 9999) {
        assert_int_equal(truncate(path, size), 0);
        scan(f);
        assert_true(harness_events(&f->harness, "SBoM") > 0);
    }
    write_text(f, "/var/lib/rpm/rpmdb.sqlite", "not a database at all, and long enough to be one");
    write_text(f, "/var/lib/rpm/Packages.db", "RpmP");
    write_text(f, "/var/lib/rpm/Packages", "of Berkeley");
    int64_t before = harness_counter(&f->harness, f->collectors, "SBoM", "failures");
    scan(f);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "failures"), before + 1);
}

/* ---- this machine ---- */

static bool listed(const struct json *all, const char *line)
{
    json_each (package, all) {
        char text[1024];
        snprintf(text, sizeof(text), "%.*s\t%.*s\t%.*s\t%.*s\n",
            SPAN_ARG(json_string_of(package, "name")), SPAN_ARG(json_string_of(package, "version")),
            SPAN_ARG(json_string_of(package, "architecture")),
            SPAN_ARG(json_string_of(package, "vendor")));
        if (strcmp(text, line) == 0)
            return true;
    }
    return false;
}

static void this_machines_packages_are_those_that_dpkg_query_lists(void **state)
{
    struct fixture *f = *state;
    if (access("/var/lib/dpkg/status", R_OK) != 0 || access("/usr/bin/dpkg-query", X_OK) != 0) {
        print_message("# no dpkg here\n");
        skip();
    }
    collectors_free(f->collectors);
    f->harness.options.root_dir = NULL;
    open_collectors(f);
    scan(f);
    const struct json *all = packages(f, "dpkg");
    FILE *list = popen("dpkg-query -W -f '${db:Status-Status}\\t${Package}\\t${Version}\\t"
                       "${Architecture}\\t${Maintainer}\\n'",
        "r");
    assert_non_null(list);
    char line[1024];
    size_t count = 0;
    while (fgets(line, sizeof(line), list) != NULL) {
        const char *tab = strchr(line, '\t');
        if (strncmp(line, "config-files", 12) == 0 || strncmp(line, "not-installed", 13) == 0)
            continue;
        count++;
        if (!listed(all, tab + 1))
            fail_msg("missing: %s", line);
    }
    assert_int_equal(pclose(list), 0);
    assert_int_equal(all->count, count);
}

static void without_memory_packages_are_counted_as_lost(void **state)
{
    struct fixture *f = *state;
    write_text(f, "/lib/apk/db/installed", "P:musl\nV:1\n\nP:b\n\n");
    f->harness.memory_fails = true;
    int64_t lost = 0;
    for (long allocations = 0; allocations < 12; allocations++) {
        harness_clear(&f->harness);
        f->harness.mono_us += 1440 * 60 * SECOND;
        mem_fail_after(allocations);
        (void)collectors_run(f->collectors);
        mem_fail_after(-1);
        if (harness_events(&f->harness, NULL) == 0)
            lost += 2;
        assert_int_equal(harness_counter(&f->harness, f->collectors, "SBoM", "lost.memory"), lost);
    }
    assert_true(lost > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    fixtures = argv[1];
    const struct CMUnitTest tests[] = {
        TEST(a_dpkg_status_lists_what_is_installed),
        TEST(a_distroless_image_lists_its_packages_in_files),
        TEST(apk_and_opkg_are_read_and_a_machine_may_have_several),
        TEST(a_database_behind_two_paths_is_read_once),
        TEST(a_machine_without_packages_says_so),
        TEST(ten_thousand_packages_come_in_parts_that_fit),
        TEST(past_the_bound_packages_are_counted),
        TEST(hostile_texts_become_valid_json_and_are_cut),
        TEST(what_is_no_file_is_an_error_and_the_rest_is_sent),
        TEST(a_database_that_is_not_all_there_is_an_error),
        TEST(a_database_that_changes_while_it_is_read_is_an_error),
        TEST(a_small_message_limit_makes_more_parts),
        TEST(the_database_of_rpm_is_read_or_its_library_is_named),
        TEST(the_other_format_of_rpm_is_read),
        TEST(damaged_databases_of_rpm_are_errors),
        TEST(this_machines_packages_are_those_that_dpkg_query_lists),
        TEST(without_memory_packages_are_counted_as_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
