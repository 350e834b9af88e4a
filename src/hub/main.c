/* SPDX-License-Identifier: Apache-2.0 */
/* gemel-hub: a table of verbs, a table of options, and what reads a command line by them. */
#include "hub_config.h"
#include "init.h"
#include "mem.h"
#include "offline.h"
#include "serve.h"

#include <getopt.h>
#include <stdio.h>

#define LIST_MAX 64

enum option_name {
    OPTION_DATA_DIR,
    OPTION_CONFIG,
    OPTION_SET,
    OPTION_LISTEN,
    OPTION_MQTT_PORT,
    OPTION_HTTPS_PORT,
    OPTION_HUB,
    OPTION_HOST_NAME,
    OPTION_OUTPUT,
    OPTION_REFERENCE,
    OPTION_EXAMPLE,
    OPTION_HELP,
    OPTION_COUNT
};

#define BIT(option) (1u << OPTION_##option)

static const struct {
    const char *name;
    const char *value; /* placeholder; NULL: takes none */
    bool many;
    const char *help;
    const char *setting; /* the row of hub_config.def that it is short for */
} options[OPTION_COUNT] = {
    [OPTION_DATA_DIR] = {"data-dir", "D", false, "the data directory", NULL},
    [OPTION_CONFIG] = {"config", "FILE", false, "configuration file (INI)", NULL},
    [OPTION_SET] = {"set", "SECTION.KEY=VALUE", true, "one setting, over the file's; may repeat",
        NULL},
    [OPTION_LISTEN] = {"listen", "ADDR", false,
        "address to listen on; :: is every IPv6 and IPv4 address", "listen.address"},
    [OPTION_MQTT_PORT] = {"mqtt-port", "PORT", false, "port of MQTT over TLS, 8883; 0: any free",
        "listen.mqtt_port"},
    [OPTION_HTTPS_PORT] = {"https-port", "PORT", false, "port of HTTPS, 443; 0: any free",
        "listen.https_port"},
    [OPTION_HUB] = {"hub", "NAME", false, "name of the first hub (" HUB_NAME_DEFAULT ")", NULL},
    [OPTION_HOST_NAME] = {"host-name", "H", true,
        "host name that clients use (" HUB_HOST_NAME_DEFAULT "); may repeat", NULL},
    [OPTION_OUTPUT] = {"output", "FORMAT", false, "text or json (text)", NULL},
    [OPTION_REFERENCE] = {"reference", NULL, false, "print the reference of all settings", NULL},
    [OPTION_EXAMPLE] = {"example", NULL, false, "print a complete example file", NULL},
    [OPTION_HELP] = {"help", NULL, false, "this text", NULL},
};

struct arguments {
    const char *value[OPTION_COUNT]; /* "" for one without a value; NULL: not given */
    const char *sets[LIST_MAX];
    size_t set_count;
    const char *host_names[LIST_MAX];
    size_t host_name_count;
    const char *operand;      /* NULL: none */
    char *made[OPTION_COUNT]; /* texts of ours among the sets */
};

struct verb {
    const char *name;
    const char *operand; /* placeholder; NULL: takes none */
    unsigned options;
    unsigned required;
    const char *summary;
    const char *help;
    int (*run)(const struct arguments *arguments);
};

/* ---- verbs ----------------------------------------------------------------------------------- */

static int complain(const char *sentence)
{
    fprintf(stderr, "gemel-hub: %s\n", sentence);
    return 2;
}

static int run_serve(const struct arguments *arguments)
{
    struct hub_config config;
    struct why why = {.text = ""};
    enum err err = hub_config_load(
        arguments->value[OPTION_CONFIG], arguments->sets, arguments->set_count, &config, &why);
    if (err != ERR_NONE) {
        fprintf(stderr, "gemel-hub: %s\n", why_text(&why, err));
        return 1;
    }
    struct serve_options serve = {
        .data_dir = arguments->value[OPTION_DATA_DIR],
        .config = &config,
    };
    return hub_serve(&serve);
}

static int run_init(const struct arguments *arguments)
{
    const char *output = arguments->value[OPTION_OUTPUT];
    if (output != NULL && strcmp(output, "text") != 0 && strcmp(output, "json") != 0)
        return complain("--output is text or json");
    struct hub_init_options init = {
        .data_dir = arguments->value[OPTION_DATA_DIR],
        .hub = arguments->value[OPTION_HUB],
        .host_names = arguments->host_names,
        .host_name_count = arguments->host_name_count,
        .json = output != NULL && strcmp(output, "json") == 0,
    };
    return hub_init(&init);
}

