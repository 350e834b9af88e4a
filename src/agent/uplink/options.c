/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_priv.h"

#define SECOND_US ((int64_t)1000000)

void uplink_use_defaults(struct uplink_options *options)
{
    const struct {
        int64_t *option;
        enum setting_id setting;
        int64_t unit;
    } rows[] = {{&options->token_life_s, SETTING_IOTHUB_MODULE_TOKEN_LIFETIME, 60},
        {&options->keep_alive_s, SETTING_IOTHUB_MODULE_KEEP_ALIVE, 1},
        {&options->pause_first_us, SETTING_IOTHUB_MODULE_BACK_OFF_FIRST, SECOND_US},
        {&options->pause_longest_us, SETTING_IOTHUB_MODULE_BACK_OFF_LONGEST, SECOND_US}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (*rows[i].option == 0)
            *rows[i].option = setting_row(rows[i].setting)->default_number * rows[i].unit;
}
