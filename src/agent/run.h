/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as it runs: one loop, one thread, which puts collectors, configuration, outbox and
 * uplink together. The MQTT client's threads only wake it.
 *
 *   collectors --messages--> outbox --sender--> uplink ---------> hub
 *       ^                                         |
 *       +------ apply, flush ---- config <--------+ twin, changes of it
 *                                  +---- reported --> uplink
 */
#ifndef GEMEL_AGENT_RUN_H
#define GEMEL_AGENT_RUN_H

#include "err.h"

struct run_options {
    const char *config_dir;
    const char *state_dir; /* made if it is missing; its parent must exist */
    const char *link_path; /* of the process that holds the connection; NULL: this one does */
    int64_t first_delay_s; /* the first collection comes at a random time within this */
};

/* Exit codes of the program; they are in its manual page. */
enum exit_code { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NO_AGENT };

/* Runs until SIGTERM or SIGINT; SIGHUP makes it read conf.json and the credentials again. returns
 * the program's exit code. */
int agent_run(const struct run_options *options);

#endif
