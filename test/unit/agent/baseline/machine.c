/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t wall_us(void *self)
{
    (void)self;
    return INT64_C(1700000000) * 1000000; /* day 19675 */
}

static int64_t mono_us(void *self)
{
    (void)self;
    return 0;
}

static const struct clock still = {wall_us, mono_us, NULL};

void *machine_new_key(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(key);
    return key;
}

void machine_free_key(void *key)
{
    EVP_PKEY_free(key);
}

static int remove_one(
    const char *path, const struct stat *stat UNUSED, int kind UNUSED, struct FTW *place UNUSED)
{
    return remove(path);
}

int machine_setup(void **state)
{
    struct machine *machine = test_calloc(1, sizeof(*machine));
    strcpy(machine->dir, "/tmp/baseline_test_XXXXXX");
    assert_non_null(mkdtemp(machine->dir));
    snprintf(machine->root, sizeof(machine->root), "%s/root", machine->dir);
    snprintf(machine->checks, sizeof(machine->checks), "%s/checks", machine->dir);
    snprintf(machine->keys, sizeof(machine->keys), "%s/keys.pem", machine->dir);
    assert_int_equal(mkdir(machine->root, 0755), 0);
    assert_int_equal(mkdir(machine->checks, 0755), 0);
    machine->key = machine_new_key();
    FILE *file = fopen(machine->keys, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, machine->key), 1);
    fclose(file);
    assert_int_equal(chmod(machine->keys, 0644), 0);
    machine->options = (struct baseline_options){.clock = &still,
        .root_dir = machine->root,
        .distribution = "debian",
        .like = "",
        .version = "12",
        .kernel_release = "6.1.0-test",
        .checks_dir = machine->checks,
        .keys_path = machine->keys};
    *state = machine;
    return 0;
}

int machine_teardown(void **state)
{
    struct machine *machine = *state;
    nftw(machine->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    machine_free_key(machine->key);
    test_free(machine);
    return 0;
}

void machine_clear(struct machine *machine)
{
    nftw(machine->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(mkdir(machine->root, 0755), 0);
}

/* The path on this machine, its folders made. */
static const char *place(struct machine *machine, const char *path)
{
    static char full[4096];
    int len = snprintf(full, sizeof(full), "%s%s", machine->root, path);
    assert_true(len > 0 && (size_t)len < sizeof(full));
    for (char *at = full + strlen(machine->root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0755);
        *at = '/';
    }
    return full;
}

static void write_file(const char *path, struct span content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.ptr, 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

void machine_bytes(struct machine *machine, const char *path, struct span content)
{
    const char *full = place(machine, path);
    (void)unlink(full);
    write_file(full, content);
    assert_int_equal(chmod(full, 0644), 0);
}

void machine_file(struct machine *machine, const char *path, const char *content)
{
    machine_bytes(machine, path, span_of(content));
}

void machine_mode(struct machine *machine, const char *path, unsigned mode)
{
    assert_int_equal(chmod(place(machine, path), mode), 0);
}

void machine_owner(struct machine *machine, const char *path, uid_t user, gid_t group)
{
    assert_int_equal(lchown(place(machine, path), user, group), 0);
}

void machine_folder(struct machine *machine, const char *path)
{
    const char *full = place(machine, path);
    (void)mkdir(full, 0755);
    assert_int_equal(chmod(full, 0755), 0);
}

void machine_link(struct machine *machine, const char *path, const char *target)
{
    assert_int_equal(symlink(target, place(machine, path)), 0);
}

void machine_remove(struct machine *machine, const char *path)
{
    assert_int_equal(remove(place(machine, path)), 0);
}

void machine_sign(struct machine *machine, const char *name, struct span bytes, void *key)
{
    unsigned char signature[64];
    char text[96], path[160];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, signature, &len, (const unsigned char *)bytes.ptr, bytes.len), 1);
    EVP_MD_CTX_free(context);
    int characters = EVP_EncodeBlock((unsigned char *)text, signature, (int)len);
    text[characters] = '\n';
    snprintf(path, sizeof(path), "%s/%s.json.sig", machine->checks, name);
    write_file(path, (struct span){text, (size_t)characters + 1});
}

void machine_check_file(struct machine *machine, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s.json", machine->checks, name);
    write_file(path, span_of(text));
    machine_sign(machine, name, span_of(text), machine->key);
}

enum baseline_result machine_judge(struct machine *machine, const char *rule)
{
    char *text = test_calloc(1, strlen(rule) + 1024);
    struct baseline *scan;
    struct baseline_finding finding;
    struct why why = {""};
    sprintf(text,
        "{'format':1,'name':'one','title':'One check','checks':[{'id':'1.1','group':'A group',"
        "'severity':'WARNING','description':'d','remediation':'r','pass':%s}]}",
        rule);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    machine_check_file(machine, "one", text);
    test_free(text);
    if (baseline_open(&machine->options, &scan, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    assert_true(baseline_next(scan, &finding));
    snprintf(machine->id, sizeof(machine->id), "%s", finding.id);
    snprintf(machine->reason, sizeof(machine->reason), "%s", finding.reason);
    enum baseline_result result = finding.result;
    if (strcmp(finding.id, "CIS-debian-12-A_group-1.1") != 0)
        fail_msg("%s: %s: %s", rule, finding.id, finding.reason);
    assert_false(baseline_next(scan, &finding));
    baseline_close(scan);
    return result;
}

void machine_expect(
    struct machine *machine, const char *rule, enum baseline_result expected, const char *reason)
{
    enum baseline_result result = machine_judge(machine, rule);
    if (result != expected || machine->reason[0] == '\0' ||
        (reason != NULL && strstr(machine->reason, reason) == NULL))
        fail_msg("%s: %s, not %s (%s): %s", rule, baseline_results[result],
            baseline_results[expected], reason == NULL ? "" : reason, machine->reason);
}
