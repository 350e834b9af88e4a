/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of gemel-hub: one row a setting in hub_config.def, from which come defaults,
 * the check of a file, `--set section.key=value`, and the reference page.
 *
 * Files are INI: `[section]`, `key = value`, comments behind '#' or ';'. Sizes may end in KiB, MiB
 * or GiB. An unknown key is refused with the nearest known one, if one is near.
 */
#ifndef GEMEL_HUB_CONFIG_H
#define GEMEL_HUB_CONFIG_H

#include "buf.h"
#include "log.h"
#include "service.h"

#define CONFIG_TEXT_SIZE 256

enum log_format { LOG_AS_TEXT, LOG_AS_JSON };

struct hub_config {
    struct {
        char address[CONFIG_TEXT_SIZE];
        unsigned mqtt_port;
        unsigned https_port;
        unsigned https_client_certificates;
        unsigned backlog;
    } listen;
    struct {
        unsigned threads;
        unsigned connections; /* of all threads together */
        unsigned connect_seconds;
        unsigned keep_alive_seconds;
        unsigned http_idle_seconds;
        unsigned drain_seconds;
        unsigned drain_notice_seconds;
        unsigned renew_days;
        unsigned subscriptions;
        size_t packet_bytes;
        size_t websocket_bytes;
        size_t header_bytes;
        size_t arena_bytes;
        size_t send_bytes;
        size_t inflight_calls;
    } gateway;
    struct {
        unsigned readers;
        unsigned group_jobs;
        unsigned busy_ms;
        size_t cache_bytes;
        size_t checkpoint_bytes;
        size_t max_bytes;
    } store;
    struct service_limits limits;
    struct {
        enum log_level level;
        unsigned format; /* of enum log_format */
    } log;
    struct {
        char address[CONFIG_TEXT_SIZE];
        unsigned port;
        char token_file[CONFIG_TEXT_SIZE];
    } monitor;
    struct {
        char directory[CONFIG_TEXT_SIZE]; /* empty: where it was installed */
        unsigned hsts_seconds;
    } portal;
    struct {
        unsigned fault_injection;
    } tests;
};

/* Fills in every default. */
void hub_config_default(struct hub_config *ret_config);

/*
 * Reads defaults, then the file (NULL: none), then each "section.key=value" in turn. ERR_ARGUMENT
 * with the place, the value and what is allowed; ERR_NOT_FOUND for the file; nothing is written to
 * `ret_config` on failure.
 */
enum err hub_config_load(const char *file, const char *const *sets, size_t set_count,
    struct hub_config *ret_config, struct why *why) MUST_USE;

/* Reads them so, and tells of everything that is wrong, not only of the first. Returns the error of
 * the first. */
typedef void hub_config_complaint(void *self, const struct why *why);
enum err hub_config_check(const char *file, const char *const *sets, size_t set_count,
    hub_config_complaint *complain_to, void *self) MUST_USE;
/* Writes the reference page (Markdown): every row with its default, range and help. */
void hub_config_write_reference(struct buf *out);

/* Writes a complete configuration file with every key at its default, commented out. */
void hub_config_write_example(struct buf *out);

#endif
