/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dps: enrollments of single devices and of groups, and what came of them. What both kinds have
 * alike is done alike; a row says where they differ.
 */
#include "client.h"
#include "commands.h"

#define DPS_VERSION "2021-10-01"
#define PAGE_ITEMS 1000

struct kind {
    const char *path;      /* of the API */
    const char *id_member; /* in the document */
    enum option id;
    const char *certificates; /* in the attestation by X.509 */
};

static const struct kind individual = {
    "/enrollments", "registrationId", OPTION_ENROLLMENT_ID, "clientCertificates"};
static const struct kind group = {
    "/enrollmentGroups", "enrollmentGroupId", OPTION_GROUP_ID, "signingCertificates"};

static const struct kind *kind_of(const struct cli *cli)
{
    return span_starts(span_of(cli->arguments.command->path), SPAN_LIT("dps enrollment-group"))
               ? &group
               : &individual;
}

static int no_memory(struct cli *cli)
{
    return cli_fail(cli, EXIT_REFUSED, "out of memory");
}

static struct span one(struct cli *cli, const char *suffix)
{
    const struct kind *kind = kind_of(cli);
    return client_path(cli, kind->path, cli_span(cli, kind->id), suffix, DPS_VERSION);
}

/* ---- the document ---------------------------------------------------------------------------- */

static struct json *sub_object(struct cli *cli, struct json *object, const char *name)
{
    struct json *member = json_find_text(object, name);
    if (json_is(member, JSON_OBJECT))
        return member;
    member = json_new(&cli->arena, JSON_OBJECT);
    return json_set(&cli->arena, object, span_of(name), member) ? member : NULL;
}

static int set_keys(struct cli *cli, struct json *attestation)
{
    static const struct {
        enum option option;
        const char *member;
    } keys[] = {{OPTION_PRIMARY_KEY, "primaryKey"}, {OPTION_SECONDARY_KEY, "secondaryKey"}};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct span text;
        if (cli_value(cli, keys[i].option) == NULL)
            continue;
        int status = cli_load(cli, keys[i].option, false, &text);
        if (status != EXIT_DONE)
            return status;
        struct json *part = sub_object(cli, attestation, "symmetricKey");
        if (part == NULL || !json_set_text(&cli->arena, part, keys[i].member, text))
            return no_memory(cli);
    }
    return EXIT_DONE;
}

static const struct {
    const char *member;
    enum option file;
    enum option name; /* of an authority of the hub, for groups */
    enum option removes;
} certificates[] = {
    {"primary", OPTION_CERTIFICATE_PATH, OPTION_CA_NAME, OPTION_REMOVE_CERTIFICATE},
    {"secondary", OPTION_SECONDARY_CERTIFICATE_PATH, OPTION_SECONDARY_CA_NAME,
        OPTION_REMOVE_SECONDARY_CERTIFICATE},
};

static void drop(struct json *object, const char *name)
{
    if (json_is(object, JSON_OBJECT))
        json_take(object, span_of(name));
}

static int set_certificate(struct cli *cli, struct json *x509, size_t which)
{
    const struct kind *kind = kind_of(cli);
    const char *member = certificates[which].member;
    struct span text;
    struct json *part;
    if (cli_value(cli, certificates[which].removes) != NULL) {
        drop(json_find_text(x509, kind->certificates), member);
        drop(json_find_text(x509, "caReferences"), member);
    }
    if (cli_value(cli, certificates[which].name) != NULL) {
        drop(x509, kind->certificates);
        part = sub_object(cli, x509, "caReferences");
        return part != NULL && json_set_text(&cli->arena, part, member,
                                   cli_span(cli, certificates[which].name))
                   ? EXIT_DONE
                   : no_memory(cli);
    }
    if (cli_value(cli, certificates[which].file) == NULL)
        return EXIT_DONE;
    int status = cli_load(cli, certificates[which].file, true, &text);
    if (status != EXIT_DONE)
        return status;
    drop(x509, "caReferences");
    part = sub_object(cli, x509, kind->certificates);
    struct json *certificate = json_new(&cli->arena, JSON_OBJECT);
    return part != NULL && certificate != NULL &&
                   json_set_text(&cli->arena, certificate, "certificate", text) &&
                   json_set(&cli->arena, part, span_of(member), certificate)
               ? EXIT_DONE
               : no_memory(cli);
}

static bool brings_certificates(const struct cli *cli)
{
    for (size_t i = 0; i < COUNT_OF(certificates); i++)
        if (cli_value(cli, certificates[i].file) != NULL ||
            cli_value(cli, certificates[i].name) != NULL ||
            cli_value(cli, certificates[i].removes) != NULL)
            return true;
    return false;
}

