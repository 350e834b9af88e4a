/* SPDX-License-Identifier: Apache-2.0 */
/* What is read lies inside the text, and has no empty part where one must be. */
#include "provision.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct span part, struct span whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct provision_user user;
    struct provision_topic topic;
    if (provision_parse_user(text, &user, NULL) == ERR_NONE) {
        must(provision_is_user(text) && user.registration_id.len > 0);
        must(lies_in(user.registration_id, text) && lies_in(user.id_scope, text));
        must(span_find(user.registration_id, '/') == user.registration_id.len);
    }
    if (provision_parse_topic(text, &topic, NULL) == ERR_NONE) {
        must(topic.rid.len > 0 && lies_in(topic.rid, text) && lies_in(topic.operation_id, text));
        must(topic.is_status == (topic.operation_id.len > 0));
    }
    must(provision_check_id(text, NULL) != ERR_NONE || size <= 128);
    return 0;
}
