/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "collect.h"
#include "event_socket.h"
#include "files.h"
#include "heap.h"
#include "link_process.h"
#include "log.h"
#include "mem.h"
#include "notify.h"
#include "run.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_DIR "/etc/gemel-agent"
#define CONFIG_DIR_ORIGINAL "/etc/defender_iot_micro_agent"
#define STATE_DIR "/var/lib/gemel-agent"
#define FIRST_DELAY_S 60

enum option {
    OPTION_CONFIG_DIR,
    OPTION_STATE_DIR,
    OPTION_FIRST_DELAY,
    OPTION_LOG_LEVEL,
    OPTION_OUTPUT,
    OPTION_JSON,
    OPTION_SECONDS,
    OPTION_LINK,
    OPTION_SOCKET,
    OPTION_COUNT
};

static const struct option_row {
    const char *name;
    const char *value; /* NULL: takes none */
    const char *help;
} option_rows[OPTION_COUNT] = {
    [OPTION_CONFIG_DIR] = {"--config-dir", "DIR",
        "where connection_string.txt and the like are (default " CONFIG_DIR
        ", without it " CONFIG_DIR_ORIGINAL ")"},
    [OPTION_STATE_DIR] = {"--state-dir", "DIR",
        "where the agent keeps its state (default " STATE_DIR ")"},
    [OPTION_FIRST_DELAY] = {"--first-delay", "SECONDS",
        "the first collection comes at a random time within this (default 60)"},
    [OPTION_LOG_LEVEL] = {"--log-level", "LEVEL",
        "error, warn, info or debug (default info; of collect warn)"},
    [OPTION_OUTPUT] = {"--output", "FORMAT", "text or json (default text)"},
    [OPTION_LINK] = {"--link", "PATH",
        "the socket of a gemel-agent link that holds the connection to the hub (default: this "
        "process does)"},
    [OPTION_SECONDS] = {"--seconds", "SECONDS",
        "how long to listen, where the collector hears of events as they happen (default 5)"},
    [OPTION_JSON] = {"--json", NULL, "prints it as JSON"},
    [OPTION_SOCKET] = {"--socket", "PATH",
        "link: where the agent finds this process; event: where the agent takes events (default "
        "events.sock in the state directory)"},
};

struct arguments {
    const char *command;
    const char *values[OPTION_COUNT]; /* NULL: not given; "" where the option takes no value */
    const char *operand;
};

typedef int command_function(const struct arguments *arguments);

static command_function run_command;
static command_function check_command;
static command_function schema_command;
static command_function link_command;
static command_function collect_command;
static command_function status_command;
static command_function event_command;

#define BIT(option) (1u << (option))

static const struct command {
    const char *name;
    const char *operand; /* NULL: takes none */
    unsigned options;
    bool stays; /* for as long as the machine runs */
    command_function *function;
    const char *help;
} commands[] = {
    {"run", NULL,
        BIT(OPTION_CONFIG_DIR) | BIT(OPTION_STATE_DIR) | BIT(OPTION_FIRST_DELAY) |
            BIT(OPTION_LOG_LEVEL) | BIT(OPTION_LINK),
        true, run_command,
        "Runs the agent until it gets SIGTERM or SIGINT; logs to standard error."},
    {"check", "FILE", BIT(OPTION_OUTPUT), false, check_command,
        "Judges a desired document offline, '-' is standard input. Ends with 0 if it would be "
        "applied, 1 if not, 2 if it is no JSON object."},
    {"schema", NULL, 0, false, schema_command, "Prints the settings as JSON Schema."},
    {"link", NULL, BIT(OPTION_SOCKET) | BIT(OPTION_LOG_LEVEL), true, link_command,
        "Holds the connection to the hub for an agent that runs with --link, so that the process "
        "that sees everything needs no internet, and the one with internet needs no rights."},
    {"collect", "NAME", BIT(OPTION_CONFIG_DIR) | BIT(OPTION_SECONDS) | BIT(OPTION_LOG_LEVEL), false,
        collect_command,
        "Runs one collector once, with the settings of conf.json, and prints what it would send as "
        "JSON. Ends with 2 if there is no collector of that name; the sentence names all."},
    {"status", NULL, BIT(OPTION_STATE_DIR) | BIT(OPTION_JSON), false, status_command,
        "Says how the running agent is. Ends with 3 if none runs."},
    {"event", "JSON", BIT(OPTION_STATE_DIR) | BIT(OPTION_SOCKET), false, event_command,
        "Submits an event, a JSON object, to the running agent; '-' is standard input. Ends with 2 "
        "if it is no JSON object, 3 if no agent takes it."},
};

/* ---- help ---- */

static void print_command(FILE *to, const struct command *command)
{
    fprintf(to, "  gemel-agent %s%s%s%s\n", command->name,
        command->options == 0 ? "" : " [OPTIONS]", command->operand == NULL ? "" : " ",
        command->operand == NULL ? "" : command->operand);
    fprintf(to, "      %s\n", command->help);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((command->options & BIT(i)) == 0)
            continue;
        const struct option_row *row = &option_rows[i];
        int width = fprintf(to, "      %s%s%s", row->name, row->value == NULL ? "" : " ",
            row->value == NULL ? "" : row->value);
        fprintf(to, "%*s%s\n", width < 30 ? 30 - width : 1, "", row->help);
    }
}

