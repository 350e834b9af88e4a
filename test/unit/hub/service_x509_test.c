/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and modules that prove by a certificate who they are. */
#include "service_harness.h"

#include "base64.h"
#include "certificate.h"

#include <openssl/x509v3.h>

#define NOW_S (START_US / 1000000)
#define DAY 86400

/* ---- certificates ---------------------------------------------------------------------------- */

struct made {
    X509 *x509;
    EVP_PKEY *key;
    struct span der; /* in the world's arena */
};

static void add_extension(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Without an issuer it signs itself; `usage` may be NULL. */
static struct made make(const char *name, const struct made *issuer, bool authority,
    const char *usage, int64_t from_s, int64_t until_s)
{
    struct made made = {.x509 = X509_new(), .key = EVP_EC_gen("P-256")};
    X509 *x509 = made.x509;
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 7);
    ASN1_TIME_set(X509_getm_notBefore(x509), from_s);
    ASN1_TIME_set(X509_getm_notAfter(x509), until_s);
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(x509), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer == NULL ? x509 : issuer->x509));
    X509_set_pubkey(x509, made.key);
    if (authority)
        add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
    if (usage != NULL)
        add_extension(x509, NID_ext_key_usage, usage);
    assert_true(X509_sign(x509, issuer == NULL ? made.key : issuer->key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int size = i2d_X509(x509, &der);
    assert_true(
        arena_span(&world.arena, (struct span){(const char *)der, (size_t)size}, &made.der));
    OPENSSL_free(der);
    return made;
}

static struct made make_usual(const char *name, const struct made *issuer, bool authority)
{
    return make(name, issuer, authority, NULL, NOW_S - DAY, NOW_S + DAY);
}

static void forget(struct made *made)
{
    X509_free(made->x509);
    EVP_PKEY_free(made->key);
}

static struct span chain_of(const struct made *first, const struct made *second)
{
    AUTO(buf_done) struct buf both = BUF_EMPTY;
    struct span chain;
    buf_add(&both, first->der);
    buf_add(&both, second->der);
    assert_true(arena_span(&world.arena, buf_span(&both), &chain));
    return chain;
}

static const char *thumbprint(const struct made *made, bool sha256, bool lower)
{
    struct certificate certificate;
    assert_int_equal(certificate_read(&world.arena, made->der, &certificate, NULL), ERR_NONE);
    char *text = arena_format(&world.arena, "%s", sha256 ? certificate.sha256 : certificate.sha1);
    for (char *c = text; lower && *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'F' ? *c + 32 : *c);
    return text;
}

static void put_identity(const char *path, const char *authentication)
{
    const char *target = arena_format(&world.arena, "/devices/%s?" V, path);
    const char *body = arena_format(&world.arena, "{\"authentication\":{%s}}", authentication);
    struct answer answer = ask("PUT", target, body, NULL);
    if (answer.status == 409)
        answer = ask("PUT", target, body, "*");
    if (answer.status != 200)
        fail_msg("%s: %d %s", path, answer.status, answer.body);
}

static void put_thumbprints(const char *path, const char *primary, const char *secondary)
{
    put_identity(
        path, arena_format(&world.arena,
                  "\"type\":\"selfSigned\",\"x509Thumbprint\":{\"primaryThumbprint\":\"%s\","
                  "\"secondaryThumbprint\":\"%s\"}",
                  primary, secondary));
}

static struct answer upload(const char *name, const struct made *authority)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"certificate\":\"");
    base64_write(authority->der, &body);
    buf_add_text(&body, "\"}");
    return ask(
        "PUT", arena_format(&world.arena, "/gemel/v1/certificates/%s", name), body.ptr, NULL);
}

static void expect(const char *device_id, const char *module_id, const char *password,
    struct span chain, bool accepted, const char *what)
{
    struct heard heard;
    heard_init(&heard);
    struct session session = connect_showing(device_id, module_id, password, chain, &heard);
    if (session.err != (accepted ? ERR_NONE : ERR_UNAUTHORIZED))
        fail_msg("%s: %d %s", what, (int)session.err, session.why.text);
    if (accepted)
        service_disconnect(world.service, &session.identity, session.number);
}

