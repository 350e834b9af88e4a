/* SPDX-License-Identifier: Apache-2.0 */
#include "job_queue.h"

void job_queue_init(struct job_queue *queue)
{
    *queue = (struct job_queue){0};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    queue->last = &queue->first;
}

void job_queue_done(struct job_queue *queue)
{
    must(queue->first == NULL);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

bool job_queue_put(struct job_queue *queue, struct store_job *job)
{
    pthread_mutex_lock(&queue->lock);
    bool accepted = !queue->closed;
    if (accepted) {
        job->next = NULL;
        *queue->last = job;
        queue->last = &job->next;
        if (queue->waiting > 0)
            pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return accepted;
}

size_t job_queue_take(struct job_queue *queue, size_t max, struct store_job **ret_first)
{
    size_t count = 0;
    pthread_mutex_lock(&queue->lock);
    queue->waiting++;
    while (queue->first == NULL && !queue->closed)
        pthread_cond_wait(&queue->filled, &queue->lock);
    queue->waiting--;
    struct store_job **end = &queue->first;
    while (*end != NULL && count < max) {
        end = &(*end)->next;
        count++;
    }
    if (count > 0) {
        *ret_first = queue->first;
        queue->first = *end;
        if (queue->first == NULL)
            queue->last = &queue->first;
        *end = NULL;
    }
    pthread_mutex_unlock(&queue->lock);
    return count;
}

void job_queue_close(struct job_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}
