/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a configuration: what the hub desires is judged as a whole, put in force or not, kept
 * for a start without network, and answered in the reported section.
 *
 *   conf.json --+                      flush, apply        cache.json
 *               v                           ^                  ^
 *   desired --judge--> good --> in force ---+--- then ---------+--> report
 *                 \--> bad: what was in force stays -----------/
 *
 * The copy of `desired` is always some version of the twin as a whole: a patch whose $version is
 * the next one is merged into it, anything else means reading the twin again.
 *
 *   OFFLINE --connected--> READING --answer--> IN_STEP
 *      ^                    |  ^                 |
 *      |        no answer,  |  | after a while   | a gap in $version,
 *      |        refused     v  |                 | a report refused or unanswered
 *      |                   PAUSING <-------------+
 *      +------ lost (from every state)
 *
 * Settings that differ from those before are on probation for Agent_ProbationSeconds (docs/adr,
 * "Take back settings that do not prove good"): if the hub is lost meanwhile and not reached again,
 * if the budget is exceeded, or if the agent dies again and again, the last good document is put in
 * force again, and the verdict on the newer one is failed.
 *
 * Several changes in quick succession are merged at once and judged together, at the newest
 * version, by the next config_run(). No I/O but cache.json and conf.json; time, the uplink and the
 * collectors come in. One thread.
 */
#ifndef GEMEL_CONFIG_H
#define GEMEL_CONFIG_H

#include "clock.h"
#include "json.h"
#include "settings.h"

struct config;

/* How long the hub may take to answer. */
#define CONFIG_ANSWER_US (60 * (int64_t)1000000)

struct config_options {
    const struct clock *clock;
    uint32_t (*random)(void);  /* for the jitter of the pauses */
    const char *conf_path;     /* conf.json; need not exist */
    const char *state_dir;     /* where cache.json lies */
    const char *agent_version; /* as reported */
    /* Ask the hub; the answer comes by config_answer() with the same number. Not ERR_NONE: it was
     * not sent. */
    enum err (*read_twin)(void *self, uint32_t request);
    enum err (*report)(void *self, uint32_t request, struct span patch);
    /* Send what collectors hold; put settings in force or restore what was (see
     * collectors_apply()). */
    void (*flush)(void *self);
    enum err (*apply)(
        void *self, const struct settings *settings, const char **ret_field, struct why *why);
    void *self;
};

enum err config_new(
    const struct config_options *options, struct config **ret_config, struct why *why) MUST_USE;
void config_free(struct config *config); /* NULL is fine */

/* Reads conf.json; what is wrong with it is logged and then none of it counts. */
void config_load(struct config *config);

/* Reads conf.json anew and puts in force what that changes, without probation: it is the device's
 * own word. A bad one leaves everything as it is. */
void config_reload(struct config *config);

/* Puts in force what is known without the hub: cache.json's document, else conf.json over the
 * defaults. Never fails: what cannot be put in force is logged. */
void config_start(struct config *config);

void config_connected(struct config *config); /* subscribed: the twin can be read */
void config_lost(struct config *config);

/* The hub answered a request: its status and body (the version is in the body, or of no interest).
 */
void config_answer(struct config *config, uint32_t request, int status, struct span body);

/* The hub pushed a change of desired; `version` is the topic's $version. */
void config_desired(struct config *config, int64_t version, struct span patch);

/* Does what is due; call after every event. Returns the mono time when it wants to be called
 * again. */
int64_t config_run(struct config *config);

/* The agent exceeds its budget, and that lasts: what is on probation is to blame, if it came
 * before. The sentence goes on from "the agent". */
void config_over_budget(struct config *config, const char *sentence);

/* The agent is told to end: its next start is none after a crash. */
void config_stop(struct config *config);

/* The settings in force; before config_start(), those of conf.json. Borrowed. */
const struct settings *config_settings(const struct config *config);

/* Adds "twin", "desired_version", "latest_state", …, "settings". */
enum err config_status(
    const struct config *config, struct arena *arena, struct json *object) MUST_USE;

#endif