/* ---- thumbprints ----------------------------------------------------------------------------- */

static void either_thumbprint_in_either_digest_and_case_lets_in(void **state UNUSED)
{
    struct made first = make_usual("anything", NULL, false);
    struct made second = make_usual("anything else", NULL, false);
    struct made other = make_usual("anything", NULL, false);
    const char *zeros = "0000000000000000000000000000000000000000";
    put_thumbprints("upper", thumbprint(&first, false, false), thumbprint(&second, true, true));
    put_thumbprints("lower", thumbprint(&first, true, true), "");
    make_device("keys");
    put_thumbprints("upper/modules/m", zeros, thumbprint(&first, false, true));
    expect("upper", NULL, "", first.der, true, "SHA-1, upper case");
    expect("upper", NULL, "", second.der, true, "SHA-256, secondary");
    expect("lower", NULL, "", first.der, true, "SHA-256, lower case");
    expect("upper", "m", "", first.der, true, "a module");
    expect("upper", NULL, "", chain_of(&first, &second), true, "with others behind it");
    expect("upper", NULL, "", other.der, false, "another certificate");
    expect("upper", NULL, "", chain_of(&other, &first), false, "the right one behind another");
    expect("upper", "m", "", second.der, false, "that of the device");
    expect("upper", NULL, "", SPAN_NONE, false, "nothing at all");
    expect("upper", NULL, "", SPAN_LIT("no certificate"), false, "no certificate");
    expect("keys", NULL, "", first.der, false, "a device with keys");
    expect("keys", NULL, token_of("hub.local", "keys", NULL, NULL, HUB_KEY, NOW_S + 60), first.der,
        true, "a device with keys, its token, and a certificate");
    expect("upper", NULL, token_of("hub.local", "upper", NULL, NULL, HUB_KEY, NOW_S + 60),
        first.der, false, "the right certificate beside a token");
    expect("unknown", NULL, "", first.der, false, "an unknown device");
    ask("PUT", "/devices/upper?" V, "{\"status\":\"disabled\"}", "*");
    expect("upper", NULL, "", first.der, false, "a disabled device");
    forget(&first);
    forget(&second);
    forget(&other);
}

static void a_session_ends_with_its_certificate(void **state UNUSED)
{
    struct made over = make("d", NULL, false, NULL, NOW_S - 2 * DAY, NOW_S - 400);
    struct made just_over = make("d", NULL, false, NULL, NOW_S - DAY, NOW_S - 100);
    struct made early = make("d", NULL, false, NULL, NOW_S + 400, NOW_S + DAY);
    struct made good = make("d", NULL, false, NULL, NOW_S - DAY, NOW_S + 50);
    put_thumbprints("over", thumbprint(&over, false, false), "");
    put_thumbprints("early", thumbprint(&early, false, false), "");
    put_thumbprints("just", thumbprint(&just_over, false, false), thumbprint(&good, false, false));
    expect("over", NULL, "", over.der, false, "over");
    expect("early", NULL, "", early.der, false, "not begun");
    struct heard heard;
    heard_init(&heard);
    struct session session = connect_showing("just", NULL, "", just_over.der, &heard);
    assert_int_equal(session.err, ERR_NONE);
    assert_int_equal(session.expires_us, START_US - 100000000 + 300000000);
    service_disconnect(world.service, &session.identity, session.number);
    session = connect_showing("just", NULL, "", good.der, &heard);
    assert_int_equal(session.expires_us, START_US + 50000000);
    assert_true(span_is(session.identity.auth_method,
        "{\"scope\":\"device\",\"type\":\"x509\",\"issuer\":\"iothub\"}"));
    service_disconnect(world.service, &session.identity, session.number);
    forget(&over);
    forget(&just_over);
    forget(&early);
    forget(&good);
}