static int set_attestation(struct cli *cli, struct json *document)
{
    struct json *attestation = sub_object(cli, document, "attestation");
    struct span before = json_string_of(attestation, "type");
    struct span type = cli_span(cli, OPTION_ATTESTATION_TYPE);
    if (type.len == 0)
        type = before.len > 0             ? before
               : brings_certificates(cli) ? SPAN_LIT("x509")
                                          : SPAN_LIT("symmetricKey");
    bool by_key = span_is(type, "symmetricKey");
    bool keys =
        cli_value(cli, OPTION_PRIMARY_KEY) != NULL || cli_value(cli, OPTION_SECONDARY_KEY) != NULL;
    if (by_key ? brings_certificates(cli) : keys)
        return cli_fail(cli, EXIT_USAGE, "%s do not go with the attestation by %.*s",
            by_key ? "certificates" : "keys", SPAN_ARG(type));
    if (attestation == NULL || !json_set_text(&cli->arena, attestation, "type", type))
        return no_memory(cli);
    if (by_key)
        return set_keys(cli, attestation);
    struct json *x509 = sub_object(cli, attestation, "x509");
    if (x509 == NULL)
        return no_memory(cli);
    int status = set_certificate(cli, x509, 0);
    return status == EXIT_DONE ? set_certificate(cli, x509, 1) : status;
}

static int set_twin(struct cli *cli, struct json *document)
{
    struct json *tags = NULL;
    struct json *desired = NULL;
    int status = cli_load_object(cli, OPTION_INITIAL_TAGS, false, &tags);
    if (status == EXIT_DONE)
        status = cli_load_object(cli, OPTION_INITIAL_PROPERTIES, false, &desired);
    if (status != EXIT_DONE || (tags == NULL && desired == NULL))
        return status;
    struct json *twin = sub_object(cli, document, "initialTwin");
    if (twin == NULL || (tags != NULL && !json_set(&cli->arena, twin, SPAN_LIT("tags"), tags)))
        return no_memory(cli);
    if (desired == NULL)
        return EXIT_DONE;
    struct json *properties = sub_object(cli, twin, "properties");
    return properties != NULL && json_set(&cli->arena, properties, SPAN_LIT("desired"), desired)
               ? EXIT_DONE
               : no_memory(cli);
}

/* az's words, and what they are in the document. */
static const struct {
    const char *word;
    bool update_hub;
    bool migrate_data;
} reprovision_policies[] = {
    {"reprovisionandmigratedata", true, true},
    {"reprovisionandresetdata", true, false},
    {"never", false, false},
};

static bool set_policy(struct cli *cli, struct json *document, struct span word)
{
    for (size_t i = 0; i < COUNT_OF(reprovision_policies); i++) {
        if (!span_is(word, reprovision_policies[i].word))
            continue;
        struct json *policy = sub_object(cli, document, "reprovisionPolicy");
        return policy != NULL &&
               json_set_bool(&cli->arena, policy, "updateHubAssignment",
                   reprovision_policies[i].update_hub) &&
               json_set_bool(
                   &cli->arena, policy, "migrateDeviceData", reprovision_policies[i].migrate_data);
    }
    return true;
}

static int set_all(struct cli *cli, struct json *document)
{
    struct json *modules = NULL;
    struct span edge = cli_span(cli, OPTION_EDGE_ENABLED);
    const struct {
        enum option option;
        const char *member;
    } texts[] = {
        {OPTION_DEVICE_ID, "deviceId"},
        {OPTION_PROVISIONING_STATUS, "provisioningStatus"},
        {OPTION_ALLOCATION_POLICY, "allocationPolicy"},
        {OPTION_IOT_HUB, "iotHubHostName"},
    };
    int status = set_attestation(cli, document);
    if (status == EXIT_DONE)
        status = set_twin(cli, document);
    if (status == EXIT_DONE)
        status = cli_load_object(cli, OPTION_MODULES, false, &modules);
    if (status != EXIT_DONE)
        return status;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (cli_value(cli, texts[i].option) != NULL &&
            !json_set_text(&cli->arena, document, texts[i].member, cli_span(cli, texts[i].option)))
            return no_memory(cli);
    if (modules != NULL && !json_set(&cli->arena, document, SPAN_LIT("modules"), modules))
        return no_memory(cli);
    if (edge.len > 0) {
        struct json *capabilities = sub_object(cli, document, "capabilities");
        if (capabilities == NULL ||
            !json_set_bool(&cli->arena, capabilities, "iotEdge", span_is(edge, "true")))
            return no_memory(cli);
    }
    return set_policy(cli, document, cli_span(cli, OPTION_REPROVISION_POLICY)) ? EXIT_DONE
                                                                               : no_memory(cli);
}

/* ---- the commands ---------------------------------------------------------------------------- */

static int put(struct cli *cli, const struct json *document, struct span etag)
{
    const struct call call = {
        .method = "PUT", .target = one(cli, ""), .body = document, .etag = etag};
    return client_print(cli, &call);
}

static int get(struct cli *cli, struct json **ret_document)
{
    const struct call call = {.method = "GET", .target = one(cli, "")};
    int status = client_call(cli, &call, ret_document);
    if (status == EXIT_DONE && !json_is(*ret_document, JSON_OBJECT))
        return cli_fail(cli, EXIT_NO_HUB, "the answer is no enrollment");
    return status;
}

