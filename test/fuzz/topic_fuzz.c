/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct span part, struct span whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check(enum err err, const struct topic *topic, const struct why *why, struct span text)
{
    if (err == ERR_NONE) {
        must(within(topic->properties, text) && within(topic->rid, text));
        must(within(topic->method, text) && topic->version >= -1);
        return;
    }
    must(err == ERR_NOT_FOUND || err == ERR_FORBIDDEN || err == ERR_ARGUMENT);
    must(why->text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct topic_owner owners[] = {
        {SPAN_LIT("d1"), SPAN_NONE}, {SPAN_LIT("d1"), SPAN_LIT("m1")}};
    struct span text = {(const char *)data, size};
    for (size_t i = 0; i < COUNT_OF(owners); i++) {
        struct topic topic = {0};
        struct why why = {""};
        check(topic_parse_from_client(text, &owners[i], &topic, &why), &topic, &why, text);
        topic = (struct topic){0};
        check(topic_parse_from_hub(text, &owners[i], &topic, &why), &topic, &why, text);
        enum topic_filter filter = 0;
        if (topic_parse_filter(text, &owners[i], &filter, NULL) == ERR_NONE)
            must((filter & (filter - 1)) == 0 && filter != 0);
    }
    return 0;
}
