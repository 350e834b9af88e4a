/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of gemel: what a command works with, and what all commands do alike. A command reads its
 * options, calls the hub, hands the answer to the writer, and returns the exit status:
 *
 *   0 done   1 refused by the hub   2 wrong usage   3 no hub was reached
 *
 * Results go to standard output, sentences to standard error; no sentence holds a key or a token.
 */
#ifndef GEMEL_CLI_CLI_H
#define GEMEL_CLI_CLI_H

#include "clock.h"
#include "command.h"
#include "connstr.h"
#include "transport.h"

#include <signal.h>
#include <stdio.h>

enum exit_status { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_HUB = 3 };

#define API_VERSION "2021-04-12"

struct credentials {
    struct span host; /* with port, if it was given */
    struct connstr connstr;
    struct span user; /* of an administrator */
    struct span password;
    const char *ca_file; /* NULL: the system's authorities */
};

struct cli {
    struct arguments arguments;
    const struct writer *writer;
    struct transport transport;
    struct credentials credentials;
    const struct clock *clock;
    struct arena arena;                /* of the whole run */
    const volatile sig_atomic_t *stop; /* becomes non-zero when the person wants to stop */
    void (*catch_signals)(void);       /* from then on a signal sets it; NULL in tests */
    void (*pause)(int64_t us);         /* ends early at a signal; NULL in tests */
    FILE *out;
    FILE *err;
};

/* The whole run but for the transport: parses, signs in, runs the command. */
int cli_run(struct cli *cli, int count, char *const *words);

/* Prints "gemel: sentence" and returns the status. */
int cli_fail(struct cli *cli, enum exit_status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same for an error that a function returned with a sentence: EXIT_NO_HUB for those of the
 * transport, with what to try next; EXIT_DONE, without a word, for ERR_CANCELLED. */
int cli_fail_err(struct cli *cli, enum err err, const struct why *why);

static inline const char *cli_value(const struct cli *cli, enum option option)
{
    return cli->arguments.values[option];
}

static inline struct span cli_span(const struct cli *cli, enum option option)
{
    return span_of(cli->arguments.values[option]);
}

/* Writes a result to standard output. */
int cli_print(struct cli *cli, const struct json *value);
/* The same with columns of its own, for --output table. */
int cli_print_columns(struct cli *cli, const struct json *value, const struct column *columns);

/*
 * Reads the value of an option: the text itself, "@file" or "-" for standard input; with `is_file`
 * a file's name or "-". In the run's arena. EXIT_DONE, or EXIT_USAGE with a sentence printed.
 */
int cli_load(struct cli *cli, enum option option, bool is_file, struct span *ret_text);

/* Reads an option that holds a JSON object; `ret_object` is NULL if it is not given. */
int cli_load_object(struct cli *cli, enum option option, bool is_file, struct json **ret_object);

#endif