static void a_session_ends_when_its_thumbprint_is_changed(void **state UNUSED)
{
    struct made first = make_usual("d", NULL, false);
    struct made second = make_usual("d", NULL, false);
    put_thumbprints("d", thumbprint(&first, false, false), "");
    struct heard heard;
    heard_init(&heard);
    struct session session = connect_showing("d", NULL, "", first.der, &heard);
    assert_int_equal(session.err, ERR_NONE);
    put_thumbprints("d", thumbprint(&second, false, false), "");
    assert_int_equal(heard.end_count, 1);
    assert_int_equal(heard.reason, SESSION_KEYS_CHANGED);
    service_disconnect(world.service, &session.identity, session.number);
    expect("d", NULL, "", first.der, false, "the old one");
    expect("d", NULL, "", second.der, true, "the new one");
    forget(&first);
    forget(&second);
}

/* ---- authorities ----------------------------------------------------------------------------- */

static void by_authority(const char *path)
{
    put_identity(path, "\"type\":\"certificateAuthority\"");
}

static void a_chain_to_an_authority_of_the_hub_lets_in_who_is_named(void **state UNUSED)
{
    struct made root = make_usual("root", NULL, true);
    struct made middle = make_usual("middle", &root, true);
    struct made no_authority = make_usual("no authority", &root, false);
    struct made stranger = make_usual("root", NULL, true); /* of the same name */
    struct made leaf = make_usual("d", &middle, false);
    struct made direct = make_usual("d", &root, false);
    struct made other = make_usual("e", &root, false);
    struct made module = make_usual("d/m", &root, false);
    struct made wrong_module = make_usual("d/n", &root, false);
    struct made forged = make_usual("d", &stranger, false);
    struct made under_leaf = make_usual("d", &no_authority, false);
    struct made old = make("d", &root, false, NULL, NOW_S - 2 * DAY, NOW_S - DAY);
    struct made server = make("d", &root, false, "serverAuth", NOW_S - DAY, NOW_S + DAY);
    struct made client = make("d", &root, false, "clientAuth", NOW_S - DAY, NOW_S + DAY);
    by_authority("d");
    by_authority("d/modules/m");
    expect("d", NULL, "", direct.der, false, "before there is an authority");
    assert_int_equal(upload("ours", &root).status, 201);
    expect("d", NULL, "", direct.der, true, "signed by it");
    expect("d", NULL, "", chain_of(&leaf, &middle), true, "through one in the middle");
    expect("d", NULL, "", leaf.der, false, "without the one in the middle");
    expect("d", NULL, "", client.der, true, "for clients");
    expect("d", NULL, "", server.der, false, "for servers");
    expect("d", NULL, "", other.der, false, "of another device");
    expect("d", NULL, "", forged.der, false, "of an authority with the same name");
    expect("d", NULL, "", chain_of(&forged, &stranger), false, "with that authority behind it");
    expect("d", NULL, "", chain_of(&under_leaf, &no_authority), false, "signed by a device");
    expect("d", NULL, "", old.der, false, "over");
    expect("d", "m", "", module.der, true, "a module's own");
    expect("d", "m", "", direct.der, true, "a module with its device's");
    expect("d", "m", "", wrong_module.der, false, "another module's");
    expect("d", NULL, "", module.der, false, "a device with a module's");
    struct made *all[] = {&root, &middle, &no_authority, &stranger, &leaf, &direct, &other, &module,
        &wrong_module, &forged, &under_leaf, &old, &server, &client};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        forget(all[i]);
}

static void sessions_end_with_the_authority_that_let_them_in(void **state UNUSED)
{
    struct made first = make_usual("first", NULL, true);
    struct made second = make_usual("second", NULL, true);
    struct made of_first = make_usual("d", &first, false);
    struct made of_second = make_usual("e", &second, false);
    by_authority("d");
    by_authority("e");
    upload("first", &first);
    upload("second", &second);
    struct heard heard[2];
    heard_init(&heard[0]);
    heard_init(&heard[1]);
    struct session sessions[2] = {connect_showing("d", NULL, "", of_first.der, &heard[0]),
        connect_showing("e", NULL, "", of_second.der, &heard[1])};
    assert_int_equal(sessions[0].err, ERR_NONE);
    assert_int_equal(sessions[1].err, ERR_NONE);
    assert_int_equal(ask("DELETE", "/gemel/v1/certificates/first", NULL, NULL).status, 204);
    assert_int_equal(heard[0].end_count, 1);
    assert_int_equal(heard[1].end_count, 0);
    assert_int_equal(upload("second", &first).status, 200); /* another in its place */
    assert_int_equal(heard[1].end_count, 1);
    for (size_t i = 0; i < 2; i++)
        service_disconnect(world.service, &sessions[i].identity, sessions[i].number);
    forget(&first);
    forget(&second);
    forget(&of_first);
    forget(&of_second);
}