static int run_backup(const struct arguments *arguments)
{
    return hub_backup(arguments->value[OPTION_DATA_DIR], arguments->operand);
}

static int run_restore(const struct arguments *arguments)
{
    return hub_restore(arguments->value[OPTION_DATA_DIR], arguments->operand);
}

static int run_migrate(const struct arguments *arguments)
{
    return hub_migrate(arguments->value[OPTION_DATA_DIR]);
}

static int run_check_config(const struct arguments *arguments)
{
    enum check_config_output output = CHECK_CONFIG_VERDICT;
    if (arguments->value[OPTION_REFERENCE] != NULL)
        output = CHECK_CONFIG_REFERENCE;
    else if (arguments->value[OPTION_EXAMPLE] != NULL)
        output = CHECK_CONFIG_EXAMPLE;
    return hub_check_config(
        arguments->value[OPTION_CONFIG], arguments->sets, arguments->set_count, output);
}

#define SERVE_OPTIONS                                                                              \
    (BIT(DATA_DIR) | BIT(CONFIG) | BIT(SET) | BIT(LISTEN) | BIT(MQTT_PORT) | BIT(HTTPS_PORT))

static const struct verb verbs[] = {
    {"init", NULL, BIT(DATA_DIR) | BIT(HUB) | BIT(HOST_NAME) | BIT(OUTPUT), BIT(DATA_DIR),
        "make a data directory",
        "Makes the data directory, a private CA, a server certificate, the first hub, its shared\n"
        "access policies and an administrator. Never overwrites.",
        run_init},
    {"serve", NULL, SERVE_OPTIONS, BIT(DATA_DIR), "run the server",
        "Serves MQTT over TLS on one port, REST over HTTPS on the other. Prints one line that\n"
        "begins with \"ready\" once it accepts connections. SIGTERM or SIGINT lets what is in\n"
        "flight finish and ends it; a second one cuts that short.",
        run_serve},
    {"backup", "DIRECTORY", BIT(DATA_DIR), BIT(DATA_DIR), "copy a data directory",
        "Copies database and certificates to a new place; the server may be running.", run_backup},
    {"restore", "DIRECTORY", BIT(DATA_DIR), BIT(DATA_DIR), "make a data directory from a backup",
        "Makes the data directory from a backup; refuses a place that is not empty.", run_restore},
    {"migrate", NULL, BIT(DATA_DIR), BIT(DATA_DIR), "bring the store's schema up to date",
        "Brings the schema of the store up to date and says which version it has.", run_migrate},
    {"check-config", NULL, BIT(CONFIG) | BIT(SET) | BIT(REFERENCE) | BIT(EXAMPLE), 0,
        "judge a configuration file",
        "Judges a configuration as serve would read it, or prints the reference of all settings,\n"
        "or an example file.",
        run_check_config},
};

/* ---- help ------------------------------------------------------------------------------------ */

static void print_options(unsigned set)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((set & (1u << i)) == 0)
            continue;
        char left[64];
        snprintf(left, sizeof left, "%s--%s%s%s", i == OPTION_HELP ? "-h, " : "", options[i].name,
            options[i].value == NULL ? "" : " ", options[i].value == NULL ? "" : options[i].value);
        printf("  %-26s %s\n", left, options[i].help);
    }
}

static void print_verb_help(const struct verb *verb)
{
    printf("usage: gemel-hub %s", verb->name);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((verb->options & (1u << i)) == 0)
            continue;
        bool required = (verb->required & (1u << i)) != 0;
        printf(" %s--%s%s%s%s%s", required ? "" : "[", options[i].name,
            options[i].value == NULL ? "" : " ", options[i].value == NULL ? "" : options[i].value,
            required ? "" : "]", options[i].many ? "…" : "");
    }
    if (verb->operand != NULL)
        printf(" %s", verb->operand);
    printf("\n\n%s\n\n", verb->help);
    print_options(verb->options | BIT(HELP));
}

static void print_help(void)
{
    printf("usage: gemel-hub VERB [OPTIONS]\n\nThe hub server.\n\n");
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        printf("  %-14s %s\n", verbs[i].name, verbs[i].summary);
    printf("\n'gemel-hub VERB --help' tells more about each; 'gemel-hub --version' the version.\n");
}

/* ---- the command line ------------------------------------------------------------------------ */

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int add_to(const char **list, size_t *count, const char *value)
{
    if (*count == LIST_MAX)
        return complain("an option is repeated too often");
    list[(*count)++] = value;
    return 0;
}

