/* SPDX-License-Identifier: Apache-2.0 */
#include "refusal.h"

#include <string.h>

static bool is_refusal(int code)
{
    return code >= 1 && code <= 5;
}

static void tell_time(int64_t wall_us, struct why *why)
{
    char text[CLOCK_TEXT_SIZE];
    struct why so_far = *why;
    why_set(why, "%s (it says %.19sZ)?", so_far.text, clock_format(wall_us, text));
}

/* Until the proxy lets it through nobody knows how the hub is. */
static void say_nothing_through_proxy(
    struct span host, const char *proxy, const char *text, struct why *why)
{
    struct span rest = span_of(proxy), proxy_host = SPAN_NONE, port = SPAN_NONE;
    must(span_cut(&rest, ',', &proxy_host) && span_cut(&rest, ',', &port));
    why_set(why,
        "no connection to %.*s through the proxy %.*s:%.*s: %s; does the proxy answer there, does "
        "it "
        "take this user and password, and does it allow CONNECT to the hub's port?",
        SPAN_ARG(host), SPAN_ARG(proxy_host), SPAN_ARG(port), text[0] == '\0' ? "no answer" : text);
}

/* Paho says nothing of a name that does not resolve. */
static void say_no_connection(
    struct span host, const char *proxy, const char *text, int64_t wall_us, struct why *why)
{
    static const struct {
        const char *said;
        const char *hint;
        bool tell_time;
    } hints[] = {
        {"certificate verify failed",
            "; is the CA of the hub in ca.pem of the configuration directory, is its certificate "
            "still "
            "valid, and is this machine's clock right",
            true},
        {"wrong version number", "; what answers there does not speak TLS: is the port right?",
            false},
        {"connect failure",
            "; does a hub answer there, does its certificate bear this name, and is "
            "ca.pem, if there is one, a PEM file?",
            false},
        {"connect completion failure", "; it closed the connection before it answered", false},
        {"", "", false},
    };
    size_t hint = 0;
    if (proxy != NULL && strncmp(text, "TLS: ", 5) != 0) {
        say_nothing_through_proxy(host, proxy, text, why);
        return;
    }
    while (strstr(text, hints[hint].said) == NULL)
        hint++;
    why_set(why, "no connection to %.*s: %s%s", SPAN_ARG(host),
        text[0] == '\0' ? "no answer; does this name resolve, and does a hub answer there?" : text,
        hints[hint].hint);
    if (hints[hint].tell_time)
        tell_time(wall_us, why);
}

void refusal_of_module(const struct connstr *connstr, const char *proxy, int code, const char *text,
    int64_t wall_us, struct why *why)
{
    static const char *const reasons[] = {
        [1] = "the hub does not speak MQTT 3.1.1",
        [2] = "the hub refuses the client id: check DeviceId and ModuleId in connection_string.txt",
        [3] = "the hub is not available now",
        [4] = "the hub refuses the credentials: check connection_string.txt",
        [5] = "the hub refuses the credentials: check that the device is enabled, that it has this "
              "module, that connection_string.txt holds the module's present key, and that this "
              "machine's clock is right",
    };
    if (is_refusal(code))
        why_set(why, "device %.*s, module %.*s on %.*s: %s", SPAN_ARG(connstr->device_id),
            SPAN_ARG(connstr->module_id), SPAN_ARG(connstr->host_name), reasons[code]);
    else
        say_no_connection(
            connstr->gateway_host_name.len > 0 ? connstr->gateway_host_name : connstr->host_name,
            proxy, text, wall_us, why);
}

void refusal_of_registration(struct span host, const char *proxy, int code, const char *text,
    int64_t wall_us, struct why *why)
{
    static const char advice[] =
        "refuses: check Provisioning_IdScope, Provisioning_RegistrationId and "
        "Provisioning_SymmetricKey or the certificate, that the enrollment is enabled, and that "
        "this machine's clock is right";
    if (is_refusal(code))
        why_set(why, "the provisioning service at %.*s %s", SPAN_ARG(host),
            code == 3 ? "is not available now" : advice);
    else
        say_no_connection(host, proxy, text, wall_us, why);
}
