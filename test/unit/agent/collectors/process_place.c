/* SPDX-License-Identifier: Apache-2.0 */
#include "process_place.h"

#include "process_netlink.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

char process_mark[32];

int process_setup(void **state)
{
    static unsigned number;
    struct fixture *f = fixture_new(&process_collector);
    harness_real_clock(&f->harness);
    snprintf(process_mark, sizeof(process_mark), "mark-%d-%u", (int)getpid(), number++);
    fixture_open(f);
    *state = f;
    return 0;
}

int process_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

void process_need_netlink(void)
{
    struct process_netlink *netlink;
    struct why why = {""};
    if (process_netlink_open(1 << 20, PROCESS_EVENT_BIT(PROCESS_EXEC), &netlink, &why) !=
        ERR_NONE) {
        print_message("# skipped: %s\n", why.text);
        skip();
    }
    process_netlink_close(netlink);
}

void process_set(struct fixture *f, enum setting_id id, int64_t number)
{
    f->settings.values[id].number = number;
}

int64_t process_lost(struct fixture *f)
{
    return harness_lost(&f->harness, f->collectors, f->table[0]->name);
}

void process_check_balance(struct fixture *f)
{
    assert_int_equal(harness_unaccounted(&f->harness, f->collectors, f->table[0]->name), 0);
}
