/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include "bus.h"
#include "certificate_keeper.h"
#include "certificates.h"
#include "data_directory.h"
#include "gateway.h"
#include "log_json.h"
#include "monitor.h"
#include "service.h"
#include "store_sqlite.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 4096

/* Files that are no connections: libraries, the store's, loops, listeners. */
#define OTHER_FILES 512u

/* Between two ticks of the service, and two looks whether the drain is over. */
#define TICK_NS 250000000L
#define DRAIN_LOOK_NS 20000000L

/* When so many connections went, their memory is given back to the system; not more often than in
 * so many ticks, because allocations wait meanwhile. */
#define TRIM_CONNECTIONS 256u
#define TRIM_TICKS 40u

/* After connections were cut, for calls that are still at the store. */
#define LAST_CALLS_SECONDS 5

struct server {
    const struct hub_config *config;
    const char *data_dir;
    char certificate_file[PATH_SIZE];
    char key_file[PATH_SIZE];
    char portal_directory[PATH_SIZE];
    struct gateway *gateway;
    struct store *store;
    struct bus *bus;
    struct service *service;
    struct certificate_keeper *keeper;
    struct monitor *monitor;
    struct buf metrics_token;
    sigset_t signals;
};

/* ---- before anything is open ----------------------------------------------------------------- */

static enum err find_data(struct server *server, struct why *why)
{
    char database[PATH_SIZE];
    struct stat there;
    int len = snprintf(database, sizeof database, "%s/%s", server->data_dir, STORE_SQLITE_FILE);
    if (len < 0 || (size_t)len >= sizeof database - 16)
        return fail(ERR_ARGUMENT, why, "the path of the data directory is too long");
    snprintf(server->certificate_file, sizeof server->certificate_file, "%s/%s", server->data_dir,
        CERTIFICATES_SERVER_FILE);
    snprintf(server->key_file, sizeof server->key_file, "%s/%s", server->data_dir,
        CERTIFICATES_SERVER_KEY_FILE);
    if (stat(database, &there) == 0)
        return ERR_NONE;
    if (errno == ENOENT || errno == ENOTDIR)
        return fail(ERR_NOT_FOUND, why,
            "there is no hub in %s: make one with 'gemel-hub init --data-dir %s'", server->data_dir,
            server->data_dir);
    return fail(ERR_IO, why, "the data directory %s cannot be read: %s%s", server->data_dir,
        strerror(errno),
        errno == EACCES
            ? "; it must belong, with all that is in it, to the user who runs the server"
            : "");
}

/* Each connection is an open file. The soft limit is raised no further than is needed, because
 * libwebsockets keeps a table of that length for each thread. */
static unsigned raise_file_limit(unsigned connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    rlim_t granted = wanted > limit.rlim_max ? limit.rlim_max : wanted;
    if (granted > limit.rlim_cur) {
        limit.rlim_cur = granted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted)
        return connections;
    unsigned possible =
        limit.rlim_cur > 2 * OTHER_FILES ? (unsigned)(limit.rlim_cur - OTHER_FILES) : OTHER_FILES;
    log_info("hub",
        "the system allows %u connections (hard limit of open files), less than "
        "gateway.connections, %u",
        possible, connections);
    return possible;
}

/* A full quota of file size is an error of a write, like a full disk, and not the end. */
static void block_signals(struct server *server)
{
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&server->signals);
    sigaddset(&server->signals, SIGTERM);
    sigaddset(&server->signals, SIGINT);
    sigaddset(&server->signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &server->signals, NULL);
}