static void authorities_are_kept_by_name_with_etags(void **state UNUSED)
{
    struct made root = make_usual("The Root", NULL, true);
    struct made leaf = make_usual("d", &root, false);
    struct answer answer = upload("ours", &root);
    assert_int_equal(answer.status, 201);
    assert_string_equal(member(&answer, "properties.subject"), "CN=The Root");
    assert_string_equal(member(&answer, "properties.thumbprint"), thumbprint(&root, false, false));
    assert_string_equal(member(&answer, "etag"), "MQ==");
    answer = upload("again", &root);
    assert_int_equal(answer.status, 409);
    answer = upload("leaf", &leaf);
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "CA:TRUE"));
    answer = upload("bad%20name", &root);
    assert_int_equal(answer.status, 400);
    answer = ask("PUT", "/gemel/v1/certificates/x", "{\"certificate\":\"eA==\"}", NULL);
    assert_int_equal(answer.status, 400);
    answer = ask("PUT", "/gemel/v1/certificates/x", "{}", NULL);
    assert_int_equal(answer.status, 400);
    answer = ask("GET", "/gemel/v1/certificates", NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"name\":\"ours\""));
    assert_int_equal(ask("DELETE", "/gemel/v1/certificates/ours", NULL, "\"Mg==\"").status, 412);
    assert_int_equal(ask("DELETE", "/gemel/v1/certificates/ours", NULL, "\"MQ==\"").status, 204);
    assert_int_equal(ask("GET", "/gemel/v1/certificates/ours", NULL, NULL).status, 404);
    answer = ask_with(
        token("service", HUB_KEY), "hub.local", "GET", "/gemel/v1/certificates", NULL, NULL);
    assert_int_equal(answer.status, 401);
    forget(&root);
    forget(&leaf);
}

static void a_hub_has_room_for_so_many(void **state UNUSED)
{
    world.options.limits.certificates_per_hub = 1;
    world_reopen_service();
    struct made first = make_usual("first", NULL, true);
    struct made second = make_usual("second", NULL, true);
    assert_int_equal(upload("one", &first).status, 201);
    assert_int_equal(upload("two", &second).status, 403);
    assert_int_equal(upload("one", &second).status, 200);
    forget(&first);
    forget(&second);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void a_certificate_is_read_from_pem_and_from_base64_of_either(void **state UNUSED)
{
    struct made made = make_usual("d", NULL, false);
    AUTO(buf_done) struct buf der64 = BUF_EMPTY, pem = BUF_EMPTY, pem64 = BUF_EMPTY;
    base64_write(made.der, &der64);
    buf_add_text(&pem, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < der64.len; at += 64) {
        buf_add(&pem, span_first(span_from(buf_span(&der64), at), 64));
        buf_add_byte(&pem, '\n');
    }
    buf_add_text(&pem, "-----END CERTIFICATE-----\n");
    base64_write(buf_span(&pem), &pem64);
    const struct buf *forms[] = {&der64, &pem, &pem64};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct span der;
        assert_int_equal(
            certificate_of_text(&world.arena, buf_span(forms[i]), &der, NULL), ERR_NONE);
        assert_true(span_eq(der, made.der));
    }
    forget(&made);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(either_thumbprint_in_either_digest_and_case_lets_in),
        TEST(a_session_ends_with_its_certificate),
        TEST(a_session_ends_when_its_thumbprint_is_changed),
        TEST(a_chain_to_an_authority_of_the_hub_lets_in_who_is_named),
        TEST(sessions_end_with_the_authority_that_let_them_in),
        TEST(authorities_are_kept_by_name_with_etags),
        TEST(a_hub_has_room_for_so_many),
        TEST(a_certificate_is_read_from_pem_and_from_base64_of_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
