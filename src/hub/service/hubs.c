/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

struct hub_table {
    struct arena arena;
    struct hub_record *hubs;
    size_t count;
};

enum err hub_table_read(struct store_txn *txn, struct hub_table **ret_table)
{
    struct hub_table *table = mem_alloc(sizeof(*table));
    if (table == NULL)
        return ERR_MEMORY;
    arena_init(&table->arena, 0);
    enum err err = store_hub_list(txn, &table->arena, &table->hubs, &table->count);
    if (err == ERR_NONE)
        *ret_table = table;
    else
        hub_table_free(table);
    return err;
}

void hub_table_free(struct hub_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->count; i++) {
        for (size_t j = 0; j < table->hubs[i].policy_count; j++) {
            auth_wipe(table->hubs[i].policies[j].primary_key);
            auth_wipe(table->hubs[i].policies[j].secondary_key);
        }
    }
    arena_done(&table->arena);
    mem_free(table);
}

void hub_cache_init(struct hub_cache *cache)
{
    must(pthread_rwlock_init(&cache->lock, NULL) == 0);
    cache->table = NULL;
}

void hub_cache_done(struct hub_cache *cache)
{
    hub_table_free(cache->table);
    pthread_rwlock_destroy(&cache->lock);
}

void hub_cache_put(struct hub_cache *cache, struct hub_table *table)
{
    pthread_rwlock_wrlock(&cache->lock);
    struct hub_table *old = cache->table;
    cache->table = table;
    pthread_rwlock_unlock(&cache->lock);
    hub_table_free(old);
}

const struct hub_table *hub_cache_lock(struct hub_cache *cache)
{
    pthread_rwlock_rdlock(&cache->lock);
    return cache->table;
}

void hub_cache_unlock(struct hub_cache *cache)
{
    pthread_rwlock_unlock(&cache->lock);
}

enum err hub_all_names(const struct hub_table *table, struct arena *arena,
    const struct span **ret_names, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += table->hubs[i].host_name_count;
    struct span *names = arena_alloc(arena, (count + 1) * sizeof(*names));
    if (names == NULL)
        return ERR_MEMORY;
    size_t at = 0;
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < table->hubs[i].host_name_count; j++)
            if (!arena_span(arena, table->hubs[i].host_names[j], &names[at++]))
                return ERR_MEMORY;
    *ret_names = names;
    *ret_count = count;
    return ERR_NONE;
}

bool hub_has_host(const struct hub_record *hub, struct span normal_host)
{
    for (size_t i = 0; i < hub->host_name_count; i++)
        if (span_eq(hub->host_names[i], normal_host))
            return true;
    return false;
}

const struct hub_record *hub_find_by_host(const struct hub_table *table, struct span host)
{
    char text[HOST_SIZE];
    struct span normal = host_normalise(host, text);
    for (size_t i = 0; normal.len > 0 && i < table->count; i++)
        if (hub_has_host(&table->hubs[i], normal))
            return &table->hubs[i];
    return NULL;
}

const struct hub_record *hub_find_by_scope(const struct hub_table *table, struct span id_scope)
{
    for (size_t i = 0; i < table->count; i++)
        if (span_eq_nocase(table->hubs[i].id_scope, id_scope))
            return &table->hubs[i];
    return NULL;
}

const struct hub_record *hub_find_by_name(const struct hub_table *table, struct span name)
{
    for (size_t i = 0; i < table->count; i++)
        if (span_eq_nocase(table->hubs[i].name, name))
            return &table->hubs[i];
    return NULL;
}

const struct hub_record *hub_at(const struct hub_table *table, size_t index)
{
    return index < table->count ? &table->hubs[index] : NULL;
}

/* ---- their certificate ---------------------------------------------------------------------- */

struct opening_cover {
    struct cover cover;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
};

static void opening_covered(struct cover *cover, enum err err UNUSED, const struct why *why UNUSED)
{
    struct opening_cover *opening = (struct opening_cover *)cover;
    pthread_mutex_lock(&opening->lock);
    opening->done = true;
    pthread_cond_signal(&opening->answered);
    pthread_mutex_unlock(&opening->lock);
}

enum err hubs_cover_and_wait(struct service *service)
{
    const struct service_options *options = &service->options;
    struct opening_cover opening = {.cover = {.done = opening_covered},
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .answered = PTHREAD_COND_INITIALIZER};
    struct arena arena;
    if (options->cover_names == NULL)
        return ERR_NONE;
    arena_init(&arena, 0);
    enum err err =
        hub_all_names(service->hubs.table, &arena, &opening.cover.names, &opening.cover.count);
    if (err == ERR_NONE) {
        options->cover_names(options->keeper, &opening.cover);
        pthread_mutex_lock(&opening.lock);
        while (!opening.done)
            pthread_cond_wait(&opening.answered, &opening.lock);
        pthread_mutex_unlock(&opening.lock);
    }
    arena_done(&arena);
    return err;
}