static enum err renew_certificate(struct server *server, struct why *why)
{
    bool renewed = false;
    enum err err = certificates_renew_if_due(server->data_dir, server->config->gateway.renew_days,
        clock_wall_us(&clock_system), &renewed, why);
    if (err == ERR_NONE && renewed)
        log_info("hub", "the server's certificate was about to end and was made anew");
    return err;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* As installed: prefix/bin/gemel-hub and prefix/share/gemel/portal; in a build tree:
 * src/hub/gemel-hub and portal. NULL if neither is there. */
static const char *find_portal(struct server *server)
{
    static const char *const places[] = {"../share/gemel/portal", "../../portal"};
    char program[PATH_SIZE];
    if (server->config->portal.directory[0] != '\0')
        return server->config->portal.directory;
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0)
        return NULL;
    program[size] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        int len = snprintf(
            server->portal_directory, sizeof server->portal_directory, "%s/%s", program, places[i]);
        if (len > 0 && (size_t)len < sizeof server->portal_directory &&
            access(server->portal_directory, F_OK) == 0)
            return server->portal_directory;
    }
    return NULL;
}

static enum err open_gateway(struct server *server, unsigned connections, struct why *why)
{
    const struct hub_config *config = server->config;
    struct gateway_options options = {
        .clock = &clock_system,
        .limits =
            {
                .connections = connections,
                .handshake_seconds = config->gateway.connect_seconds,
                .connect_seconds = config->gateway.connect_seconds,
                .keep_alive_seconds = config->gateway.keep_alive_seconds,
                .http_idle_seconds = config->gateway.http_idle_seconds,
                .http_request_seconds = config->gateway.connect_seconds,
                .packet_bytes = config->gateway.packet_bytes,
                .websocket_bytes = config->gateway.websocket_bytes,
                .header_bytes = config->gateway.header_bytes,
                .body_bytes = config->limits.request_bytes,
                .arena_bytes = config->gateway.arena_bytes,
                .send_bytes = config->gateway.send_bytes,
                .subscriptions = config->gateway.subscriptions,
                .inflight_calls = config->gateway.inflight_calls,
                .fault_injection = config->tests.fault_injection != 0,
            },
        .threads = config->gateway.threads,
        .backlog = config->listen.backlog,
        .listen = config->listen.address,
        .mqtt_port = config->listen.mqtt_port,
        .https_port = config->listen.https_port,
        .https_client_certificates = config->listen.https_client_certificates != 0,
        .certificate_file = server->certificate_file,
        .key_file = server->key_file,
        .portal_directory = find_portal(server),
        .hsts_seconds = config->portal.hsts_seconds,
    };
    return gateway_open(&options, &server->gateway, why);
}

static enum err start_keeper(struct server *server, struct why *why)
{
    struct certificate_keeper_options options = {
        .directory = server->data_dir,
        .renew_days = server->config->gateway.renew_days,
        .gateway = server->gateway,
    };
    enum err err = certificate_keeper_new(&options, &server->keeper, why);
    return err == ERR_NONE ? certificate_keeper_start(server->keeper, why) : err;
}

static enum err open_store(struct server *server, struct why *why)
{
    struct sqlite_options options = sqlite_options_default;
    options.directory = server->data_dir;
    options.readers = server->config->store.readers;
    options.group_jobs = server->config->store.group_jobs;
    options.busy_ms = server->config->store.busy_ms;
    options.cache_kib = (unsigned)(server->config->store.cache_bytes / 1024);
    options.checkpoint_kib = (unsigned)(server->config->store.checkpoint_bytes / 1024);
    options.max_bytes = server->config->store.max_bytes;
    return store_open_sqlite(&options, &server->store, why);
}

static enum err reset_connections(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    return store_connection_reset(txn, clock_wall_us(&clock_system));
}

/* Whoever is marked as connected was so to a server that is no more. */
static enum err forget_connections(struct server *server, struct why *why)
{
    struct store_job job = {.run = reset_connections};
    enum err err = store_run(server->store, STORE_WRITE, &job);
    if (err != ERR_NONE)
        return fail(err, why, "%s", why_text(&job.why, err));
    return ERR_NONE;
}

