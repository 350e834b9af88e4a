/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include "help.h"
#include "host.h"

#include <errno.h>
#include <stdlib.h>

#define FILE_MAX_BYTES (16u << 20)

/* ---- sentences and results ------------------------------------------------------------------- */

int cli_fail(struct cli *cli, enum exit_status status, const char *format, ...)
{
    struct why why;
    char text[sizeof(why.text)];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    why_set(&why, "%s", text); /* takes out what would drive the terminal */
    fprintf(cli->err, "gemel: %s\n", why.text);
    return (int)status;
}

int cli_fail_err(struct cli *cli, enum err err, const struct why *why)
{
    if (err == ERR_CANCELLED)
        return EXIT_DONE;
    bool unreached = err == ERR_TLS || err == ERR_UNAVAILABLE || err == ERR_TIMEOUT;
    enum exit_status status =
        unreached ? EXIT_NO_HUB
                  : (err == ERR_ARGUMENT || err == ERR_FORMAT ? EXIT_USAGE : EXIT_REFUSED);
    cli_fail(cli, status, "%s", why_text(why, err));
    if (err == ERR_TLS)
        fprintf(cli->err,
            "  a hub with its own authority: give its ca.pem (gemel-hub init writes it "
            "to the data directory) with --ca or GEMEL_CA\n");
    if (err == ERR_UNAVAILABLE)
        fprintf(cli->err, "  check HostName and port of the login, and that the hub is running\n");
    return (int)status;
}

int cli_print(struct cli *cli, const struct json *value)
{
    return cli_print_columns(cli, value, cli->arguments.command->columns);
}

int cli_print_columns(struct cli *cli, const struct json *value, const struct column *columns)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    if (value == NULL)
        return EXIT_DONE;
    cli->writer->document(value, columns, &out);
    if (out.failed)
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    if (fwrite(out.ptr, 1, out.len, cli->out) != out.len || fflush(cli->out) != 0)
        return cli_fail(cli, EXIT_REFUSED, "standard output cannot be written");
    return EXIT_DONE;
}

/* ---- values from files ----------------------------------------------------------------------- */

static enum err read_stream(FILE *stream, struct buf *out, struct why *why)
{
    size_t got = 1;
    while (got > 0 && !out->failed) {
        char chunk[4096];
        got = fread(chunk, 1, sizeof(chunk), stream);
        buf_add(out, (struct span){chunk, got});
        mem_wipe(chunk, got);
    }
    if (ferror(stream))
        return fail(ERR_IO, why, "cannot be read: %s", strerror(errno));
    return out->failed ? fail(ERR_TOO_LARGE, why, "is larger than %u MiB", FILE_MAX_BYTES >> 20)
                       : ERR_NONE;
}

/* Reads a file, "-" for standard input, into the run's arena. */
static enum err read_file(struct cli *cli, const char *name, struct span *ret_text, struct why *why)
{
    struct buf text = {.limit_bytes = FILE_MAX_BYTES};
    bool standard = strcmp(name, "-") == 0;
    FILE *stream = standard ? stdin : fopen(name, "re");
    if (stream == NULL)
        return fail(ERR_IO, why, "%s cannot be opened: %s", name, strerror(errno));
    enum err err = read_stream(stream, &text, why);
    if (!standard)
        fclose(stream);
    if (err != ERR_NONE)
        why_prefix(why, "%s", standard ? "standard input" : name);
    else if (!arena_span(&cli->arena, buf_span(&text), ret_text))
        err = fail(ERR_MEMORY, why, "out of memory");
    mem_wipe(text.ptr, text.len);
    buf_done(&text);
    return err;
}

/* A value as options and variables give it: itself, "@file", or "-". */
static enum err load_value(
    struct cli *cli, const char *value, bool is_file, struct span *ret_text, struct why *why)
{
    enum err err = ERR_NONE;
    if (is_file || strcmp(value, "-") == 0)
        err = read_file(cli, value, ret_text, why);
    else if (value[0] == '@')
        err = read_file(cli, value + 1, ret_text, why);
    else
        *ret_text = span_of(value);
    if (err == ERR_NONE)
        *ret_text = span_trim(*ret_text);
    return err;
}

int cli_load(struct cli *cli, enum option option, bool is_file, struct span *ret_text)
{
    struct why why;
    enum err err = load_value(cli, cli_value(cli, option), is_file, ret_text, &why);
    if (err != ERR_NONE)
        return cli_fail(cli, EXIT_USAGE, "%s: %s", option_rows[option].name, why.text);
    return EXIT_DONE;
}

int cli_load_object(struct cli *cli, enum option option, bool is_file, struct json **ret_object)
{
    struct span text = SPAN_NONE;
    struct json *object = NULL;
    struct why why;
    if (cli_value(cli, option) == NULL)
        return EXIT_DONE;
    int status = cli_load(cli, option, is_file, &text);
    if (status != EXIT_DONE)
        return status;
    if (json_parse(&cli->arena, text, 0, &object, &why) != ERR_NONE)
        return cli_fail(cli, EXIT_USAGE, "%s is no JSON: %s", option_rows[option].name, why.text);
    if (!json_is(object, JSON_OBJECT))
        return cli_fail(cli, EXIT_USAGE, "%s is %s, and an object is needed",
            option_rows[option].name, json_kind_name(object));
    *ret_object = object;
    return EXIT_DONE;
}

