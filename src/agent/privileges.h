/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process may do, made as little as its work allows. Whoever starts the agent gives it
 * rights (root by hand, systemd by the unit); it puts down at once what no collector ever needs,
 * and uses of the rest only what those that are switched on need:
 *
 *   given ──limit──> the most that collectors need ──use──> what is in force needs
 *                    (permitted: may be used again)         (effective)
 *
 * System calls that it never makes, above all starting another program, are refused by the kernel
 * for the whole life of the process (seccomp(2)). Whatever here is not granted is no error:
 * systemd's own filter, for one, refuses capset(2), and has given no more than the unit says.
 */
#ifndef GEMEL_AGENT_PRIVILEGES_H
#define GEMEL_AGENT_PRIVILEGES_H

#include "json.h"

/* Bits of capabilities, CAP_… as their number. */
#define PRIVILEGE(capability) (UINT64_C(1) << (capability))

/* No core dump, no new rights by exec, no system call that the agent never makes. Before threads
 * start. */
void privileges_enclose(void);

/* Gives up for good what is not in the mask. */
void privileges_limit(uint64_t most);

/* Uses just these, as far as they are permitted; threads that start later inherit them. */
void privileges_use(uint64_t wanted);

/* Adds "capabilities": the names of those that are in use, "system_calls": "filtered" or "open". */
bool privileges_status(struct arena *arena, struct json *object) MUST_USE;

#endif
