/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the engine that puts configurations into twins. One chain of store jobs at a time, each
 * bounded, so that others have their turn in between:
 *
 *   what waits ---> look (a reader: a few twins, or a page of a sweep; judges them)
 *       ^            |
 *       |            +--> write (the writer: those that must change, WRITE_TWINS at a time)
 *       +------------+
 *
 * What is looked at again is the worst that can happen: a twin that is as it should be is not
 * written. So nothing of a sweep is kept but which revision of the configurations the last one that
 * ended was for; a server that dies in the middle of one begins it again.
 */
#ifndef GEMEL_CONFIGURATION_ENGINE_H
#define GEMEL_CONFIGURATION_ENGINE_H

#include "configuration_set.h"
#include "service_priv.h"

enum {
    LOOK_TWINS = 64,     /* that changed, in one look */
    PAGE_TWINS = 256,    /* of a sweep */
    WRITE_TWINS = 32,    /* in one transaction */
    WAITING_TWINS = 4096 /* beyond them all twins of the hub are looked at instead */
};

/* A twin, in a chain of them. */
struct concern {
    struct concern *next;
    int64_t hub_id;
    size_t device_length;
    size_t module_length;
    char ids[];
};

struct place {
    bool modules; /* the devices are done */
    size_t device_length;
    size_t module_length;
    char device_id[CONFIGURATION_ID_BYTES + 1];
    char module_id[CONFIGURATION_ID_BYTES + 1];
};

struct hub_state {
    struct hub_state *next;
    int64_t hub_id;
    /* of the configurator's lock */
    bool wanted;   /* a sweep */
    bool idle;     /* nothing is configured, and no twin remembers that something was */
    bool counts;   /* its configurations have metrics */
    bool touched;  /* twins changed since the last sweep began */
    bool sweeping; /* written by the chain alone */
    int64_t began_us;
    int64_t ended_us;
    /* of the chain */
    struct configuration_set *set;
    bool gone;
    int64_t revision; /* of which the sweep that runs will have been */
    struct place place;
};

struct configurator {
    struct service *service;
    pthread_mutex_t lock; /* of what follows */
    struct hub_state *hubs;
    struct concern *first; /* twins that wait */
    struct concern *last;
    size_t waiting;
    bool begun;      /* the first tick was */
    bool running;    /* the chain */
    bool sweeps;     /* it is a sweep's turn next */
    int64_t full_us; /* when all hubs are looked at next */
    int64_t rest_us; /* not before, after a failure */
};

struct configuration_work {
    struct store_job job;
    struct configurator *configurator;
    struct hub_state *hub;
    struct concern *concerns; /* NULL: a page of the hub's sweep */
    struct concern *targets;  /* to be changed */
    struct arena arena;       /* of the write that runs */
    struct effect *effects;
    struct place place; /* where the page ended */
    bool ended;         /* nothing is left behind it */
    bool finish;        /* the sweep's outcome is to be written */
    unsigned looks;
    int64_t until_us;
    enum err err; /* of a visitor */
};

/* Goes on with what waits, or ends the chain. */
void configuration_chain(struct configurator *configurator);
/* Ends the chain after a failure; it is begun again some time later. */
void configuration_pause(struct configuration_work *work, enum err err);
void configuration_sweep_ended(struct configurator *configurator, struct hub_state *hub);
void concerns_free(struct concern *concern);
struct concern *concern_new(int64_t hub_id, struct span device_id, struct span module_id);

/* configuration_sweep.c: takes over the work. */
void configuration_look(struct configuration_work *work);

#endif