/* One that is there is changed by `update` alone. */
int enrollment_create(struct cli *cli)
{
    const struct kind *kind = kind_of(cli);
    struct response response;
    struct why why = {""};
    const struct call call = {.method = "GET", .target = one(cli, "")};
    struct json *document = json_new(&cli->arena, JSON_OBJECT);
    if (document == NULL ||
        !json_set_text(&cli->arena, document, kind->id_member, cli_span(cli, kind->id)))
        return no_memory(cli);
    int status = set_all(cli, document);
    if (status != EXIT_DONE)
        return status;
    enum err err = client_send(cli, &call, &cli->arena, &response, &why);
    if (err != ERR_NONE)
        return cli_fail_err(cli, err, &why);
    if (response.status == 200)
        return cli_fail(
            cli, EXIT_REFUSED, "there is an enrollment of this id already: see \"update\"");
    return response.status == 404 ? put(cli, document, SPAN_NONE) : client_refused(cli, &response);
}

int enrollment_update(struct cli *cli)
{
    struct json *document = NULL;
    int status = get(cli, &document);
    if (status == EXIT_DONE)
        status = set_all(cli, document);
    struct span etag = cli_span(cli, OPTION_ETAG);
    if (etag.len == 0)
        etag = json_string_of(document, "etag");
    return status == EXIT_DONE ? put(cli, document, etag) : status;
}

int enrollment_show(struct cli *cli)
{
    struct json *document = NULL;
    struct json *attestation = NULL;
    int status = get(cli, &document);
    if (status != EXIT_DONE)
        return status;
    if (cli_value(cli, OPTION_SHOW_KEYS) != NULL) {
        const struct call call = {.method = "POST", .target = one(cli, "/attestationmechanism")};
        status = client_call(cli, &call, &attestation);
        if (status != EXIT_DONE)
            return status;
        if (!json_set(&cli->arena, document, SPAN_LIT("attestation"), attestation))
            return no_memory(cli);
    }
    return cli_print(cli, document);
}

int enrollment_delete(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {
        .method = "DELETE", .target = one(cli, ""), .etag = cli_span(cli, OPTION_ETAG)};
    return client_call(cli, &call, &answer);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static int read_pages(struct cli *cli, struct call *call)
{
    struct json *rows = json_new(&cli->arena, JSON_ARRAY);
    uint64_t top = UINT32_MAX;
    if (cli_value(cli, OPTION_TOP) != NULL &&
        (!span_u64(cli_span(cli, OPTION_TOP), UINT32_MAX, &top) || top == 0))
        return cli_fail(cli, EXIT_USAGE, "--top is a number from 1 on");
    if (rows == NULL)
        return no_memory(cli);
    do {
        struct response response = {0};
        struct json *page = NULL;
        struct why why = {""};
        uint64_t left = top - rows->count;
        call->max_items = left < PAGE_ITEMS ? (unsigned)left : PAGE_ITEMS;
        enum err err = client_send(cli, call, &cli->arena, &response, &why);
        if (err != ERR_NONE)
            return cli_fail_err(cli, err, &why);
        if (response.status != 200)
            return client_refused(cli, &response);
        int status = client_parse(cli, &response, &cli->arena, &page);
        if (status != EXIT_DONE)
            return status;
        while (json_is(page, JSON_ARRAY) && page->first != NULL) {
            struct json *row = page->first;
            page->first = row->next;
            if (!json_append(rows, row))
                return no_memory(cli);
        }
        call->continuation = response.continuation;
    } while (call->continuation.len > 0 && rows->count < top);
    return cli_print(cli, rows);
}

int enrollment_list(struct cli *cli)
{
    struct json *body = json_new(&cli->arena, JSON_OBJECT);
    if (body == NULL || !json_set_text(&cli->arena, body, "query", SPAN_LIT("SELECT *")))
        return no_memory(cli);
    struct call call = {.method = "POST",
        .target = client_path(cli, kind_of(cli)->path, SPAN_NONE, "/query", DPS_VERSION),
        .body = body};
    return read_pages(cli, &call);
}

/* ---- registrations --------------------------------------------------------------------------- */

static struct span registration(struct cli *cli, enum option id, const char *suffix)
{
    return client_path(cli, "/registrations", cli_span(cli, id), suffix, DPS_VERSION);
}

static enum option registration_id(const struct cli *cli)
{
    return kind_of(cli) == &group ? OPTION_REGISTRATION_ID : OPTION_ENROLLMENT_ID;
}

int registration_show(struct cli *cli)
{
    const struct call call = {
        .method = "GET", .target = registration(cli, registration_id(cli), "")};
    return client_print(cli, &call);
}

int registration_delete(struct cli *cli)
{
    struct json *answer = NULL;
    const struct call call = {.method = "DELETE",
        .target = registration(cli, registration_id(cli), ""),
        .etag = cli_span(cli, OPTION_ETAG)};
    return client_call(cli, &call, &answer);
}

int registration_list(struct cli *cli)
{
    struct call call = {.method = "POST", .target = registration(cli, OPTION_GROUP_ID, "/query")};
    return read_pages(cli, &call);
}
