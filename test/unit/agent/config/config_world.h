/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the configuration share: a clock, a hub and collectors that do as the test
 * says, and a state directory of its own for each test.
 */
#ifndef GEMEL_CONFIG_WORLD_H
#define GEMEL_CONFIG_WORLD_H

#include "config.h"

#define SECOND_US ((int64_t)1000000)

extern int64_t now_us;
extern char dir[64];
extern struct config *config;

/* The hub and the collectors, as the configuration sees them: every call is written down. */
struct world {
    char calls[400]; /* "read;flush;apply;report;" */
    uint32_t read_request;
    uint32_t report_request;
    struct buf patch;      /* the last report */
    enum err uplink;       /* what sending gives */
    const char *bad_field; /* apply refuses, blaming this */
    enum err apply_error;  /* apply refuses, blaming nothing */
    bool staged_at_report; /* cache.json.new was there when a report went out */
    bool look_at_apply;
    bool staged_at_apply;  /* the same, when it was put in force */
    int64_t process_cache; /* Process_CacheSize as last applied */
    char devices[100];     /* NetworkActivity_Devices as last applied */
};
extern struct world world;

void called(const char *what);
void expect_calls(const char *expected);
void write_file(const char *name, const char *text);
bool file_holds(const char *name, const char *text);
void start(void);
void restart(void);
int set_up(void **state);
int tear_down(void **state);
void answer_read(const char *twin);
void answer_report(int status);
void desired(int64_t version, const char *patch);
void come_in_step(void);
void expect_patch(const char *expected);
bool patch_has(const char *text);

#endif
