/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a path leads, and what decides it: every directory on the way, through symbolic links as
 * well, with the name that is looked up in it. Each of these directories is watched, so that a
 * path is seen to appear, to go, or to lead elsewhere, at whichever part of it that happens.
 *
 *   /var/spool/in      "/" var, "/var" spool, "/var/spool" in
 *   spool is a link    "/" var, "/var" spool, "/" data, "/data" spool, "/data/spool" in
 */
#ifndef GEMEL_FILE_ROUTE_H
#define GEMEL_FILE_ROUTE_H

#include "err.h"
#include "span.h"

#include <sys/stat.h>

struct file_step {
    int watch; /* negative: the directory cannot be watched */
    char *name;
};

struct file_route {
    struct file_step *steps;
    size_t count;
    bool complete; /* the last step looks up the end of the path, be it there or not */
    bool there;
    struct stat stat; /* of what is there */
    /* Without links on the way; NULL where the way has no end yet. */
    char *real;   /* where it is, or would be */
    char *parent; /* the directory in which its end is looked up; NULL for "/" */
};

/* Walks a path from the root on, and watches on `inotify_fd` what decides where it leads.
 * ERR_MEMORY: `ret_route` holds the first steps. */
enum err file_route_walk(int inotify_fd, const char *path, struct file_route *ret_route) MUST_USE;
void file_route_done(struct file_route *route);

/* The watches of a route, asked one by one. */
bool file_route_uses(const struct file_route *route, int watch);

enum route_event {
    ROUTE_UNTOUCHED,
    ROUTE_TOUCHED, /* it may lead elsewhere now */
    ROUTE_END,     /* and what happened, happened to the end of the path itself */
};

/* What an event of a watch means. */
enum route_event file_route_judge(const struct file_route *route, int watch, struct span name);

#endif
