/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link driver on Eclipse Paho's asynchronous client. Paho has two threads of its own; their
 * callbacks only put events into a queue and wake the agent's loop through an eventfd. Paho neither
 * reconnects nor keeps messages here: both are ours.
 */
#ifndef GEMEL_PAHO_H
#define GEMEL_PAHO_H

#include "link.h"

struct paho;

enum err paho_new(struct paho **ret_paho, struct why *why) MUST_USE;
/* NULL is fine. False: a thread of the client still waits for something outside and uses it, so it
 * is left alone; the process is to end by _exit(). */
bool paho_free(struct paho *paho) MUST_USE;

struct link_driver paho_link(struct paho *paho);

#endif
