/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_PER_AVERAGE 10
#define CALM_AVERAGES 2u

/* A sanitizer's own memory is many times that of the agent, and says nothing of it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_OURS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_IS_OURS false
#endif
#endif
#ifndef MEMORY_IS_OURS
#define MEMORY_IS_OURS true
#endif

/* Memory of our own: what is resident and shared with nobody (proc(5), statm). */
static int64_t private_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (len <= 0)
        return -1;
    text[len] = '\0';
    char *at = text;
    strtoll(at, &at, 10); /* the whole address space */
    long long resident = strtoll(at, &at, 10);
    long long shared = strtoll(at, &at, 10);
    return resident > shared ? (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE) : 0;
}

static struct budget_use measure_process(void *self UNUSED)
{
    struct timespec cpu;
    struct budget_use use = {-1, -1};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        use.cpu_us = (int64_t)cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000;
    if (MEMORY_IS_OURS)
        use.memory_bytes = private_bytes();
    return use;
}

static void begin_average(struct budget *budget, int64_t now_us)
{
    struct budget_use use = budget->measure(budget->self);
    budget->began_us = now_us;
    budget->began_cpu_us = use.cpu_us;
    budget->memory_sum = budget->memory_count = 0;
    budget->next_us = now_us + budget->window_us / LOOKS_PER_AVERAGE;
}

void budget_init(struct budget *ret_budget, const struct clock *clock,
    struct budget_use (*measure)(void *self), void *self)
{
    struct settings defaults;
    *ret_budget = (struct budget){.clock = clock,
        .measure = measure == NULL ? measure_process : measure,
        .self = self,
        .last_cpu_permille = -1,
        .last_memory_bytes = -1};
    settings_init(&defaults);
    budget_set(ret_budget, &defaults);
}

void budget_set(struct budget *budget, const struct settings *settings)
{
    int64_t window_us = settings_int(settings, SETTING_AGENT_BUDGET_SECONDS) * 1000000;
    int64_t cpu_percent = settings_int(settings, SETTING_AGENT_CPU_PERCENT);
    int64_t memory_bytes = settings_int(settings, SETTING_AGENT_MEMORY_BYTES);
    if (window_us == budget->window_us && cpu_percent == budget->cpu_percent &&
        memory_bytes == budget->memory_bytes)
        return;
    budget->window_us = window_us;
    budget->cpu_percent = cpu_percent;
    budget->memory_bytes = memory_bytes;
    budget->calm = 0;
    begin_average(budget, clock_mono_us(budget->clock));
}

/* Says what is over its bound, in `reason`. */
static bool is_over(struct budget *budget)
{
    int64_t permille = budget->last_cpu_permille;
    int64_t seconds = budget->window_us / 1000000;
    budget->memory_over =
        budget->memory_bytes > 0 && budget->last_memory_bytes > budget->memory_bytes;
    if (budget->cpu_percent > 0 && permille > budget->cpu_percent * 10) {
        snprintf(budget->reason, sizeof(budget->reason),
            "used %" PRId64 ".%" PRId64 " %% of a core over %" PRId64
            " s; Agent_CpuPercent allows %" PRId64,
            permille / 10, permille % 10, seconds, budget->cpu_percent);
        return true;
    }
    if (budget->memory_over)
        snprintf(budget->reason, sizeof(budget->reason),
            "used %" PRId64 " bytes of memory over %" PRId64
            " s; Agent_MemoryBytes allows %" PRId64,
            budget->last_memory_bytes, seconds, budget->memory_bytes);
    return budget->memory_over;
}

static bool is_calm(const struct budget *budget)
{
    return (budget->cpu_percent == 0 || budget->last_cpu_permille < budget->cpu_percent * 8) &&
           budget->last_memory_bytes <= budget->memory_bytes / 5 * 4;
}

static void judge(struct budget *budget)
{
    budget->averages++;
    if (is_over(budget)) {
        budget->calm = 0;
        if (budget->level < BUDGET_LEVEL_MAX)
            budget->level++;
    } else if (!is_calm(budget)) {
        budget->calm = 0;
    } else if (++budget->calm >= CALM_AVERAGES) {
        budget->calm = 0;
        if (budget->level > 0)
            budget->level--;
    }
    if (budget->level == 0)
        budget->reason[0] = '\0';
}

int64_t budget_run(struct budget *budget)
{
    int64_t now_us = clock_mono_us(budget->clock);
    if (now_us < budget->next_us)
        return budget->next_us;
    struct budget_use use = budget->measure(budget->self);
    if (use.memory_bytes >= 0) {
        budget->memory_sum += use.memory_bytes;
        budget->memory_count++;
    }
    int64_t passed_us = now_us - budget->began_us;
    if (passed_us < budget->window_us) {
        budget->next_us = now_us + budget->window_us / LOOKS_PER_AVERAGE;
        return budget->next_us;
    }
    bool known = use.cpu_us >= 0 && budget->began_cpu_us >= 0;
    budget->last_cpu_permille = known ? (use.cpu_us - budget->began_cpu_us) * 1000 / passed_us : -1;
    budget->last_memory_bytes =
        budget->memory_count > 0 ? budget->memory_sum / budget->memory_count : -1;
    judge(budget);
    begin_average(budget, now_us);
    return budget->next_us;
}
