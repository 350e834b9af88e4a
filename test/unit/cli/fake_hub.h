/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub that says what the test wants: runs a command line of gemel against a list of answers and
 * keeps what was asked and what was printed.
 */
#ifndef GEMEL_FAKE_HUB_H
#define GEMEL_FAKE_HUB_H

#include "cli.h"

#define LOGIN                                                                                      \
    "HostName=hub.local:8443;SharedAccessKeyName=iothubowner;SharedAccessKey="                     \
    "MDEyMzQ1Njc4OWFiY2RlZg=="

struct fake_answer {
    enum err err; /* of the transport */
    int status;
    const char *body;
    bool stop;                /* the person stops after this answer */
    const char *continuation; /* NULL: none */
};

#define ASKED_MAX 12

struct fake_hub {
    const struct fake_answer *answers;
    size_t answer_count;
    bool fails_memory; /* the allocation behind `fail_after` more fails */
    long fail_after;
    int64_t step_us;             /* by how much time goes on with each request */
    struct buf asked[ASKED_MAX]; /* "METHOD host target\nHeader: value\n…\n\nbody" */
    size_t asked_count;
    char *out;
    char *err;
    int64_t now_us;
    volatile sig_atomic_t stop;
};

/* Runs `gemel LINE` with the login above; words are separated by single blanks. */
int fake_run(struct fake_hub *hub, const char *line);
void fake_done(struct fake_hub *hub);

/* The whole request number `at`; fails the test if there was none. */
const char *fake_asked(const struct fake_hub *hub, size_t at);

#endif
