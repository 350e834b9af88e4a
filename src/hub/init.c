/* SPDX-License-Identifier: Apache-2.0 */
#include "init.h"
#include "certificates.h"
#include "clock.h"
#include "connstr.h"
#include "data_directory.h"
#include "host.h"
#include "ids.h"
#include "json.h"
#include "password.h"
#include "policies.h"
#include "store_sqlite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADMIN_USER "admin"
/* Where the packaged unit looks. */
#define UNIT_DATA_DIR "/var/lib/gemel-hub/data"

/* The first hub of a server answers to these as well: what runs on the same machine, the demo and
 * tests among it, needs no name service. */
static const char *const loopback_names[] = {"localhost", "127.0.0.1", "::1"};

/* What is made; all texts live in the arena. */
struct plan {
    struct arena arena;
    struct hub_record hub;
    struct account account;
    char password[PASSWORD_GENERATED_SIZE];
};

static void plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->hub.policy_count; i++) {
        const struct policy *policy = &plan->hub.policies[i];
        mem_wipe((void *)(uintptr_t)policy->primary_key.ptr, policy->primary_key.len);
        mem_wipe((void *)(uintptr_t)policy->secondary_key.ptr, policy->secondary_key.len);
    }
    mem_wipe(plan->password, sizeof(plan->password));
    arena_done(&plan->arena);
}

static void wipe_and_free(struct buf *bytes)
{
    mem_wipe(bytes->ptr, bytes->len);
    buf_done(bytes);
}

/* ---- planning -------------------------------------------------------------------------------- */

static enum err add_host_name(struct plan *plan, const char *text, struct why *why)
{
    char normal[HOST_SIZE];
    struct span name = host_normalise(span_of(text), normal);
    if (name.len == 0)
        return fail(ERR_ARGUMENT, why, "\"%s\" is no host name", text);
    for (size_t i = 0; i < plan->hub.host_name_count; i++)
        if (span_eq(plan->hub.host_names[i], name))
            return ERR_NONE;
    if (!arena_span(&plan->arena, name, &plan->hub.host_names[plan->hub.host_name_count]))
        return ERR_MEMORY;
    plan->hub.host_name_count++;
    return ERR_NONE;
}

static enum err plan_host_names(
    struct plan *plan, const struct hub_init_options *options, struct why *why)
{
    size_t most = options->host_name_count + COUNT_OF(loopback_names);
    plan->hub.host_names = arena_alloc(&plan->arena, most * sizeof(struct span));
    if (plan->hub.host_names == NULL)
        return ERR_MEMORY;
    enum err err = ERR_NONE;
    for (size_t i = 0; i < options->host_name_count && err == ERR_NONE; i++)
        err = add_host_name(plan, options->host_names[i], why);
    for (size_t i = 0; i < COUNT_OF(loopback_names) && err == ERR_NONE; i++)
        err = add_host_name(plan, loopback_names[i], why);
    return err;
}

static enum err plan_account(struct plan *plan, struct why *why)
{
    char hash[PASSWORD_HASH_SIZE];
    enum err err = password_generate(plan->password, why);
    if (err == ERR_NONE)
        err = password_hash(span_of(plan->password), hash, why);
    if (err != ERR_NONE)
        return err;
    static struct grant everything[] = {{GRANT_EVERY_HUB, ROLE_ADMINISTRATOR}};
    plan->account = (struct account){.user = SPAN_LIT(ADMIN_USER),
        .grants = everything,
        .grant_count = COUNT_OF(everything),
        .must_change = true};
    return arena_span(&plan->arena, span_of(hash), &plan->account.password_hash) ? ERR_NONE
                                                                                 : ERR_MEMORY;
}

static enum err make_plan(
    struct plan *plan, const struct hub_init_options *options, struct why *why)
{
    struct span name = span_of(options->hub == NULL ? HUB_NAME_DEFAULT : options->hub);
    plan->hub.name = name;
    plan->hub.created_us = clock_wall_us(&clock_system);
    enum err err = ids_check_hub(name, why);
    if (err == ERR_NONE)
        err = plan_host_names(plan, options, why);
    if (err == ERR_NONE)
        err = policies_make(&plan->arena, &plan->hub);
    if (err == ERR_NONE)
        err = plan_account(plan, why);
    return err;
}

/* ---- making ---------------------------------------------------------------------------------- */

struct first_records_job {
    struct store_job job;
    struct plan *plan;
};

static enum err read_id_scope(struct store_txn *txn, struct plan *plan)
{
    struct hub_record *hubs = NULL;
    size_t count = 0;
    enum err err = store_hub_list(txn, &plan->arena, &hubs, &count);
    if (err == ERR_NONE && count > 0)
        plan->hub.id_scope = hubs[0].id_scope;
    return err;
}

