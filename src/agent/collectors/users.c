/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include "file.h"

void users_load(const char *etc_dir, struct users *ret_users)
{
    *ret_users = (struct users){0};
    if (!file_read(etc_dir, "passwd", USERS_FILE_MAX, &ret_users->text))
        buf_done(&ret_users->text);
}

void users_done(struct users *users)
{
    buf_done(&users->text);
}

struct span users_find(const struct users *users, uint32_t user_id)
{
    struct span rest = buf_span(&users->text), line;
    while (span_cut(&rest, '\n', &line)) {
        struct span name, password, id;
        uint64_t value;
        if (span_cut(&line, ':', &name) && span_cut(&line, ':', &password) &&
            span_cut(&line, ':', &id) && span_u64(id, UINT32_MAX, &value) && value == user_id &&
            name.len > 0)
            return name;
    }
    return SPAN_NONE;
}
