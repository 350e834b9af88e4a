/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a running agent is asked how it is: whoever may connect to the socket agent.sock in the state
 * directory (mode 0600) gets one JSON object, and the connection is closed.
 */
#ifndef GEMEL_AGENT_STATUS_H
#define GEMEL_AGENT_STATUS_H

#include "buf.h"
#include "json.h"

/* Begins to listen; -1 (and a line in the log) if that cannot be: the agent runs on without. */
int status_listen(const char *state_dir);
void status_close(int listener, const char *state_dir);

/* Answers everybody who has connected. */
void status_serve(int listener, struct span text);

/* Asks the agent that runs on a state directory. ERR_NOT_FOUND: none runs there. */
enum err status_ask(const char *state_dir, struct buf *ret_text, struct why *why) MUST_USE;

/* Writes the answer for people: a line a member, what is inside others indented. */
void status_write_text(const struct json *object, struct buf *out);

#endif