static enum err put_first_records(struct store_job *job, struct store_txn *txn)
{
    struct plan *plan = ((struct first_records_job *)job)->plan;
    int64_t id;
    enum err err = store_hub_put(txn, &plan->hub, &id);
    if (err == ERR_NONE)
        err = store_account_put(txn, &plan->account);
    return err == ERR_NONE ? read_id_scope(txn, plan) : err;
}

static enum err make_store(const char *directory, struct plan *plan, struct why *why)
{
    struct sqlite_options options = sqlite_options_default;
    options.directory = directory;
    options.create = true;
    options.readers = 1;
    struct store *store = NULL;
    enum err err = store_open_sqlite(&options, &store, why);
    if (err != ERR_NONE)
        return err;
    struct first_records_job job = {.job = {.run = put_first_records}, .plan = plan};
    err = store_run(store, STORE_WRITE, &job.job);
    if (err != ERR_NONE)
        why_set(why, "%s", why_text(&job.job.why, err));
    store_close(store);
    return err;
}

static enum err make_directory(const char *place, struct plan *plan, struct why *why)
{
    AUTO(data_directory_done) struct data_directory directory = {0};
    enum err err = data_directory_begin(place, &directory, why);
    if (err == ERR_NONE)
        err = make_store(directory.building, plan, why);
    if (err == ERR_NONE)
        err = certificates_make(directory.building, plan->hub.host_names, plan->hub.host_name_count,
            plan->hub.created_us, why);
    if (err == ERR_NONE)
        err = data_directory_finish(&directory, why);
    return err;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void write_json(
    const struct plan *plan, struct span connection, struct span ca_file, struct buf *out)
{
    const struct {
        const char *before;
        struct span value;
    } parts[] = {
        {"{\"hub\":", plan->hub.name},
        {",\"hostName\":", plan->hub.host_names[0]},
        {",\"idScope\":", plan->hub.id_scope},
        {",\"connectionString\":", connection},
        {",\"caFile\":", ca_file},
        {",\"admin\":{\"user\":", plan->account.user},
        {",\"password\":", span_of(plan->password)},
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        buf_add_text(out, parts[i].before);
        json_write_string(parts[i].value, out);
    }
    buf_add_text(out, "}}\n");
}

static void write_text(const struct plan *plan, const char *data_dir, struct span connection,
    struct span ca_file, struct buf *out)
{
    const struct {
        const char *label;
        struct span value;
    } lines[] = {
        {"hub                ", plan->hub.name},
        {"host name          ", plan->hub.host_names[0]},
        {"id scope           ", plan->hub.id_scope},
        {"connection string  ", connection},
        {"CA certificate     ", ca_file},
        {"administrator      ", plan->account.user},
        {"one-time password  ", span_of(plan->password)},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        buf_add_text(out, lines[i].label);
        buf_add(out, lines[i].value);
        buf_add_byte(out, '\n');
    }
    if (strcmp(data_dir, UNIT_DATA_DIR) == 0)
        buf_add_text(out, "\nStart it with: systemctl enable --now gemel-hub\n");
    else
        buf_add_format(out, "\nStart it with: gemel-hub serve --data-dir %s\n", data_dir);
}

static enum err tell(
    const struct plan *plan, const struct hub_init_options *options, struct why *why)
{
    char absolute[PATH_MAX];
    if (realpath(options->data_dir, absolute) == NULL)
        return fail(ERR_IO, why, "%s cannot be resolved", options->data_dir);
    AUTO(buf_done) struct buf ca_file = BUF_EMPTY;
    buf_add_format(&ca_file, "%s/" CERTIFICATES_CA_FILE, absolute);
    struct connstr connstr = {.host_name = plan->hub.host_names[0],
        .key_name = plan->hub.policies[0].name,
        .key = plan->hub.policies[0].primary_key};
    AUTO(wipe_and_free) struct buf connection = BUF_EMPTY;
    connstr_write(&connstr, &connection);
    AUTO(wipe_and_free) struct buf out = BUF_EMPTY;
    if (options->json)
        write_json(plan, buf_span(&connection), buf_span(&ca_file), &out);
    else
        write_text(plan, absolute, buf_span(&connection), buf_span(&ca_file), &out);
    if (ca_file.failed || connection.failed || out.failed)
        return ERR_MEMORY;
    if (fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
        return fail(ERR_IO, why, "the result could not be written to standard output");
    return ERR_NONE;
}

int hub_init(const struct hub_init_options *options)
{
    struct why why = {0};
    AUTO(plan_done) struct plan plan = {0};
    enum err err = make_plan(&plan, options, &why);
    if (err == ERR_NONE)
        err = make_directory(options->data_dir, &plan, &why);
    if (err == ERR_NONE)
        err = tell(&plan, options, &why);
    if (err != ERR_NONE)
        fprintf(stderr, "gemel-hub init: %s\n", why_text(&why, err));
    return err == ERR_NONE ? 0 : err == ERR_ARGUMENT ? 2 : 1;
}
