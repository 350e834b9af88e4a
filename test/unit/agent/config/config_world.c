/* SPDX-License-Identifier: Apache-2.0 */
#include "config_world.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

int64_t now_us;

static int64_t fake_time(void *self UNUSED)
{
    return now_us;
}

static const struct clock fake_clock = {fake_time, fake_time, NULL};

static uint32_t no_jitter(void)
{
    return 0;
}

struct world world;

void called(const char *what)
{
    assert_true(strlen(world.calls) + strlen(what) < sizeof(world.calls));
    strcat(world.calls, what);
}

static enum err read_twin(void *self UNUSED, uint32_t request)
{
    called("read;");
    world.read_request = request;
    return world.uplink;
}

static enum err report(void *self UNUSED, uint32_t request, struct span patch)
{
    called("report;");
    world.staged_at_report = file_holds("cache.json.new", "\"desired\":{");
    world.report_request = request;
    buf_clear(&world.patch);
    buf_add(&world.patch, patch);
    return world.uplink;
}

static void flush(void *self UNUSED)
{
    called("flush;");
}

static enum err apply(
    void *self UNUSED, const struct settings *settings, const char **ret_field, struct why *why)
{
    called("apply;");
    world.staged_at_apply = world.look_at_apply && file_holds("cache.json.new", "\"proven\":{");
    if (world.bad_field != NULL) {
        *ret_field = world.bad_field;
        why_set(why, "the kernel says no");
        return ERR_REFUSED;
    }
    if (world.apply_error != ERR_NONE) {
        *ret_field = NULL;
        why_set(why, "not now");
        return world.apply_error;
    }
    world.process_cache = settings_int(settings, SETTING_PROCESS_CACHE_SIZE);
    snprintf(world.devices, sizeof(world.devices), "%s",
        settings_text(settings, SETTING_NETWORK_ACTIVITY_DEVICES));
    return ERR_NONE;
}

void expect_calls(const char *expected)
{
    assert_string_equal(world.calls, expected);
    world.calls[0] = '\0';
}

char dir[64];
static char conf_path[128];
struct config *config;

void write_file(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

bool file_holds(const char *name, const char *text)
{
    char path[160];
    char held[8192] = "";
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t len = fread(held, 1, sizeof(held) - 1, file);
    fclose(file);
    held[len] = '\0';
    return strstr(held, text) != NULL;
}

void start(void)
{
    struct config_options options = {.clock = &fake_clock,
        .random = no_jitter,
        .conf_path = conf_path,
        .state_dir = dir,
        .agent_version = "9.8.7",
        .read_twin = read_twin,
        .report = report,
        .flush = flush,
        .apply = apply};
    assert_int_equal(config_new(&options, &config, NULL), ERR_NONE);
    config_load(config);
    config_start(config);
}

void restart(void)
{
    config_free(config);
    world.calls[0] = '\0';
    start();
}

int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-config-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(conf_path, sizeof(conf_path), "%s/conf.json", dir);
    memset(&world, 0, sizeof(world));
    now_us = 1000 * SECOND_US;
    config = NULL;
    return 0;
}

int tear_down(void **state UNUSED)
{
    char command[128];
    config_free(config);
    buf_done(&world.patch);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

void answer_read(const char *twin)
{
    config_answer(config, world.read_request, 200, span_of(twin));
    config_run(config);
}

void answer_report(int status)
{
    config_answer(config, world.report_request, status,
        status >= 300 ? SPAN_LIT("{\"errorCode\":400004,\"message\":\"no\"}") : SPAN_NONE);
    config_run(config);
}

void desired(int64_t version, const char *patch)
{
    config_desired(config, version, span_of(patch));
}

/* Starts, connects, reads {} at version 1 and reports: the state of a device that is in step. */
void come_in_step(void)
{
    start();
    config_connected(config);
    answer_read("{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    answer_report(204);
    world.calls[0] = '\0';
}

void expect_patch(const char *expected)
{
    struct arena arena;
    struct json *want;
    struct json *have;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, span_of(expected), 0, &want, NULL), ERR_NONE);
    assert_int_equal(json_parse(&arena, buf_span(&world.patch), 0, &have, NULL), ERR_NONE);
    if (!json_equal(want, have))
        fail_msg("reported %s instead of %s", world.patch.ptr, expected);
    arena_done(&arena);
}

bool patch_has(const char *text)
{
    return world.patch.ptr != NULL && strstr(world.patch.ptr, text) != NULL;
}