static enum err open_service(struct server *server, struct why *why)
{
    server->bus = bus_local_new();
    if (server->bus == NULL)
        return fail(ERR_MEMORY, why, "no memory for the bus");
    struct service_options options = {
        .store = server->store,
        .bus = server->bus,
        .clock = &clock_system,
        .limits = server->config->limits,
        .mqtt_port = gateway_mqtt_port(server->gateway),
        .https_port = gateway_https_port(server->gateway),
        .metrics_token = span_trim(buf_span(&server->metrics_token)),
        .cover_names = certificate_keeper_cover,
        .keeper = server->keeper,
    };
    return service_open(&options, &server->service, why);
}

#define TOKEN_MIN_BYTES 16u
#define TOKEN_MAX_BYTES 256u

static enum err read_metrics_token(struct server *server, struct why *why)
{
    const char *path = server->config->monitor.token_file;
    if (path[0] == '\0')
        return ERR_NONE;
    enum err err = data_file_read(path[0] == '/' ? "" : ".", path, &server->metrics_token, why);
    if (err != ERR_NONE)
        return err;
    struct span token = span_trim(buf_span(&server->metrics_token));
    bool visible = token.len >= TOKEN_MIN_BYTES && token.len <= TOKEN_MAX_BYTES;
    for (size_t i = 0; visible && i < token.len; i++)
        visible = token.ptr[i] > ' ' && token.ptr[i] <= '~';
    if (visible)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "%s holds no token: it must be %u to %u visible ASCII characters (monitor.token_file)",
        path, TOKEN_MIN_BYTES, TOKEN_MAX_BYTES);
}

static enum err start_monitor(struct server *server, struct why *why)
{
    const struct hub_config *config = server->config;
    if (config->monitor.port == 0)
        return ERR_NONE;
    return monitor_start(
        config->monitor.address, config->monitor.port, server->service, &server->monitor, why);
}

static enum err open_all(struct server *server, struct why *why)
{
    enum err err = find_data(server, why);
    if (err == ERR_NONE)
        err = read_metrics_token(server, why);
    unsigned connections =
        err == ERR_NONE ? raise_file_limit(server->config->gateway.connections) : 0;
    if (err == ERR_NONE)
        err = renew_certificate(server, why);
    if (err == ERR_NONE)
        err = open_gateway(server, connections, why);
    if (err == ERR_NONE)
        err = open_store(server, why);
    if (err == ERR_NONE)
        err = forget_connections(server, why);
    if (err == ERR_NONE)
        err = start_keeper(server, why);
    if (err == ERR_NONE)
        err = open_service(server, why);
    if (err == ERR_NONE)
        err = start_monitor(server, why);
    if (err == ERR_NONE)
        err = gateway_start(server->gateway, server->service, why);
    return err;
}

/* ---- running --------------------------------------------------------------------------------- */

static void say_ready(const struct server *server)
{
    const char *address = gateway_address(server->gateway);
    printf("ready mqtts://%s:%u https://%s:%u\n", address, gateway_mqtt_port(server->gateway),
        address, gateway_https_port(server->gateway));
    fflush(stdout);
}

/* Waits for a signal; 0 when the time was over first. */
static int wait_signal(const struct server *server, long ns)
{
    struct timespec patience = {.tv_nsec = ns};
    int number = sigtimedwait(&server->signals, NULL, &patience);
    return number < 0 ? 0 : number;
}

struct trimming {
    unsigned peak; /* of connections, since memory was last given back */
    unsigned ticks;
};

/* The C library keeps what was freed for itself: after a storm of connections, forever. */
static void trim_memory(const struct server *server, struct trimming *trimming)
{
    unsigned connections = gateway_connections(server->gateway);
    trimming->ticks++;
    if (connections > trimming->peak)
        trimming->peak = connections;
    if (trimming->peak - connections < TRIM_CONNECTIONS || connections > trimming->peak / 2 ||
        trimming->ticks < TRIM_TICKS)
        return;
    malloc_trim(0);
    *trimming = (struct trimming){.peak = connections};
}

