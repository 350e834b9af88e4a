/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command tree of gemel: two tables (options.def, commands.def) and what reads them. Parsing a
 * command line is pure: it yields the command and its options, or a sentence about what is wrong.
 */
#ifndef GEMEL_CLI_COMMAND_H
#define GEMEL_CLI_COMMAND_H

#include "err.h"
#include "output.h"

enum option {
#define OPTION(id, name, alias, letter, value, choices, help) OPTION_##id,
#include "options.def"
#undef OPTION
    OPTION_COUNT
};

struct option_row {
    const char *name;
    const char *alias; /* az's short form; NULL: none */
    char letter;       /* 0: none */
    const char *value; /* what stands for its value in help; NULL: takes none; with "..." at its
                        * end there may be several */
    const char *choices;
    const char *help;
};

extern const struct option_row option_rows[OPTION_COUNT];

/* The options from this one on are taken by all commands. */
#define OPTION_FIRST_GLOBAL OPTION_LOGIN

/* Who a command speaks to the hub as. */
enum login { LOGIN_NOBODY, LOGIN_POLICY, LOGIN_ADMINISTRATOR };

struct cli;
typedef int command_function(struct cli *cli); /* returns the exit status */

struct command {
    const char *path;      /* "device-identity create" */
    command_function *run; /* NULL: a group */
    enum login login;
    const struct column *columns;
    const char *help;
    const char *example;
};

extern const struct command command_rows[];
extern const size_t command_count;

/* Whether a command takes an option of its own, and whether it cannot do without. */
bool command_takes(const struct command *command, enum option option);
bool command_needs(const struct command *command, enum option option);

#define REPEATED_MAX 100
#define PATH_MAX_BYTES 128

struct arguments {
    const struct command *command;      /* NULL: none was named */
    const char *values[OPTION_COUNT];   /* NULL: not given; "" where the option takes none */
    const char *repeated[REPEATED_MAX]; /* of the option that may have several */
    size_t repeated_count;
};

/*
 * Reads a command line, without the program's name. `gemel help WORDS` is `gemel WORDS --help`.
 * ERR_ARGUMENT: the sentence says what is wrong; `ret_arguments` is written all the same, as far
 * as it was understood, so that help can be offered for the right command.
 */
enum err arguments_parse(
    int count, char *const *words, struct arguments *ret_arguments, struct why *why) MUST_USE;

static inline bool has_option(const struct arguments *arguments, enum option option)
{
    return arguments->values[option] != NULL;
}

/* Finds a group or command by its words; NULL if there is none. */
const struct command *command_find(struct span path);

/* Whether `command` lies directly below the group; NULL is the top. */
bool command_is_below(const struct command *command, const struct command *group);

#endif
