/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes of a document that a hub exported what IoT Hub's bulk operation takes: of a line of an
 * export file, of an identity, or of a twin. What only the hub itself knows (reported properties,
 * times) is left out. Pure.
 */
#ifndef GEMEL_CLI_IMPORT_ITEM_H
#define GEMEL_CLI_IMPORT_ITEM_H

#include "import_reader.h"

struct import_policy {
    const char *mode; /* of documents that name none */
    bool overwrite;   /* what is to be created overwrites what there is */
};

struct import_item {
    struct json *json;
    struct span device_id;
    struct span module_id;
    struct span mode;
    bool without_keys; /* it authenticates by keys, and brings none */
};

/* ERR_ARGUMENT with what is wrong, ERR_MEMORY. The ids are set as far as there are any. */
enum err import_item_make(struct arena *arena, const struct import_document *document,
    const struct import_policy *policy, struct import_item *ret_item, struct why *why) MUST_USE;

/* Judges what can be judged without the hub: form, keys, limits of the twin. */
enum err import_item_check(
    struct arena *arena, const struct import_item *item, struct why *why) MUST_USE;

#endif