static void run(const struct server *server)
{
    struct trimming trimming = {0};
    int number;
    while ((number = wait_signal(server, TICK_NS)) == 0 || number == SIGHUP) {
        if (number == SIGHUP)
            certificate_keeper_reload(server->keeper);
        service_tick(server->service);
        trim_memory(server, &trimming);
    }
    log_info("hub", "%s: finishing what is in flight", number == SIGINT ? "SIGINT" : "SIGTERM");
}

/* Still serves, but says that it will not for long; a second signal ends that. */
static void give_notice(const struct server *server)
{
    int64_t end = clock_mono_us(&clock_system) +
                  (int64_t)server->config->gateway.drain_notice_seconds * 1000000;
    service_begin_leaving(server->service);
    while (clock_mono_us(&clock_system) < end) {
        int number = wait_signal(server, TICK_NS);
        if (number != 0 && number != SIGHUP)
            return;
        service_tick(server->service);
    }
}

/* Still serves while devices that were asked something have not answered. False: a second signal
 * came. */
static bool finish_methods(const struct server *server, int64_t end)
{
    while (service_finish_methods(server->service) > 0 && clock_mono_us(&clock_system) < end) {
        int number = wait_signal(server, TICK_NS);
        if (number != 0 && number != SIGHUP)
            return false;
        service_tick(server->service);
    }
    return true;
}

/* Waits for the gateway; false when it took longer, or (if `impatient`) a signal came. */
static bool wait_drained(const struct server *server, int64_t end, bool impatient)
{
    while (!gateway_is_drained(server->gateway)) {
        service_release_parked(server->service);
        int number = wait_signal(server, DRAIN_LOOK_NS);
        if (number != 0 && number != SIGHUP && impatient)
            return false;
        if (clock_mono_us(&clock_system) >= end)
            return gateway_is_drained(server->gateway);
    }
    return true;
}

static bool drain(const struct server *server)
{
    int64_t begin = clock_mono_us(&clock_system);
    int64_t drain_us = (int64_t)server->config->gateway.drain_seconds * 1000000;
    bool patient = finish_methods(server, begin + drain_us / 5 * 4);
    gateway_drain(server->gateway);
    if (patient && wait_drained(server, begin + drain_us, true))
        return true;
    gateway_abort(server->gateway);
    return wait_drained(
        server, clock_mono_us(&clock_system) + LAST_CALLS_SECONDS * INT64_C(1000000), false);
}

static void close_all(struct server *server)
{
    monitor_stop(server->monitor);
    certificate_keeper_free(server->keeper);
    gateway_close(server->gateway);
    if (server->service != NULL)
        service_close(server->service);
    store_close(server->store);
    if (server->bus != NULL)
        bus_free(server->bus);
    mem_wipe(server->metrics_token.ptr, server->metrics_token.len);
    buf_done(&server->metrics_token);
}

/* As systemd has it for the programs that it starts. */
static void use_journal(void)
{
    struct stat stat;
    if (fstat(STDERR_FILENO, &stat) == 0)
        log_use_journal(getenv("JOURNAL_STREAM"), stat.st_dev, stat.st_ino);
}

int hub_serve(const struct serve_options *options)
{
    struct server server = {.config = options->config, .data_dir = options->data_dir};
    struct why why = {.text = ""};
    log_set_level(options->config->log.level);
    use_journal();
    if (options->config->log.format == LOG_AS_JSON)
        log_set_writer(log_json_writer, NULL);
    block_signals(&server);

    enum err err = open_all(&server, &why);
    if (err == ERR_NONE) {
        say_ready(&server);
        run(&server);
        give_notice(&server);
    } else {
        fprintf(stderr, "gemel-hub: %s\n", why_text(&why, err));
    }
    if (server.service != NULL && !drain(&server)) {
        /* Calls are stuck below us: freeing what they use would be worse than leaving it. */
        fprintf(stderr, "gemel-hub: some calls did not come back; ending without them\n");
        fflush(NULL);
        _exit(1);
    }
    close_all(&server);
    return err == ERR_NONE ? 0 : 1;
}
