/* SPDX-License-Identifier: Apache-2.0 */
/* The Process collector on the real kernel, among the programs of others. */
#ifndef GEMEL_TEST_PROCESS_PLACE_H
#define GEMEL_TEST_PROCESS_PLACE_H

#include "fixture.h"

extern char process_mark[32]; /* an argument that nobody else's programs have, in this test */

int process_setup(void **state);
int process_teardown(void **state);

/* Skips the test, with the reason, where the kernel refuses the process connector. */
void process_need_netlink(void);

/* Changes a number, and does not put it in force. */
void process_set(struct fixture *f, enum setting_id id, int64_t number);

/* All that was lost; and that all is accounted for. */
int64_t process_lost(struct fixture *f);
void process_check_balance(struct fixture *f);

#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, process_setup, process_teardown)

#endif
