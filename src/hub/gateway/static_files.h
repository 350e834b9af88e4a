/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portal's files, as built by portal/build.mjs:
 *
 *   index.html          the page: for "/", and for every address that is no file and no API's where
 *                       the client wants HTML (the page reads the address itself)
 *   assets/NAME-HASH.*  never change under their name: browsers may keep them
 *   *.gz                the same file compressed
 *
 * All are read into memory once, at start, and looked up by the path as it was sent: what is not
 * in the table is not there, whatever the path says, so there is nothing to climb out of. Bounded
 * in number and bytes. Links inside the folder are not followed. Unchanging after static_files_open
 * and so for any thread.
 */
#ifndef GEMEL_GATEWAY_STATIC_FILES_H
#define GEMEL_GATEWAY_STATIC_FILES_H

#include "service.h"

struct static_files;

/* Reads a folder; NULL, or one without index.html: no portal, but a page that says so.
 * ERR_NOT_FOUND, ERR_IO, ERR_TOO_LARGE, ERR_MEMORY, with a sentence. */
enum err static_files_open(const char *directory, unsigned hsts_seconds,
    struct static_files **ret_files, struct why *why) MUST_USE;
void static_files_close(struct static_files *files); /* NULL is fine */

/* Whether there is a portal. */
bool static_files_has_page(const struct static_files *files);

/* Of a GET or HEAD. */
struct static_request {
    struct span path; /* as sent */
    bool is_api;      /* the service has operations there */
    struct span accept;
    struct span accept_encoding;
    struct span if_none_match;
};

/* Fills in the response, whose texts live as long as the files; false: it is the service's. */
bool static_files_answer(const struct static_files *files, const struct static_request *request,
    struct rest_call *response);

#endif
