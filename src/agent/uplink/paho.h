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
void paho_free(struct paho *paho); /* drops the connection; NULL is fine */

struct link_driver paho_link(struct paho *paho);

#endif
