/* SPDX-License-Identifier: Apache-2.0 */
/* Says that the agent lives: an event without content, at every due moment. */
#include "collector.h"

static enum err collect(void *state UNUSED, struct collector_writer *writer, struct why *why UNUSED)
{
    struct arena *arena;
    return collector_write(writer, collector_now_us(writer), 1, collector_payload(writer, &arena));
}

const struct collector heartbeat_collector = {
    .name = "Heartbeat",
    .part = PART_HEARTBEAT,
    .disabled = SETTING_HEARTBEAT_DISABLED,
    .frequency = SETTING_HEARTBEAT_MESSAGE_FREQUENCY,
    .snapshot = true,
    .collect = collect,
};
