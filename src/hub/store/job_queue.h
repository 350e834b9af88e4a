/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue between those who submit jobs and a store's threads: first in, first out, any number
 * of threads on both sides. Who takes gets up to `max` jobs at once: what came in during one
 * commit is the next group.
 */
#ifndef GEMEL_JOB_QUEUE_H
#define GEMEL_JOB_QUEUE_H

#include "store.h"

#include <pthread.h>

struct job_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct store_job *first;
    struct store_job **last;
    unsigned waiting; /* threads in job_queue_take() */
    bool closed;
};

void job_queue_init(struct job_queue *queue);
void job_queue_done(struct job_queue *queue); /* must be empty */

/* Puts a job at the end; false once the queue is closed. */
bool job_queue_put(struct job_queue *queue, struct store_job *job) MUST_USE;

/* Waits for jobs and takes up to `max`, linked by `next`; 0 once it is closed and empty. */
size_t job_queue_take(struct job_queue *queue, size_t max, struct store_job **ret_first);

/* Refuses further jobs; what is queued is still handed out. */
void job_queue_close(struct job_queue *queue);

#endif
