/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "https.h"

#include <time.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal_number UNUSED)
{
    stop = 1;
}

static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void pause_for(int64_t us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

int main(int argc, char **argv)
{
    struct cli cli = {
        .clock = &clock_system,
        .stop = &stop,
        .catch_signals = catch_signals,
        .pause = pause_for,
        .out = stdout,
        .err = stderr,
    };
    struct why why = {""};
    struct https *https = NULL;
    if (https_new(&stop, &https, &why) != ERR_NONE)
        return cli_fail(&cli, EXIT_REFUSED, "%s", why.text);
    arena_init(&cli.arena, 0);
    cli.transport = https_transport(https);
    int status = cli_run(&cli, argc - 1, argv + 1);
    https_free(https);
    arena_done(&cli.arena);
    return status;
}
