/* SPDX-License-Identifier: Apache-2.0 */
#include "username.h"

#include "urlcode.h"

#define FORM "a user name is {host}/{device}[/{module}]/?api-version=... "

/* Whether a segment begins the parameters: '?' or not, it must hold an api-version. */
static bool cut_parameters(struct span rest, struct span *ret_parameters)
{
    struct span version;
    struct span parameters = span_starts(rest, SPAN_LIT("?")) ? span_from(rest, 1) : rest;
    if (!url_query_find(parameters, "api-version", &version) || version.len == 0)
        return false;
    *ret_parameters = parameters;
    return true;
}

/*
 * Ids hold no '/', but may begin with '?' or read "api-version=…"; values may hold '/'. So the
 * parameters begin at the first segment behind the device that has an api-version.
 */
static bool split(
    struct span text, struct username *name, struct span *ret_parameters, bool *ret_asked)
{
    struct span rest = text;
    if (!span_cut(&rest, '/', &name->host) || !span_cut(&rest, '/', &name->device_id))
        return false;
    if (!cut_parameters(rest, ret_parameters)) {
        if (!span_cut(&rest, '/', &name->module_id) || name->module_id.len == 0 ||
            !cut_parameters(rest, ret_parameters))
            return false;
    }
    *ret_asked = rest.ptr[0] == '?';
    return name->host.len > 0 && name->device_id.len > 0;
}

/* The oldest form: "api-version=V/DeviceClientType=PRODUCT/VERSION", nothing encoded. */
static bool split_slashed(struct span version, struct username *name)
{
    const struct span label = SPAN_LIT("DeviceClientType=");
    struct span type = version;
    if (!span_cut(&type, '/', &name->api_version) || !span_starts(type, label))
        return false;
    name->client_type = span_from(type, label.len);
    struct span product_version = name->client_type;
    struct span product;
    if (!span_cut(&product_version, '/', &product))
        return false;
    return name->api_version.len > 0 && product.len > 0 && product_version.len > 0 &&
           span_find(product_version, '/') == product_version.len;
}

static enum err decode(struct arena *arena, struct span parameters, const char *parameter,
    struct span *ret_value, struct why *why)
{
    struct span encoded;
    if (!url_query_find(parameters, parameter, &encoded))
        return ERR_NONE;
    enum err err = url_decode_text(arena, encoded, ret_value, why);
    if (err != ERR_NONE)
        why_prefix(why, "%s of the user name", parameter);
    return err;
}

static enum err read_parameters(
    struct arena *arena, struct span parameters, struct username *name, struct why *why)
{
    const struct {
        const char *parameter;
        struct span *value;
    } rows[] = {
        {"DeviceClientType", &name->client_type},
        {"model-id", &name->model_id},
        {"auth-chain", &name->auth_chain},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum err err = decode(arena, parameters, rows[i].parameter, rows[i].value, why);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

enum err username_parse(
    struct arena *arena, struct span text, struct username *ret_username, struct why *why)
{
    struct username name = {0};
    struct span parameters;
    bool asked = false;
    if (!split(text, &name, &parameters, &asked))
        return fail(ERR_FORMAT, why, FORM "and this one has a part missing, empty or too many");
    must(url_query_find(parameters, "api-version", &name.api_version));
    bool slashed = !asked && span_find(name.api_version, '/') < name.api_version.len;
    if (slashed && !split_slashed(name.api_version, &name))
        return fail(ERR_FORMAT, why, FORM "and this one has too many parts");
    enum err err = slashed ? ERR_NONE : read_parameters(arena, parameters, &name, why);
    if (err == ERR_NONE)
        *ret_username = name;
    return err;
}

enum err username_check_client_id(
    const struct username *username, struct span client_id, struct why *why)
{
    struct span module = client_id;
    struct span device;
    bool equal = span_cut(&module, '/', &device) && span_eq(device, username->device_id) &&
                 span_eq(module, username->module_id) &&
                 (username->module_id.len > 0 || device.len == client_id.len);
    if (!equal)
        return fail(ERR_FORMAT, why, "the client id \"%.*s\" is not the identity of the user name",
            SPAN_ARG(client_id));
    return ERR_NONE;
}