/* ---- signing in ------------------------------------------------------------------------------ */

static const char *login_text(const struct cli *cli)
{
    const char *login = cli_value(cli, OPTION_LOGIN);
    return login != NULL ? login : getenv("GEMEL_LOGIN");
}

static int read_login(struct cli *cli, struct connstr *ret_connstr)
{
    struct span text;
    struct why why;
    enum err err = load_value(cli, login_text(cli), false, &text, &why);
    if (err == ERR_NONE)
        err = connstr_parse(text, ret_connstr, &why);
    if (err == ERR_NONE && cli->arguments.command->login == LOGIN_POLICY)
        err = connstr_check_service(ret_connstr, &why);
    if (err != ERR_NONE)
        return cli_fail(cli, EXIT_USAGE, "the login cannot be used: %s", why.text);
    return EXIT_DONE;
}

static int sign_in_as_policy(struct cli *cli)
{
    if (login_text(cli) == NULL)
        return cli_fail(cli, EXIT_USAGE,
            "no login: give the connection string of a shared access policy with --login or "
            "GEMEL_LOGIN (gemel-hub init prints that of iothubowner)");
    int status = read_login(cli, &cli->credentials.connstr);
    cli->credentials.host = cli->credentials.connstr.host_name;
    return status;
}

static int read_password(struct cli *cli)
{
    const char *password = getenv("GEMEL_ADMIN_PASSWORD");
    if (cli_value(cli, OPTION_ADMIN_PASSWORD_FILE) != NULL)
        return cli_load(cli, OPTION_ADMIN_PASSWORD_FILE, true, &cli->credentials.password);
    if (password == NULL)
        return cli_fail(cli, EXIT_USAGE,
            "no password: give the administrator's with --admin-password-file or "
            "GEMEL_ADMIN_PASSWORD (gemel-hub init prints it)");
    cli->credentials.password = span_of(password);
    return EXIT_DONE;
}

static int sign_in_as_administrator(struct cli *cli)
{
    struct connstr connstr = {0};
    const char *user = getenv("GEMEL_ADMIN_USER");
    struct span host = cli_span(cli, OPTION_HOST);
    char normal[HOST_SIZE];
    cli->credentials.user = span_of(user == NULL ? "admin" : user);
    if (host.len == 0 && login_text(cli) == NULL)
        return cli_fail(cli, EXIT_USAGE, "no server: name it with --host, or give a login");
    int status = host.len == 0 ? read_login(cli, &connstr) : EXIT_DONE;
    if (status != EXIT_DONE)
        return status;
    cli->credentials.host = host.len > 0 ? host : connstr.host_name;
    if (host_normalise(cli->credentials.host, normal).len == 0)
        return cli_fail(
            cli, EXIT_USAGE, "\"%.*s\" is no host name", SPAN_ARG(cli->credentials.host));
    return read_password(cli);
}

static int sign_in(struct cli *cli)
{
    const char *ca_file = cli_value(cli, OPTION_CA);
    cli->credentials.ca_file = ca_file != NULL ? ca_file : getenv("GEMEL_CA");
    switch (cli->arguments.command->login) {
    case LOGIN_POLICY:
        return sign_in_as_policy(cli);
    case LOGIN_ADMINISTRATOR:
        return sign_in_as_administrator(cli);
    case LOGIN_NOBODY:
        break;
    }
    return EXIT_DONE;
}

/* ---- the run --------------------------------------------------------------------------------- */

static int print_help(struct cli *cli)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    help_write(cli->arguments.command, &text);
    if (!text.failed)
        fwrite(text.ptr, 1, text.len, cli->out);
    return EXIT_DONE;
}

static int wrong_usage(struct cli *cli, const struct why *why)
{
    const struct command *command = cli->arguments.command;
    cli_fail(cli, EXIT_USAGE, "%s", why->text);
    fprintf(cli->err, "  how it is used: gemel %s%s--help\n", command == NULL ? "" : command->path,
        command == NULL ? "" : " ");
    return EXIT_USAGE;
}

int cli_run(struct cli *cli, int count, char *const *words)
{
    struct why why;
    if (arguments_parse(count, words, &cli->arguments, &why) != ERR_NONE)
        return wrong_usage(cli, &why);
    if (has_option(&cli->arguments, OPTION_VERSION)) {
        fprintf(cli->out, "gemel " GEMEL_VERSION "\n");
        return EXIT_DONE;
    }
    if (has_option(&cli->arguments, OPTION_HELP))
        return print_help(cli);
    const char *output = cli_value(cli, OPTION_OUTPUT);
    cli->writer = writer_find(span_of(output == NULL ? "json" : output));
    must(cli->writer != NULL);
    int status = sign_in(cli);
    return status == EXIT_DONE ? cli->arguments.command->run(cli) : status;
}
