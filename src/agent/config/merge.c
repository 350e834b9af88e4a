/* SPDX-License-Identifier: Apache-2.0 */
#include "merge_priv.h"

bool config_merge(struct arena *arena, struct json *target, const struct json *patch)
{
    json_each (change, patch) {
        if (change->kind == JSON_NULL) {
            json_take(target, change->key);
            continue;
        }
        if (change->kind != JSON_OBJECT) {
            if (!json_set(arena, target, change->key, json_copy(arena, change)))
                return false;
            continue;
        }
        struct json *into = json_find(target, change->key);
        if (!json_is(into, JSON_OBJECT)) {
            into = json_new(arena, JSON_OBJECT);
            if (!json_set(arena, target, change->key, into))
                return false;
        }
        if (!config_merge(arena, into, change))
            return false;
    }
    return true;
}