static int print_help(void)
{
    printf("gemel-agent watches this machine as its module twin says, and reports to the hub.\n\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        print_command(stdout, &commands[i]);
    printf("  gemel-agent [COMMAND] -h | --help\n  gemel-agent --version\n");
    return EXIT_DONE;
}

static int print_version(void)
{
    printf("gemel-agent %s\n", GEMEL_VERSION);
    return EXIT_DONE;
}

/* ---- commands ---- */

static const char *or_default(const char *value, const char *standard)
{
    return value == NULL ? standard : value;
}

static const char *config_dir_of(const struct arguments *arguments)
{
    if (arguments->values[OPTION_CONFIG_DIR] != NULL)
        return arguments->values[OPTION_CONFIG_DIR];
    bool original = access(CONFIG_DIR, F_OK) != 0 && access(CONFIG_DIR_ORIGINAL, F_OK) == 0;
    return original ? CONFIG_DIR_ORIGINAL : CONFIG_DIR;
}

static int usage(const char *command, const char *what, const char *value)
{
    fprintf(stderr, "gemel-agent: %s%s%s; see gemel-agent %s%s--help\n", what,
        value[0] == '\0' ? "" : ": ", value, command, command[0] == '\0' ? "" : " ");
    return EXIT_USAGE;
}

static int run_command(const struct arguments *arguments)
{
    enum log_level level;
    uint64_t delay_s;
    const char *level_text = or_default(arguments->values[OPTION_LOG_LEVEL], "info");
    const char *delay_text = arguments->values[OPTION_FIRST_DELAY];
    if (!log_level_parse(level_text, &level))
        return usage(
            arguments->command, "--log-level must be error, warn, info or debug", level_text);
    if (delay_text == NULL)
        delay_s = FIRST_DELAY_S;
    else if (!span_u64(span_of(delay_text), 86400, &delay_s))
        return usage(arguments->command, "--first-delay must be a number of seconds, at most 86400",
            delay_text);
    log_set_level(level);
    notify_log();
    struct run_options options = {.config_dir = config_dir_of(arguments),
        .link_path = arguments->values[OPTION_LINK],
        .state_dir = or_default(arguments->values[OPTION_STATE_DIR], STATE_DIR),
        .first_delay_s = (int64_t)delay_s};
    return agent_run(&options);
}

static int link_command(const struct arguments *arguments)
{
    enum log_level level;
    const char *level_text = or_default(arguments->values[OPTION_LOG_LEVEL], "info");
    if (arguments->values[OPTION_SOCKET] == NULL)
        return usage(arguments->command, "missing", "--socket PATH");
    if (!log_level_parse(level_text, &level))
        return usage(
            arguments->command, "--log-level must be error, warn, info or debug", level_text);
    log_set_level(level);
    notify_log();
    return agent_link(arguments->values[OPTION_SOCKET]);
}

static int check_command(const struct arguments *arguments)
{
    const char *output = or_default(arguments->values[OPTION_OUTPUT], "text");
    bool json = strcmp(output, "json") == 0;
    if (!json && strcmp(output, "text") != 0)
        return usage(arguments->command, "--output must be text or json", output);
    return agent_check(arguments->operand, json);
}

static int schema_command(const struct arguments *arguments UNUSED)
{
    return agent_schema();
}

static int collect_command(const struct arguments *arguments)
{
    enum log_level level;
    uint64_t seconds = 0;
    const char *level_text = or_default(arguments->values[OPTION_LOG_LEVEL], "warn");
    const char *seconds_text = arguments->values[OPTION_SECONDS];
    if (!log_level_parse(level_text, &level))
        return usage(
            arguments->command, "--log-level must be error, warn, info or debug", level_text);
    if (seconds_text != NULL && !span_u64(span_of(seconds_text), 86400, &seconds))
        return usage(arguments->command, "--seconds must be a number of seconds, at most 86400",
            seconds_text);
    log_set_level(level);
    const struct collect_options options = {.name = arguments->operand,
        .config_dir = config_dir_of(arguments),
        .seconds = seconds_text == NULL ? -1 : (int64_t)seconds};
    return agent_collect(&options);
}

static int print_status(struct span text)
{
    struct arena arena;
    struct why why = {""};
    struct json *object = NULL;
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    arena_init(&arena, 0);
    enum err err = json_parse(&arena, text, 0, &object, &why);
    if (err == ERR_NONE)
        status_write_text(object, &out);
    if (err != ERR_NONE || out.failed)
        fprintf(stderr, "gemel-agent: the agent's answer: %s\n", why_text(&why, ERR_MEMORY));
    else
        fwrite(out.ptr, 1, out.len, stdout);
    arena_done(&arena);
    return err == ERR_NONE ? EXIT_DONE : EXIT_FAILED;
}

static int status_command(const struct arguments *arguments)
{
    struct why why = {""};
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    enum err err =
        status_ask(or_default(arguments->values[OPTION_STATE_DIR], STATE_DIR), &text, &why);
    if (err != ERR_NONE) {
        fprintf(stderr, "gemel-agent: %s\n", why_text(&why, err));
        return err == ERR_NOT_FOUND ? EXIT_NO_AGENT : EXIT_FAILED;
    }
    if (arguments->values[OPTION_JSON] == NULL)
        return print_status(buf_span(&text));
    printf("%s\n", text.ptr == NULL ? "" : text.ptr);
    return EXIT_DONE;
}

static enum err read_event(const char *operand, struct buf *text, struct why *why)
{
    if (strcmp(operand, "-") != 0) {
        buf_add_text(text, operand);
        return text->failed ? ERR_MEMORY : ERR_NONE;
    }
    text->limit_bytes = 2 * EVENT_BODY_MAX;
    while (!feof(stdin) && !text->failed) {
        char piece[4096];
        size_t got = fread(piece, 1, sizeof(piece), stdin);
        if (ferror(stdin))
            return fail(ERR_IO, why, "standard input cannot be read");
        buf_add(text, (struct span){piece, got});
    }
    return text->failed ? fail(ERR_TOO_LARGE, why, "an event has at most %u bytes", EVENT_BODY_MAX)
                        : ERR_NONE;
}

static int event_command(const struct arguments *arguments)
{
    struct why why = {""};
    struct arena arena;
    struct json *object;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    const char *state_dir = or_default(arguments->values[OPTION_STATE_DIR], STATE_DIR);
    const char *socket = arguments->values[OPTION_SOCKET];
    char *path =
        socket != NULL ? mem_text(span_of(socket)) : files_path(state_dir, EVENT_SOCKET_NAME);
    arena_init(&arena, 0);
    enum err err = path == NULL ? ERR_MEMORY : read_event(arguments->operand, &text, &why);
    struct span body = span_trim(buf_span(&text));
    if (err == ERR_NONE) {
        err = event_body_parse(&arena, body, &object, &why);
        if (err == ERR_FORMAT)
            why_prefix(&why, "the event");
    }
    if (err == ERR_NONE)
        err = event_socket_send(path, body, &why);
    arena_done(&arena);
    mem_free(path);
    if (err == ERR_NONE)
        return EXIT_DONE;
    fprintf(stderr, "gemel-agent: %s\n", why_text(&why, err));
    bool usage = err == ERR_FORMAT || err == ERR_TOO_LARGE;
    return usage ? EXIT_USAGE : err == ERR_NOT_FOUND ? EXIT_NO_AGENT : EXIT_FAILED;
}

/* ---- reading the command line ---- */

/* Finds "--name" or "--name=value"; `*ret_value` is what stands behind the '=' or NULL. */
static bool find_option(
    const struct command *command, const char *word, size_t *ret_option, const char **ret_value)
{
    struct span name = span_first(span_of(word), span_find(span_of(word), '='));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((command->options & BIT(i)) == 0 || !span_is(name, option_rows[i].name))
            continue;
        *ret_option = i;
        *ret_value = word[name.len] == '=' ? word + name.len + 1 : NULL;
        return true;
    }
    return false;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int parse_and_run(const struct command *command, int count, char **words)
{
    struct arguments arguments = {.command = command->name};
    for (int i = 0; i < count; i++) {
        size_t option;
        const char *value;
        if (asks_for_help(words[i])) {
            print_command(stdout, command);
            return EXIT_DONE;
        }
        if (words[i][0] != '-' || words[i][1] == '\0') {
            if (command->operand == NULL || arguments.operand != NULL)
                return usage(command->name, "not expected", words[i]);
            arguments.operand = words[i];
            continue;
        }
        if (!find_option(command, words[i], &option, &value))
            return usage(command->name, "unknown option", words[i]);
        bool wants_value = option_rows[option].value != NULL;
        if (!wants_value && value != NULL)
            return usage(command->name, "the option takes no value", words[i]);
        if (wants_value && value == NULL && ++i < count)
            value = words[i];
        if (wants_value && (value == NULL || value[0] == '\0'))
            return usage(command->name, "the option needs a value", option_rows[option].name);
        arguments.values[option] = wants_value ? value : "";
    }
    if (command->operand != NULL && arguments.operand == NULL)
        return usage(command->name, "missing", command->operand);
    return command->function(&arguments);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

/* Who starts us may have closed the standard streams; what we open must not get their numbers, or
 * the log would be written into it. */
static void fill_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    const char *word = argc < 2 ? "" : argv[1];
    bool help = asks_for_help(word) || strcmp(word, "help") == 0;
    if (help && argc < 3)
        return print_help();
    if (strcmp(word, "--version") == 0)
        return print_version();
    const char *name = help ? argv[2] : word;
    const struct command *command = find_command(name);
    if (command == NULL)
        return usage("", argc < 2 ? "a command is missing" : "unknown command", name);
    if (help) {
        print_command(stdout, command);
        return EXIT_DONE;
    }
    if (command->stays)
        heap_keep_small(argv);
    return parse_and_run(command, argc - 2, argv + 2);
}
