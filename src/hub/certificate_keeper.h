/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the certificate of a running server right, on a thread of its own: it covers the host names
 * of all hubs, as they come and go; it is renewed before it ends; it is read anew when told to
 * (SIGHUP: somebody put other files there). Whatever changed is shown to new connections at once,
 * and open connections do not notice. All else that touches the files happens before start.
 */
#ifndef GEMEL_HUB_CERTIFICATE_KEEPER_H
#define GEMEL_HUB_CERTIFICATE_KEEPER_H

#include "gateway.h"

struct certificate_keeper;

struct certificate_keeper_options {
    const char *directory;
    unsigned renew_days;
    struct gateway *gateway;
};

/* Makes it; it does nothing yet. ERR_MEMORY. */
enum err certificate_keeper_new(const struct certificate_keeper_options *options,
    struct certificate_keeper **ret_keeper, struct why *why) MUST_USE;

/* Starts the thread, which looks every hour; when the gateway runs. ERR_SERVER. */
enum err certificate_keeper_start(struct certificate_keeper *keeper, struct why *why) MUST_USE;

/* Takes the host names of all hubs over; service_options.cover_names. Any thread. */
void certificate_keeper_cover(void *keeper, struct cover *cover);

/* Reads the files anew, and looks after them. Any thread. */
void certificate_keeper_reload(struct certificate_keeper *keeper);

/* Ends the thread, if it was started, and frees; no cover may be under way. NULL is fine. */
void certificate_keeper_free(struct certificate_keeper *keeper);

#endif