/* An option that is short for a setting becomes one, so that there is one way to check it. */
static int add_setting(struct arguments *arguments, enum option_name option, const char *value)
{
    const char *setting = options[option].setting;
    must(setting != NULL && value != NULL);
    size_t size = strlen(setting) + strlen(value) + 2;
    char *text = mem_alloc(size);
    if (text == NULL)
        return complain("out of memory");
    snprintf(text, size, "%s=%s", setting, value);
    arguments->made[option] = text;
    return add_to(arguments->sets, &arguments->set_count, text);
}

static int take_option(struct arguments *arguments, enum option_name option, const char *value)
{
    if (option == OPTION_SET)
        return add_to(arguments->sets, &arguments->set_count, value);
    if (option == OPTION_HOST_NAME)
        return add_to(arguments->host_names, &arguments->host_name_count, value);
    if (arguments->value[option] != NULL) {
        fprintf(stderr, "gemel-hub: --%s is given twice\n", options[option].name);
        return 2;
    }
    arguments->value[option] = value == NULL ? "" : value;
    if (options[option].setting != NULL)
        return add_setting(arguments, option, value);
    return 0;
}

static void list_long_options(const struct verb *verb, struct option *ret_list)
{
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (((verb->options | BIT(HELP)) & (1u << i)) != 0)
            ret_list[count++] = (struct option){options[i].name,
                options[i].value == NULL ? no_argument : required_argument, NULL, (int)i};
    ret_list[count] = (struct option){0};
}

static int read_options(
    const struct verb *verb, int argc, char **argv, struct arguments *ret_arguments)
{
    struct option list[OPTION_COUNT + 1];
    list_long_options(verb, list);
    int option;
    while ((option = getopt_long(argc, argv, "h", list, NULL)) >= 0) {
        if (option == 'h')
            option = OPTION_HELP;
        if (option >= OPTION_COUNT) {
            /* getopt_long has said what is wrong */
            fprintf(stderr, "gemel-hub: 'gemel-hub %s --help' lists its options\n", verb->name);
            return 2;
        }
        int status = take_option(ret_arguments, (enum option_name)option, optarg);
        if (status != 0)
            return status;
    }
    if (argc - optind > (verb->operand == NULL ? 0 : 1)) {
        fprintf(stderr, "gemel-hub: unexpected argument '%s'\n",
            argv[verb->operand == NULL ? optind : optind + 1]);
        return 2;
    }
    ret_arguments->operand = optind < argc ? argv[optind] : NULL;
    return 0;
}

static int check_required(const struct verb *verb, const struct arguments *arguments)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if ((verb->required & (1u << i)) != 0 && arguments->value[i] == NULL) {
            fprintf(stderr, "gemel-hub: %s needs --%s %s\n", verb->name, options[i].name,
                options[i].value);
            return 2;
        }
    if (verb->operand != NULL && arguments->operand == NULL) {
        fprintf(stderr, "gemel-hub: %s needs a %s\n", verb->name, verb->operand);
        return 2;
    }
    return 0;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct arguments arguments = {.set_count = 0};
    char name[64];
    snprintf(name, sizeof name, "gemel-hub %s", verb->name);
    argv[0] = name;
    int status = read_options(verb, argc, argv, &arguments);
    bool wants_help = status == 0 && arguments.value[OPTION_HELP] != NULL;
    if (wants_help)
        print_verb_help(verb);
    else if (status == 0 && (status = check_required(verb, &arguments)) == 0)
        status = verb->run(&arguments);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        mem_free(arguments.made[i]);
    return status;
}

int main(int argc, char **argv)
{
    bool help = argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                                 strcmp(argv[1], "help") == 0);
    if (help && argc == 2) {
        print_help();
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("gemel-hub %s\n", GEMEL_VERSION);
        return 0;
    }
    const char *name = help ? argv[2] : argc >= 2 ? argv[1] : NULL;
    const struct verb *verb = name == NULL ? NULL : find_verb(name);
    if (verb != NULL && help) {
        print_verb_help(verb);
        return 0;
    }
    if (verb != NULL)
        return run_verb(verb, argc - 1, argv + 1);
    if (name == NULL)
        fprintf(stderr, "gemel-hub: a verb is missing\n");
    else
        fprintf(stderr, "gemel-hub: there is no verb '%s'\n", name);
    fprintf(stderr, "gemel-hub: 'gemel-hub --help' lists the verbs\n");
    return 2;
}
