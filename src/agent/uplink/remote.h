/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection in a process of its own. The agent sees what only root may see; so it need not be
 * the one that talks to the internet:
 *
 *   gemel-agent run --link PATH          gemel-agent link --socket PATH
 *   uplink ── remote_link() ── socket ── remote_server ── paho ──TLS── hub
 *   capabilities, no internet             internet, no capabilities
 *
 * The agent reads the certificates and the key, which may be for root alone, and hands over what is
 * in them; so the other process needs no file of the machine's configuration.
 *
 * The agent's side is a link driver (link.h) like any other; the server does what it is told by one
 * agent at a time, and a new one takes the place of the old. What the other side says is checked
 * like what a stranger says. A process that is gone is a lost connection, and tried again.
 */
#ifndef GEMEL_REMOTE_H
#define GEMEL_REMOTE_H

#include "link.h"

struct remote;

enum err remote_new(const char *path, struct remote **ret_remote, struct why *why) MUST_USE;
void remote_free(struct remote *remote); /* NULL is fine */
struct link_driver remote_link(struct remote *remote);

struct remote_server;

/* Listens at `path`, for processes of this user and of root; what was there is replaced. The link
 * stays the caller's. */
enum err remote_server_new(const char *path, struct link_driver link,
    struct remote_server **ret_server, struct why *why) MUST_USE;
void remote_server_free(struct remote_server *server); /* drops the connection; NULL is fine */

#define REMOTE_SERVER_FDS 3u

/* Writes the descriptors that are a reason to call remote_server_run(); returns how many. */
size_t remote_server_fds(const struct remote_server *server, int ret_fds[REMOTE_SERVER_FDS]);

/* Takes in what came from both sides and hands it on. */
void remote_server_run(struct remote_server *server);

#endif
